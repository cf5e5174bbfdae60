package broker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/budget"
	"github.com/keyturn/keyturn/internal/broker/carry"
	"github.com/keyturn/keyturn/internal/broker/fields"
	"github.com/keyturn/keyturn/internal/platform"
)

// copySecret looks at both ends without reading a value, reads, and writes: what
// cannot go along is told before anything is written.
func (b *Broker) copySecret(ctx context.Context, c *call, op keyturn.CopySecret) (keyturn.Result, error) {
	source, err := b.Mounts.Mount(op.From.Mount())
	if err != nil {
		return nil, err
	}
	return on(b, c, op.To, func(target *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
		now, err := target.Describe(ctx, op.To.Secret())
		if err != nil && !errors.Is(err, keyturn.NotFound) && !errors.Is(err, keyturn.Unsupported) {
			return nil, err
		}
		// Where this fails the read will, too, and says it better.
		if info, err := source.Describe(ctx, op.From); err == nil && op.From.Field() == "" {
			if err := carries(op, info, target); err != nil {
				return nil, err
			}
		}
		read := b.use(ctx, c.children[:1], nil)[op.From]
		if read.Err != nil {
			return nil, read.Err
		}
		if held, ok := c.held[op.From.Secret().String()]; ok && op.From.Version() == "" && held != read.Secret.Version {
			return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(op.From.Path())+" has changed since this was approved", "repeat the command to ask again")
		}
		put, err := b.carried(op, read.Secret, now, target)
		if err != nil {
			return nil, err
		}
		put.IfVersion = c.expects(target, op.To, op.IfVersion)
		if put.IfVersion == "" && now.Version != "" && target.Spec().CompareAndSet {
			put.IfVersion = now.Version // what was told above is what is written over
		}
		ch, err := target.Put(ctx, op.To.Secret(), put)
		b.toldWrite(ctx, c.children[1], ch.Info.Version, err)
		if err != nil {
			return nil, err
		}
		// Of the source no more than its use tells: to describe it is another verb.
		out := &keyturn.Copied{Receipt: r, From: known(read), To: ch.Info, Created: ch.Created, Before: ch.Before, Target: target.Target()}
		if op.From.Field() == "" {
			out.Left = carry.Left(read.Secret.Info, target.Spec())
		}
		if op.Verify {
			if err := target.ReadsBack(ctx, op.To.Secret(), ch.Info.Version, put.Values); err != nil {
				return nil, err
			}
			out.Verified = true
		}
		return out, nil
	})
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

// carries refuses a copy that would leave something behind, unless it may.
func carries(op keyturn.CopySecret, from keyturn.Info, target *platform.Mount) error {
	if err := carry.Fits(from, op.To, target.Spec()); err != nil {
		return err
	}
	left := carry.Left(from, target.Spec())
	if len(left) == 0 || op.Lossy {
		return nil
	}
	return keyturn.E(keyturn.Conflict, target.Platform()+" cannot keep all of it; it would lose "+strings.Join(left, "; "),
		"--yes copies the rest; a field by itself is copied byte for byte: SRC#FIELD DST#FIELD").About(op.To)
}

// carried is the write of a copy: told once more what cannot go along, now that
// all of it is known.
func (b *Broker) carried(op keyturn.CopySecret, from keyturn.Secret, now keyturn.Info, target *platform.Mount) (platform.Put, error) {
	if f := op.From.Field(); f != "" {
		put := carry.Field(from.Values[f], op.To.Field(), now, target.Spec())
		if slices.Contains(from.Typed, f) {
			put.Typed = []string{op.To.Field()}
		}
		return put, nil
	}
	if err := carries(op, from.Info, target); err != nil {
		return platform.Put{}, err
	}
	return carry.Whole(from, now, target.Spec(), op.Mode)
}

// diffSecrets compares inside: only what is the same and what differs comes out.
func (b *Broker) diffSecrets(ctx context.Context, c *call, op keyturn.DiffSecrets) (keyturn.Result, error) {
	answers := b.use(ctx, c.children, nil)
	one, two := answers[op.A], answers[op.B]
	var failed []*keyturn.Error
	for _, err := range []error{one.Err, two.Err} {
		if err != nil {
			failed = append(failed, keyturn.AsError(err))
		}
	}
	if len(failed) > 0 {
		return nil, keyturn.Join("both references failed, and nothing was compared", failed...)
	}
	out := &keyturn.Differences{Receipt: c.receipt(nil), A: known(one), B: known(two)}
	left, right := one.Secret.Values, two.Secret.Values
	if op.A.Field() != "" || op.B.Field() != "" {
		a, err := fields.Only(op.A, one.Secret)
		if err != nil {
			return nil, err
		}
		z, err := fields.Only(op.B, two.Secret)
		if err != nil {
			return nil, err
		}
		left, right = map[string]keyturn.Value{a: left[a]}, map[string]keyturn.Value{a: right[z]}
	}
	both := 0
	for f := range left {
		if _, there := right[f]; there {
			both++
		}
	}
	if err := b.spendCompare(ctx, c, both, op.A, op.B); err != nil {
		return nil, err
	}
	out.Fields = carry.Compare(left, right)
	return out, nil
}

// known is what whoever uses a version may know of it.
func known(o platform.Outcome) keyturn.Info {
	return keyturn.Info{Ref: o.Secret.Ref, Version: o.Secret.Version, State: o.Secret.State}
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
