package broker

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/budget"
	"github.com/keyturn/keyturn/internal/broker/transfer"
	"github.com/keyturn/keyturn/internal/platform"
)

// transfer is for a copy or a comparison, which reads the children that use.
func (b *Broker) transfer(c *call, use []*call) transfer.Door {
	return transfer.Door{Mount: b.Mounts.Mount, Receipt: c.receipt, Expects: c.expects,
		Use: func(ctx context.Context) map[keyturn.Ref]platform.Outcome { return b.use(ctx, use, nil) },
		Held: func(secret keyturn.Ref) (string, bool) {
			version, approved := c.held[secret.String()]
			return version, approved
		},
		Wrote: func(ctx context.Context, version string, err error) {
			b.toldWrite(ctx, c.children[len(c.children)-1], version, err)
		},
		Compare: func(ctx context.Context, fields int, refs ...keyturn.Ref) error {
			return b.spendCompare(ctx, c, fields, refs...)
		},
	}
}

// toldWrite records what came of a write that is a child.
func (b *Broker) toldWrite(ctx context.Context, child *call, version string, err error) {
	record := child.outcome(nil, err)
	if err == nil {
		record.Version = version
	}
	b.Log.Later(ctx, record)
	child.told = true
}

// spendCompare takes so many compared fields of the budgets of the caller and of each
// secret. It binds agents and services; where a person has said yes to exactly this,
// which can be asked for once a budget is spent, and for people themselves, there is
// none.
func (b *Broker) spendCompare(ctx context.Context, c *call, fields int, refs ...keyturn.Ref) error {
	if c.actor.Kind == keyturn.Person || c.approval != "" {
		return nil
	}
	err := budget.Take(ctx, b.Items, c.actor.Principal(), refs, fields, b.Now())
	if !errors.Is(err, keyturn.Denied) {
		return err
	}
	e := keyturn.AsError(err)
	if err = b.approved(ctx, c, e); err == nil {
		c.late = c.approval
		return b.spend(ctx, c)
	}
	if e.Approval != nil {
		c.late = e.Approval.ID
	}
	return err
}
