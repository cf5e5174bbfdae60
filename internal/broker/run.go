package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/delivery"
	"github.com/keyturn/keyturn/internal/broker/trust"
	"github.com/keyturn/keyturn/internal/platform"
)

// maxHints is how many failures of one operation get a suggestion, each of which
// takes a listing.
const maxHints = 5

// use reads the secrets of children, which are the whole plan of a composite
// operation, and records each outcome. The answers are by reference. What is in failed,
// by its secret, is not asked for again.
func (b *Broker) use(ctx context.Context, children []*call, failed map[keyturn.Ref]error) map[keyturn.Ref]platform.Outcome {
	byMount := map[string][]*call{}
	for _, child := range children {
		ref := child.op.Refs()[0]
		byMount[ref.Mount()] = append(byMount[ref.Mount()], child)
	}
	out := map[keyturn.Ref]platform.Outcome{}
	hints := maxHints
	for name, calls := range byMount {
		var refs []keyturn.Ref // those that are asked for
		for _, child := range calls {
			if ref := child.op.Refs()[0]; failed[ref.Secret()] == nil {
				refs = append(refs, ref)
			}
		}
		m, err := b.Mounts.Mount(name)
		var got []platform.Outcome
		if err == nil {
			got = m.GetMany(ctx, refs)
		}
		for _, child := range calls {
			ref := child.op.Refs()[0]
			var answer platform.Outcome
			switch {
			case err != nil:
				answer.Err = err
			case failed[ref.Secret()] != nil:
				answer.Err = failed[ref.Secret()]
			default:
				answer, got = got[0], got[1:]
			}
			if answer.Err != nil && hints > 0 {
				hints--
				answer.Err = b.suggest(ctx, child, answer.Err)
			}
			record := child.outcome(nil, answer.Err)
			record.Version = answer.Secret.Version
			b.Log.Later(ctx, record)
			child.told = true
			out[ref] = answer
		}
	}
	return out
}

// runCommand reads what a command is to be started with. All references that
// fail are told at once, and then no value is handed out. What a platform makes for
// one asking is taken last, and given back where anything fails.
func (b *Broker) runCommand(ctx context.Context, c *call, op keyturn.RunCommand) (keyturn.Result, error) {
	takes, unasked, err := b.planLeases(ctx, c)
	if err != nil {
		return nil, err
	}
	later := func(ref keyturn.Ref) bool { return takes[ref.Secret()] != nil }
	may := func(v keyturn.Verb, ref keyturn.Ref) bool { return b.may(c.actor, v, ref) }
	answers := b.use(ctx, slices.DeleteFunc(slices.Clone(c.children), func(child *call) bool { return later(child.op.Refs()[0]) }), unasked)
	out, failed := delivery.Command(op, answers, later, may)
	if len(takes) > 0 && len(failed) == 0 {
		taken, err := b.useLeases(ctx, c, takes, answers)
		if err != nil {
			return nil, err
		}
		if out, failed = delivery.Command(op, answers, func(keyturn.Ref) bool { return false }, may); len(failed) > 0 {
			b.giveBack(ctx, taken)
		}
		out.Leases = taken
	}
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and the command was not started", len(failed)), failed...)
	}
	out.Receipt = c.receipt(nil)
	return out, nil
}

// renderTemplate reads what a template is to be filled with.
func (b *Broker) renderTemplate(ctx context.Context, c *call) (keyturn.Result, error) {
	values, failed := delivery.Template(c.op.Refs(), b.use(ctx, c.children, nil))
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and nothing was written", len(failed)), failed...)
	}
	return &keyturn.Filling{Receipt: c.receipt(nil), Values: values}, nil
}

func (b *Broker) trustProject(ctx context.Context, c *call, op keyturn.TrustProject) (keyturn.Result, error) {
	before, known, err := trust.Pin(ctx, b.Items, op.Path, op.Pinned)
	return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: before}, err
}

// KnowsConfig reports whether a person has used an operator's file.
func (b *Broker) KnowsConfig(ctx context.Context, path string) (bool, error) {
	return trust.KnowsConfig(ctx, b.Items, path)
}
