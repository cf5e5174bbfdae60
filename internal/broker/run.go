package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/variable"
)

// maxHints is how many failures of one operation get a suggestion: each takes a
// listing.
const maxHints = 5

// use reads the secrets of children, parts of a composite operation that was decided
// as a whole, and records each outcome. It returns the answers by reference. Secrets in
// failed get the error there and are not asked for again.
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
			child.recorded = true
			out[ref] = answer
		}
	}
	return out
}

// runCommand reads the values that a command is to be started with. Where references
// fail it returns the errors of all of them and no value. Credentials that a platform
// makes anew are taken last, as leases, and revoked where anything fails.
func (b *Broker) runCommand(ctx context.Context, c *call, op keyturn.RunCommand) (keyturn.Result, error) {
	takes, unasked, err := b.planLeases(ctx, c)
	if err != nil {
		return nil, err
	}
	later := func(ref keyturn.Ref) bool { return takes[ref.Secret()] != nil }
	answers := b.use(ctx, slices.DeleteFunc(slices.Clone(c.children), func(child *call) bool { return later(child.op.Refs()[0]) }), unasked)
	out, failed := b.deliver(c, op, answers, later)
	if len(takes) > 0 && len(failed) == 0 {
		taken, err := b.useLeases(ctx, c, takes, answers)
		if err != nil {
			return nil, err
		}
		if out, failed = b.deliver(c, op, answers, func(keyturn.Ref) bool { return false }); len(failed) > 0 {
			b.giveBack(ctx, taken)
		}
		out.Leases = taken
	}
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and the command was not started", len(failed)), failed...)
	}
	err = b.refuseHeld(ctx, c, slices.Concat(out.Env, out.Files))
	if err == nil {
		err = b.approveMixed(ctx, c, slices.Concat(out.Env, out.Files))
	}
	if err == nil {
		err = b.settleOutput(ctx, c, out)
	}
	if err != nil {
		b.giveBack(ctx, out.Leases)
		return nil, err
	}
	b.begin(c, slices.Concat(out.Env, out.Files))
	out.Receipt = c.receipt(nil)
	return out, nil
}

// renderTemplate reads the values that a template is to be filled with.
func (b *Broker) renderTemplate(ctx context.Context, c *call) (keyturn.Result, error) {
	values, failed := filling(c.op.Refs(), b.use(ctx, c.children, nil))
	if len(failed) > 0 {
		return nil, keyturn.Join(fmt.Sprintf("%d references failed, and nothing was written", len(failed)), failed...)
	}
	out := &keyturn.Filling{Receipt: c.receipt(nil), Values: values}
	var unseen []keyturn.Delivered
	for _, ref := range c.op.Refs() {
		if !b.may(c.actor, keyturn.Reveal, ref) {
			out.Unseen = append(out.Unseen, ref)
			unseen = append(unseen, keyturn.Delivered{Name: ref.Short(), Ref: ref, Value: values[ref]})
		}
	}
	if err := b.refuseHeld(ctx, c, unseen); err != nil {
		return nil, err
	}
	b.begin(c, unseen)
	return out, nil
}

