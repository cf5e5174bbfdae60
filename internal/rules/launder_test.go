package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

func TestLaunders(t *testing.T) {
	anna := keyturn.Actor{Kind: keyturn.Person, Name: "anna"}
	coder := keyturn.Actor{Kind: keyturn.Agent, Name: "coder"}
	const from, to = "local/prod/db", "local/scratch/x"
	rule := func(who, may, on string, more ...string) Source {
		s := Source{Who: strings.Fields(who), May: strings.Fields(may), On: strings.Fields(on), Mounts: more}
		return s
	}
	never := func(who, on string) Source {
		return Source{Who: strings.Fields(who), Never: []string{"reveal"}, On: strings.Fields(on)}
	}
	use := func(who, on string, run ...string) Source {
		return Source{Who: []string{who}, May: []string{"use"}, On: []string{on}, Run: run}
	}
	asks := func(s Source, k int, from string) Source {
		s.Needs, s.Approvals, s.From = true, k, from
		return s
	}
	for what, c := range map[string]struct {
		rules   []Source
		project []Source
		actor   keyturn.Actor
		remote  bool
		who     string // "" for nobody
	}{
		"no rules":                                {actor: anna},
		"no rules over a server":                  {actor: anna, remote: true},
		"agents see the target":                   {rules: []Source{rule("agents", "reveal", "local/scratch/**")}, actor: anna, who: "any agent"},
		"one agent sees the target":               {rules: []Source{rule("agent:intern", "reveal list", "local/scratch/**")}, actor: anna, who: "agent:intern"},
		"a group sees the target":                 {rules: []Source{rule("bots", "reveal", "local/**/x")}, actor: anna, who: "service:ci"},
		"they see the source too":                 {rules: []Source{rule("agents", "reveal", "**")}, actor: anna},
		"people are kept from the source":         {rules: []Source{never("user:bob", "local/prod/**")}, actor: anna, who: "user:bob"},
		"all people are kept from the source":     {rules: []Source{never("everyone", "local/prod/**")}, actor: anna, who: "any person"},
		"and from the target":                     {rules: []Source{never("everyone", "local/**")}, actor: anna},
		"over a server one sees the target":       {rules: []Source{rule("user:bob", "reveal", to)}, actor: anna, remote: true, who: "user:bob"},
		"everyone sees the target":                {rules: []Source{rule("everyone", "reveal", to)}, actor: anna, who: "any agent"},
		"a claim opens":                           {rules: []Source{rule("oidc:group:g", "reveal", to)}, actor: anna, who: "any agent, being oidc:group:g"},
		"one claim opens and another closes":      {rules: []Source{rule("oidc:group:g", "reveal", "**"), never("oidc:group:h", from)}, actor: anna, remote: true, who: "any person, being oidc:group:g, being oidc:group:h"},
		"approvals at the source":                 {rules: []Source{asks(rule("everyone", "reveal", from), 1, "")}, actor: anna, who: "any person"},
		"more approvals at the source":            {rules: []Source{asks(rule("agents", "reveal", from), 2, ""), asks(rule("agents", "reveal", to), 1, "")}, actor: anna, who: "any agent"},
		"as many at the target":                   {rules: []Source{asks(rule("agents", "reveal", from), 1, ""), asks(rule("agents", "reveal", to), 1, "sre")}, actor: anna},
		"from another group":                      {rules: []Source{asks(rule("agents", "reveal", from), 1, "sre"), asks(rule("agents", "reveal", to), 1, "")}, actor: anna, who: "any agent"},
		"approvals instead of a never":            {rules: []Source{never("agents", from), asks(rule("agents", "reveal", to), 1, "")}, actor: anna, who: "any agent"},
		"approvals instead of the default":        {rules: []Source{asks(rule("agents", "reveal", to), 1, "")}, actor: anna},
		"an agent's own way":                      {rules: []Source{rule("agents", "use", "local/**", "local"), rule("agents", "reveal write", "local/scratch/**")}, actor: coder, who: "any agent"},
		"a rule names the target":                 {rules: []Source{rule("agents", "use", "local/**", "local/scratch/*"), rule("agents", "reveal write", "local/scratch/**")}, actor: coder},
		"a rule names it for somebody else":       {rules: []Source{rule("agent:other", "use", "local/**", "local/scratch/*"), rule("agents", "reveal write", "local/scratch/**")}, actor: coder, who: "any agent"},
		"a rule names another target":             {rules: []Source{rule("agents", "use", "local/**", "local/scratch/y"), rule("agents", "reveal write", "local/scratch/**")}, actor: coder, who: "any agent"},
		"a rule of a person names the target":     {rules: []Source{rule("user:anna", "use", from, to), rule("agents", "reveal", "local/scratch/**")}, actor: anna},
		"a command there shows it":                {rules: []Source{use("agents", "local/prod/**", "true"), use("agents", "local/scratch/**", "sh **")}, actor: coder, who: "any agent"},
		"a file of the caller's folder shows it":  {rules: []Source{use("agents", "local/prod/**", "true"), use("agents", "local/scratch/**", "./x")}, actor: anna, who: "any agent"},
		"a command there does not":                {rules: []Source{use("agents", "local/scratch/**", "true", "/usr/bin/pg_dump shop")}, actor: anna},
		"what files of a folder say shows it":     {rules: []Source{use("agents", "local/scratch/**", "npm test")}, actor: anna, who: "any agent"},
		"a command shows it at the source, too":   {rules: []Source{use("agents", "local/prod/**", "bash **"), use("agents", "local/scratch/**", "sh **")}, actor: anna},
		"who may reveal it at the source":         {rules: []Source{rule("agents", "reveal", "local/prod/**"), use("agents", "local/scratch/**", "sh **")}, actor: anna},
		"only another may reveal it there":        {rules: []Source{rule("agent:x", "reveal", "local/prod/**"), use("agents", "local/scratch/**", "sh **")}, actor: anna, who: "any agent"},
		"a command may show what none may reveal": {rules: []Source{use("agents", "local/**", "sh **"), never("everyone", "local/**")}, actor: anna},
		"to reveal is more than to have it shown": {rules: []Source{use("agents", "local/**", "sh **"), rule("agents", "reveal", to)}, actor: anna, who: "any agent"},
		"fewer approvals for the command there":   {rules: []Source{asks(use("agents", "local/prod/**", "sh **"), 2, ""), use("agents", "local/scratch/**", "sh **")}, actor: anna, who: "any agent"},
		"stricter commands of the same program":   {rules: []Source{asks(use("agents", "**", "sh **"), 1, ""), use("agents", "**", "sh -c **")}, actor: anna, who: "any agent"},
		"no use of the source for people":         {rules: []Source{{Who: []string{"user:bob"}, Never: []string{"use", "reveal"}, On: []string{from}}, never("user:bob", to)}, actor: anna, who: "user:bob"},
		"a project cannot close the target":       {rules: []Source{rule("agents", "reveal", to)}, project: []Source{never("everyone", "**")}, actor: anna, who: "any person"},
		"a project keeps people from the source":  {project: []Source{never("everyone", from)}, actor: anna, who: "any person"},
	} {
		s, err := New(Input{Rules: c.rules, Project: c.project, Groups: []Group{{Name: "bots", Members: []string{"service:ci", "agent:x"}, Line: 1}, {Name: "sre", Members: []string{"user:anna"}, Line: 2}}})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		o, yes := s.Launders(c.actor, from, to, c.remote)
		if c.who == "service:ci" && o.Who == "agent:x" {
			o.Who = c.who // either of the group
		}
		if yes != (c.who != "") || o.Who != c.who || yes && !strings.Contains(o.Why, from) {
			t.Errorf("%s: %v, %q", what, yes, o.Why)
		}
		if _, self := s.Launders(c.actor, to, to, c.remote); self {
			t.Errorf("%s: a secret opens itself", what)
		}
	}
}

