// Package transfer takes a secret's values from one place to another, and compares
// two places, without anybody seeing a value.
package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/carry"
	"github.com/keyturn/keyturn/internal/broker/fields"
	"github.com/keyturn/keyturn/internal/platform"
)

// Door is what broker does for one copy or comparison. All of it is within what was
// decided.
type Door struct {
	Mount   func(name string) (*platform.Mount, error)
	Receipt func(*platform.Mount) keyturn.Receipt // nil for no mount
	// Use reads what is used, which is on record, and records what came of it.
	Use func(ctx context.Context) map[keyturn.Ref]platform.Outcome
	// Held is the version that a secret had when it was approved; false where it was
	// not asked for.
	Held func(secret keyturn.Ref) (version string, approved bool)
	// Expects is the version that must be current where the copy goes: named, or what
	// was approved; "" for any.
	Expects func(m *platform.Mount, ref keyturn.Ref, named string) string
	// Wrote records what came of the write.
	Wrote func(ctx context.Context, version string, err error)
	// Compare takes so many fields of both secrets from the budget of compares.
	Compare func(ctx context.Context, fields int, refs ...keyturn.Ref) error
}

// Copy looks at both ends without reading a value, reads, and writes: what cannot go
// along is told before anything is written.
func (d Door) Copy(ctx context.Context, op keyturn.CopySecret) (keyturn.Result, error) {
	source, err := d.Mount(op.From.Mount())
	if err != nil {
		return nil, err
	}
	target, err := d.Mount(op.To.Mount())
	if err != nil {
		return nil, err
	}
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
	read := d.Use(ctx)[op.From]
	if read.Err != nil {
		return nil, read.Err
	}
	if held, ok := d.Held(op.From.Secret()); ok && op.From.Version() == "" && held != read.Secret.Version {
		return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(op.From.Path())+" has changed since this was approved", "repeat the command to ask again")
	}
	put, err := carried(op, read.Secret, now, target)
	if err != nil {
		return nil, err
	}
	put.IfVersion = d.Expects(target, op.To, op.IfVersion)
	if put.IfVersion == "" && now.Version != "" && target.Spec().CompareAndSet {
		put.IfVersion = now.Version // what was told above is what is written over
	}
	ch, err := target.Put(ctx, op.To.Secret(), put)
	d.Wrote(ctx, ch.Info.Version, err)
	if err != nil {
		return nil, err
	}
	// Of the source no more than its use tells: to describe it is another verb.
	out := &keyturn.Copied{Receipt: d.Receipt(target), From: known(read), To: ch.Info, Created: ch.Created, Before: ch.Before, Target: target.Target()}
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
func carried(op keyturn.CopySecret, from keyturn.Secret, now keyturn.Info, target *platform.Mount) (platform.Put, error) {
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

// Diff compares inside: only what is the same and what differs comes out.
func (d Door) Diff(ctx context.Context, op keyturn.DiffSecrets) (keyturn.Result, error) {
	answers := d.Use(ctx)
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
	out := &keyturn.Differences{Receipt: d.Receipt(nil), A: known(one), B: known(two)}
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
	if err := d.Compare(ctx, both, op.A, op.B); err != nil {
		return nil, err
	}
	out.Fields = carry.Compare(left, right)
	return out, nil
}

// known is what whoever uses a version may know of it.
func known(o platform.Outcome) keyturn.Info {
	return keyturn.Info{Ref: o.Secret.Ref, Version: o.Secret.Version, State: o.Secret.State}
}
