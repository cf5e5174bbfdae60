package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
)

const operatorExample = `# ours
mounts:
  vault: {platform: vault, address: "https://vault.example.com:8200"}
  prod:  {platform: aws, profile: prod, region: eu-west-1, account: 012345678901}   # pinned
  ha:
    platform: vault
    addresses: ["https://b:8200", "https://c:8200"]
    address: https://a:8200
  k8s:
    platform: kubernetes
    context: staging
groups:
  sre: ["oidc:group:platform-sre", "user:anna"]
rules:
  - {who: agents,   may: [list, use],     on: ["local/myapp/**"], run: ["npm test", "npm run *"]}
  - {who: agents,   may: [write, rotate], on: ["vault/secret/myapp/**"], needs: {approvals: 1, from: sre, proof: passkey}}
  - who: "agent:coder"
    may: use
    on: prod/github/token
    http: "POST api.github.com/repos/acme/** header:Authorization"
    mounts: k8s
    hosts: [ci-1]
    run: npm test
    output: status
  - {who: everyone, never: [reveal],      on: ["prod/**"]}
reveal: {confirm: passphrase}
notify: {webhook: "https://hooks.example.com/T0/s3cret", on: [pending, halted, expiring]}
audit:
  identifiers: hmac
  forward:
    - {file: /var/log/keyturn.jsonl, required: true}
    - {syslog: "tls://logs.example.com:6514"}
    - {syslog: local}
    - {syslog: "tcp://10.0.0.1:601"}
`

const projectExample = `env:                       # all that run needs
  DATABASE_URL: kt://local/myapp#DATABASE_URL
  STRIPE_KEY:   "kt://prod/myapp/stripe?version=3#key"
expect: {prod: {account: "123456789012"}}
never: [{who: agents, on: ["prod/**"]}]
`

