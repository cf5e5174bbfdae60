package rules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Verdict is what the rules say of one whole operation, whose parts are decided one
// by one. The zero Verdict refuses.
type Verdict struct {
	Effect Effect
	Needs  Needs
	Ruled  bool   // a rule asks for approvals; else no rule allows the operation
	Where  string // file and line of the rule, or "default"
	Why    string
	Never  bool      // no approval can allow it
	No     []Refused // the parts that are refused
	Hint   string    // the next step; "" where the refusal itself says
	// Output is what the rules say about a command's output; "" where they say nothing.
	Output keyturn.Output
}

// Refused is one verb on one path that a verdict refuses.
type Refused struct {
	Verb keyturn.Verb
	Path string
}

// Verdict returns d as the verdict of an operation with one part: a verb on a path.
func (d Decision) Verdict(verb keyturn.Verb, path string) Verdict {
	v := Verdict{Effect: d.Effect, Needs: d.Needs, Ruled: d.Effect == Approve, Why: d.Why, Where: d.Where(), Never: d.Never}
	if d.Rule != nil {
		v.Output = d.Rule.Output
	}
	if v.Effect == Deny && path != "" {
		v.No = []Refused{{verb, path}}
	}
	return v
}

// And returns the verdict of two parts together, which is the stricter of both: a
// never before a refusal, a refusal before approvals. It needs the approvals of both
// parts, also where one of them is refused. Two parts that need approvals of different
// groups are refused for good: no request can name both.
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
	if out.Output = cmp.Or(v.Output, w.Output); v.Output != "" && w.Output != "" {
		out.Output = v.Output.Stricter(w.Output)
	}
	out.Ruled, out.Hint = v.Ruled || w.Ruled, cmp.Or(v.Hint, w.Hint)
	out.Needs.Approvals = max(v.Needs.Approvals, w.Needs.Approvals)
	out.Needs.Proof = Strongest(v.Needs.Proof, w.Needs.Proof)
	out.Needs.From = cmp.Or(v.Needs.From, w.Needs.From)
	if v.Needs.From != "" && w.Needs.From != "" && v.Needs.From != w.Needs.From && !out.Never {
		out.Effect, out.Never = Deny, true
		out.Why = "a part needs a yes from " + v.Needs.From + " and a part one from " + w.Needs.From + ": ask for them one by one"
	} else if out.Effect == Approve {
		out.Why = out.Needs.String() + " needed, at " + out.Where
	}
	return out
}

func (v Verdict) stricter(w Verdict) bool {
	if v.Never != w.Never {
		return v.Never
	}
	if v.Effect != w.Effect {
		return v.Effect == Deny || v.Effect == Approve && w.Effect == Allow
	}
	return v.Needs.Approvals > w.Needs.Approvals
}

// Refuses lists the refused parts as a sentence has them: "use a/b, a/c and write
// d/e". It is empty where no secret is refused.
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

// Refusal returns the error, Denied, of an operation that v does not allow.
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
