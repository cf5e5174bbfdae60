// Package delivery puts what was read where a command or a template wants it. It is
// pure.
package delivery

import (
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/fields"
	"github.com/keyturn/keyturn/internal/platform"
)

// Command puts the answers where op wants them, and collects everything that failed.
// What is still to be read is passed over; may tells what the caller may know of a
// secret beside its use.
func Command(op keyturn.RunCommand, answers map[keyturn.Ref]platform.Outcome, later func(keyturn.Ref) bool,
	may func(keyturn.Verb, keyturn.Ref) bool) (out *keyturn.Delivery, failed []*keyturn.Error) {
	out = &keyturn.Delivery{}
	fail := func(ref keyturn.Ref, err error) {
		e := of(ref, err)
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
			field, err := fields.Only(bd.Ref, a.Secret)
			if err != nil {
				fail(bd.Ref, err)
				continue
			}
			*to = append(*to, one(bd.Name, bd.Ref, field, a.Secret, may))
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
		for _, field := range fields.Names(a.Secret) {
			out.Env = append(out.Env, one(src.Prefix+field, src.Ref, field, a.Secret, may))
		}
	}
	bind(&out.Env, op.Env)
	bind(&out.Files, op.Files)
	return out, failed
}

func one(name string, ref keyturn.Ref, field string, s keyturn.Secret, may func(keyturn.Verb, keyturn.Ref) bool) keyturn.Delivered {
	d := keyturn.Delivered{Name: name, Ref: ref, Value: s.Values[field], Public: slices.Contains(s.Public, field)}
	if full, err := ref.WithField(field); err == nil {
		d.Ref = full
	}
	if may(keyturn.List, ref) || may(keyturn.Describe, ref) {
		d.Label = keyturn.Clean(d.Ref.Short())
	}
	if may(keyturn.Describe, ref) {
		d.Expires = s.Expires
	}
	return d
}

// Template is the value of each of refs, and everything that failed.
func Template(refs []keyturn.Ref, answers map[keyturn.Ref]platform.Outcome) (values map[keyturn.Ref]keyturn.Value, failed []*keyturn.Error) {
	values = map[keyturn.Ref]keyturn.Value{}
	for _, ref := range refs {
		a := answers[ref]
		field, err := "", a.Err
		if err == nil {
			field, err = fields.Only(ref, a.Secret)
		}
		if err != nil {
			failed = append(failed, of(ref, err))
			continue
		}
		values[ref] = a.Secret.Values[field]
	}
	return values, failed
}

// of is err, about ref.
func of(ref keyturn.Ref, err error) *keyturn.Error {
	e := *keyturn.AsError(err)
	e.Ref = ref
	return &e
}
