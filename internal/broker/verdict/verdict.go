// Package verdict is what the rules say of a whole operation, put together of what
// they say of its parts. It is pure.
package verdict

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

// Verdict is what the rules say of one whole operation. The zero Verdict refuses.
type Verdict struct {
	Effect rules.Effect
	Needs  rules.Needs
	Ruled  bool   // a rule asks for approvals
	Where  string // file and line of the rule, or "default"
	Why    string
	Never  bool      // no person can say yes to it
	No     []Refused // what is refused
	Hint   string    // how to go on; "" where the refusal itself says
}

// Refused is one verb on one path that a verdict refuses.
type Refused struct {
	Verb keyturn.Verb
	Path string
}

// Of is the verdict of one decision about a verb on a path.
func Of(d rules.Decision, verb keyturn.Verb, path string) Verdict {
	v := Verdict{Effect: d.Effect, Needs: d.Needs, Ruled: d.Effect == rules.Approve, Why: d.Why, Where: d.Where(), Never: d.Never}
	if v.Effect == rules.Deny && path != "" {
		v.No = []Refused{{verb, path}}
	}
	return v
}

// And is the verdict of two together: the strictest, a never, then a refusal, then
// approvals; of approvals all that either asks for. Refusing one of them does not
// take away the approvals that a rule asks for the other.
func (v Verdict) And(w Verdict) Verdict {
	out := v
	if w.stricter(v) {
		out = w
	}
	out.No = slices.Clone(v.No)
	for _, r := range w.No {
		if !slices.Contains(out.No, r) {
			out.No = append(out.No, r)
		}
	}
	out.Ruled, out.Hint = v.Ruled || w.Ruled, cmp.Or(v.Hint, w.Hint)
	out.Needs.Approvals = max(v.Needs.Approvals, w.Needs.Approvals)
	out.Needs.Proof = rules.Strongest(v.Needs.Proof, w.Needs.Proof)
	out.Needs.From = cmp.Or(v.Needs.From, w.Needs.From)
	if v.Needs.From != "" && w.Needs.From != "" && v.Needs.From != w.Needs.From && !out.Never {
		out.Effect, out.Never = rules.Deny, true
		out.Why = "a part needs a yes from " + v.Needs.From + " and a part one from " + w.Needs.From + ": ask for them one by one"
	} else if out.Effect == rules.Approve {
		out.Why = out.Needs.String() + " needed, at " + out.Where
	}
	return out
}

func (v Verdict) stricter(w Verdict) bool {
	if v.Never != w.Never {
		return v.Never
	}
	if v.Effect != w.Effect {
		return v.Effect == rules.Deny || v.Effect == rules.Approve && w.Effect == rules.Allow
	}
	return v.Needs.Approvals > w.Needs.Approvals
}

// Refuses is what is refused in a sentence: "use a/b, a/c and write d/e"; "" where
// it is about no secret.
func (v Verdict) Refuses() string {
	var b strings.Builder
	for i, r := range v.No {
		switch {
		case i == 0:
			b.WriteString(string(r.Verb) + " ")
		case r.Verb == v.No[i-1].Verb:
			b.WriteString(", ")
		default:
			b.WriteString(" and " + string(r.Verb) + " ")
		}
		b.WriteString(r.Path)
	}
	return b.String()
}

// Refusal is the error of an operation that v does not let through.
func (v Verdict) Refusal(actor keyturn.Actor, op keyturn.Op) *keyturn.Error {
	what := string(op.Verb())
	if list, ok := op.(keyturn.ListSecrets); ok {
		what += " anything in " + strings.TrimSuffix(strings.TrimPrefix(list.Under.String(), keyturn.Scheme), "/")
	} else if no := v.Refuses(); no != "" {
		what = no
	}
	e := keyturn.E(keyturn.Denied, actor.Principal()+" may not "+what+": "+v.Why, "")
	e.By = "rule"
	e.Hint = v.Hint
	if v.Never {
		e.Hint = "the rule is at " + v.Where + "; who keeps that file can change it"
	}
	if run, ok := op.(keyturn.RunCommand); ok && !v.Never && len(run.Files) > 0 && actor.Kind != keyturn.Person {
		e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "who asks for a file can read it: that takes a rule for reveal, too; a variable does not (--env)"
	}
	if op.Verb() == keyturn.Reveal && len(op.Refs()) == 1 {
		r := op.Refs()[0]
		e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "let a program use it without seeing it: keyturn run --env NAME=" + keyturn.Quote(r.Short()) + " -- COMMAND"
	}
	return e
}
