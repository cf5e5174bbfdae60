package runner

import (
	"cmp"
	"io"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/leak"
)

// redact returns the filter of the command's output, and the matcher behind it, which
// is to be wiped when the command has ended; nil for both where nothing is redacted.
// Values that cannot be redacted are named. The output of an agent's command that gets
// such a value is withheld: the filter shows none of it.
func (p *Plan) redact() (*leak.Matcher, launch.Filter, error) {
	if p.Op.Plain {
		p.Output = "plain"
		return nil, nil, nil
	}
	var needles []leak.Needle
	var hidden []keyturn.Delivered
	for _, d := range slices.Concat(p.delivery.Env, p.delivery.Files) {
		if !d.Public {
			needles = append(needles, leak.Needle{Value: d.Value.Reveal(), Label: d.Label})
			hidden = append(hidden, d)
		}
	}
	if len(needles) == 0 {
		return nil, nil, nil
	}
	matcher, skipped, err := leak.Compile(needles)
	if err != nil {
		return nil, nil, p.tooLarge(hidden).Because(err)
	}
	p.Output = "redacted"
	filter := func(dst io.Writer) io.WriteCloser { return matcher.Writer(dst, leak.Options{}) }
	told := map[string]bool{}
	var fixes []string
	for _, s := range skipped {
		name := p.nameOf(hidden[s.Index])
		if told[name] {
			continue
		}
		told[name] = true
		reason := string(s.Reason)
		if p.runner.Facts.Actor.Kind != keyturn.Person {
			reason = "too short or too common" // which of the two would tell of the value
		}
		if p.runner.Facts.Actor.Kind == keyturn.Person || p.runner.Facts.Actor.Kind == keyturn.ServiceKind {
			p.say("note: the value of %s is %s to be redacted", keyturn.Clean(name), reason)
			continue
		}
		p.Output = "withheld"
		p.say("keyturn: the output of this command is withheld: the value of %s is %s to be redacted", keyturn.Clean(name), reason)
		fixes = append(fixes, publish(name))
	}
	if p.Output == "withheld" {
		p.say("  a person can store a longer value, or say that it is no secret:")
		for _, f := range fixes {
			p.say("  %s", keyturn.Clean(f))
		}
		filter = func(io.Writer) io.WriteCloser { return nowhere{} }
	}
	return matcher, filter, nil
}

// publish returns the command by which a person declares a field to be no secret.
// Where the caller may not know the field's name, it says how a person finds that.
func publish(name string) string {
	ref, err := keyturn.ParseRef(name)
	if err != nil || ref.Field() == "" {
		name = keyturn.Quote(name)
		return "keyturn put " + name + " FIELD --public FIELD --merge   (the names of the fields: keyturn get " + name + ")"
	}
	field := keyturn.Quote(ref.Field())
	return "keyturn put " + keyturn.Quote(ref.Secret().Short()) + " " + field + " --public " + field + " --merge"
}

// tooLarge is the error of values that are too large to be redacted. It tells no length,
// and names the largest to people only: which of two is longer is not for others.
func (p *Plan) tooLarge(hidden []keyturn.Delivered) *keyturn.Error {
	message, hint := "the values are too large for the output to be redacted: together some 128 KiB can be", "give the command fewer of them, or smaller ones"
	if p.runner.Facts.Actor.Kind == keyturn.Person {
		largest := slices.MaxFunc(hidden, func(a, b keyturn.Delivered) int { return cmp.Compare(a.Value.Len(), b.Value.Len()) })
		message += "; the largest is that of " + keyturn.Clean(p.nameOf(largest))
		hint += "; people may say --no-redact"
	}
	return keyturn.E(keyturn.Invalid, message, hint)
}

// nowhere takes everything and shows nothing.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }
