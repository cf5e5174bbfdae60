package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
)

// Input is what a Set is made of.
type Input struct {
	Rules  []Source // the operator's
	Groups []Group  // the operator's
	// Project are the rules of a project's file. They may only forbid, and may
	// name the operator's groups.
	Project []Source
}

// Set is all rules that hold, ready to decide. It does not change and is safe for
// concurrent use. The Set of an empty Input decides by the default alone; a nil
// Set denies everything.
type Set struct {
	rules  []compiled
	groups map[Principal]map[Principal]bool // who is in it, nested groups spread out
}

// New checks everything and returns the Set. The first thing that is wrong is
// Invalid, with file and line in the message.
func New(in Input) (*Set, error) {
	if len(in.Rules)+len(in.Project) > MaxRules {
		return nil, keyturn.E(keyturn.Invalid, "there are too many rules", "there may be 10000")
	}
	groups, err := spread(in.Groups)
	if err != nil {
		return nil, err
	}
	s := &Set{groups: groups, rules: make([]compiled, 0, len(in.Rules)+len(in.Project))}
	for i, src := range slices.Concat(in.Rules, in.Project) {
		c, err := compile(src)
		if err != nil {
			return nil, err
		}
		if c.Project = i >= len(in.Rules); c.Project && len(c.May) > 0 {
			return nil, at(c.Where, keyturn.E(keyturn.Invalid, "a project's file cannot allow anything", "it may only forbid; rules that allow are in the operator's file"))
		}
		for _, p := range append(slices.Clone(c.who), Principal(c.Needs.From)) {
			if p != "" && p.IsGroup() && groups[p] == nil {
				return nil, at(c.Where, s.unknownGroup(p))
			}
		}
		if from := Principal(c.Needs.From); from != "" && from.IsGroup() && !s.hasPerson(from) {
			return nil, at(c.Where, keyturn.E(keyturn.Invalid, quote(string(from))+" cannot approve: nobody in it is a person", "approvals come from people: name a group with user: or oidc: in it"))
		}
		s.rules = append(s.rules, c)
	}
	return s, nil
}

// Rules returns the rules in their order, the operator's first.
func (s *Set) Rules() []Rule {
	if s == nil {
		return nil
	}
	out := make([]Rule, len(s.rules))
	for i := range s.rules {
		out[i] = s.rules[i].Rule
	}
	return out
}

// Matches reports whether actor is the principal, or in the group of that name.
// Nobody (an actor of no known kind or without a name) is no principal at all,
// and whatever is no principal of this Set matches nobody.
func (s *Set) Matches(actor keyturn.Actor, principal string) bool {
	return s.who(actor)[Principal(principal)]
}

// MayApprove reports whether actor is one whose yes counts for needs: a person,
// and of From where the rule says so. It does not know whose request it is.
func (s *Set) MayApprove(actor keyturn.Actor, needs Needs) bool {
	return actor.Kind == keyturn.Person && s.Matches(actor, Everyone) &&
		(needs.From == "" || s.Matches(actor, needs.From))
}

// who returns every principal and group that actor is.
func (s *Set) who(actor keyturn.Actor) map[Principal]bool {
	ids := identities(actor)
	if s == nil || ids == nil {
		return nil
	}
	var in []Principal
	for name, members := range s.groups {
		for id := range ids {
			if members[id] {
				in = append(in, name)
				break
			}
		}
	}
	for _, name := range in {
		ids[name] = true
	}
	return ids
}

// caller is who asks: what they are, and what they may be as well. An agent that
// shows the marks of several is one of them, and who can tell which: what any of
// them is forbidden is forbidden to it.
type caller struct {
	is, perhaps map[Principal]bool
}