// deliver puts the answers where the command op wants them, and collects everything
// that failed. It passes over the references that later reports, which are read later.
func (b *Broker) deliver(c *call, op keyturn.RunCommand, answers map[keyturn.Ref]platform.Outcome, later func(keyturn.Ref) bool) (out *keyturn.Delivery, failed []*keyturn.Error) {
	out = &keyturn.Delivery{}
	fail := func(ref keyturn.Ref, err error) {
		e := about(ref, err)
		if !slices.ContainsFunc(failed, func(f *keyturn.Error) bool { return f.Ref == ref && f.Message == e.Message }) {
			failed = append(failed, e)
		}
	}
	bind := func(to *[]keyturn.Delivered, list []keyturn.Binding) {
		for _, bd := range list {
			a := answers[bd.Ref]
			if later(bd.Ref) {
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
			field, err := fieldOf(bd.Ref, a.Secret)
			if err != nil {
				fail(bd.Ref, err)
				continue
			}
			*to = append(*to, b.delivered(c, bd.Name, bd.Ref, field, a.Secret))
		}
	}
	for _, src := range op.From {
		a := answers[src.Ref]
		if later(src.Ref) {
			continue
		}
		if a.Err != nil {
			fail(src.Ref, a.Err)
			continue
		}
		for _, field := range fieldNames(a.Secret) {
			if err := b.steersFrom(c, src, field, a.Secret.Given[field]); err != nil {
				fail(src.Ref, err)
				continue
			}
			out.Env = append(out.Env, b.delivered(c, src.Prefix+field, src.Ref, field, a.Secret))
		}
	}
	bind(&out.Env, op.Env)
	bind(&out.Files, op.Files)
	return out, failed
}

// steersFrom refuses a field that would become a variable that changes how programs run:
// whoever writes the secret would decide that. A person's own field may lead where the
// person wants; one that is given by an agent or a service may not.
func (b *Broker) steersFrom(c *call, src keyturn.Source, field string, given bool) error {
	name := src.Prefix + field
	if !variable.Steers(name) && (c.actor.Kind == keyturn.Person && !given || !variable.Leads(name)) {
		return nil
	}
	if !b.may(c.actor, keyturn.Describe, src.Ref) {
		return keyturn.E(keyturn.Denied, "a field of it would become a variable that changes how programs run or where they lead", "name the fields that you need: --env NAME=REF#FIELD")
	}
	return keyturn.E(keyturn.Denied, "its field '"+keyturn.Clean(field)+"' would become the variable "+keyturn.Clean(name)+", which changes how programs run or where they lead",
		"name the fields that you need: --env NAME=REF#FIELD, or give --env-from another prefix")
}

// delivered returns one field under its name, with what the caller may know of it.
func (b *Broker) delivered(c *call, name string, ref keyturn.Ref, field string, s keyturn.Secret) keyturn.Delivered {
	may := func(verb keyturn.Verb, ref keyturn.Ref) bool { return b.may(c.actor, verb, ref) }
	d := keyturn.Delivered{Name: name, Ref: ref, Value: s.Values[field], Public: slices.Contains(s.Public, field)}
	if full, err := ref.WithField(field); err == nil {
		d.Ref = full
	}
	d.Open, d.Chosen = may(keyturn.Reveal, ref), b.chosen(c, ref, field, s)
	if may(keyturn.List, ref) || may(keyturn.Describe, ref) {
		d.Label = keyturn.Clean(d.Ref.Short())
	}
	if may(keyturn.Describe, ref) {
		d.Expires = s.Expires
	}
	return d
}

// filling returns the value of each reference of a template, and everything that failed.
func filling(refs []keyturn.Ref, answers map[keyturn.Ref]platform.Outcome) (values map[keyturn.Ref]keyturn.Value, failed []*keyturn.Error) {
	values = map[keyturn.Ref]keyturn.Value{}
	for _, ref := range refs {
		a := answers[ref]
		field, err := "", a.Err
		if err == nil {
			field, err = fieldOf(ref, a.Secret)
		}
		if err != nil {
			failed = append(failed, about(ref, err))
			continue
		}
		values[ref] = a.Secret.Values[field]
	}
	return values, failed
}

// about returns err as an error about ref.
func about(ref keyturn.Ref, err error) *keyturn.Error {
	e := *keyturn.AsError(err)
	e.Ref = ref
	return &e
}

// fieldNames lists the fields of s that are there, sorted.
func fieldNames(s keyturn.Secret) []string { return slices.Sorted(maps.Keys(s.Values)) }

// fieldOf returns the field that a reference means: the field that it names, or the
// only one of the secret. NotFound where the secret has no fields, Invalid where it has
// several.
func fieldOf(ref keyturn.Ref, s keyturn.Secret) (string, error) {
	if ref.Field() != "" {
		return ref.Field(), nil
	}
	names := fieldNames(s)
	if len(names) == 1 {
		return names[0], nil
	}
	if len(names) == 0 {
		return "", keyturn.E(keyturn.NotFound, ref.Short()+" has no fields", "put one, or name another secret")
	}
	hint := "name one, for instance "
	if r, err := ref.WithField(names[0]); err == nil {
		hint += keyturn.Quote(r.Short())
	}
	return "", keyturn.E(keyturn.Invalid, fmt.Sprintf("%s has %d fields: %s", ref.Short(), len(names), strings.Join(names, ", ")), hint)
}
