package rules

import (
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// TestExposes: of the usual programs Lint knows those that show what they get, with and
// without free arguments told apart, behind programs that start others too.
func TestExposes(t *testing.T) {
	for _, c := range []struct {
		template, why string
		open          bool
	}{
		{"sh **", "runs any code", true}, {"/bin/bash -c *", "runs any code", true}, {"awk *", "runs any code", true}, {"find . **", "runs any code", true},
		{"git *", "runs any code", true}, {"env **", "runs any code", true}, {"timeout 5 **", "runs any code", true}, {"openssl **", "runs any code", true},
		{"xargs **", "runs any code", true}, {"vi *", "runs any code", true}, {"sed *", "runs any code", true}, {"psql **", "runs any code", true}, {"make deploy **", "runs any code", true},
		{"npm run *", "runs any code", true}, {"sudo -u x *", "runs any code", true}, {"go run *", "runs any code", true}, {"less *", "runs any code", true}, {"python3.12 *", "runs any code", true},
		{"cat *", "prints, stores or sends", true}, {"head -n 1 *", "prints, stores or sends", true}, {"jq . *", "prints, stores or sends", true},
		{"curl *", "prints, stores or sends", true}, {"tee *", "prints, stores or sends", true}, {"printenv *", "prints, stores or sends", true},
		{"bash", "standard input", true}, {"python3 -", "standard input", true}, {"psql -h db", "standard input", true}, {"sh -s", "standard input", true},
		{"timeout 5 bash", "standard input", true}, {"env A=b cat *", "runs any code", true},
		{"env", "prints its environment", false}, {"printenv", "prints its environment", false}, {"printenv DB", "prints its environment", false}, {"timeout 9 env", "prints its environment", false},
		{"npm test", "files of the folder", false}, {"make", "files of the folder", false}, {"/usr/bin/make deploy", "files of the folder", false}, {"cargo test", "files of the folder", false},
		{"env NODE_ENV=test npm test", "files of the folder", false}, {"nice -n 5 gradle build", "files of the folder", false}, {"git push", "files of the folder", false},
		{"./deploy.sh", "whatever folder", false}, {"bin/deploy", "whatever folder", false}, {"sh deploy.sh", "whatever folder", false}, {"python3 app.py", "whatever folder", false}, {"node ./x.js", "whatever folder", false},
		{"sh -c 'echo $X'", "", false}, {"/usr/bin/pg_dump shop", "", false}, {"/usr/bin/psql -f /srv/x.sql", "", false}, {"sh /srv/x.sh", "", false}, {"cat /etc/hosts", "", false},
		{"curl https://example.com", "", false}, {"pg_dump *", "runs any code", true}, {"myserver **", "", false}, {"true", "", false},
	} {
		p, err := ParseTemplate(c.template)
		if err != nil {
			t.Fatal(c.template, err)
		}
		e := p.exposes()
		if !strings.Contains(e.why, c.why) || c.why == "" && e.why != "" || e.open != c.open {
			t.Errorf("%s: %q, open %v; want %q, %v", c.template, e.why, e.open, c.why, c.open)
		}
	}
}

// TestCommandsInRules: a rule's absolute program is compared with the program that was
// found, a bare name as it is typed, and the folder exactly.
func TestCommandsInRules(t *testing.T) {
	agent := keyturn.Actor{Kind: keyturn.Agent, Name: "demo"}
	for _, c := range []struct {
		run, in      string
		argv         string
		program, dir string
		want         bool
	}{
		{"/usr/bin/npm test", "", "npm test", "/usr/bin/npm", "/p", true},
		{"/usr/bin/npm test", "", "/usr/bin/npm test", "/usr/bin/npm", "/p", true},
		{"/usr/bin/npm test", "", "npm test", "/tmp/npm", "/p", false},
		{"/usr/bin/npm test", "", "/usr/bin/npm test", "/tmp/npm", "/p", false},
		{"/usr/bin/npm test", "", "/usr/bin/npm test", "", "/p", true},
		{"/usr/bin/npm test", "", "npm test", "", "/p", false},
		{"npm test", "", "npm test", "/opt/npm", "/p", true},
		{"npm test", "", "/usr/bin/npm test", "/usr/bin/npm", "/p", false},
		{"npm test", "/p", "npm test", "/usr/bin/npm", "/p", true},
		{"npm test", "/p", "npm test", "/usr/bin/npm", "/p/sub", false},
		{"npm test", "/p", "npm test", "/usr/bin/npm", "", false},
		{"./deploy.sh", "/p", "./deploy.sh", "/p/deploy.sh", "/p", true},
		{"./deploy.sh", "/p", "./deploy.sh", "/q/deploy.sh", "/q", false},
		{"/p/deploy.sh", "/p", "./deploy.sh", "/p/deploy.sh", "/p", true},
	} {
		src := Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"**"}, Run: []string{c.run}}
		if c.in != "" {
			src.In = []string{c.in}
		}
		s, err := New(Input{Rules: []Source{src}})
		if err != nil {
			t.Fatal(err)
		}
		q := Request{Actor: agent, Verb: keyturn.Use, Path: "local/a", Sink: Sink{Run: strings.Fields(c.argv), Program: c.program, Dir: c.dir}}
		if d := s.Decide(q); (d.Effect == Allow) != c.want {
			t.Errorf("%+v: %s", c, d.Effect)
		}
	}
	for _, bad := range []Source{{In: []string{"p"}}, {In: []string{"/p/"}}, {In: []string{"/p/../q"}}, {Env: []string{"LD_PRELOAD"}}, {Env: []string{"KEYTURN_HOME"}}, {Env: []string{"KEYTURN_HOME=x"}},
		{Env: []string{"A_*"}}, {Env: []string{"AB*"}}, {Env: []string{"EDITOR"}}, {Env: []string{"A B"}}, {Env: []string{"npm_config_script_shell"}}} {
		bad.Who, bad.May, bad.On, bad.Run = []string{"agents"}, []string{"use"}, []string{"**"}, []string{"true"}
		if _, err := Parse(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if _, err := Parse(Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{"**"}, Mounts: []string{"local"}, In: []string{"/p"}}); err == nil {
		t.Error("in without run is taken")
	}
}

