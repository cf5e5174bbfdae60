package broker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// copySecret looks at both ends without reading a value, reads the source, and writes
// the target. What the target cannot keep is refused before anything is written.
func (b *Broker) copySecret(ctx context.Context, c *call, op keyturn.CopySecret) (keyturn.Result, error) {
	source, err := b.Mounts.Mount(op.From.Mount())
	if err != nil {
		return nil, err
	}
	target, err := b.Mounts.Mount(op.To.Mount())
	if err != nil {
		return nil, err
	}
	now, err := target.Describe(ctx, op.To.Secret())
	if err != nil && !errors.Is(err, keyturn.NotFound) && !errors.Is(err, keyturn.Unsupported) {
		return nil, err
	}
	// Where this fails the read fails too, and says it better.
	if info, err := source.Describe(ctx, op.From); err == nil && op.From.Field() == "" {
		if err := refuseLoss(op, info, target); err != nil {
			return nil, err
		}
	}
	read := b.use(ctx, c.children[:1], nil)[op.From]
	if read.Err != nil {
		return nil, read.Err
	}
	if held, approved := c.held[op.From.Secret().String()]; approved && op.From.Version() == "" && held != read.Secret.Version {
		return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(op.From.Path())+" has changed since this was approved", "repeat the command to ask again")
	}
	read.Secret.Given = b.chosenGiven(c, op.From, read.Secret)
	put, err := copyPut(op, read.Secret, now, target)
	if err != nil {
		return nil, err
	}
	put.IfVersion = c.expects(target, op.To, op.IfVersion)
	if put.IfVersion == "" && now.Version != "" && target.Spec().CompareAndSet {
		put.IfVersion = now.Version // what was told above is what is written over
	}
	ch, err := target.Put(ctx, op.To.Secret(), put)
	b.recordWrite(ctx, c.children[len(c.children)-1], ch.Info.Version, err)
	if err != nil {
		return nil, err
	}
	// Of the source no more than its use tells: to describe it is another verb.
	out := &keyturn.Copied{Receipt: c.receipt(target), From: usedInfo(read), To: ch.Info, Created: ch.Created, Before: ch.Before, Target: target.Target()}
	if op.From.Field() == "" {
		out.Left = lost(read.Secret.Info, target.Spec())
	}
	if op.Verify {
		if err := target.ReadsBack(ctx, op.To.Secret(), ch.Info.Version, put.Values); err != nil {
			return nil, err
		}
		out.Verified = true
	}
	return out, nil
}

// refuseLoss refuses a copy that would lose a part of the source, unless op allows it.
func refuseLoss(op keyturn.CopySecret, from keyturn.Info, target *platform.Mount) error {
	if err := fits(from, op.To, target.Spec()); err != nil {
		return err
	}
	left := lost(from, target.Spec())
	if len(left) == 0 || op.Lossy {
		return nil
	}
	return keyturn.E(keyturn.Conflict, target.Platform()+" cannot keep all of it; it would lose "+strings.Join(left, "; "),
		"--yes copies the rest; a field by itself is copied byte for byte: SRC#FIELD DST#FIELD").About(op.To).With(keyturn.WouldLose)
}

// copyPut returns the write of a copy. It refuses once more what would be lost, now that
// everything is known of the source.
func copyPut(op keyturn.CopySecret, from keyturn.Secret, now keyturn.Info, target *platform.Mount) (platform.Put, error) {
	if f := op.From.Field(); f != "" {
		put := oneField(from.Values[f], op.To.Field(), now, target.Spec())
		if given, known := from.Given[f]; known {
			put.Given = map[string]bool{op.To.Field(): given}
		}
		if slices.Contains(from.Typed, f) {
			put.Typed = []string{op.To.Field()}
		}
		return put, nil
	}
	if err := refuseLoss(op, from.Info, target); err != nil {
		return platform.Put{}, err
	}
	return wholeSecret(from, now, target.Spec(), op.Mode)
}

// diffSecrets compares two secrets: the answer says of each field whether both hold the
// same value, and no value.
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
	out := &keyturn.Differences{Receipt: c.receipt(nil), A: usedInfo(one), B: usedInfo(two)}
	left, right := one.Secret.Values, two.Secret.Values
	if op.A.Field() != "" || op.B.Field() != "" {
		a, err := fieldOf(op.A, one.Secret)
		if err != nil {
			return nil, err
		}
		z, err := fieldOf(op.B, two.Secret)
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
	out.Fields = compareFields(left, right)
	return out, nil
}

// usedInfo returns what a caller who uses a version may know of it.
func usedInfo(o platform.Outcome) keyturn.Info {
	return keyturn.Info{Ref: o.Secret.Ref, Version: o.Secret.Version, State: o.Secret.State}
}

// spendCompare takes so many compared fields from the budgets of the caller and of each
// secret. The budgets bind agents and services. They do not bind people, nor operations
// that were approved; once a budget is spent, approval can be asked for.
func (b *Broker) spendCompare(ctx context.Context, c *call, fields int, refs ...keyturn.Ref) error {
	if c.actor.Kind == keyturn.Person || c.approval != "" {
		return nil
	}
	err := b.journal.Compares.Take(ctx, c.actor.Principal(), refs, fields)
	if !errors.Is(err, keyturn.Denied) {
		return err
	}
	e := keyturn.AsError(err)
	if err = b.approved(ctx, c, e); err == nil {
		c.lateApproval = c.approval
		return b.spend(ctx, c)
	}
	if e.Approval != nil {
		c.lateApproval = e.Approval.ID
	}
	return err
}
