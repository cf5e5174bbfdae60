package rules

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Opening is somebody who could reveal a value at its destination and could not
// where it comes from.
type Opening struct {
	Who  string // "any agent", "user:bob", …, for people
	Rule *Rule  // that opens the destination to them; nil for the default
	Why  string // for people, without a full stop
}

// Launders reports whether the write of a secret's value from one path to another
// would open it: whether somebody who has no reveal at from would have it at to.
// Somebody is anybody that rules and groups name, each with up to all claims of
// OIDC that they name, and any person, agent or service besides. Who may reveal
// after approvals only counts where approvals are harder to get at from, or where
// a never forbids it there. What a project's file forbids binds from only: it ends
// with the project's folder.
//
// A rule says so, and then it is no laundering, where it lets actor use from and
// names to under mounts by a pattern below a mount: mounts: ["prod/web/*"].
func (s *Set) Launders(actor keyturn.Actor, from, to string, remote bool) (Opening, bool) {
	if s == nil || from == to || !canonical(from) || !canonical(to) || s.saysSo(actor, from, to) {
		return Opening{}, false
	}
	parts := s.parts(split(from), split(to))
	for _, k := range []struct {
		all, one, any string
		free          bool // may do everything by default
	}{
		{"", "user:", "any person", !remote}, {Agents, "agent:", "any agent", false}, {Services, "service:", "any service", false},
	} {
		all := part{who: k.any}.with(parts[Everyone]).with(parts[Principal(k.all)])
		all.who = k.any
		found := []part{all}
		found = combine(found, parts, func(p Principal) bool { return strings.HasPrefix(string(p), k.one) }, part.being)
		claim := func(p Principal) bool { return strings.HasPrefix(string(p), "oidc:") }
		// Twice will do: one claim that closes from, and one that opens to.
		found = combine(combine(found, parts, claim, part.with), parts, claim, part.with)
		if k.all == Agents { // one that shows the marks of another
			found = combine(found, parts, func(p Principal) bool { return strings.HasPrefix(string(p), k.one) }, part.perhaps)
		}
		for _, p := range found {
			if p.opens(k.free) {
				return p.opening(from, to), true
			}
		}
	}
	return Opening{}, false
}

// saysSo reports whether a rule lets actor use from and names to.
func (s *Set) saysSo(actor keyturn.Actor, from, to string) bool {
	who, path := s.caller(actor), split(from)
	return slices.ContainsFunc(s.rules, func(r compiled) bool {
		return len(r.Never) == 0 && r.about(who, keyturn.Use, path) && r.names(to)
	})
}

// grade is the rule that decides whether somebody may reveal one path, and its
// place among all rules; nil where none speaks of it.
type grade struct {
	rule *compiled
	at   int
}

// The levels of a grade: of several rules the greatest decides.
const (
	silent = iota
	allowed
	asks
	forbidden
)

func (g grade) level() int {
	switch {
	case g.rule == nil:
		return silent
	case len(g.rule.Never) > 0:
		return forbidden
	case g.rule.Needs.Approvals > 0:
		return asks
	}
	return allowed
}

// and is the grade where both rules speak: as Decide has it, the stricter, and of
// two alike the first.
func (g grade) and(h grade) grade {
	l, m := g.level(), h.level()
	switch {
	case m != l:
		if m > l {
			return h
		}
		return g
	case m == asks && h.rule.Needs.stricter(g.rule.Needs):
		return h
	case m == asks && g.rule.Needs.stricter(h.rule.Needs):
		return g
	case m != silent && h.at < g.at:
		return h
	}
	return g
}

// part is what the rules say of somebody, or of one of the things that they are.
type part struct {
	who      string
	from, to grade
}

// with is somebody who is both.
func (p part) with(q part) part {
	return part{who: p.who + ", being " + q.who, from: p.from.and(q.from), to: p.to.and(q.to)}
}

// being is any of a kind by a name.
func (p part) being(q part) part {
	out := p.with(q)
	out.who = q.who
	return out
}

