package rules

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
)

func TestRuleErrors(t *testing.T) {
	ok := func() Source {
		return Source{Who: []string{"agents"}, May: []string{"list", "use"}, On: []string{"local/**"}, Run: []string{"npm test"}, File: "k.yaml", Line: 7}
	}
	never := func(s *Source) { s.May, s.Never, s.Run = nil, []string{"reveal"}, nil }
	if _, err := Parse(ok()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change  func(*Source)
		message string
		hint    string
	}{
		{func(s *Source) { s.Who = nil }, "no 'who'", "who: agents"},
		{func(s *Source) { s.On = nil }, "no 'on'", "**"},
		{func(s *Source) { s.May = nil }, "neither 'may' nor 'never'", ""},
		{func(s *Source) { s.Never = []string{"reveal"} }, "both 'may' and 'never'", "two rules"},
		{func(s *Source) { never(s); s.Run = []string{"x"} }, "no conditions", ""},
		{func(s *Source) { never(s); s.HTTP = []string{"x"} }, "no conditions", ""},
		{func(s *Source) { never(s); s.Needs = true; s.Approvals = 1 }, "no conditions", ""},
		{func(s *Source) { s.Who = []string{"agents", "vault:approle/x"} }, "known to its platform only", "policy"},
		{func(s *Source) { s.Who = []string{"usr:x"} }, "unknown kind", "user:"},
		{func(s *Source) { s.May = []string{"use", "raed"} }, "'raed' is not a verb", ""},
		{func(s *Source) { s.May = []string{"use", "revael"} }, "'revael' is not a verb", "reveal"},
		{func(s *Source) { s.May = []string{"*"} }, "is not a verb", "list, describe"},
		{func(s *Source) { s.May = []string{"list"} }, "does not allow use", "add use"},
		{func(s *Source) { s.On = []string{"local/a*"} }, "is not a pattern", "%2A"},
		{func(s *Source) { s.Run = []string{"npm test; rm"} }, "is not a command template", "quotes"},
		{func(s *Source) { s.HTTP = []string{"POST x"} }, "is not an http sink", "METHOD"},
		{func(s *Source) { s.Mounts = []string{"K8s"} }, "not the name of a mount", ""},
		{func(s *Source) { s.Mounts = []string{"*/x"} }, "not the name of a mount", ""},
		{func(s *Source) { s.Mounts = []string{"/x"} }, "not the name of a mount", ""},
		{func(s *Source) { s.Mounts = []string{"k8s/"} }, "ends in a slash", ""},
		{func(s *Source) { s.Mounts = []string{"k8s/a*"} }, "stands for a whole segment", ""},
		{func(s *Source) { s.Hosts = []string{"ci:22"} }, "not the name of a machine", "port"},
		{func(s *Source) { s.Hosts = []string{"*"} }, "not the name of a machine", ""},
		{func(s *Source) { s.Needs = true }, "no number of approvals", "approvals: 1"},
		{func(s *Source) { s.Needs, s.Approvals = true, -1 }, "no number of approvals", ""},
		{func(s *Source) { s.Needs, s.Approvals, s.Proof = true, 1, "face" }, "'face' is not a proof", "passkey"},
		{func(s *Source) { s.Needs, s.Approvals, s.From = true, 1, "agents" }, "cannot approve", "people"},
		{func(s *Source) { s.Needs, s.Approvals, s.From = true, 1, "service:x" }, "cannot approve", ""},
		{func(s *Source) { s.Needs, s.Approvals, s.From = true, 1, "sr" }, "no group is called 'sr'", "sre"},
		{func(s *Source) { s.Needs, s.Approvals, s.From = true, 1, "bots" }, "nobody in it is a person", ""},
		{func(s *Source) { s.Who = []string{"agenst"} }, "no group is called 'agenst'", "agents"},
		{func(s *Source) { s.Run = make([]string, 2000) }, "too long", "1000"},
		{func(s *Source) { s.Output = "none" }, "'none' is not an output", "end, status or stream"},
		{func(s *Source) { s.Output = "lines" }, "'lines' is not an output", ""}, // of a kind of caller, and of no rule
		{func(s *Source) { s.Output = "End" }, "'End' is not an output", ""},
		{func(s *Source) { s.Output, s.Run, s.Mounts = "end", nil, []string{"k8s"} }, "this rule has no run", "leave output out"},
		{func(s *Source) { never(s); s.Output = "status" }, "no conditions", "output"},
	} {
		s := ok()
		c.change(&s)
		_, err := New(Input{Rules: []Source{s}, Groups: []Group{{Name: "sre", Members: []string{"user:a"}}, {Name: "bots", Members: []string{"agent:a"}}}})
		e := wantInvalid(t, c.message, err)
		if !strings.HasPrefix(e.Message, "k.yaml:7: ") || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("got %q, hint %q; want %q, hint %q", e.Message, e.Hint, c.message, c.hint)
		}
	}
	if _, err := New(Input{Rules: make([]Source, MaxRules+1)}); err == nil {
		t.Error("too many rules are taken")
	}
	_, err := New(Input{Project: []Source{ok()}})
	if e := wantInvalid(t, "project", err); !strings.Contains(e.Message, "cannot allow anything") {
		t.Error(e.Message)
	}
}