// seen are the ways to see a value: to reveal it, and each command that shows it.
var seen = []func(keyturn.Actor, string, bool) Request{
	func(a keyturn.Actor, path string, remote bool) Request {
		return Request{Actor: a, Verb: keyturn.Reveal, Path: path, Remote: remote}
	}, by("sh", "-c", "echo $V | rev"), by("bash", "-c", "echo $V | rev"), by("./show"), by("zsh"), by("npm", "run", "x"),
}

func by(command ...string) func(keyturn.Actor, string, bool) Request {
	return func(a keyturn.Actor, path string, remote bool) Request {
		return Request{Actor: a, Verb: keyturn.Use, Path: path, Sink: Sink{Run: command}, Remote: remote}
	}
}

// launders is Launders by trying everybody: each kind of caller under each name
// that could matter, with each set of claims and of other agents' marks, by each way
// to see a value.
func launders(rules, project []Source, groups []Group, from, to string, remote bool) bool {
	here, err := New(Input{Rules: rules, Project: project, Groups: groups})
	if err != nil {
		panic(err)
	}
	elsewhere, err := New(Input{Rules: rules, Groups: groups})
	if err != nil {
		panic(err)
	}
	marks := []string{"oidc:group:x", "oidc:sub:y", "oidc:group:z", "agent:a", "agent:b"}
	for _, kind := range []keyturn.ActorKind{keyturn.Person, keyturn.Agent, keyturn.ServiceKind} {
		for _, name := range []string{"a", "b", "nobody in particular"} {
			for set := range 1 << len(marks) {
				a := keyturn.Actor{Kind: kind, Name: name}
				for i, m := range marks {
					if set>>i&1 == 1 {
						a.Also = append(a.Also, m)
					}
				}
				var there []Decision
				for _, way := range seen {
					there = append(there, here.Decide(way(a, from, remote)))
				}
				for i, way := range seen {
					d := elsewhere.Decide(way(a, to, remote))
					before := there
					if i == 0 {
						before = there[:1] // to reveal is more than to have it shown
					}
					closed := true
					for _, f := range before {
						closed = closed && (d.Effect == Allow && f.Effect != Allow || d.Effect == Approve && f.Never ||
							d.Effect == Approve && f.Effect == Approve &&
								(f.Needs.Approvals > d.Needs.Approvals || f.Needs.From != "" && f.Needs.From != d.Needs.From))
					}
					if closed {
						return true
					}
				}
			}
		}
	}
	return false
}

