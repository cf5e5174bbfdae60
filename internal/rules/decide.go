package rules

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
)

// Effect is what is decided. The zero Effect denies.
type Effect int

// The effects.
const (
	Deny    Effect = iota
	Allow          // at once
	Approve        // once enough people have said yes
)

// String returns "deny", "allow" or "approve".
func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case Approve:
		return "approve"
	}
	return "deny"
}

// Sink is where a value would go under the verb use. At most one of Run, HTTP,
// Mount and Within is set. The zero Sink is none: agents and services are allowed
// nothing with it, whatever rules say.
type Sink struct {
	Run []string // a command and its arguments, as they would be started
	// Program is what the command's name was found to be, links not followed, and Dir the
	// folder it is started in, links followed. Both are absolute; "" where not known.
	Program, Dir string
	// Host is where the command would be started; "" for the machine of the broker.
	Host  string
	HTTP  *HTTPRequest
	Mount string // written to a secret of this mount
	To    string // with Mount: the path of that secret
	// Within is set where the value does not leave the broker: it is compared, and only
	// which fields are the same comes out. Whoever may use the value in any way may do that.
	Within bool
}

func (s Sink) count() int {
	n := 0
	for _, set := range []bool{len(s.Run) > 0, s.HTTP != nil, s.Mount != "", s.Within} {
		if set {
			n++
		}
	}
	return n
}

// Request is one question.
type Request struct {
	Actor keyturn.Actor
	Verb  keyturn.Verb
	// Path is keyturn.Ref.Path, a mount's name for what is about a whole mount, or
	// "" for an operation about neither. Any other text is denied.
	Path   string
	Sink   Sink // of use
	Remote bool // asked over a server
}

// Decision is the answer. The zero Decision denies.
type Decision struct {
	Effect Effect
	Needs  Needs // of Approve
	Rule   *Rule // that decided; nil for the default and for what is built in
	// Never tells of Deny that no approval can turn it into a yes: a never rule,
	// or something that no rule can allow.
	Never bool
	// Near is a rule that would have allowed it but for the sink; nil if there is
	// none.
	Near *Rule
	Why  string // for people, without a full stop
	home string
}

// Where returns file and line of the rule that decided, else "default" or
// "built in".
func (d Decision) Where() string {
	switch {
	case d.Rule != nil:
		return d.Rule.Where.String()
	case d.home != "":
		return d.home
	}
	return "default"
}

func builtIn(why string) Decision { return Decision{Never: true, Why: why, home: "built in"} }

// Decide answers q. It looks nothing up.
func (s *Set) Decide(q Request) Decision {
	if no := s.beforehand(q); no != "" {
		return builtIn(no)
	}
	who, path := s.caller(q.Actor), splitPath(q.Path)
	var best, near *compiled
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case !r.about(who, q.Verb, path):
		case len(r.Never) > 0:
			return Decision{Never: true, Rule: &r.Rule, Why: "a rule forbids it, at " + r.Where.String()}
		case q.Verb == keyturn.Use && !r.sinkAllowed(q):
			if near == nil {
				near = r
			}
		case best == nil || r.Needs.Stricter(best.Needs):
			best = r
		}
	}
	switch {
	case best != nil && best.Needs.Approvals > 0:
		return Decision{Effect: Approve, Needs: best.Needs, Rule: &best.Rule, Why: best.Needs.String() + " needed, at " + best.Where.String()}
	case best != nil:
		return Decision{Effect: Allow, Rule: &best.Rule, Why: "a rule allows it, at " + best.Where.String()}
	case q.Actor.Kind == keyturn.Person && !q.Remote:
		return Decision{Effect: Allow, Why: "people may do everything on their own machine"}
	case near != nil:
		return Decision{Near: &near.Rule, Why: "the rule at " + near.Where.String() + " allows it, but not " + q.Sink.String()}
	case q.Remote:
		return Decision{Why: "no rule allows it, and over a server nobody may do anything without one"}
	}
	return Decision{Why: "no rule allows it"}
}

// beforehand says what no rule can allow; "" if rules decide.
func (s *Set) beforehand(q Request) string {
	switch {
	case s == nil:
		return "there are no rules"
	case identities(q.Actor) == nil:
		return "it is not known who asks"
	case !q.Verb.Valid():
		return "it is not known what is asked for"
	case !canonical(q.Path):
		return "the name is not in canonical form"
	case q.Verb == keyturn.Approve && q.Actor.Kind != keyturn.Person:
		return "only people approve"
	}
	return ""
}

// about reports whether r speaks of this caller, verb and path.
func (r *compiled) about(who caller, verb keyturn.Verb, path []string) bool {
	return r.verb(verb) && r.whom(who) && slices.ContainsFunc(r.On, func(p Pattern) bool { return p.matchPath(path) })
}

func (r *compiled) verb(v keyturn.Verb) bool {
	return slices.Contains(r.May, v) || slices.Contains(r.Never, v)
}

func (r *compiled) whom(who caller) bool {
	ids := who.is
	if len(r.Never) > 0 {
		ids = who.perhaps
	}
	return slices.ContainsFunc(r.who, func(p Principal) bool { return ids[p] })
}

