package broker

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
)

// Seal implements keyturn.Service.
func (b *Broker) Seal(ctx context.Context, ref keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	c, err := b.receive(ctx, keyturn.SealValues{Ref: ref})
	if err != nil {
		return "", b.refuse(ctx, c, err)
	}
	if err := newFields(c.actor, slices.Sorted(maps.Keys(values))); err != nil && c.actor.Kind != keyturn.Person {
		return "", b.refuse(ctx, c, err)
	}
	if err := b.ruled(c); err != nil {
		return "", b.refuse(ctx, c, err)
	}
	id, err := b.journal.Candidates.Seal(ctx, c.actor, ref, values)
	return id, tell(c, err)
}

// sealedFields names, in the form of a put, the fields of the values that were sealed for
// it: whoever approves it sees them, and its record has them.
func (b *Broker) sealedFields(ctx context.Context, c *call) error {
	op, ok := c.op.(keyturn.PutSecret)
	if !ok || op.Candidate == "" {
		return nil
	}
	fields, err := b.journal.Candidates.Fields(ctx, c.actor, op.Ref, op.Candidate)
	switch {
	case err != nil:
		return err
	case fields == nil: // it is gone, or another's: that is told once it would be taken
		return nil
	case len(op.Fields) > 0 && !slices.Equal(op.Fields, fields):
		return keyturn.E(keyturn.Invalid, "the fields that the put names are not those of the values that were sealed for it", "seal the values again")
	}
	// What an earlier keyturn asked for named no fields. The sealed values are the same.
	open, err := b.journal.Approvals.Open(ctx)
	if err != nil {
		return err
	}
	if len(op.Fields) == 0 && slices.ContainsFunc(open, func(r journal.Request) bool { return r.Actor.Same(c.actor) && r.Hash == c.hash.String() }) {
		return nil
	}
	op.Fields = fields
	return c.take(op)
}

// putSecret writes a new version of the values that were sealed for it and of those
// that are generated.
func (b *Broker) putSecret(ctx context.Context, c *call, op keyturn.PutSecret) (keyturn.Result, error) {
	values := map[string]keyturn.Value{}
	if op.Candidate != "" {
		// From here on the candidate is gone, whatever happens: to try again means to
		// seal again, and of two puts that race only one gets the values.
		var err error
		if values, err = b.journal.Candidates.Take(ctx, c.actor, op.Ref, op.Candidate); err != nil {
			return nil, err
		}
		if len(op.Fields) > 0 && !slices.Equal(op.Fields, slices.Sorted(maps.Keys(values))) {
			return nil, keyturn.E(keyturn.Conflict, "the sealed values are not those that were decided about", "give the values again")
		}
	}
	for _, g := range op.Generate {
		if _, dup := values[g.Field]; dup {
			return nil, keyturn.E(keyturn.Invalid, "the field '"+keyturn.Clean(g.Field)+"' is both given and generated", "")
		}
		v, err := generate(g)
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
	given := givenBy(c.actor, values)
	for _, g := range op.Generate {
		given[g.Field] = false // by nobody
	}
	return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
		if op.Reader != "" { // before anything is written
			if _, err := m.Perform(ctx, grant(c, keyturn.ActionCheckGrant)); err != nil {
				return nil, err
			}
		}
		put := platform.Put{Values: values, Given: given, IfVersion: op.IfVersion, Mode: op.Mode, Labels: op.Labels, Unlabel: op.Unlabel,
			Public: op.Public, Expires: op.Expires}
		if !m.Relabels(put) {
			put.IfVersion = c.expects(m, op.Ref, op.IfVersion)
		}
		ch, err := m.Put(ctx, op.Ref, put)
		out := &keyturn.Changed{Receipt: r, Secret: ch.Info, Created: ch.Created, Before: ch.Before, Unseen: ch.Unseen, Notice: ch.Notice, Target: m.Target()}
		if err == nil && op.Reader != "" {
			out.Granted, out.Failed = b.letRead(ctx, c, m)
		}
		return out, err
	})
}

// givenBy tells of values that come from the caller whether it is an agent or a service.
func givenBy(actor keyturn.Actor, values map[string]keyturn.Value) map[string]bool {
	given := map[string]bool{}
	for f := range values {
		given[f] = actor.Kind != keyturn.Person
	}
	return given
}

// grant returns the action of c's child, by its own name or by that of the action that
// only checks whether it can be done.
func grant(c *call, name string) platform.Act {
	op := c.children[0].op.(keyturn.PlatformAction)
	return platform.Act{Action: name, Args: op.Args, On: op.On}
}

// letRead has the platform let the reader that a put names read the secret.
func (b *Broker) letRead(ctx context.Context, c *call, m *platform.Mount) (*keyturn.Told, *keyturn.Error) {
	child := c.children[0]
	did, err := m.Perform(ctx, grant(c, keyturn.ActionGrant))
	record := child.outcome(nil, err)
	if err == nil {
		record.Change = recordedChange(&did.Told)
	}
	b.Log.Later(ctx, record) // durable with the outcome of c
	child.recorded = true
	if err != nil {
		return nil, keyturn.AsError(err)
	}
	return &did.Told, nil
}

// expects returns the version that must be current for a write of c: the one that the
// caller named, else the one that c was approved for, which may be none; "" for any.
// Where the platform has no compare-and-set the check of an approval is a race.
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
