package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

var (
	anna  = keyturn.Actor{Kind: keyturn.Person, Name: "anna"}
	bob   = keyturn.Actor{Kind: keyturn.Person, Name: "bob", Also: []string{"oidc:group:platform-sre"}}
	coder = keyturn.Actor{Kind: keyturn.Agent, Name: "coder", For: "anna"}
	ci    = keyturn.Actor{Kind: keyturn.ServiceKind, Name: "ci"}
)

// theExample is the operator's file of docs, rule by rule.
func theExample(t testing.TB) *Set {
	t.Helper()
	f := func(line int, s Source) Source {
		s.File, s.Line, s.Text = "keyturn.yaml", line, fmt.Sprintf("{rule of line %d}", line)
		return s
	}
	s, err := New(Input{
		Groups: []Group{{Name: "sre", Members: []string{"oidc:group:platform-sre", "user:anna"}, File: "keyturn.yaml", Line: 6}},
		Rules: []Source{
			f(8, Source{Who: []string{"agents"}, May: []string{"list", "use"}, On: []string{"local/myapp/**"}, Run: []string{"npm test", "npm run *"}}),
			f(9, Source{Who: []string{"agents"}, May: []string{"write", "rotate"}, On: []string{"vault/secret/myapp/**"}, Needs: true, Approvals: 1, From: "sre"}),
			f(10, Source{Who: []string{"agent:coder"}, May: []string{"use"}, On: []string{"prod/github/token"}, HTTP: []string{"POST api.github.com/repos/acme/** header:Authorization"}}),
			f(11, Source{Who: []string{"everyone"}, Never: []string{"reveal"}, On: []string{"prod/**"}}),
			f(12, Source{Who: []string{"service:ci"}, May: []string{"use"}, On: []string{"local/ci/*"}, Run: []string{"make **"}, Hosts: []string{"runner-1"}}),
			f(13, Source{Who: []string{"services"}, May: []string{"use"}, On: []string{"local/ci/*"}, Mounts: []string{"k8s"}}),
			f(14, Source{Who: []string{"user:anna"}, May: []string{"use"}, On: []string{"vault/**"}, Run: []string{"psql"}}),
			f(15, Source{Who: []string{"user:anna"}, May: []string{"use"}, On: []string{"aws/**"}, Hosts: []string{"bastion"}}),
			f(16, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"nosink/**"}}),
			f(17, Source{Who: []string{"everyone"}, May: []string{"approve", "list", "reveal"}, On: []string{"**"}}),
		},
		Project: []Source{{Who: []string{"agents"}, Never: []string{"use", "list"}, On: []string{"local/myapp/root"}, File: "p/keyturn.yaml", Line: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDecide(t *testing.T) {
	s := theExample(t)
	run := func(argv ...string) Sink { return Sink{Run: argv} }
	post := HTTPRequest{"POST", "api.github.com", "/repos/acme/x", "header:Authorization"}
	for _, c := range []struct {
		what   string
		q      Request
		effect Effect
		where  string
	}{
		{"an allowed command", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/db", Sink: run("npm", "test")}, Allow, "keyturn.yaml:8"},
		{"another command", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/db", Sink: run("sh", "-c", "env")}, Deny, "default"},
		{"no sink", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/db"}, Deny, "default"},
		{"two sinks", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/db", Sink: Sink{Run: []string{"npm", "test"}, Mount: "k8s"}}, Deny, "default"},
		{"another machine", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/db", Sink: Sink{Run: []string{"npm", "test"}, Host: "evil"}}, Deny, "default"},
		{"a project's never", Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/root", Sink: run("npm", "test")}, Deny, "p/keyturn.yaml:2"},
		{"another secret", Request{Actor: coder, Verb: keyturn.Use, Path: "local/other", Sink: run("npm", "test")}, Deny, "default"},
		{"another verb", Request{Actor: coder, Verb: keyturn.Write, Path: "local/myapp/db"}, Deny, "default"},
		{"after approval", Request{Actor: coder, Verb: keyturn.Write, Path: "vault/secret/myapp/db"}, Approve, "keyturn.yaml:9"},
		{"an http request", Request{Actor: coder, Verb: keyturn.Use, Path: "prod/github/token", Sink: Sink{HTTP: &post}}, Allow, "keyturn.yaml:10"},
		{"of another agent", Request{Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "other"}, Verb: keyturn.Use, Path: "prod/github/token", Sink: Sink{HTTP: &post}}, Deny, "default"},
		{"never wins over default", Request{Actor: anna, Verb: keyturn.Reveal, Path: "prod/db"}, Deny, "keyturn.yaml:11"},
		{"never wins over may", Request{Actor: coder, Verb: keyturn.Reveal, Path: "prod/db"}, Deny, "keyturn.yaml:11"},
		{"a launcher's machine", Request{Actor: ci, Verb: keyturn.Use, Path: "local/ci/x", Sink: Sink{Run: []string{"make"}, Host: "runner-1"}, Remote: true}, Allow, "keyturn.yaml:12"},
		{"the broker's machine, not named", Request{Actor: ci, Verb: keyturn.Use, Path: "local/ci/x", Sink: run("make")}, Deny, "default"},
		{"another mount", Request{Actor: ci, Verb: keyturn.Use, Path: "local/ci/x", Sink: Sink{Mount: "k8s"}}, Allow, "keyturn.yaml:13"},
		{"a mount that is not named", Request{Actor: ci, Verb: keyturn.Use, Path: "local/ci/x", Sink: Sink{Mount: "prod"}}, Deny, "default"},
		{"a person's command over a server", Request{Actor: anna, Verb: keyturn.Use, Path: "vault/x/y", Sink: run("anything"), Remote: true}, Allow, "keyturn.yaml:14"},
		{"a person's machine over a server", Request{Actor: anna, Verb: keyturn.Use, Path: "aws/x", Sink: Sink{Host: "laptop"}, Remote: true}, Deny, "default"},
		{"a person's named machine", Request{Actor: anna, Verb: keyturn.Use, Path: "aws/x", Sink: Sink{Host: "bastion"}, Remote: true}, Allow, "keyturn.yaml:15"},
		{"a person at home", Request{Actor: anna, Verb: keyturn.Destroy, Path: "local/x"}, Allow, "default"},
		{"a person over a server", Request{Actor: anna, Verb: keyturn.Destroy, Path: "local/x", Remote: true}, Deny, "default"},
		{"use without any sink in the rule", Request{Actor: coder, Verb: keyturn.Use, Path: "nosink/x", Sink: run("a")}, Deny, "default"},
		{"an agent approves", Request{Actor: coder, Verb: keyturn.Approve, Path: "local/x"}, Deny, "built in"},
		{"a service approves", Request{Actor: ci, Verb: keyturn.Approve, Path: ""}, Deny, "built in"},
		{"a person approves", Request{Actor: bob, Verb: keyturn.Approve, Path: "local/x", Remote: true}, Allow, "keyturn.yaml:17"},
		{"no path", Request{Actor: coder, Verb: keyturn.List}, Allow, "keyturn.yaml:17"},
		{"no path, no rule", Request{Actor: coder, Verb: keyturn.Administer}, Deny, "default"},
		{"nobody", Request{Verb: keyturn.List, Path: "local/x"}, Deny, "built in"},
		{"no name", Request{Actor: keyturn.Actor{Kind: keyturn.Person}, Verb: keyturn.List, Path: "local/x"}, Deny, "built in"},
		{"no known kind", Request{Actor: keyturn.Actor{Kind: "robot", Name: "x"}, Verb: keyturn.List, Path: "local/x"}, Deny, "built in"},
		{"no verb", Request{Actor: anna, Path: "local/x"}, Deny, "built in"},
		{"an unknown verb", Request{Actor: anna, Verb: "Reveal", Path: "local/x"}, Deny, "built in"},
	} {
		d := s.Decide(c.q)
		if d.Effect != c.effect || d.Where() != c.where || d.Why == "" {
			t.Errorf("%s: %v at %s (%s), want %v at %s", c.what, d.Effect, d.Where(), d.Why, c.effect, c.where)
		}
		if d.Never != (d.Where() == "built in" || d.Rule != nil && len(d.Rule.Never) > 0) {
			t.Errorf("%s: never is %v", c.what, d.Never)
		}
		lines := s.Explain(c.q)
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, d.Effect.String()+": ") {
			t.Errorf("%s: explained as %q", c.what, lines)
		}
	}
	// Every second spelling of a forbidden name is refused, and not taken for another.
	for _, p := range []string{"kt://prod/db", "prod//db", "prod/db/", "/prod/db", "prod/./db", "prod/x/../db", "Prod/db", "prod/%64b", "prod/db#f", "prod/db?version=1", "prod/*", "**", " prod/db", "prod/", "prod/d b"} {
		if d := s.Decide(Request{Actor: anna, Verb: keyturn.Reveal, Path: p}); d.Effect != Deny || !d.Never {
			t.Errorf("%q: %v, %s", p, d.Effect, d.Why)
		}
	}
	var none *Set
	if none.Decide(Request{Actor: anna, Verb: keyturn.List, Path: "local/x"}).Effect != Deny || none.MayAny(anna, "local", false) || none.Matches(anna, Everyone) {
		t.Error("a nil set allows something")
	}
	if (Decision{}).Effect != Deny || new(Set).Decide(Request{Actor: anna, Verb: keyturn.List, Path: "local/x"}).Effect != Allow {
		t.Error("zero values")
	}
}

func TestWho(t *testing.T) {
	s := theExample(t)
	sly := keyturn.Actor{Kind: keyturn.Agent, Name: "sly", Also: []string{"user:anna", "everyone", "services", "sre", "vault:approle/x", "oidc:email:a"}}
	for _, c := range []struct {
		actor keyturn.Actor
		is    []string
		not   []string
	}{
		{anna, []string{"user:anna", "everyone", "sre"}, []string{"agents", "services", "agent:anna", "user:Anna", "oidc:group:platform-sre", "", "nope"}},
		{bob, []string{"user:bob", "everyone", "sre", "oidc:group:platform-sre"}, []string{"agents", "user:anna"}},
		{coder, []string{"agents", "agent:coder", "everyone"}, []string{"user:coder", "user:anna", "sre", "services"}},
		{ci, []string{"services", "service:ci", "everyone"}, []string{"agents"}},
		{sly, []string{"agents", "agent:sly", "everyone"}, []string{"user:anna", "services", "sre", "vault:approle/x", "oidc:email:a"}},
		{keyturn.Actor{}, nil, []string{"everyone", "user:", "", "agents"}},
	} {
		for _, p := range c.is {
			if !s.Matches(c.actor, p) {
				t.Errorf("%v is not %s", c.actor, p)
			}
		}
		for _, p := range c.not {
			if s.Matches(c.actor, p) {
				t.Errorf("%v is %s", c.actor, p)
			}
		}
	}
	sre := Needs{Approvals: 1, From: "sre"}
	if !s.MayApprove(anna, sre) || !s.MayApprove(bob, sre) || s.MayApprove(keyturn.Actor{Kind: keyturn.Person, Name: "eve"}, sre) ||
		!s.MayApprove(keyturn.Actor{Kind: keyturn.Person, Name: "eve"}, Needs{Approvals: 1}) || s.MayApprove(coder, Needs{Approvals: 1}) || s.MayApprove(keyturn.Actor{Kind: keyturn.Person}, Needs{}) {
		t.Error("MayApprove")
	}
	strong, any := Needs{Proof: "passkey"}, Needs{}
	if strong.Accepts("passphrase") || strong.Accepts("ssh") || !strong.Accepts("passkey") || strong.Accepts("") || any.Accepts("") || any.Accepts("x") || !any.Accepts("passphrase") {
		t.Error("Accepts")
	}
}

// What MayAll says of a prefix holds for every name at and below it; what it denies may
// still be so.
func TestMayAll(t *testing.T) {
	t.Parallel()
	set, err := New(Input{Rules: []Source{
		{Who: []string{"agents"}, May: []string{"list"}, On: []string{"local/myapp/**", "*/shared/**", "vault/**"}},
		{Who: []string{"agents"}, May: []string{"describe"}, On: []string{"local/**"}},
		{Who: []string{"agents"}, Never: []string{"list"}, On: []string{"vault/prod/*"}},
		{Who: []string{"everyone"}, May: []string{"list"}, On: []string{"vault/asked/**"}, Needs: true, Approvals: 1},
		{Who: []string{"user:bob"}, May: []string{"list"}, On: []string{"azure/**"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s      *Set
		actor  keyturn.Actor
		below  string
		remote bool
		want   bool
	}{
		{set, coder, "local/myapp", false, true}, {set, coder, "local/myapp/x/y", false, true}, {set, coder, "local", false, false}, {set, coder, "local/my", false, false},
		{set, coder, "azure/shared/x", false, true}, {set, coder, "azure", false, false}, {set, coder, "vault", false, false}, {set, coder, "vault/prod", false, false},
		{set, coder, "vault/prod/x/y", false, true}, {set, coder, "vault/dev", false, true}, {set, coder, "vault/asked/x", false, false}, {set, coder, "vault/", false, false},
		{set, anna, "vault/prod", false, true}, {set, anna, "vault", false, false}, {set, anna, "vault/dev", true, false}, {set, anna, "azure", false, true}, {set, keyturn.Actor{}, "azure", false, false},
		{nil, anna, "azure", false, false}, {set, anna, "", false, false},
	} {
		if got := c.s.MayAll(c.actor, keyturn.List, c.below, c.remote); got != c.want {
			t.Errorf("%s below %q, remote %v: %v", c.actor.Principal(), c.below, c.remote, got)
		}
		for _, name := range []string{"", "/x", "/x/y", "/prod/x", "/asked/x", "/shared/x", "/myapp/x", "/a/b/c/d"} {
			path := c.below + name
			d := c.s.Decide(Request{Actor: c.actor, Verb: keyturn.List, Path: path, Remote: c.remote})
			if c.want && d.Effect != Allow {
				t.Errorf("%s may list all below %q, but not %q", c.actor.Principal(), c.below, path)
			}
		}
	}
}

func TestMayAny(t *testing.T) {
	s := theExample(t)
	quiet, err := New(Input{Rules: []Source{
		{Who: []string{"agents"}, May: []string{"list"}, On: []string{"local/myapp/**", "*/shared"}},
		{Who: []string{"agents"}, May: []string{"use"}, On: []string{"nosink/**"}},
		{Who: []string{"agents"}, May: []string{"write"}, On: []string{"vault/**"}},
		{Who: []string{"everyone"}, Never: []string{"list", "describe", "use"}, On: []string{"prod/**"}},
		{Who: []string{"everyone"}, Never: []string{"list", "describe"}, On: []string{"half/**"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s      *Set
		actor  keyturn.Actor
		below  string
		remote bool
		want   bool
	}{
		{quiet, coder, "local", false, true}, {quiet, coder, "local/myapp/x", false, true}, {quiet, coder, "local/other/x", false, false}, {quiet, coder, "vault", false, true},
		{quiet, coder, "vault/x/y", false, false}, {quiet, coder, "nosink", false, true} /* by */, {quiet, coder, "nosink/x/y", false, false}, {quiet, coder, "prod", false, false},
		{quiet, anna, "prod", false, false}, {quiet, anna, "prod/x", false, false}, {quiet, anna, "half", false, true}, {quiet, coder, "half/x/y", false, false}, {quiet, anna, "vault", true, false},
		{quiet, anna, "vault", false, true}, {quiet, keyturn.Actor{}, "vault", false, false}, {quiet, anna, "", false, false}, {quiet, anna, "vault/", false, false},
		{s, coder, "prod", true, true},
	} {
		if got := c.s.MayAny(c.actor, c.below, c.remote); got != c.want {
			t.Errorf("%s below %q, remote %v: %v", c.actor.Principal(), c.below, c.remote, got)
		}
	}
}

func TestExplain(t *testing.T) {
	s := theExample(t)
	got := s.Explain(Request{Actor: coder, Verb: keyturn.Use, Path: "local/myapp/root", Sink: Sink{Run: []string{"rm", "a b"}}})
	want := []string{
		"agent:coder asks to 'use' 'local/myapp/root' by the command 'rm 'a b''",
		"  keyturn.yaml:8: allows, but not there: {rule of line 8}",
		"  p/keyturn.yaml:2: forbids, and decides",
		"deny: a rule forbids it, at p/keyturn.yaml:2",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = s.Explain(Request{Actor: anna, Verb: keyturn.Write, Path: "local/x"})
	want = []string{"user:anna asks to 'write' 'local/x'", "  no rule speaks of that", "allow: people may do everything on their own machine (default)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, line := range s.Explain(Request{Actor: keyturn.Actor{Kind: keyturn.Agent, Name: "x\n\u202e"}, Verb: "u\x1b", Path: "\x1b[2J"}) {
		if keyturn.Clean(line) != line {
			t.Errorf("unclean: %q", line)
		}
	}
}

// The most approvals win, whatever the order of the rules.
func TestMostApprovals(t *testing.T) {
	rule := func(n int, from, proof string) Source {
		return Source{Who: []string{"agents"}, May: []string{"write"}, On: []string{"**"}, Needs: n > 0, Approvals: n, From: from, Proof: proof}
	}
	all := []Source{rule(0, "", ""), rule(2, "", ""), rule(2, "user:anna", ""), rule(2, "", "passkey"), rule(1, "user:anna", "passkey"), rule(2, "", "passphrase")}
	rapid.Check(t, func(t *rapid.T) {
		s, err := New(Input{Rules: rapid.Permutation(all).Draw(t, "rules")})
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Decide(Request{Actor: coder, Verb: keyturn.Write, Path: "a/b"}); d.Effect != Approve || d.Needs != (Needs{Approvals: 2, Proof: "passkey"}) {
			t.Fatalf("%v", d)
		}
	})
}

// reference is P4's second opinion: it reads sources, spreads everything out and
// looks for one reason after the other, without any of the package's own parts.
func reference(rules []Source, groups map[string][]string, q Request) (Effect, int) {
	is := func(p string) bool {
		own := map[keyturn.ActorKind][2]string{keyturn.Person: {"user:", "people"}, keyturn.Agent: {"agent:", "agents"}, keyturn.ServiceKind: {"service:", "services"}}[q.Actor.Kind]
		return p == "everyone" || p == own[1] || p == own[0]+q.Actor.Name || strings.HasPrefix(p, "oidc:") && slices.Contains(q.Actor.Also, p)
	}
	var member func(p string) bool
	member = func(p string) bool {
		for _, m := range groups[p] {
			if member(m) {
				return true
			}
		}
		return groups[p] == nil && is(p)
	}
	if q.Actor.Name == "" || q.Actor.Kind == "" || q.Verb == keyturn.Approve && q.Actor.Kind != keyturn.Person {
		return Deny, 0
	}
	most := -1
	for _, r := range rules {
		hit := false
		for _, w := range r.Who {
			for _, o := range r.On {
				var path []string
				if q.Path != "" {
					path = strings.Split(q.Path, "/")
				}
				hit = hit || member(w) && naive(strings.Split(o, "/"), path)
			}
		}
		if hit && strings.Contains(" "+strings.Join(r.Never, " ")+" ", " "+string(q.Verb)+" ") {
			return Deny, 0
		}
		if !hit || !strings.Contains(" "+strings.Join(r.May, " ")+" ", " "+string(q.Verb)+" ") {
			continue
		}
		if q.Verb == keyturn.Use && q.Actor.Kind != keyturn.Person {
			fits := q.Sink.Mount != "" && slices.Contains(r.Mounts, q.Sink.Mount) && q.Sink.Run == nil
			for _, m := range r.Mounts {
				fits = fits || q.Sink.Run == nil && q.Sink.To != "" && strings.Contains(m, "/") && naive(strings.Split(m, "/"), strings.Split(q.Sink.To, "/"))
			}
			fits = fits || q.Sink.Within && len(r.Run)+len(r.HTTP)+len(r.Mounts) > 0
			if q.Sink.Run != nil && q.Sink.Mount == "" && slices.Contains(r.Run, strings.Join(q.Sink.Run, " ")) {
				fits = r.Hosts == nil && q.Sink.Host == "" || r.Hosts != nil && q.Sink.Host == r.Hosts[0]
			}
			if !fits {
				continue
			}
		}
		if q.Verb == keyturn.Use && q.Actor.Kind == keyturn.Person && q.Remote && r.Hosts != nil && q.Sink.Host != r.Hosts[0] {
			continue
		}
		most = max(most, r.Approvals)
	}
	switch {
	case most > 0:
		return Approve, most
	case most == 0 || q.Actor.Kind == keyturn.Person && !q.Remote:
		return Allow, 0
	}
	return Deny, 0
}

func TestDecideAgainstReference(t *testing.T) {
	groups := map[string][]string{"sre": {"user:a", "oidc:group:x"}, "bots": {"agent:a", "service:b"}, "both": {"sre", "bots"}}
	var plain []Group
	for name, members := range groups {
		plain = append(plain, Group{Name: name, Members: members})
	}
	who := []string{"everyone", "agents", "services", "user:a", "user:b", "agent:a", "agent:b", "service:b", "oidc:group:x", "oidc:sub:y", "sre", "bots", "both"}
	verbs := []string{"list", "use", "reveal", "approve"}
	some := func(list []string, most int) *rapid.Generator[[]string] {
		return rapid.SliceOfN(rapid.SampledFrom(list), 1, most)
	}
	drawRule := rapid.Custom(func(t *rapid.T) Source {
		s := Source{Who: some(who, 2).Draw(t, "who"), On: rapid.SliceOfN(drawPattern, 1, 2).Draw(t, "on")}
		verb := some(verbs, 2).Draw(t, "verbs")
		if rapid.IntRange(0, 4).Draw(t, "never") == 0 {
			s.Never = verb
			return s
		}
		s.May = verb
		if n := rapid.IntRange(0, 3).Draw(t, "approvals"); n > 0 {
			s.Needs, s.Approvals = true, n
		}
		if slices.Contains(verb, "use") {
			if rapid.Bool().Draw(t, "run") {
				s.Run = some([]string{"x", "x y", "z"}, 2).Draw(t, "commands")
			}
			if rapid.Bool().Draw(t, "to") {
				s.Mounts = some([]string{"a", "b", "a/x/*", "b/**"}, 2).Draw(t, "mounts")
			}
			if rapid.IntRange(0, 3).Draw(t, "at") == 0 {
				s.Hosts = []string{"h1"}
			}
		}
		return s
	})
	var seen [3]int
	warned := 0
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(drawRule, 0, 6).Draw(t, "rules")
		for i := range rules {
			rules[i].Line = i + 1
		}
		s, err := New(Input{Rules: rules, Groups: plain})
		if err != nil {
			t.Fatal(err)
		}
		dead := map[int]bool{}
		for _, w := range s.Lint(nil) {
			if strings.Contains(w.Message, "never allows anything") {
				dead[w.Where.Line], warned = true, warned+1
			}
		}
		for range 20 {
			q := Request{
				Actor: keyturn.Actor{Kind: rapid.SampledFrom([]keyturn.ActorKind{keyturn.Person, keyturn.Agent, keyturn.ServiceKind, keyturn.Person, keyturn.Agent, ""}).Draw(t, "kind"),
					Name: rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "name"), Also: rapid.SampledFrom([][]string{nil, nil, {"oidc:group:x"}, {"oidc:sub:y", "user:a", "sre"}}).Draw(t, "also")},
				Verb: keyturn.Verb(rapid.SampledFrom(verbs).Draw(t, "verb")), Path: drawPath.Draw(t, "path"), Remote: rapid.Bool().Draw(t, "remote"),
				Sink: rapid.SampledFrom([]Sink{{}, {Run: []string{"x"}}, {Run: []string{"x", "y"}}, {Run: []string{"x"}, Host: "h1"}, {Run: []string{"x"}, Host: "h2"}, {Mount: "a"}, {Mount: "a", To: "a/x/y"}, {Mount: "b", To: "b/z"}, {Within: true}, {Run: []string{"x"}, Mount: "a"}}).Draw(t, "sink"),
			}
			want, n := reference(rules, groups, q)
			d := s.Decide(q)
			if d.Effect != want || want == Approve && d.Needs.Approvals != n {
				t.Fatalf("%+v\nof %+v:\n%v %+v, want %v %d", rules, q, d.Effect, d.Needs, want, n)
			}
			if d.Rule != nil && d.Effect != Deny && dead[d.Rule.Where.Line] {
				t.Fatalf("%+v is decided by %+v, of which Lint says that it never allows anything", q, d.Rule)
			}
			seen[want]++
			// MayAny must not hide what is allowed.
			if want != Deny && (q.Verb == keyturn.List || q.Verb == keyturn.Use) && q.Path != "" {
				for i := range strings.Split(q.Path, "/") {
					if below := strings.Join(strings.Split(q.Path, "/")[:i+1], "/"); !s.MayAny(q.Actor, below, q.Remote) {
						t.Fatalf("%+v\n%+v is %v, but nothing may be below %q", rules, q, want, below)
					}
				}
			}
		}
	})
	if slices.Contains(seen[:], 0) {
		t.Errorf("an effect was never seen: %v", seen)
	}
	t.Logf("deny, allow, approve: %v; dead rules: %d", seen, warned)
}

// An agent that shows the marks of several is forbidden what any of them is, and
// allowed what the one is that it counts as.
func TestAgentOfSeveralMarks(t *testing.T) {
	s, err := New(Input{
		Groups: []Group{{Name: "banned", Members: []string{"agent:codex"}, File: "k.yaml", Line: 1}},
		Rules: []Source{
			{Who: []string{"agents"}, May: []string{"list"}, On: []string{"local/**"}, File: "k.yaml", Line: 2},
			{Who: []string{"agent:claude-code"}, Never: []string{"list"}, On: []string{"local/a"}, File: "k.yaml", Line: 3},
			{Who: []string{"banned"}, Never: []string{"list"}, On: []string{"local/b"}, File: "k.yaml", Line: 4},
			{Who: []string{"agent:claude-code"}, May: []string{"describe"}, On: []string{"local/c"}, File: "k.yaml", Line: 5},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	one := keyturn.Actor{Kind: keyturn.Agent, Name: "cowork"}
	several := one
	several.Also = []string{"agent:claude-code", "agent:codex", "user:anna", "everyone"}
	for path, want := range map[string][2]Effect{"local/a": {Allow, Deny}, "local/b": {Allow, Deny}, "local/c": {Allow, Allow}} {
		for i, actor := range []keyturn.Actor{one, several} {
			if d := s.Decide(Request{Actor: actor, Verb: keyturn.List, Path: path}); d.Effect != want[i] || d.Never != (want[i] == Deny) {
				t.Errorf("%s lists %s: %+v", actor.Name, path, d)
			}
			if d := s.Decide(Request{Actor: actor, Verb: keyturn.Describe, Path: path}); d.Effect != Deny || d.Never {
				t.Errorf("%s describes %s: %+v", actor.Name, path, d)
			}
		}
	}
	// Nobody but an agent is any other by what is in Also.
	person := keyturn.Actor{Kind: keyturn.Person, Name: "anna", Also: []string{"agent:claude-code"}}
	if d := s.Decide(Request{Actor: person, Verb: keyturn.List, Path: "local/a"}); d.Effect != Allow {
		t.Errorf("a person: %+v", d)
	}
}