// sinkAllowed reports whether r lets the value go where q wants it. People may
// use any command; over a server, Hosts binds them too.
func (r *compiled) sinkAllowed(q Request) bool {
	atHost := q.Sink.Host == "" && len(r.Hosts) == 0 || slices.Contains(r.Hosts, q.Sink.Host)
	if q.Actor.Kind == keyturn.Person {
		return !q.Remote || len(r.Hosts) == 0 || atHost
	}
	switch {
	case q.Sink.count() != 1:
		return false
	case len(q.Sink.Run) > 0:
		in := len(r.In) == 0 || slices.Contains(r.In, q.Sink.Dir)
		return atHost && in && slices.ContainsFunc(r.run, func(c Template) bool { return c.Starts(q.Sink.Run, q.Sink.Program) })
	case q.Sink.HTTP != nil:
		return slices.ContainsFunc(r.http, func(e Endpoint) bool { return e.Match(*q.Sink.HTTP) })
	case q.Sink.Within:
		return r.hasSink()
	}
	return slices.Contains(r.Mounts, q.Sink.Mount) || r.names(q.Sink.To)
}

// names reports whether mounts names that very secret, by a pattern below a mount.
func (r *compiled) names(path string) bool {
	return path != "" && canonical(path) && slices.ContainsFunc(r.to, func(p Pattern) bool { return p.Match(path) })
}

// hasSink reports whether r names any sink that an agent could use.
func (r *compiled) hasSink() bool { return len(r.run)+len(r.http)+len(r.Mounts) > 0 }

// Environment is what rules let pass to a command of its caller's variables: for each
// question what the rules that answer it name.
type Environment []variable.Patterns

// Environment returns what the rules let pass to a command for which each of the questions
// is about one secret: what all rules say that allow it at once. Where one is not allowed
// at once, nothing passes.
func (s *Set) Environment(questions []Request) Environment {
	var out Environment
	for _, q := range questions {
		if s.Decide(q).Effect != Allow {
			return nil
		}
		var p variable.Patterns
		who, path := s.caller(q.Actor), splitPath(q.Path)
		for i := range s.rules {
			if r := &s.rules[i]; r.about(who, q.Verb, path) && r.sinkAllowed(q) {
				p = append(p, r.Env...)
			}
		}
		out = append(out, p)
	}
	return out
}

// Pass reports whether a variable passes: by the rules of every secret.
func (e Environment) Pass(name string) bool {
	for _, p := range e {
		if !p.Pass(name) {
			return false
		}
	}
	return len(e) > 0
}

// Fixed returns the variables that the rules of every secret give the same value.
func (e Environment) Fixed() map[string]string {
	out := map[string]string{}
	if len(e) == 0 {
		return out
	}
	for name, value := range e[0].Fixed() {
		same := true
		for _, p := range e[1:] {
			v, ok := p.Fixed()[name]
			same = same && ok && v == value
		}
		if same {
			out[name] = value
		}
	}
	return out
}

// MayAny reports whether actor could be allowed, at once or after approvals, to
// list, describe or use anything in a mount, or under a prefix of it ("local" or
// "local/myapp"). Where it cannot tell, it says yes.
func (s *Set) MayAny(actor keyturn.Actor, below string, remote bool) bool {
	ids := s.caller(actor)
	if ids.is == nil || below == "" || !canonical(below) {
		return false
	}
	path := splitPath(below)
	all := everythingUnder(path)
	for _, verb := range []keyturn.Verb{keyturn.List, keyturn.Describe, keyturn.Use} {
		some := actor.Kind == keyturn.Person && !remote
		for i := range s.rules {
			r := &s.rules[i]
			if !r.verb(verb) || !r.whom(ids) {
				continue
			}
			if len(r.Never) > 0 {
				if slices.ContainsFunc(r.On, func(p Pattern) bool { return p.Covers(all) }) {
					some = false
					break
				}
				continue
			}
			if verb == keyturn.Use && actor.Kind != keyturn.Person && !r.hasSink() {
				continue
			}
			some = some || slices.ContainsFunc(r.On, func(p Pattern) bool { return p.Reaches(path) })
		}
		if some {
			return true
		}
	}
	return false
}

// MayAll reports whether actor is surely allowed, at once, a verb other than use on
// everything at and below a mount or a prefix of it. Where it cannot tell, it says
// no.
func (s *Set) MayAll(actor keyturn.Actor, verb keyturn.Verb, below string, remote bool) bool {
	ids := s.caller(actor)
	if ids.is == nil || below == "" || !canonical(below) {
		return false
	}
	path := splitPath(below)
	all := everythingUnder(path)
	may := actor.Kind == keyturn.Person && !remote
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case !r.verb(verb) || !r.whom(ids):
		case len(r.Never) > 0 || r.Needs.Approvals > 0:
			if slices.ContainsFunc(r.On, func(p Pattern) bool { return p.Reaches(path) }) {
				return false
			}
		default:
			may = may || slices.ContainsFunc(r.On, func(p Pattern) bool { return p.Covers(all) })
		}
	}
	return may
}

// String returns what the sink is, for a message.
func (s Sink) String() string {
	var out []string
	if len(s.Run) > 0 {
		quoted := make([]string, len(s.Run))
		for i, a := range s.Run {
			quoted[i] = keyturn.Quote(a)
		}
		by := "by the command " + quote(strings.Join(quoted, " "))
		if s.Dir != "" {
			by += " in " + quote(s.Dir)
		}
		out = append(out, by)
	}
	if s.Host != "" {
		out = append(out, "on the machine "+quote(s.Host))
	}
	if s.HTTP != nil {
		out = append(out, "by the request "+quote(s.HTTP.Method+" "+s.HTTP.Host+s.HTTP.Path+" "+s.HTTP.Place))
	}
	switch {
	case s.To != "":
		out = append(out, "by writing it to "+quote(s.To))
	case s.Mount != "":
		out = append(out, "by writing it to "+quote(s.Mount))
	}
	if s.Within {
		out = append(out, "by comparing it")
	}
	if len(out) == 0 {
		return "without a command, request or mount to use it"
	}
	return strings.Join(out, ", ")
}