// TestEnvironmentOfRules: what passes to a command is what the rules of all its secrets
// name, and nothing where one of them takes an approval.
func TestEnvironmentOfRules(t *testing.T) {
	agent := keyturn.Actor{Kind: keyturn.Agent, Name: "demo"}
	rule := func(on string, approvals int, env ...string) Source {
		return Source{Who: []string{"agents"}, May: []string{"use"}, On: []string{on}, Run: []string{"true"}, Env: env, Needs: approvals > 0, Approvals: approvals}
	}
	s, err := New(Input{Rules: []Source{rule("m/a", 0, "NODE_ENV", "TF_VAR_*", "A=1", "LD_PRELOAD=/lib/x.so"), rule("m/b", 0, "NODE_ENV", "A=2"), rule("m/b", 0, "OTHER", "HOME"), rule("m/c", 0, "*"), rule("m/d", 1, "*")}})
	if err != nil {
		t.Fatal(err)
	}
	of := func(paths ...string) Environment {
		var qs []Request
		for _, p := range paths {
			qs = append(qs, Request{Actor: agent, Verb: keyturn.Use, Path: p, Sink: Sink{Run: []string{"true"}}})
		}
		return s.Environment(qs)
	}
	for _, c := range []struct {
		paths, pass, stop string
	}{
		{"m/a", "NODE_ENV TF_VAR_x", "OTHER A LD_PRELOAD TF_X KEYTURN_HOME"},
		{"m/a m/b", "NODE_ENV", "TF_VAR_x OTHER HOME"},
		{"m/b", "NODE_ENV OTHER HOME", "PATH"},
		{"m/c", "ANYTHING GITHUB_TOKEN", "LD_PRELOAD PATH HOME EDITOR KEYTURN_CONFIG npm_config_script_shell GIT_CONFIG_COUNT"},
		{"m/a m/c", "NODE_ENV TF_VAR_x", "OTHER"},
		{"m/d", "", "NODE_ENV"}, {"m/a m/d", "", "NODE_ENV"}, {"m/x", "", "NODE_ENV"}, {"", "", "NODE_ENV"},
	} {
		e := of(strings.Fields(c.paths)...)
		for _, n := range strings.Fields(c.pass) {
			if !e.Pass(n) {
				t.Errorf("%s: %s does not pass", c.paths, n)
			}
		}
		for _, n := range strings.Fields(c.stop) {
			if e.Pass(n) {
				t.Errorf("%s: %s passes", c.paths, n)
			}
		}
	}
	if f := of("m/a").Fixed(); f["A"] != "1" || f["LD_PRELOAD"] != "/lib/x.so" {
		t.Error(f)
	}
	if f := of("m/a", "m/b").Fixed(); len(f) != 0 {
		t.Error(f)
	}
}