func (s *Set) caller(actor keyturn.Actor) caller {
	c := caller{is: s.who(actor), perhaps: s.who(actor)}
	if c.is == nil || actor.Kind != keyturn.Agent {
		return c
	}
	for _, also := range actor.Also {
		if name, ok := strings.CutPrefix(also, "agent:"); ok {
			other := actor
			other.Name = name
			maps.Copy(c.perhaps, s.who(other))
		}
	}
	return c
}

func (s *Set) hasPerson(group Principal) bool {
	for p := range s.groups[group] {
		if !p.machine() {
			return true
		}
	}
	return false
}

func (s *Set) unknownGroup(p Principal) error {
	return unknownGroup(p, func(yield func(string)) {
		for name := range s.groups {
			yield(string(name))
		}
	})
}

func unknownGroup(p Principal, names func(func(string))) error {
	known := []string{Agents, Services, Everyone}
	names(func(n string) { known = append(known, n) })
	slices.Sort(known)
	hint := "write user:" + string(p) + " for a person, or add the group under 'groups'"
	if near := keyturn.Nearest(string(p), slices.Values(known)); near != "" {
		hint = "did you mean '" + near + "'?"
	}
	return keyturn.E(keyturn.Invalid, "no group is called "+quote(string(p)), hint)
}

// spread turns groups of groups into plain ones.
func spread(groups []Group) (map[Principal]map[Principal]bool, error) {
	if len(groups) > MaxGroups {
		return nil, keyturn.E(keyturn.Invalid, "there are too many groups", "there may be 200; larger ones come from OIDC")
	}
	raw := map[Principal]Group{}
	members := map[Principal][]Principal{}
	for _, g := range groups {
		where := Position{File: g.File, Line: g.Line}
		fail := func(why, hint string) (map[Principal]map[Principal]bool, error) {
			return nil, at(where, keyturn.E(keyturn.Invalid, why, hint))
		}
		name, err := ParsePrincipal(g.Name)
		switch {
		case err != nil || !name.IsGroup():
			return fail(quote(g.Name)+" cannot be the name of a group", "a group is named with a-z, 0-9, - and _, beginning with a letter; user, people and the like are taken")
		case len(g.Members) == 0:
			return fail("the group "+quote(g.Name)+" is empty", "name somebody, or leave the group out")
		case len(g.Members) > maxList:
			return fail("the group "+quote(g.Name)+" is too large", "it may have "+strconv.Itoa(maxList)+" members")
		}
		if _, twice := raw[name]; twice {
			return fail("the group "+quote(g.Name)+" is there twice", "make one of them")
		}
		ps, err := principals(g.Members)
		if err != nil {
			return nil, at(where, err)
		}
		raw[name], members[name] = g, ps
	}
	out := map[Principal]map[Principal]bool{}
	total := 0
	for _, g := range groups {
		flat, err := flatten(Principal(g.Name), members)
		if err != nil {
			return nil, at(Position{File: g.File, Line: g.Line}, err)
		}
		if total += len(flat); total > maxMembers {
			return nil, at(Position{File: g.File, Line: g.Line}, keyturn.E(keyturn.Invalid, "the groups have too many members", "all together they may have 100000"))
		}
		out[Principal(g.Name)] = flat
	}
	return out, nil
}

// flatten collects who is in a group, whatever its nesting. A group that holds
// itself, or one that does not exist, is an error.
func flatten(name Principal, members map[Principal][]Principal) (map[Principal]bool, error) {
	flat, seen := map[Principal]bool{}, map[Principal]bool{}
	todo := []Principal{name}
	for len(todo) > 0 {
		g := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, m := range members[g] {
			switch {
			case !m.IsGroup():
				flat[m] = true
			case m == name:
				return nil, keyturn.E(keyturn.Invalid, "the group "+quote(string(name))+" holds itself", "break the circle")
			case members[m] == nil:
				return nil, unknownGroup(m, func(yield func(string)) {
					for n := range members {
						yield(string(n))
					}
				})
			case !seen[m]:
				seen[m] = true
				todo = append(todo, m)
			}
		}
	}
	return flat, nil
}
