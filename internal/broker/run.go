package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/fields"
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
	answers := b.use(ctx, slices.DeleteFunc(slices.Clone(c.children), func(child *call) bool { return takes[child.op.Refs()[0].Secret()] != nil }), unasked)
	out, failed := b.assemble(c, op, answers, takes)
	if len(takes) > 0 && len(failed) == 0 {
		taken, err := b.useLeases(ctx, c, takes, answers)
		if err != nil {
			return nil, err
		}
		if out, failed = b.assemble(c, op, answers, nil); len(failed) > 0 {
			b.giveBack(ctx, taken)
		}
		out.Leases = taken
	}
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and the command was not started", len(failed)), failed...)
	}
	return out, nil
}

// assemble puts the answers where op wants them, and collects everything that
// failed. What is still to be taken is passed over.
func (b *Broker) assemble(c *call, op keyturn.RunCommand, answers map[keyturn.Ref]platform.Outcome, later map[keyturn.Ref]*call) (out *keyturn.Delivery, failed []*keyturn.Error) {
	out = &keyturn.Delivery{Receipt: c.receipt(nil)}
	fail := func(ref keyturn.Ref, err error) {
		e := *keyturn.AsError(err)
		e.Ref = ref
		if !slices.ContainsFunc(failed, func(f *keyturn.Error) bool { return f.Ref == ref && f.Message == e.Message }) {
			failed = append(failed, &e)
		}
	}
	bind := func(to *[]keyturn.Delivered, list []keyturn.Binding) {
		for _, bd := range list {
			a := answers[bd.Ref]
			if later[bd.Ref.Secret()] != nil {
				continue
			}
			if a.Err != nil {
				if bd.Optional && keyturn.AsError(a.Err).Code == keyturn.NotFound {
					out.Missing = append(out.Missing, bd.Name)
				} else {
					fail(bd.Ref, a.Err)
				}
				continue
			}
			field, err := fields.Only(bd.Ref, a.Secret)
			if err != nil {
				fail(bd.Ref, err)
				continue
			}
			*to = append(*to, b.deliver(c, bd.Name, bd.Ref, field, a.Secret))
		}
	}
	for _, src := range op.From {
		a := answers[src.Ref]
		if later[src.Ref.Secret()] != nil {
			continue
		}
		if a.Err != nil {
			fail(src.Ref, a.Err)
			continue
		}
		for _, field := range fields.Names(a.Secret) {
			out.Env = append(out.Env, b.deliver(c, src.Prefix+field, src.Ref, field, a.Secret))
		}
	}
	bind(&out.Env, op.Env)
	bind(&out.Files, op.Files)
	return out, failed
}

func (b *Broker) deliver(c *call, name string, ref keyturn.Ref, field string, s keyturn.Secret) keyturn.Delivered {
	d := keyturn.Delivered{Name: name, Ref: ref, Value: s.Values[field], Public: slices.Contains(s.Public, field)}
	if full, err := ref.WithField(field); err == nil {
		d.Ref = full
	}
	if b.may(c.actor, keyturn.List, ref) || b.may(c.actor, keyturn.Describe, ref) {
		d.Label = keyturn.Clean(d.Ref.Short())
	}
	if b.may(c.actor, keyturn.Describe, ref) {
		d.Expires = s.Expires
	}
	return d
}

// renderTemplate reads what a template is to be filled with.
func (b *Broker) renderTemplate(ctx context.Context, c *call) (keyturn.Result, error) {
	out := &keyturn.Filling{Receipt: c.receipt(nil), Values: map[keyturn.Ref]keyturn.Value{}}
	var failed []*keyturn.Error
	answers := b.use(ctx, c.children, nil)
	for _, child := range c.children {
		ref := child.op.Refs()[0]
		a := answers[ref]
		field, err := "", a.Err
		if err == nil {
			field, err = fields.Only(ref, a.Secret)
		}
		if err != nil {
			e := *keyturn.AsError(err)
			e.Ref = ref
			failed = append(failed, &e)
			continue
		}
		out.Values[ref] = a.Secret.Values[field]
	}
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and nothing was written", len(failed)), failed...)
	}
	return out, nil
}

func (b *Broker) trustProject(ctx context.Context, c *call, op keyturn.TrustProject) (keyturn.Result, error) {
	before, known, err := trust.Pin(ctx, b.Items, op.Path, op.Pinned)
	return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: before}, err
}

// KnowsConfig reports whether a person has used an operator's file.
func (b *Broker) KnowsConfig(ctx context.Context, path string) (bool, error) {
	return trust.KnowsConfig(ctx, b.Items, path)
}