func TestOperator(t *testing.T) {
	o, err := ParseOperator("/k.yaml", []byte(operatorExample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range o.Entries() {
		if e.File != "/k.yaml" || e.Line == 0 {
			t.Errorf("%+v", e)
		}
		got = append(got, e.Key+" = "+e.Value)
	}
	want := []string{
		"mounts.vault.platform = vault", "mounts.vault.address = https://vault.example.com:8200",
		"mounts.prod.platform = aws", "mounts.prod.profile = prod", "mounts.prod.region = eu-west-1", "mounts.prod.account = 012345678901",
		"mounts.ha.platform = vault", "mounts.ha.addresses = https://b:8200, https://c:8200", "mounts.ha.address = https://a:8200",
		"mounts.k8s.platform = kubernetes", "mounts.k8s.context = staging",
		"groups.sre = oidc:group:platform-sre, user:anna",
		`rules[0] = {who: agents, may: [list, use], on: ["local/myapp/**"], run: ["npm test", "npm run *"]}`,
		`rules[1] = {who: agents, may: [write, rotate], on: ["vault/secret/myapp/**"], needs: {approvals: 1, from: sre, proof: passkey}}`,
		`rules[2] = {who: "agent:coder", may: [use], on: ["prod/github/token"], run: ["npm test"], http: ["POST api.github.com/repos/acme/** header:Authorization"], mounts: [k8s], hosts: [ci-1], output: status}`,
		`rules[3] = {who: everyone, never: [reveal], on: ["prod/**"]}`,
		"reveal.confirm = passphrase", "notify.webhook = https://hooks.example.com/…", "notify.on = pending, halted, expiring",
		"audit.identifiers = hmac", "audit.forward[0] = file /var/log/keyturn.jsonl, required", "audit.forward[1] = syslog tls://logs.example.com:6514",
		"audit.forward[2] = syslog local", "audit.forward[3] = syslog tcp://10.0.0.1:601",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r := o.Rules[2]; r.Line != 17 || r.File != "/k.yaml" || r.Needs {
		t.Errorf("%+v", r)
	}
	if m, ok := o.Mount("prod"); !ok || m.Setting("account") != "012345678901" || m.Setting("nope") != "" || m.Line != 4 {
		t.Errorf("%+v", m)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "rules:\nmounts:\ngroups:\n", "\ufeffrules:\n"} {
		if o, err := ParseOperator("k", []byte(empty)); err != nil || len(o.Entries()) != 0 {
			t.Errorf("%q: %v", empty, err)
		}
	}
	var none *Operator
	if _, ok := none.Mount("x"); ok || none.Entries() != nil {
		t.Error("nil operator")
	}
}

func TestProject(t *testing.T) {
	p, err := ParseProject("/p/keyturn.yaml", []byte(projectExample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Entries() {
		got = append(got, e.Key+" = "+e.Value)
	}
	want := []string{"env.DATABASE_URL = kt://local/myapp#DATABASE_URL", "env.STRIPE_KEY = kt://prod/myapp/stripe?version=3#key",
		"expect.prod.account = 123456789012", `never[0] = {who: agents, on: ["prod/**"]}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(p.Never) != 1 || len(p.Never[0].Never) != len(keyturn.Verbs()) || p.Never[0].Line != 5 {
		t.Errorf("%+v", p.Never)
	}
	again, err := ParseProject("/p/keyturn.yaml", []byte("env:\n  # turned round\n  STRIPE_KEY: kt://prod/myapp/stripe?version=3#key\n  'DATABASE_URL': kt://local/myapp#DATABASE_URL\n"))
	if err != nil || again.Digest() != p.Digest() {
		t.Error("order, comments and narrowing change the digest", err)
	}
	seen := map[string]string{p.Digest(): "the example"}
	for _, other := range []struct{ file, text string }{{"/q/keyturn.yaml", projectExample}, {p.File, ""}, {p.File, "env: {DATABASE_URL: kt://local/myapp#DATABASE_URL}"},
		{p.File, "env: {DATABASE_URL: kt://local/myapp}"}, {p.File, "env: {DATABASE_URLx: kt://local/myapp}"}, {p.File, "env: {A: kt://local/b, B: kt://local/a}"}, {p.File, "env: {A: kt://local/a, B: kt://local/b}"}} {
		o, err := ParseProject(other.file, []byte(other.text))
		if err != nil {
			t.Fatal(err)
		}
		if was := seen[o.Digest()]; was != "" {
			t.Errorf("%q has the digest of %q", other, was)
		}
		seen[o.Digest()] = other.text
	}
}

func TestDiff(t *testing.T) {
	b := func(name, ref string) keyturn.Binding {
		return keyturn.Binding{Name: name, Ref: keyturn.MustRef(ref)}
	}
	got := Diff([]keyturn.Binding{b("C", "local/c"), b("A", "local/a"), b("B", "local/b")}, []keyturn.Binding{b("B", "prod/b#x"), b("D", "local/d"), b("A", "local/a")})
	want := []string{"~ B  kt://local/b → kt://prod/b#x", "- C  kt://local/c", "+ D  kt://local/d"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if Diff(nil, nil) != nil {
		t.Error("something of nothing")
	}
}

// canary stands where a value could have been put by mistake: no error repeats it.
const canary = "hunter2-c4n4ry/+x"

func TestErrors(t *testing.T) {
	operator := func(name string, data []byte) error { _, err := ParseOperator(name, data); return err }
	project := func(name string, data []byte) error { _, err := ParseProject(name, data); return err }
	for _, c := range []struct {
		parse               func(string, []byte) error
		text, message, hint string
	}{
		{operator, "rulse: []", "k.yaml:1: unknown key 'rulse' in the operator's file", "did you mean 'rules'?"},
		{operator, "env: {}", "k.yaml:1: unknown key 'env'", "belongs in a project's"},
		{operator, "\n\nzzzzzz: 1", "k.yaml:3: unknown key 'zzzzzz'", "known here are mounts, groups"},
		{operator, "rules: []\nrules: []", "k.yaml:2: the key 'rules' is there twice", "keep one"},
		{operator, "rules: []\n'rules': []", "k.yaml:2: the key 'rules' is there twice", ""},
		{operator, "rules: []\n---\nrules: []", "k.yaml:2: this file holds more than one document", ""},
		{operator, "rules: []\n---\n", "k.yaml:2: this file holds more than one document", ""},
		{operator, "rules: &a []\ngroups: *a", "k.yaml:1: there are no anchors", ""},
		{operator, "rules: *nope", "k.yaml: there are no anchors", "quotes"},
		{operator, "mounts: {a: {platform: local}, <<: {b: {platform: local}}}", "is not a plain word", ""},
		{operator, "rules: !!seq []", "k.yaml:1: there are no tags here", ""},
		{operator, "rules: !x []", "k.yaml:1: there are no tags here", ""},
		{operator, "? [a]\n: b", "k.yaml:1: the operator's file has a key that is not a plain word", ""},
		{operator, "~: b", "a key that is not a plain word", ""},
		{operator, "- a", "k.yaml:1: this file is not a mapping", ""},
		{operator, "just text", "k.yaml:1: this file is not a mapping", ""},
		{operator, "rules: [", "k.yaml:1: not valid YAML", ""},
		{operator, "rules:\n- {who: agents, may: use, on: x, run: y,\n   output: [end]}", "k.yaml:3: output", ""},
		{operator, "rules:\n- {who: agents, may: use, on: x, run: y,\n   output: {end: 1}}", "k.yaml:3: output", ""},
		{operator, "rules:\n- {who: agents, may: use, on: x, run: y, output: end,\n   output: status}", "k.yaml:3: the key 'output' is there twice", ""},
		{operator, "rules:\n- {who: agents, may: use, on: x, run: y,\n   outputs: end}", "k.yaml:3: unknown key 'outputs'", "did you mean 'output'?"},
		{operator, "rules:\n\t- a", "k.yaml:2: not valid YAML", ""},
		{operator, "rules: \xff", "k.yaml: this file is not UTF-8", ""},
		{operator, "rules: \x00", "k.yaml: not valid YAML", ""},
		{operator, "#" + strings.Repeat("a", MaxFile), "k.yaml: this file is too large", "1 MiB"},
		{operator, "rules: " + strings.Repeat("[", 20) + strings.Repeat("]", 20), "k.yaml:1: this is nested too deeply", ""},
		{operator, "rules: {who: agents}", "k.yaml:1: rules is not a list", "- "},
		{operator, "rules:\n- agents", "k.yaml:2: a rule is not a mapping", ""},
		{operator, "rules:\n- {who: agents, my: [use]}", "k.yaml:2: unknown key 'my' in a rule", "did you mean 'may'?"},
		{operator, "rules:\n- who: agents\n  on: []", "k.yaml:3: on is an empty list", ""},
		{operator, "rules:\n- who: ''", "k.yaml:2: who is empty", ""},
		{operator, "rules:\n- who:", "k.yaml:2: who is not a single text", ""},
		{operator, "rules:\n- who: [[a]]", "k.yaml:2: who is not a single text", ""},
		{operator, "rules:\n- who: {a: b}", "k.yaml:2: who is not a single text", ""},
		{operator, "rules:\n- needs: 1", "k.yaml:2: needs is not a mapping", ""},
		{operator, "rules:\n- needs: {from: sre}", "k.yaml:2: needs has no approvals", "approvals: 1"},
		{operator, "rules:\n- needs: {approvals: 0}", "k.yaml:2: approvals is not a number", ""},
		{operator, "rules:\n- needs: {approvals: 0x2}", "k.yaml:2: approvals is not a number", ""},
		{operator, "rules:\n- needs: {approvals: 1, form: sre}", "k.yaml:2: unknown key 'form' in needs", "'from'"},
		{operator, "mounts: []", "k.yaml:1: mounts is not a mapping", ""},
		{operator, "mounts:\n  Prod: {platform: aws}", "k.yaml:2: 'Prod' cannot be the name of a mount", "a-z"},
		{operator, "mounts:\n  prod/x: {platform: aws}", "k.yaml:2: (not shown) cannot be the name of a mount", ""},
		{operator, "mounts:\n  prod: aws", "k.yaml:2: the mount 'prod' is not a mapping", ""},
		{operator, "mounts:\n  prod: {region: x}", "k.yaml:2: the mount 'prod' has no platform", "aws"},
		{operator, "mounts:\n  prod: {platform: awz}", "k.yaml:2: unknown platform 'awz'", "did you mean 'aws'?"},
		{operator, "mounts:\n  prod: {platform: aws, region: [a]}", "k.yaml:2: region is not a single text", ""},
		{operator, "mounts:\n  prod: {platform: aws, Region: a}", "k.yaml:2: 'Region' cannot be the name of a setting", ""},
		{operator, "mounts:\n  prod: {platform: vault, token: " + canary + "}", "k.yaml:2: the setting 'token' would put a credential into this file", "leave it out"},
		{operator, "mounts:\n  prod: {platform: vault, secret-id: " + canary + "}", "would put a credential", ""},
		{operator, "mounts:\n  prod: {platform: vault, address: 'https://u:" + strings.ReplaceAll(canary, "/", "") + "@h'}", "k.yaml:2: the address in 'address'", "without them"},
		{operator, "mounts:\n  prod: {platform: vault, addresses: []}", "k.yaml:2: addresses is an empty list", ""},
		{operator, "mounts:\n  prod: {platform: vault, addresses: {a: b}}", "k.yaml:2: addresses is not a single text", ""},
		{operator, "mounts:\n  prod: {platform: vault, addresses: ['https://a, https://b']}", "k.yaml:2: an entry of 'addresses' has a comma in it", "addresses: [ONE, OTHER]"},
		{operator, "mounts:\n  prod: {platform: vault, addresses: ['https://a', 'https://u:" + strings.ReplaceAll(canary, "/", "") + "@h']}", "k.yaml:2: the address in 'addresses'", "without them"},
		{operator, "groups:\n  sre: []", "k.yaml:2: the group 'sre' is an empty list", ""},
		{operator, "groups: [a]", "k.yaml:1: groups is not a mapping", ""},
		{operator, "reveal: {confirm: pasphrase}", "k.yaml:1: unknown confirm 'pasphrase'", "did you mean 'passphrase'?"},
		{operator, "notify: {webhook: 'http://example.com/x'}", "k.yaml:1: webhook is not an https address", ""},
		{operator, "notify: {webhook: 'file:///etc/passwd'}", "k.yaml:1: webhook is not an https address", ""},
		{operator, "notify: {webhook: 'https://u:" + strings.ReplaceAll(canary, "/", "") + "@h/x'}", "k.yaml:1: webhook is not an https address", ""},
		{operator, "notify: {on: pending}", "k.yaml:1: notify has no webhook", ""},
		{operator, "notify: {webhook: 'https://h/', on: [pendin]}", "k.yaml:1: unknown occasion 'pendin'", "did you mean 'pending'?"},
		{project, "mounts: {}", "k.yaml:1: unknown key 'mounts' in a project's file", "belongs in the operator's file"},
		{project, "rules: []", "k.yaml:1: unknown key 'rules' in a project's file", "belongs in the operator's file"},
		{project, "evn: {}", "k.yaml:1: unknown key 'evn' in a project's file", "did you mean 'env'?"},
		{project, "env:\n  A: " + canary, "k.yaml:2: 'A' is not given as a reference", "kt://"},
		{project, "env:\n  A: local/" + canary, "k.yaml:2: 'A' is not given as a reference", ""},
		{project, "env:\n  A: 'x kt://local/a " + canary + "'", "k.yaml:2: 'A' is not given as a reference", ""},
		{project, "env:\n  A: *hunter2", "there are no anchors", "quotes"},
		{project, "env:\n  A: *" + canary, "not valid YAML", "quotes"},
		{project, "env:\n  A: &hunter2 b", "there are no anchors", ""},
		{project, "env:\n  A: &" + canary + " b", "not valid YAML", ""},
		{project, "env:\n  A: !" + canary + " b", "there are no tags", ""},
		{project, "env:\n  A: '" + canary, "not valid YAML", ""},
		{project, "env:\n  A: \"\\q" + canary + "\"", "not valid YAML", ""},
		{project, "env:\n  A: @" + canary, "not valid YAML", ""},
		{project, "env:\n  A: x\n  " + canary + "\n B", "not valid YAML", ""},
		{project, "env: " + canary, "k.yaml:1: env is not a mapping", ""},
		{project, canary, "this file is not a mapping", ""},
		{project, "A=" + canary + ": 1", "unknown key (not shown)", ""},
		{project, "env:\n  A=" + canary + ": 1", "(not shown) cannot be the name of a variable", ""},
		{project, "env:\n  A:", "k.yaml:2: 'A' is not given as a reference", ""},
		{project, "env:\n  A: [kt://local/a]", "k.yaml:2: 'A' is not given as a reference", ""},
		{project, "env:\n  A: kt://local/my app", "k.yaml:2: the reference of 'A' is not in canonical form", "kt:// before it: local/my%20app"},
		{project, "env:\n  A: kt://local/a//b", "k.yaml:2: the reference of 'A' is not in canonical form", ""},
		{project, "env:\n  1A: kt://local/a", "k.yaml:2: '1A' cannot be the name of a variable", ""},
		{project, "env:\n  LD_PRELOAD: kt://local/a", "k.yaml:2: 'LD_PRELOAD' is not for a project's file to set", "--env"},
		{project, "env:\n  Path: kt://local/a", "k.yaml:2: 'Path' is not for a project's file to set", ""},
		{project, "env:\n  KEYTURN_CONFIG: kt://local/a", "k.yaml:2: 'KEYTURN_CONFIG' is not for a project's file to set", ""},
		{project, "expect: {prod: {}}", "k.yaml:1: nothing is expected of 'prod'", ""},
		{project, "expect: {Prod: {a: b}}", "k.yaml:1: 'Prod' cannot be the name of a mount", ""},
		{project, "expect: {prod: {token: " + canary + "}}", "would put a credential", ""},
		{project, "never: [{who: agents, may: [use], on: '**'}]", "k.yaml:1: unknown key 'may' in a 'never' of a project", ""},
		{project, "never: {who: agents}", "k.yaml:1: never is not a list", ""},
	} {
		err := c.parse("k.yaml", []byte(c.text))
		short := c.text[:min(len(c.text), 80)]
		if !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%q: got %v, want invalid", short, err)
			continue
		}
		e := keyturn.AsError(err)
		if !strings.HasPrefix(e.Message, "k.yaml:") || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%q:\n got %q, hint %q\nwant %q, hint %q", short, e.Message, e.Hint, c.message, c.hint)
		}
		all := e.Message + e.Hint
		if e.Err != nil {
			all += e.Err.Error()
		}
		if strings.Contains(all, "hunter2") {
			t.Errorf("%q: the error repeats it: %q", short, all)
		}
	}
}

var yamlSeeds = []string{operatorExample, projectExample, "", "# x\n", "rules:\n", "rules: []\n", "rules:\n- {who: agents}\n", "{rules: []}", "rules:\r\n- who: a\r\n",
	"rules: &a [*a]", "---\nrules:\n- who: a\n...\n", "a: !!binary eA==", "rules:\n- who: |+\n    a\n\n\ngroups:\n  a: b\n", "? rules\n: - who: b\n", "\ufeffrules:\n- who: a\n", "rules:\n  - who: a\n  # c\n\n# d\nnotify:\n  webhook: https://h/\n"}

func FuzzOperator(f *testing.F) {
	if len(yamlSeeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range yamlSeeds {
		f.Add(s)
	}
	rule := Rule{Who: []string{"agent:x"}, May: []string{"use"}, On: []string{"local/a: [b]"}}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOperator("k.yaml", []byte(s))
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) || keyturn.Clean(err.Error()) != err.Error() {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		o.Entries()
		text, err := rule.OneLine()
		if err != nil {
			t.Fatal(err)
		}
		now, line, err := insert("k.yaml", []byte(s), text)
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, err := ParseOperator("k.yaml", now)
		if err != nil || len(again.Rules) != len(o.Rules)+1 || again.Rules[len(o.Rules)].Line != line || again.Rules[len(o.Rules)].On[0] != rule.On[0] {
			t.Fatalf("%q became %q: %v", s, now, err)
		}
	})
}

func FuzzProject(f *testing.F) {
	if len(yamlSeeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range yamlSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseProject("k.yaml", []byte(s))
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) || keyturn.Clean(err.Error()) != err.Error() {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		for _, b := range p.Env {
			if r, err := keyturn.ParseRef(b.Ref.String()); err != nil || r != b.Ref {
				t.Fatalf("%q has the reference %q", s, b.Ref)
			}
		}
		p.Digest()
		p.Entries()
	})
}
