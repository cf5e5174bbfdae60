package rules

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
)

// Warning is something in a file that is allowed but hardly meant.
type Warning struct {
	Where   Position
	Message string // for people, without a full stop
	Hint    string // the next step; may be empty
}

// maxPairs bounds how many pairs of rules Lint compares.
const maxPairs = 1_000_000

// Lint finds rules that cannot mean what they say. mounts are the names of the
// mounts that exist; nil leaves that check out. Warnings come in the order of the
// rules.
func (s *Set) Lint(mounts []string) []Warning {
	if s == nil {
		return nil
	}
	var out []Warning
	var nevers []*compiled
	for i := range s.rules {
		if len(s.rules[i].Never) > 0 {
			nevers = append(nevers, &s.rules[i])
		}
	}
	pairs := 0
	for i := range s.rules {
		r := &s.rules[i]
		warn := func(message, hint string) {
			out = append(out, Warning{Where: r.Where, Message: message, Hint: hint})
		}
		s.lintUse(r, warn)
		s.lintApprovals(r, warn)
		if mounts != nil {
			lintMounts(r, mounts, warn)
		}
		if len(r.May) == 0 {
			continue
		}
		for _, n := range nevers {
			if pairs++; pairs > maxPairs {
				break
			}
			if s.covers(n, r) {
				warn("this rule never allows anything: the rule at "+n.Where.String()+" forbids it all", "drop one of the two")
				break
			}
		}
	}
	return out
}

// lintUse finds uses without a sink, and commands that are no bounds.
func (s *Set) lintUse(r *compiled, warn func(message, hint string)) {
	machines := s.some(r.who, Principal.machine)
	if machines && slices.Contains(r.May, keyturn.Use) && !r.hasSink() {
		warn("agents and services may use nothing by this rule: it names no command", `add run: ["npm test"], http or mounts`)
	}
	if r.Output == keyturn.OutputStream {
		warn("output: stream shows output while the command runs: where the command prints what the caller gives it, each right beginning of a value can be told by its delay",
			"use it for commands that take nothing from the caller, such as a development server; leave it out for the others")
	}
	if len(r.Hosts) > 0 && len(r.Run) == 0 && machines {
		warn("hosts is about commands, but this rule has no run", `add run: ["npm test"]`)
	}
	for i, c := range r.run {
		e := c.exposes()
		switch {
		case ofFolder(c) && len(r.In) > 0 && !e.open:
			warn(quote(r.Run[i])+" is a file of the folder that 'in' names, which the caller may be able to change", hintChange)
		case e.why != "":
			warn(quote(r.Run[i])+" "+e.why, e.hint)
		case len(r.In) > 0 && slices.ContainsFunc(r.In, func(dir string) bool { return strings.HasPrefix(c.Program(), dir+string(filepath.Separator)) }):
			warn(quote(r.Run[i])+" is in the folder that it is started in, whose files the caller may be able to change", hintChange)
		}
	}
	for _, e := range r.Env {
		if why := variable.Risk(e); why != "" && machines {
			warn("'env' lets "+quote(e)+" pass: "+why, "give it a value, \"NAME=VALUE\", or leave it out")
		}
	}
}

// Open says why the command of a rule cannot be remembered from one approval: its words or
// its standard input, which are the caller's, decide what it shows. It is "" where there
// is none such.
func (r Rule) Open() string {
	for _, text := range r.Run {
		if c, err := ParseTemplate(text); err == nil {
			if e := c.exposes(); e.open {
				return quote(text) + " " + e.why
			}
		}
	}
	return ""
}

// Warnings are those of Lint about one rule by itself.
func (r Rule) Warnings() []string {
	s, err := New(Input{Rules: []Source{r.Source()}})
	if err != nil {
		return nil
	}
	var out []string
	for _, w := range s.Lint(nil) {
		out = append(out, w.Message)
	}
	return out
}

// lintApprovals finds what nobody can approve.
func (s *Set) lintApprovals(r *compiled, warn func(message, hint string)) {
	if slices.Contains(r.May, keyturn.Approve) && s.some(r.who, Principal.machine) {
		warn("agents and services never approve, whatever a rule says", "leave approve out, or name people")
	}
	from := Principal(r.Needs.From)
	if from == "" || strings.HasPrefix(string(from), "oidc:") || from == Everyone {
		return
	}
	people := map[Principal]bool{from: true}
	if from.IsGroup() {
		people = s.groups[from]
	}
	n := 0
	for p := range people {
		switch {
		case strings.HasPrefix(string(p), "user:"):
			n++
		case !p.machine():
			return // nobody knows how many these are
		}
	}
	if n < r.Needs.Approvals {
		warn("this needs "+r.Needs.String()+", but that is only "+strconv.Itoa(n), "name more people, or ask for fewer approvals")
	}
}

// lintMounts finds patterns and sinks of mounts that do not exist.
func lintMounts(r *compiled, mounts []string, warn func(message, hint string)) {
	var names []string
	for _, m := range r.Mounts {
		name, _, _ := strings.Cut(m, "/")
		names = append(names, name)
	}
	for _, p := range r.On {
		if first := p.first(); first != single && first != deep {
			names = append(names, first)
		}
	}
	for _, name := range names {
		if slices.Contains(mounts, name) {
			continue
		}
		hint := "'keyturn list' shows the mounts"
		if near := keyturn.Nearest(name, slices.Values(mounts)); near != "" {
			hint = "did you mean '" + near + "'?"
		}
		warn("no mount is called "+quote(name), hint)
	}
}

// some reports whether one of the principals, groups spread out, is such a one.
func (s *Set) some(who []Principal, such func(Principal) bool) bool {
	return slices.ContainsFunc(who, func(p Principal) bool {
		if !p.IsGroup() {
			return such(p)
		}
		for m := range s.groups[p] {
			if such(m) {
				return true
			}
		}
		return false
	})
}

// covers reports whether the never n surely forbids all that r allows.
func (s *Set) covers(n, r *compiled) bool {
	for _, v := range r.May {
		if !slices.Contains(n.Never, v) {
			return false
		}
	}
	for _, p := range r.On {
		if !slices.ContainsFunc(n.On, func(q Pattern) bool { return q.Covers(p) }) {
			return false
		}
	}
	forbidden := map[Principal]bool{}
	for _, p := range n.who {
		forbidden[p] = true
		if p.IsGroup() {
			for m := range s.groups[p] {
				forbidden[m] = true
			}
		}
	}
	return !s.some(r.who, func(p Principal) bool {
		text := string(p)
		return !(forbidden[Everyone] || forbidden[p] ||
			forbidden[Agents] && strings.HasPrefix(text, "agent:") ||
			forbidden[Services] && strings.HasPrefix(text, "service:"))
	})
}
