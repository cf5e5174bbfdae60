package rules

import (
	"slices"
	"strconv"
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

// Launders reports whether copying a secret's value from one path to another lets
// somebody see the value who could not see it before.
//
//   - Whoever may reveal the value sees it, and so does whoever may use it in a command
//     that shows what it is given. Such is a command whose template lets the caller run
//     what they like (Lint says which); people may use any command.
//   - Everybody counts whom rules and groups name, with any of the OIDC claims that they
//     name, and any other person, agent or service.
//   - Somebody who needs approvals to see the value at to counts only where from needs
//     more of them, or where a never forbids it at from.
//   - What a project's file forbids counts at from only: it ends with the project's folder.
//
// It is no laundering where a rule allows the copy: a rule that lets actor use from and
// names to under mounts by a pattern below a mount, such as mounts: ["prod/web/*"].
func (s *Set) Launders(actor keyturn.Actor, from, to string, remote bool) (Opening, bool) {
	if s == nil || from == to || !canonical(from) || !canonical(to) || s.saysSo(actor, from, to) {
		return Opening{}, false
	}
	people := s.parts([]command{{}}, splitPath(from), splitPath(to))
	machines := s.parts(s.commands(splitPath(from), splitPath(to)), splitPath(from), splitPath(to))
	for _, k := range []struct {
		all, one, any string
		parts         map[Principal]part
		free          bool // may do everything by default
	}{
		{"", "user:", "any person", people, !remote}, {Agents, "agent:", "any agent", machines, false}, {Services, "service:", "any service", machines, false},
	} {
		all := part{}.with(k.parts[Everyone]).with(k.parts[Principal(k.all)])
		all.who = k.any
		ones := unlike(k.parts, k.one)
		found := combine([]part{all}, ones, part.being)
		// One claim that closes each way at from, and one that opens to.
		claims := unlike(k.parts, "oidc:")
		for range len(all.ways) + 1 {
			found = combine(found, claims, part.with)
		}
		if k.all == Agents { // one that shows the marks of others
			for range len(all.ways) {
				found = combine(found, ones, part.perhaps)
			}
		}
		for _, p := range found {
			if i := p.opens(k.free); i >= 0 {
				return p.opening(i, from, to), true
			}
		}
		if len(found) > maxFound {
			return Opening{Who: k.any, Why: "the rules are too many to tell whether " + k.any + " could see it at " + to + " who cannot see it at " + from}, true
		}
	}
	return Opening{}, false
}

// maxFound bounds how many that rules treat differently are looked at.
const maxFound = 10_000

// saysSo reports whether a rule lets actor use from and names to.
func (s *Set) saysSo(actor keyturn.Actor, from, to string) bool {
	who, path := s.caller(actor), splitPath(from)
	return slices.ContainsFunc(s.rules, func(r compiled) bool {
		return len(r.Never) == 0 && r.about(who, keyturn.Use, path) && r.names(to)
	})
}

// grade is the rule that decides whether somebody may see one path, and its
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
	case m == asks && h.rule.Needs.Stricter(g.rule.Needs):
		return h
	case m == asks && g.rule.Needs.Stricter(h.rule.Needs):
		return g
	case m != silent && h.at < g.at:
		return h
	}
	return g
}

// way is what the rules say of one way to see a value: at from, and at to.
type way struct{ from, to grade }

// part is what the rules say of a caller, or of one of the names that a caller has. Its
// first way is revealing; each other way is a command that shows what it is given.
type part struct {
	who  string
	ways []way
}

// with merges the rules for p and for q, for a caller who is both. A part without ways
// changes nothing.
func (p part) with(q part) part {
	switch {
	case len(p.ways) == 0:
		return q
	case len(q.ways) == 0:
		return p
	}
	out := part{who: p.who + ", being " + q.who, ways: make([]way, len(p.ways))}
	for i, w := range p.ways {
		out.ways[i] = way{w.from.and(q.ways[i].from), w.to.and(q.ways[i].to)}
	}
	return out
}

// being is with under the name of q: any caller of the kind p that is called q.
func (p part) being(q part) part {
	out := p.with(q)
	out.who = q.who
	return out
}

// perhaps is p as an agent that may turn out to be q: what is forbidden to q is forbidden
// to it, but what q may do it may not.
func (p part) perhaps(q part) part {
	out := part{who: p.who + ", perhaps " + q.who, ways: slices.Clone(p.ways)}
	for i, w := range q.ways {
		if w.from.level() == forbidden {
			out.ways[i].from = w.from
		}
		if w.to.level() == forbidden {
			out.ways[i].to = w.to
		}
	}
	return out
}

// opens returns the index of the first way by which p sees the value at to and does not
// see it at from; -1 for none.
// To reveal at to is new to who could only use it at from; to have a command show it
// there is new to who had no way at all. Who is free may do what no rule speaks of.
func (p part) opens(free bool) int {
	for i, w := range p.ways {
		before := p.ways
		if i == 0 {
			before = p.ways[:1]
		}
		if !slices.ContainsFunc(before, func(b way) bool { return !(way{b.from, w.to}).opens(free) }) {
			return i
		}
	}
	return -1
}

// opens reports whether w is open at to and not at from.
func (w way) opens(free bool) bool {
	from, to := w.from.level(), w.to.level()
	if free {
		from, to = max(from, allowed), max(to, allowed)
	}
	switch to {
	case allowed:
		return from != allowed
	case asks:
		return from == forbidden || from == asks && !w.to.rule.Needs.Covers(w.from.rule.Needs)
	}
	return false
}

