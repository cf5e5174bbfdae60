package rules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/variable"
)

// Limits of a set of rules.
const (
	MaxRules   = 10_000
	MaxGroups  = 200
	maxList    = 1_000 // entries of one list of a rule, members of one group
	maxMembers = 100_000
)

// Position is where something stands in a file.
type Position struct {
	File string
	Line int
}

// String returns FILE:LINE; FILE alone without a line, "" for nowhere.
func (p Position) String() string {
	if p.Line == 0 {
		return keyturn.Clean(p.File)
	}
	return keyturn.Clean(p.File) + ":" + strconv.Itoa(p.Line)
}

// Source is a rule as a file says it: plain data, not checked yet. Its fields are
// those of config.Rule, so that the one converts to the other.
type Source struct {
	Who, May, Never, On      []string
	Run, HTTP, Mounts, Hosts []string
	In, Env                  []string
	Needs                    bool // "needs" is there
	Approvals                int
	From, Proof              string
	Output                   string
	File                     string
	Line                     int
	Text                     string // the rule in one line
}

// Group is a named list of principals and other groups, as a file says it. Its
// fields are those of config.Group.
type Group struct {
	Name    string
	Members []string
	File    string
	Line    int
}

// Rule is one rule, checked. It has either May or Never.
type Rule struct {
	Who        []string // principals
	May, Never []keyturn.Verb
	On         []Pattern

	// The sinks that use is tied to. Agents and services use nothing without one;
	// people may use any command.
	Run    []string // command templates, see Template
	HTTP   []string // see Endpoint
	Mounts []string // a value may be written to these mounts, or to what these patterns match
	// Hosts are the machines where a launcher may start a command of Run. Without
	// any it is only the machine of the broker itself.
	Hosts []string
	// In are the folders, absolute, that a command of Run may be started in; without any
	// it is every folder. Env is what passes to the command of an agent or a service of its
	// caller's variables, beside what always does: see variable.Patterns.
	In  []string
	Env variable.Patterns
	// Output is what agents and services get of the output of a command of Run; "" for the
	// default, which is not the same for both.
	Output keyturn.Output

	Needs   Needs
	Project bool // from a project's file: it can only forbid
	Where   Position
	Text    string // in one line
}

// Source returns r as plain data, for writing it to a file.
func (r Rule) Source() Source {
	s := Source{Who: r.Who, Run: r.Run, HTTP: r.HTTP, Mounts: r.Mounts, Hosts: r.Hosts, In: r.In, Env: r.Env,
		Needs: r.Needs != Needs{}, Approvals: r.Needs.Approvals, From: r.Needs.From, Proof: r.Needs.Proof, Output: string(r.Output),
		File: r.Where.File, Line: r.Where.Line, Text: r.Text}
	for _, v := range r.May {
		s.May = append(s.May, string(v))
	}
	for _, v := range r.Never {
		s.Never = append(s.Never, string(v))
	}
	for _, p := range r.On {
		s.On = append(s.On, p.String())
	}
	return s
}

// compiled is a rule and what is made of its texts.
type compiled struct {
	Rule
	who  []Principal
	run  []Template
	http []Endpoint
	to   []Pattern // those of Mounts that are patterns
}

// Parse checks a rule. It is Invalid, with file and line in the message, for
// anything that is not exactly a rule. Whether its groups exist is for New.
func Parse(s Source) (Rule, error) {
	c, err := compile(s)
	return c.Rule, err
}

