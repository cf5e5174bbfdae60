package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// use reads the secrets of children, which are the whole plan of a composite
// operation, and records each outcome. The answers are by reference.
func (b *Broker) use(ctx context.Context, children []*call) map[keyturn.Ref]platform.Outcome {
	byMount := map[string][]*call{}
	for _, child := range children {
		ref := child.op.Refs()[0]
		byMount[ref.Mount()] = append(byMount[ref.Mount()], child)
	}
	out := map[keyturn.Ref]platform.Outcome{}
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
			if answers[i].Err != nil {
				answers[i].Err = b.suggest(ctx, child, answers[i].Err)
			}
			record := child.outcome(nil, answers[i].Err)
			record.Version = answers[i].Secret.Version
			b.Log.Later(ctx, record)
			out[refs[i]] = answers[i]
		}
	}
	return out
}

// runCommand reads what a command is to be started with. All references that
// fail are told at once, and then no value is handed out.
func (b *Broker) runCommand(ctx context.Context, c *call, op keyturn.RunCommand, children []*call) (keyturn.Result, error) {
	if err := b.trusted(ctx, op); err != nil {
		return nil, err
	}
	answers := b.use(ctx, children)
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
			field, err := only(bd.Ref, a.Secret)
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
		for _, field := range fieldNames(a.Secret) {
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
		d.Label = d.Ref.Short()
	}
	return d
}

// only returns the field that a reference means: the one it names, or the only
// one there is.
func only(ref keyturn.Ref, s keyturn.Secret) (string, error) {
	if ref.Field() != "" {
		return ref.Field(), nil
	}
	names := fieldNames(s)
	if len(names) == 1 {
		return names[0], nil
	}
	hint := "name one, for instance "
	if r, err := ref.WithField(names[0]); err == nil {
		hint += keyturn.Quote(r.Short())
	}
	return "", keyturn.E(keyturn.Invalid, fmt.Sprintf("%s has %d fields: %s", ref.Short(), len(names), strings.Join(names, ", ")), hint)
}

func fieldNames(s keyturn.Secret) []string {
	names := make([]string, 0, len(s.Values))
	for f := range s.Values {
		names = append(names, f)
	}
	slices.Sort(names)
	return names
}

// renderTemplate reads what a template is to be filled with.
func (b *Broker) renderTemplate(ctx context.Context, c *call, children []*call) (keyturn.Result, error) {
	out := &keyturn.Filling{Receipt: c.receipt(nil), Values: map[keyturn.Ref]keyturn.Value{}}
	var failed []*keyturn.Error
	answers := b.use(ctx, children)
	for _, child := range children {
		ref := child.op.Refs()[0]
		a := answers[ref]
		field, err := "", a.Err
		if err == nil {
			field, err = only(ref, a.Secret)
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

const projectKind = "project"

type pin struct {
	Path   string            `json:"path"`
	Pinned []keyturn.Binding `json:"pinned"`
}

// trusted refuses a command whose project asks for references that no person has
// said yes to.
func (b *Broker) trusted(ctx context.Context, op keyturn.RunCommand) error {
	if op.Project == "" {
		return nil
	}
	for _, p := range op.Pinned {
		// What is trusted is what is used: the pin cannot be for another set.
		if !slices.Contains(op.Env, p) {
			return keyturn.E(keyturn.Invalid, "the project's references are not those of the command", "")
		}
	}
	var have pin
	it, err := b.Items.Item(ctx, projectKind, op.Project)
	switch e := keyturn.AsError(err); {
	case err == nil:
		if err := json.Unmarshal(it.Body, &have); err != nil {
			return keyturn.E(keyturn.Corrupt, "the trust in a project cannot be read", "say 'keyturn trust' again").Because(err)
		}
	case e.Code != keyturn.NotFound:
		return err
	}
	if slices.Equal(have.Pinned, op.Pinned) {
		return nil
	}
	message := op.Project + " asks for secrets and is not trusted yet"
	if have.Path != "" {
		message = op.Project + " asks for other secrets than those you trusted"
	}
	e := keyturn.E(keyturn.Denied, message, strings.Join(difference(have.Pinned, op.Pinned), "\n")+
		"\nlook at it, then say: keyturn trust   (in CI: --trust-project)")
	e.By = "person"
	return e
}

// difference lists what was added and taken away, a line each.
func difference(old, now []keyturn.Binding) []string {
	var lines []string
	for _, p := range now {
		if !slices.Contains(old, p) {
			lines = append(lines, "+ "+p.Name+" = "+p.Ref.Short())
		}
	}
	for _, p := range old {
		if !slices.Contains(now, p) {
			lines = append(lines, "- "+p.Name+" = "+p.Ref.Short())
		}
	}
	return lines
}

func (b *Broker) trustProject(ctx context.Context, c *call, op keyturn.TrustProject) (keyturn.Result, error) {
	body, err := json.Marshal(pin{Path: op.Path, Pinned: op.Pinned})
	if err != nil {
		return nil, keyturn.E(keyturn.Internal, "a pin has no form", "").Because(err)
	}
	err = b.Items.UpdateItem(ctx, projectKind, op.Path, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: op.Path, Body: body}, nil
	})
	return &keyturn.Trusted{Receipt: c.receipt(nil)}, err
}