// opening says who sees it by their way i.
func (p part) opening(i int, from, to string) Opening {
	w, verb, could := p.ways[i], "reveal", "reveal it at "+to
	if i > 0 {
		verb, could = "see", "have a command show it at "+to
	}
	o := Opening{Who: keyturn.Clean(p.who)}
	by := "by default"
	if w.to.rule != nil {
		o.Rule, by = &w.to.rule.Rule, "by the rule at "+w.to.rule.Where.String()
	}
	not := "no rule lets them " + verb + " " + from
	if w.from.rule != nil {
		not = "the rule at " + w.from.rule.Where.String() + " does not let them " + verb + " " + from
		if w.from.level() == asks {
			not = "the rule at " + w.from.rule.Where.String() + " asks for " + w.from.rule.Needs.String() + " to " + verb + " " + from
		}
	}
	o.Why = o.Who + " could then " + could + ", " + by + ", and " + not
	return o
}

// key holds everything that decides what opens returns: parts with equal keys are merged.
func (p part) key() string {
	var b []byte
	for _, w := range p.ways {
		for _, g := range []grade{w.from, w.to} {
			n := -g.level()
			if g.level() == asks {
				n = 1 + g.at
			}
			b = append(strconv.AppendInt(b, int64(n), 10), ' ')
		}
	}
	return string(b)
}

// command is a command that shows what it is given: its template, as rules write it.
// The zero command is any, which people may use.
type command struct {
	text, program string
	hosts         string
}

// shows reports whether a command lets its caller see what it is given: those that Lint
// warns of.
func shows(c Template) bool { return c.exposes().why != "" }

// commands are those that show what they are given and that rules about from or to
// name, each once; and first one that no rule names, which can be asked for like any.
func (s *Set) commands(from, to []string) []command {
	out := []command{{program: "/"}}
	known := map[command]bool{}
	for i := range s.rules {
		r := &s.rules[i]
		if !slices.Contains(r.May, keyturn.Use) || !r.matches(from) && !r.matches(to) {
			continue
		}
		for _, c := range r.shown() {
			if !known[c] {
				known[c] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// shown are the commands of r that show what they are given.
func (r *compiled) shown() []command {
	var out []command
	for i, c := range r.run {
		if shows(c) {
			out = append(out, command{text: r.Run[i], program: c.Program(), hosts: strings.Join(r.Hosts, " ")})
		}
	}
	return out
}

// parts is what the rules say of seeing from or to, by revealing and by each of
// commands, of each principal that they name, groups spread out. At from a command
// stands for all of its program: the strictest rule about one of these counts.
func (s *Set) parts(commands []command, from, to []string) map[Principal]part {
	out := map[Principal]part{Everyone: {who: Everyone, ways: make([]way, 1+len(commands))}}
	for i := range s.rules {
		r := &s.rules[i]
		ways := r.ways(i, commands, from, to)
		if ways == nil {
			continue
		}
		add := func(p Principal) { out[p] = part{who: string(p), ways: ways}.being(out[p]).named(p) }
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

func (p part) named(who Principal) part {
	p.who = string(who)
	return p
}

// ways is what r, at its place among all rules, says; nil for nothing.
func (r *compiled) ways(at int, commands []command, from, to []string) []way {
	atFrom, atTo := r.matches(from), r.matches(to) && !r.Project
	reveals, uses := r.verb(keyturn.Reveal), r.verb(keyturn.Use)
	if !atFrom && !atTo || !reveals && !uses {
		return nil
	}
	g, shown := grade{r, at}, r.shown()
	out := make([]way, 1+len(commands))
	speak := func(w *way, ofFrom, ofTo bool) {
		if ofFrom && atFrom {
			w.from = g
		}
		if ofTo && atTo {
			w.to = g
		}
	}
	speak(&out[0], reveals, reveals)
	for i, c := range commands {
		all := uses && (len(r.Never) > 0 || c == command{})
		speak(&out[1+i], all || uses && slices.ContainsFunc(shown, func(d command) bool { return d.program == c.program && d.hosts == c.hosts }),
			all || uses && slices.Contains(shown, c))
	}
	return out
}

func (r *compiled) matches(path []string) bool {
	return slices.ContainsFunc(r.On, func(p Pattern) bool { return p.matchPath(path) })
}

// unlike are the principals of a kind, one of those that the rules treat alike.
func unlike(parts map[Principal]part, kind string) []part {
	var such []Principal
	for p := range parts {
		if strings.HasPrefix(string(p), kind) {
			such = append(such, p)
		}
	}
	slices.Sort(such)
	var out []part
	known := map[string]bool{}
	for _, p := range such {
		if key := parts[p].key(); !known[key] {
			known[key] = true
			out = append(out, parts[p])
		}
	}
	return out
}

// combine adds to found each of them together with each of others. Of those that the
// rules treat alike one stays, so the answer is small.
func combine(found, others []part, join func(part, part) part) []part {
	known := map[string]bool{}
	for _, p := range found {
		known[p.key()] = true
	}
	for _, p := range slices.Clone(found) {
		for _, q := range others {
			if both := join(p, q); len(found) <= maxFound && !known[both.key()] {
				known[both.key()] = true
				found = append(found, both)
			}
		}
	}
	return found
}
