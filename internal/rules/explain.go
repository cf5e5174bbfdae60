package rules

import (
	"strings"

	"github.com/keyturn/keyturn"
)

// Explain answers q as Decide does, with its reasons: a line for what is asked, a
// line with file and line for every rule that speaks of this caller, verb and
// path, and a line for what is decided and why. The lines are clean text. They
// quote rules, so show them only to who may read those.
func (s *Set) Explain(q Request) []string {
	d := s.Decide(q)
	asked := q.Actor.Principal()
	if asked == "" {
		asked = "nobody"
	}
	asked = keyturn.Clean(asked) + " asks to " + quote(string(q.Verb))
	if q.Path != "" {
		asked += " " + quote(q.Path)
	}
	if q.Verb == keyturn.Use {
		asked += " " + q.Sink.String()
	}
	if q.Remote {
		asked += ", over a server"
	}
	out := []string{asked}
	if d.home == "" {
		out = append(out, s.considered(q, d)...)
	}
	verdict := d.Effect.String() + ": " + d.Why
	if d.Rule == nil && d.home == "" {
		verdict += " (default)"
	}
	return append(out, verdict)
}

// considered has a line for every rule that is about q.
func (s *Set) considered(q Request, d Decision) []string {
	var out []string
	who, path := s.caller(q.Actor), splitPath(q.Path)
	for i := range s.rules {
		r := &s.rules[i]
		if !r.about(who, q.Verb, path) {
			continue
		}
		says := "allows"
		switch {
		case len(r.Never) > 0:
			says = "forbids"
		case q.Verb == keyturn.Use && !r.sinkAllowed(q) && !r.hasSink() && q.Actor.Kind != keyturn.Person:
			says = "allows nothing: no run, http or mounts"
		case q.Verb == keyturn.Use && !r.sinkAllowed(q):
			says = "allows, but not there"
		case r.Needs.Approvals > 0:
			says = "allows after " + r.Needs.String()
		}
		if &r.Rule == d.Rule {
			says += ", and decides"
		}
		line := "  " + r.Where.String() + ": " + says
		if r.Text != "" {
			line += ": " + keyturn.Clean(r.Text)
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	if len(out) == 0 {
		out = append(out, "  no rule speaks of that")
	}
	return out
}
