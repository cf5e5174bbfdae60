package broker

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/answer"
	"github.com/keyturn/keyturn/internal/broker/candidate"
	"github.com/keyturn/keyturn/internal/broker/generate"
	"github.com/keyturn/keyturn/internal/platform"
)

// Seal implements keyturn.Service.
func (b *Broker) Seal(ctx context.Context, ref keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	c, err := b.receive(ctx, keyturn.SealValues{Ref: ref})
	if err != nil {
		return "", b.refuse(ctx, c, err)
	}
	if err := b.ruled(c); err != nil {
		return "", b.refuse(ctx, c, err)
	}
	id, err := candidate.Seal(ctx, b.Items, b.Now(), c.actor, ref, values)
	return id, tell(c, err)
}

func (b *Broker) putSecret(ctx context.Context, c *call, op keyturn.PutSecret) (keyturn.Result, error) {
	values := map[string]keyturn.Value{}
	if op.Candidate != "" {
		// From here on the candidate is gone, whatever comes: who tries again seals
		// again, and of two that race only one puts.
		var err error
		if values, err = candidate.Take(ctx, b.Items, c.actor, op.Ref, op.Candidate); err != nil {
			return nil, err
		}
	}
	for _, g := range op.Generate {
		if _, dup := values[g.Field]; dup {
			return nil, keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(g.Field)+"' is both given and generated", "")
		}
		v, err := generate.Value(g)
		if err != nil {
			return nil, err
		}
		values[g.Field] = v
	}
	for _, f := range op.Public {
		if _, ok := values[f]; !ok && op.Mode != keyturn.Merge {
			return nil, keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(f)+"' cannot be public: it is not among those put", "")
		}
	}
	return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
		if op.Reader != "" { // before anything is written
			if _, err := m.Perform(ctx, grant(c, keyturn.ActionCheckGrant)); err != nil {
				return nil, err
			}
		}
		ch, err := m.Put(ctx, op.Ref, platform.Put{Values: values, IfVersion: c.expects(m, op.Ref, op.IfVersion), Mode: op.Mode,
			Labels: op.Labels, Public: op.Public, Expires: op.Expires})
		out := &keyturn.Changed{Receipt: r, Secret: ch.Info, Created: ch.Created, Before: ch.Before, Unseen: ch.Unseen, Target: m.Target()}
		if err == nil && op.Reader != "" {
			out.Granted, out.Failed = b.letRead(ctx, c, m)
		}
		return out, err
	})
}

// grant is the action of c's child, under its own name or under that which only looks.
func grant(c *call, name string) platform.Act {
	op := c.children[0].op.(keyturn.PlatformAction)
	return platform.Act{Action: name, Args: op.Args, On: op.On}
}

// letRead has the platform let the reader of a put read what was put.
func (b *Broker) letRead(ctx context.Context, c *call, m *platform.Mount) (*keyturn.Told, *keyturn.Error) {
	child := c.children[0]
	did, err := m.Perform(ctx, grant(c, keyturn.ActionGrant))
	record := child.outcome(nil, err)
	if err == nil {
		record.Change = answer.Changed(&did.Told)
	}
	b.Log.Later(ctx, record) // durable with the outcome of c
	child.told = true
	if err != nil {
		return nil, keyturn.AsError(err)
	}
	return &did.Told, nil
}

// expects is the version that must be current for a write of c: the one that the
// caller named, else what c was approved for, a new secret or a version. Where
// the platform has no compare-and-set the check of an approval is a race.
func (c *call) expects(m *platform.Mount, ref keyturn.Ref, named string) string {
	held, approved := c.held[ref.Secret().String()]
	if named != "" || !approved || !m.Spec().CompareAndSet {
		return named
	}
	if version, _, _ := strings.Cut(held, " "); version != "" {
		return version
	}
	return keyturn.None
}