// perhaps is an agent that may be another one: what that one is forbidden is
// forbidden to it, and what it may it may not.
func (p part) perhaps(q part) part {
	out := p
	out.who += ", perhaps " + q.who
	if q.from.level() == forbidden {
		out.from = q.from
	}
	if q.to.level() == forbidden {
		out.to = q.to
	}
	return out
}

// opens reports whether p has reveal at to and not at from. Who is free may do what
// no rule speaks of.
func (p part) opens(free bool) bool {
	from, to := p.from.level(), p.to.level()
	if free {
		from, to = max(from, allowed), max(to, allowed)
	}
	switch to {
	case allowed:
		return from != allowed
	case asks:
		return from == forbidden || from == asks && !p.to.rule.Needs.covers(p.from.rule.Needs)
	}
	return false
}

// covers reports whether what satisfies n also satisfies m.
func (n Needs) covers(m Needs) bool {
	return n.Approvals >= m.Approvals && slices.Index(Proofs(), n.Proof) >= slices.Index(Proofs(), m.Proof) && (m.From == "" || m.From == n.From)
}

func (p part) opening(from, to string) Opening {
	o := Opening{Who: keyturn.Clean(p.who)}
	by := "by default"
	if p.to.rule != nil {
		o.Rule, by = &p.to.rule.Rule, "by the rule at "+p.to.rule.Where.String()
	}
	not := "no rule lets them reveal " + from
	if p.from.rule != nil {
		not = "the rule at " + p.from.rule.Where.String() + " does not let them reveal " + from
		if p.from.level() == asks {
			not = "the rule at " + p.from.rule.Where.String() + " asks for " + p.from.rule.Needs.String() + " to reveal " + from
		}
	}
	o.Why = o.Who + " could then reveal it at " + to + ", " + by + ", and " + not
	return o
}

// key is all of a part that matters to opens.
func (p part) key() [2]int {
	name := func(g grade) int {
		if g.level() == asks {
			return 1 + g.at
		}
		return -g.level()
	}
	return [2]int{name(p.from), name(p.to)}
}

// parts is what the rules about revealing from or to say of each principal that
// they name, groups spread out.
func (s *Set) parts(from, to []string) map[Principal]part {
	out := map[Principal]part{}
	for i := range s.rules {
		r := &s.rules[i]
		if !r.verb(keyturn.Reveal) {
			continue
		}
		var g part
		if r.matches(from) {
			g.from = grade{r, i}
		}
		if r.matches(to) && !r.Project {
			g.to = grade{r, i}
		}
		if g.from.rule == nil && g.to.rule == nil {
			continue
		}
		add := func(p Principal) {
			have := out[p]
			out[p] = part{who: string(p), from: have.from.and(g.from), to: have.to.and(g.to)}
		}
		for _, p := range r.who {
			if !p.IsGroup() {
				add(p)
				continue
			}
			for m := range s.groups[p] {
				add(m)
			}
		}
	}
	return out
}

func (r *compiled) matches(path []string) bool {
	return slices.ContainsFunc(r.On, func(p Pattern) bool { return p.match(path) })
}

// combine adds to found each of them together with each principal of such a kind.
// Of those that the rules treat alike one stays, so the answer is small.
func combine(found []part, parts map[Principal]part, such func(Principal) bool, join func(part, part) part) []part {
	known := map[[2]int]bool{}
	for _, p := range found {
		known[p.key()] = true
	}
	var each []part
	alike := map[[2]int]bool{}
	for _, p := range slices.SortedFunc(maps.Keys(parts), cmp.Compare[Principal]) {
		if q := parts[p]; such(p) && !alike[q.key()] {
			alike[q.key()] = true
			each = append(each, q)
		}
	}
	for _, p := range slices.Clone(found) {
		for _, q := range each {
			if both := join(p, q); !known[both.key()] {
				known[both.key()] = true
				found = append(found, both)
			}
		}
	}
	return found
}