func TestGroupErrors(t *testing.T) {
	g := func(name string, members ...string) Group { return Group{name, members, "k.yaml", 3} }
	var deep []Group
	for i := range 150 {
		deep = append(deep, g("g"+strconv.Itoa(i), "g"+strconv.Itoa(i+1), "user:a"))
	}
	for _, c := range []struct {
		groups  []Group
		message string
	}{
		{[]Group{g("sre")}, "is empty"},
		{[]Group{g("Sre", "user:a")}, "cannot be the name"},
		{[]Group{g("agents", "user:a")}, "cannot be the name"},
		{[]Group{g("people", "user:a")}, "cannot be the name"},
		{[]Group{g("user:a", "user:a")}, "cannot be the name"},
		{[]Group{g("sre", "user:a"), g("sre", "user:b")}, "there twice"},
		{[]Group{g("sre", "usr:a")}, "unknown kind"},
		{[]Group{g("sre", "k8s:sa/a/b")}, "known to its platform"},
		{[]Group{g("sre", "dab"), g("dba", "user:a")}, "no group is called 'dab'"},
		{[]Group{g("sre", "sre")}, "holds itself"},
		{[]Group{g("a", "b"), g("b", "c"), g("c", "a", "user:x")}, "holds itself"},
		{[]Group{g("x", "user:a"), g("a", "b"), g("b", "b")}, "holds itself"},
		{append(deep, g("g150", "g0")), "holds itself"},
	} {
		_, err := New(Input{Groups: c.groups})
		e := wantInvalid(t, c.message, err)
		if !strings.HasPrefix(e.Message, "k.yaml:3: ") || !strings.Contains(e.Message, c.message) {
			t.Errorf("got %q, want %q", e.Message, c.message)
		}
	}
	s, err := New(Input{Groups: append(deep, g("g150", "agent:z"))})
	if err != nil || !s.Matches(keyturn.Actor{Kind: keyturn.Agent, Name: "z"}, "g0") {
		t.Errorf("nested: %v", err)
	}
}

func TestSourceRoundTrip(t *testing.T) {
	src := Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/a%2Ab/**"}, Run: []string{"npm run *"}, HTTP: []string{"GET h/** header:A"},
		Mounts: []string{"k8s"}, Hosts: []string{"ci"}, Output: "status", Needs: true, Approvals: 2, From: "user:a", Proof: "ssh", File: "f", Line: 2, Text: "t"}
	r, err := Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(src, r.Source()); d != "" {
		t.Error(d)
	}
	// The rule that 'approve --remember' makes.
	made := Rule{Who: []string{"agent:coder"}, May: []keyturn.Verb{keyturn.Use}, On: []Pattern{Literal("local/my%20app/a*b")}, Run: []string{TemplateOf([]string{"sh", "-c", "echo '*' $X"})}}
	if _, err := Parse(made.Source()); err != nil {
		t.Error(err)
	}
}

func TestLint(t *testing.T) {
	rule := func(line int, s Source) Source { s.File, s.Line = "k.yaml", line; return s }
	s, err := New(Input{
		Groups: []Group{{Name: "sre", Members: []string{"user:a", "user:b"}}, {Name: "bots", Members: []string{"agent:x"}}, {Name: "wide", Members: []string{"oidc:group:x"}}},
		Rules: []Source{
			rule(1, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}}),
			rule(2, Source{Who: []string{"bots"}, May: []string{"list"}, On: []string{"prod/a/*"}}),
			rule(3, Source{Who: []string{"agents"}, Never: []string{"list", "use"}, On: []string{"prod/**"}}),
			rule(4, Source{Who: []string{"user:a"}, May: []string{"list"}, On: []string{"prd/x", "**/x"}}),
			rule(5, Source{Who: []string{"agents"}, May: []string{"write"}, On: []string{"local/**"}, Needs: true, Approvals: 3, From: "sre"}),
			rule(6, Source{Who: []string{"agents"}, May: []string{"write"}, On: []string{"local/**"}, Needs: true, Approvals: 3, From: "wide"}),
			rule(7, Source{Who: []string{"bots"}, May: []string{"approve"}, On: []string{"local/**"}}),
			rule(8, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Run: []string{"bash -c *", "./x", "npm test"}, Mounts: []string{"nope"}}),
			rule(9, Source{Who: []string{"everyone"}, May: []string{"use"}, On: []string{"local/**"}}),
			rule(10, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Hosts: []string{"ci"}, Mounts: []string{"prod"}}),
			rule(11, Source{Who: []string{"bots"}, May: []string{"list"}, On: []string{"prod/a/*", "local/a"}}),
			rule(12, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Run: []string{"/usr/bin/true"}, Output: "stream"}),
			rule(13, Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"local/**"}, Run: []string{"/usr/bin/true"}, Output: "end"}),
		}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range s.Lint([]string{"local", "prod"}) {
		got = append(got, w.Where.String()+" "+w.Message)
	}
	want := []string{
		"k.yaml:1 agents and services may use nothing by this rule: it names no command",
		"k.yaml:2 this rule never allows anything: the rule at k.yaml:3 forbids it all",
		"k.yaml:4 no mount is called 'prd'",
		"k.yaml:5 this needs 3 approvals from sre, but that is only 2",
		"k.yaml:7 agents and services never approve, whatever a rule says",
		"k.yaml:8 'bash -c *' runs any code, so it lets the caller see the value",
		"k.yaml:8 './x' is a file of whatever folder the caller is in",
		"k.yaml:8 'npm test' does what files of the folder say, which the caller may be able to change",
		"k.yaml:8 no mount is called 'nope'",
		"k.yaml:10 hosts is about commands, but this rule has no run",
		"k.yaml:12 output: stream shows output while the command runs: where the command prints what the caller gives it, each right beginning of a value can be told by its delay",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
