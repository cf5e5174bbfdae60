package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/carry"
	"github.com/keyturn/keyturn/internal/broker/trust"
	"github.com/keyturn/keyturn/internal/platform"
)

// maxHints is how many failures of one operation get a suggestion, each of which
// takes a listing.
const maxHints = 5

// use reads the secrets of children, which are the whole plan of a composite
// operation, and records each outcome. The answers are by reference.
func (b *Broker) use(ctx context.Context, children []*call) map[keyturn.Ref]platform.Outcome {
	byMount := map[string][]*call{}
	for _, child := range children {
		ref := child.op.Refs()[0]
		byMount[ref.Mount()] = append(byMount[ref.Mount()], child)
	}
	out := map[keyturn.Ref]platform.Outcome{}
	hints := maxHints
	for name, calls := range byMount {
		refs := make([]keyturn.Ref, len(calls))
		for i, child := range calls {
			refs[i] = child.op.Refs()[0]
		}
		m, err := b.Mounts.Mount(name)
		answers := make([]platform.Outcome, len(refs))
		if err == nil {
			answers = m.GetMany(ctx, refs)
		}
		for i, child := range calls {
			if err != nil {
				answers[i].Err = err
			}
			if answers[i].Err != nil && hints > 0 {
				hints--
				answers[i].Err = b.suggest(ctx, child, answers[i].Err)
			}
			record := child.outcome(nil, answers[i].Err)
			record.Version = answers[i].Secret.Version
			b.Log.Later(ctx, record)
			child.told = true
			out[refs[i]] = answers[i]
		}
	}
	return out
}

// runCommand reads what a command is to be started with. All references that
// fail are told at once, and then no value is handed out.
func (b *Broker) runCommand(ctx context.Context, c *call, op keyturn.RunCommand) (keyturn.Result, error) {
	answers := b.use(ctx, c.children)
	out := &keyturn.Delivery{Receipt: c.receipt(nil)}
	var failed []*keyturn.Error
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
			if a.Err != nil {
				if bd.Optional && keyturn.AsError(a.Err).Code == keyturn.NotFound {
					out.Missing = append(out.Missing, bd.Name)
				} else {
					fail(bd.Ref, a.Err)
				}
				continue
			}
			field, err := carry.Only(bd.Ref, a.Secret)
			if err != nil {
				fail(bd.Ref, err)
				continue
			}
			*to = append(*to, b.deliver(c, bd.Name, bd.Ref, field, a.Secret))
		}
	}
	for _, src := range op.From {
		a := answers[src.Ref]
		if a.Err != nil {
			fail(src.Ref, a.Err)
			continue
		}
		for _, field := range carry.FieldNames(a.Secret) {
			out.Env = append(out.Env, b.deliver(c, src.Prefix+field, src.Ref, field, a.Secret))
		}
	}
	bind(&out.Env, op.Env)
	bind(&out.Files, op.Files)
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and the command was not started", len(failed)), failed...)
	}
	return out, nil
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
	answers := b.use(ctx, c.children)
	for _, child := range c.children {
		ref := child.op.Refs()[0]
		a := answers[ref]
		field, err := "", a.Err
		if err == nil {
			field, err = carry.Only(ref, a.Secret)
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
