package broker

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/action"
	"github.com/keyturn/keyturn/internal/broker/fields"
	"github.com/keyturn/keyturn/internal/platform"
)

// platformAction has a mount's platform carry out one of its actions. Its children
// are the secrets that it uses, and behind them the one that it writes.
func (b *Broker) platformAction(ctx context.Context, c *call, op keyturn.PlatformAction) (keyturn.Result, error) {
	use := c.children
	if !op.To.IsZero() {
		use = use[:len(use)-1]
	}
	res, err := action.Perform(ctx, action.Door{Mount: b.Mounts.Mount, Receipt: c.receipt, Only: fields.Only,
		Use: func(ctx context.Context) map[keyturn.Ref]platform.Outcome { return b.use(ctx, use, nil) },
		Ask: func(ctx context.Context, question string) (keyturn.Value, error) {
			if b.Entrance == nil {
				return keyturn.Value{}, nil
			}
			return b.Entrance.Ask(ctx, op.Mount, platform.Input{Name: "typed", Help: question, Secret: true})
		},
		Expects: func(m *platform.Mount, ref keyturn.Ref) string { return c.expects(m, ref, "") },
		Wrote: func(ctx context.Context, version string, err error) {
			b.toldWrite(ctx, c.children[len(c.children)-1], version, err)
		},
	}, op)
	if err != nil {
		return nil, err
	}
	return res, nil
}