func compile(s Source) (compiled, error) {
	where := Position{File: s.File, Line: s.Line}
	fail := func(err error) (compiled, error) { return compiled{}, at(where, err) }
	bad := func(why, hint string) (compiled, error) { return fail(keyturn.E(keyturn.Invalid, why, hint)) }
	for _, l := range [][]string{s.Who, s.May, s.Never, s.On, s.Run, s.HTTP, s.Mounts, s.Hosts, s.In, s.Env} {
		if len(l) > maxList {
			return bad("a list of this rule is too long", "it may have 1000 entries")
		}
	}
	switch {
	case len(s.Who) == 0:
		return bad("this rule has no 'who'", "write who: agents, or another principal")
	case len(s.On) == 0:
		return bad("this rule has no 'on'", `write on: ["MOUNT/**"], or on: ["**"] for everything`)
	case len(s.May) > 0 && len(s.Never) > 0:
		return bad("this rule has both 'may' and 'never'", "make two rules of it")
	case len(s.May) == 0 && len(s.Never) == 0:
		return bad("this rule has neither 'may' nor 'never'", "write may: [list, use] or never: [reveal]")
	}
	sinks := len(s.Run)+len(s.HTTP)+len(s.Mounts)+len(s.Hosts)+len(s.In)+len(s.Env) > 0
	if len(s.Never) > 0 && (sinks || s.Needs || s.Output != "") {
		return bad("a 'never' has no conditions", "leave run, http, mounts, hosts, in, env, output and needs out: it forbids always")
	}
	switch out := keyturn.Output(s.Output); out {
	case "", keyturn.OutputStream, keyturn.OutputEnd, keyturn.OutputStatus:
		if out != "" && len(s.Run) == 0 {
			return bad("output is about commands, but this rule has no run", `add run: ["npm test"], or leave output out`)
		}
	default:
		return bad(quote(s.Output)+" is not an output", "write output: end, status or stream")
	}
	c := compiled{Rule: Rule{Who: s.Who, Run: s.Run, HTTP: s.HTTP, Mounts: s.Mounts, Hosts: s.Hosts, In: s.In, Env: s.Env, Output: keyturn.Output(s.Output), Where: where, Text: s.Text}}
	var err error
	if c.who, err = principals(s.Who); err != nil {
		return fail(err)
	}
	if c.May, err = verbs(s.May); err != nil {
		return fail(err)
	}
	if c.Never, err = verbs(s.Never); err != nil {
		return fail(err)
	}
	if sinks && !slices.Contains(c.May, keyturn.Use) {
		return bad("run, http, mounts, hosts, in and env say where a value may be used, but this rule does not allow use", "add use to 'may', or leave them out")
	}
	if c.On, err = each(s.On, ParsePattern); err != nil {
		return fail(err)
	}
	if c.run, err = each(s.Run, ParseTemplate); err != nil {
		return fail(err)
	}
	if c.http, err = each(s.HTTP, ParseEndpoint); err != nil {
		return fail(err)
	}
	for _, m := range s.Mounts {
		mount, _, below := strings.Cut(m, "/")
		if mount == "" || !canonical(mount) {
			return bad(quote(m)+" is not the name of a mount", `write a mount, for instance mounts: [k8s], or a pattern below one, mounts: ["k8s/web/*"]`)
		}
		if below {
			p, err := ParsePattern(m)
			if err != nil {
				return fail(err)
			}
			c.to = append(c.to, p)
		}
	}
	if len(s.In)+len(s.Env) > 0 && len(s.Run) == 0 {
		return bad("in and env are about commands, but this rule has no run", `add run: ["npm test"]`)
	}
	for _, dir := range s.In {
		if !absolute(dir) || !clean(dir) {
			return bad(quote(dir)+" is not the path of a folder", "write the whole path, without links and without a / at its end, as 'pwd -P' tells it")
		}
	}
	for _, e := range s.Env {
		if err := variable.Check(e); err != nil {
			return fail(err)
		}
	}
	for _, h := range s.Hosts {
		if why, hint := checkHost(h); why != "" || strings.Contains(h, ":") {
			return bad(quote(h)+" is not the name of a machine", strings.TrimSpace("write it in lower case, without a port. "+hint))
		}
	}
	if c.Needs, err = parseNeeds(s); err != nil {
		return fail(err)
	}
	return c, nil
}

func parseNeeds(s Source) (Needs, error) {
	if !s.Needs {
		return Needs{}, nil
	}
	if s.Approvals < 1 || s.Approvals > 100 {
		return Needs{}, keyturn.E(keyturn.Invalid, "'needs' asks for no number of approvals", "write needs: {approvals: 1}; up to 100")
	}
	if s.Proof != "" && !slices.Contains(Proofs(), s.Proof) {
		return Needs{}, keyturn.E(keyturn.Invalid, quote(s.Proof)+" is not a proof", "known are "+strings.Join(Proofs(), ", "))
	}
	if s.From != "" {
		p, err := ParsePrincipal(s.From)
		if err != nil {
			return Needs{}, err
		}
		if p.OnPlatform() || p.machine() {
			return Needs{}, keyturn.E(keyturn.Invalid, quote(s.From)+" cannot approve", "approvals come from people: write user:NAME, oidc:group:NAME, everyone, or a group of them")
		}
	}
	return Needs{Approvals: s.Approvals, From: s.From, Proof: s.Proof}, nil
}

func principals(list []string) ([]Principal, error) {
	return each(list, func(s string) (Principal, error) {
		p, err := ParsePrincipal(s)
		if err == nil && p.OnPlatform() {
			err = keyturn.E(keyturn.Invalid, quote(s)+" is known to its platform only", "rules are about who calls keyturn: user:, agent:, service:, oidc:; what it may do on the platform is a policy there")
		}
		return p, err
	})
}

func verbs(list []string) ([]keyturn.Verb, error) {
	return each(list, func(s string) (keyturn.Verb, error) {
		v := keyturn.Verb(s)
		if v.Valid() {
			return v, nil
		}
		var known []string
		for _, v := range keyturn.Verbs() {
			known = append(known, string(v))
		}
		hint := "known are " + strings.Join(known, ", ")
		if near := keyturn.Nearest(s, slices.Values(known)); near != "" {
			hint = "did you mean '" + near + "'?"
		}
		return "", keyturn.E(keyturn.Invalid, quote(s)+" is not a verb", hint)
	})
}

// each parses every text; nil for none.
func each[T any](list []string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	for _, s := range list {
		v, err := parse(s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// quote returns text of a file or a caller as messages show it: clean, cut where it
// is long, in single quotes.
func quote(s string) string {
	const most = 80
	if r := []rune(s[:min(len(s), 8*most)]); len(r) > most || len(s) > 8*most {
		s = string(r[:min(len(r), most)]) + "…"
	}
	return "'" + keyturn.Clean(s) + "'"
}

// at puts a position before an error's message.
func at(where Position, err error) error {
	e := *keyturn.AsError(err)
	if w := where.String(); w != "" {
		e.Message = w + ": " + e.Message
	}
	return &e
}