func TestLaundersAgainstReference(t *testing.T) {
	groups := []Group{{Name: "sre", Members: []string{"user:a", "oidc:group:x"}, Line: 1}, {Name: "bots", Members: []string{"agent:a", "service:b"}, Line: 2},
		{Name: "both", Members: []string{"sre", "bots"}, Line: 3}}
	who := []string{"everyone", "agents", "services", "user:a", "user:b", "agent:a", "agent:b", "service:b", "oidc:group:x", "oidc:sub:y", "oidc:group:z", "sre", "bots", "both"}
	paths := []string{"m/a", "m/b/c", "n/a"}
	on := []string{"**", "m/**", "m/a", "n/*", "*/a", "m/b/c"}
	draw := func(t *rapid.T, may bool) Source {
		s := Source{Who: rapid.SliceOfN(rapid.SampledFrom(who), 1, 2).Draw(t, "who"), On: rapid.SliceOfN(rapid.SampledFrom(on), 1, 2).Draw(t, "on")}
		if !may || rapid.IntRange(0, 2).Draw(t, "never") == 0 {
			s.Never = strings.Fields(rapid.SampledFrom([]string{"reveal", "use", "reveal use"}).Draw(t, "verbs"))
			return s
		}
		s.May = strings.Fields(rapid.SampledFrom([]string{"reveal", "use", "reveal use"}).Draw(t, "verbs"))
		if s.May[len(s.May)-1] == "use" {
			s.Run = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"sh **", "bash -c *", "./show", "true", "npm run *"}), 1, 2, rapid.ID).Draw(t, "run")
		}
		if n := rapid.IntRange(0, 4).Draw(t, "approvals"); n > 2 {
			s.Needs, s.Approvals, s.From = true, n-2, rapid.SampledFrom([]string{"", "", "sre", "user:b"}).Draw(t, "from")
		}
		return s
	}
	var tried [3]int
	rapid.Check(t, func(t *rapid.T) {
		var rules, project []Source
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			rules = append(rules, draw(t, true))
		}
		for range rapid.IntRange(0, 4).Draw(t, "project") / 4 {
			project = append(project, draw(t, false))
		}
		for i := range rules {
			rules[i].Line = i + 1
		}
		remote := rapid.Bool().Draw(t, "remote")
		s, err := New(Input{Rules: rules, Project: project, Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range paths {
			for _, to := range paths {
				if from == to {
					continue
				}
				want := launders(rules, project, groups, from, to, remote)
				o, got := s.Launders(keyturn.Actor{Kind: keyturn.Person, Name: "caller"}, from, to, remote)
				if got != want {
					t.Fatalf("%+v\nproject %+v\n%s to %s, remote %v: %v (%s), want %v", rules, project, from, to, remote, got, o.Why, want)
				}
				if want {
					tried[1]++
					if strings.Contains(o.Why, "a command show it") {
						tried[2]++
					}
				} else {
					tried[0]++
				}
			}
		}
	})
	t.Logf("opens nothing: %d, opens: %d, of these by a command: %d", tried[0], tried[1], tried[2])
	if slices.Contains(tried[:], 0) {
		t.Error("too little was tried")
	}
}

// Many principals that rules treat alike cost no more than few.
func BenchmarkLaunders(b *testing.B) {
	var in Input
	for i := range 200 {
		g := Group{Name: fmt.Sprintf("g%d", i), Line: i + 1}
		for j := range 400 {
			g.Members = append(g.Members, fmt.Sprintf("oidc:sub:%d-%d", i, j))
		}
		in.Groups = append(in.Groups, g)
		in.Rules = append(in.Rules, Source{Who: []string{g.Name}, May: []string{"reveal"}, On: []string{"**"}, Needs: i%2 == 0, Approvals: (1 - i%2) * (1 + i%50), Line: i + 1})
	}
	s, err := New(in)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, yes := s.Launders(keyturn.Actor{Kind: keyturn.Person, Name: "anna"}, "m/a", "m/b", false); yes {
			b.Fatal("the same rules hold for both")
		}
	}
}
