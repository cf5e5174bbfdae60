package policy

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

var engines = []Engine{{Path: "secret", KV: 2}, {Path: "old", KV: 1}, {Path: "team/kv", KV: 2}, {Path: "transit"}, {Path: "auth/approle"}, {Path: "sys"}}

func TestParse(t *testing.T) {
	for what, c := range map[string]struct {
		text string
		want []Rule
	}{
		"one":      {`path "a" { capabilities = ["read", "list"] }`, []Rule{{"a", []string{"read", "list"}, 1}}},
		"comments": {"# a\n// b\n/* c\n */ path \"a/*\" { # d\n capabilities = [\"read\",] /* e */ }\n", []Rule{{"a/*", []string{"read"}, 4}}},
		"several":  {"path \"a\" { capabilities = [] }\npath \"b\" {}\n", []Rule{{"a", nil, 1}, {"b", nil, 2}}},
		"parameters": {`path "a" {
  capabilities = ["update"]
  allowed_parameters = { "x" = ["1", 2], "*" = [] }
  denied_parameters { y = [] }
  required_parameters = ["x"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = 90
  control_group = { factor "ops" { identity { group_names = ["a"] approvals = 2 } } }
}`, []Rule{{"a", []string{"update"}, 1}}},
		"the old word": {`path "a" { policy = "write" }`, []Rule{{"a", []string{"create", "read", "update", "delete", "list"}, 1}}},
		"a name":       {"name = \"dev\"\npath \"a\" { policy = \"deny\" }", []Rule{{"a", []string{"deny"}, 2}}},
		"escapes":      {`path "a\"b" { capabilities = ["read"] }`, []Rule{{`a"b`, []string{"read"}, 1}}},
		"nothing":      {"  # only this\n", nil},
		"JSON":         {`{"path": {"b": {"capabilities": ["read"]}, "a": {"policy": "deny"}}}`, []Rule{{"a", []string{"deny"}, 0}, {"b", []string{"read"}, 0}}},
	} {
		got, err := Parse(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v", what, got, err)
		}
	}
	for what, text := range map[string]string{
		"no quotes": `path a { capabilities = ["read"] }`, "no end": `path "a" { capabilities = ["read"]`, "no list": `path "a" { capabilities = "read" }`,
		"a word": `pth "a" { }`, "no brace": `path "a" capabilities`, "an open text": "path \"a\n\" {}", "half a list": `path "a" { capabilities = ["read" }`,
		"JSON": `{"path": [`, "deep": `path "a" { x = ` + strings.Repeat("[", 100), "a comma": `=`, "no value": `path "a" { x = }`,
	} {
		if got, err := Parse(text); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	if _, err := Parse("path \"a\" {}\n\npath b {}"); err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
		t.Errorf("%v", err)
	}
}

func TestLint(t *testing.T) {
	for what, c := range map[string]struct {
		text string
		want []string // a part of each finding, in their order
	}{
		"well":                 {`path "secret/data/a" { capabilities = ["read"] } path "secret/metadata/a/" { capabilities = ["list"] }`, nil},
		"version 1":            {`path "old/a/b" { capabilities = ["read", "list"] }`, nil},
		"empty":                {`# nothing`, []string{"the policy grants nothing"}},
		"data forgotten":       {`path "secret/a/b" { capabilities = ["read"] }`, []string{"write 'secret/data/a/b'"}},
		"metadata forgotten":   {`path "secret/a/" { capabilities = ["list"] }`, []string{"write 'secret/metadata/a/'"}},
		"a deep engine":        {`path "team/kv/a" { capabilities = ["read"] }`, []string{"write 'team/kv/data/a'"}},
		"list under data":      {`path "secret/data/a/*" { capabilities = ["read", "list"] }`, []string{"list does nothing under data/: names are listed under 'secret/metadata/a/*'"}},
		"no engine":            {`path "secrte/data/a" { capabilities = ["read"] }`, []string{"did you mean 'secret/data/a'?"}},
		"no login method":      {`path "auth/ldap/login" { capabilities = ["update"] }`, []string{"nothing is mounted there"}},
		"a login method":       {`path "auth/approle/role/x" { capabilities = ["read"] }`, nil},
		"begins like":          {`path "secret/data/app*" { capabilities = ["read"] }`, []string{"such as 'app-other': write 'secret/data/app/*'"}},
		"everything":           {`path "*" { capabilities = ["sudo"] }`, []string{"this is everything"}},
		"the server":           {`path "sys/*" { capabilities = ["read"] }`, []string{"the server's own settings"}},
		"a whole engine":       {`path "secret/*" { capabilities = ["read"] }`, []string{"all secrets of the engine"}},
		"logins":               {`path "auth/*" { capabilities = ["read"] }`, []string{"all login methods"}},
		"a star within":        {`path "secret/data/*/a" { capabilities = ["read"] }`, []string{"a * that is not at the end"}},
		"a plus within":        {`path "secret/data/a+/b" { capabilities = ["read"] }`, []string{"a + within a segment"}},
		"a plus":               {`path "secret/data/+/b" { capabilities = ["read"] }`, nil},
		"a plus for data":      {`path "secret/+/x" { capabilities = ["read"] }`, []string{"write 'secret/data/x' for the secret"}},
		"a plus in version 1":  {`path "old/+/x" { capabilities = ["read"] }`, nil},
		"a slash at the end":   {`path "secret/data/x/" { capabilities = ["read"] }`, []string{"write 'secret/data/x', or 'secret/data/x/*'"}},
		"a slash and list":     {`path "secret/metadata/x/" { capabilities = ["list"] }`, nil},
		"a slash, version 1":   {`path "old/x/" { capabilities = ["read", "list"] }`, []string{"write 'old/x'"}},
		"a slash elsewhere":    {`path "transit/keys/" { capabilities = ["read"] }`, nil},
		"each engine":          {`path "+/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`, []string{"the server's own settings"}},
		"two segments":         {`path "+/+" { capabilities = ["read"] }`, []string{"the server's own settings"}},
		"any kind of a path":   {`path "secret/+/*" { capabilities = ["read"] }`, []string{"this + stands for data"}},
		"any policy":           {`path "sys/policies/*" { capabilities = ["update"] }`, []string{"may do everything"}},
		"any policy, too":      {`path "sys/policies/acl/*" { capabilities = ["create"] }`, []string{"may do everything"}},
		"any policy, as well":  {`path "sys/+/acl/*" { capabilities = ["sudo", "update"] }`, []string{"may do everything"}},
		"policies, read":       {`path "sys/policies/acl/*" { capabilities = ["read", "list"] }`, nil},
		"tokens":               {`path "auth/token/*" { capabilities = ["update"] }`, []string{"this makes tokens", "nothing is mounted"}},
		"the engine":           {`path "secret" { capabilities = ["read"] }`, []string{"so it grants nothing"}},
		"the engine, /":        {`path "secret/" { capabilities = ["list"] }`, []string{"so it grants nothing"}},
		"version 1, /":         {`path "old/" { capabilities = ["list"] }`, nil},
		"nothing":              {`path "" { capabilities = ["read"] }`, []string{"an empty path"}},
		"delete by delete":     {`path "secret/delete/x" { capabilities = ["delete"] }`, []string{"needs update"}},
		"delete by update":     {`path "secret/delete/x" { capabilities = ["update"] }`, nil},
		"data/ and a star":     {`path "secret/myapp*" { capabilities = ["read"] }`, []string{"only begin like it", "data/ is forgotten"}},
		"deny passed by a +":   {`path "secret/data/+" { capabilities = ["deny"] } path "secret/data/app" { capabilities = ["read"] }`, []string{"deny does not hold for 'secret/data/app'"}},
		"deny beside a +":      {`path "secret/data/+" { capabilities = ["read"] } path "secret/data/app" { capabilities = ["deny"] }`, nil},
		"deny beside another":  {`path "old/+" { capabilities = ["read"] } path "secret/data/app" { capabilities = ["deny"] }`, []string{"nothing in this policy grants it"}},
		"twice":                {`path "secret/data/x" { capabilities = ["read"] } path "secret/data/x" { capabilities = ["update"] }`, []string{"adds up"}},
		"twice, denied":        {`path "secret/data/x" { capabilities = ["read"] } path "secret/data/x" { capabilities = ["deny"] }`, []string{"deny takes away what the other one grants"}},
		"an address":           {`path "v1/secret/data/a" { capabilities = ["read"] }`, []string{"write 'secret/data/a'", "nothing is mounted"}},
		"a template":           {`path "secret/data/{{identity.entity.id}}/*" { capabilities = ["read"] }`, nil},
		"no capability":        {`path "transit/keys/a" { capabilities = [] }`, []string{"grants nothing"}},
		"deny and more":        {`path "secret/data/a" { capabilities = ["deny", "read"] }`, []string{"deny takes away", "nothing in this policy grants it"}},
		"deny that is passed":  {`path "secret/data/*" { capabilities = ["deny"] } path "secret/data/a" { capabilities = ["read"] }`, []string{"deny does not hold for 'secret/data/a'"}},
		"deny for nothing":     {`path "secret/data/a" { capabilities = ["deny"] }`, []string{"nothing in this policy grants it"}},
		"deny that does":       {`path "secret/data/a/*" { capabilities = ["read"] } path "secret/data/a/b" { capabilities = ["deny"] }`, nil},
		"deny of a plus":       {`path "secret/data/a/*" { capabilities = ["read"] } path "secret/data/+/b" { capabilities = ["deny"] }`, nil},
		"a glob over an engin": {`path "se*" { capabilities = ["read"] }`, []string{"only begin like it"}},
	} {
		rules, err := Parse(c.text)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := Lint(rules, engines)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %q, %v", what, got, err)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) {
				t.Errorf("%s: %q does not tell %q", what, got[i], c.want[i])
			}
		}
	}
	// What is mounted is not known: nothing is said of it.
	rules, _ := Parse(`path "nosuch/a" { capabilities = ["read"] }`)
	if got, err := Lint(rules, nil); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	for given, want := range map[string]string{"raed": "'read'", "write": "create, update", "wirte": "there are", "Read": "'read'", "*": "each by its name"} {
		_, err := Lint([]Rule{{Path: "a", Capabilities: []string{given}}}, engines)
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Invalid || !strings.Contains(e.Hint, want) {
			t.Errorf("%s: %v", given, err)
		}
	}
}

// The least policy names each path once, lets nothing else, and has no finding.
func TestLeast(t *testing.T) {
	for _, e := range engines[:3] {
		for _, name := range []string{"a", "a/b", "my app/ü\"x\\y"} {
			for i := 1; i < 1<<len(Words); i++ {
				var words []string
				for j, w := range Words {
					if i&(1<<j) != 0 && (e.KV == 2 || !slices.Contains([]string{"delete", "restore", "rollback"}, w)) {
						words = append(words, w)
					}
				}
				if len(words) == 0 {
					continue
				}
				rules, err := Least(e, name, words)
				if err != nil || len(rules) == 0 {
					t.Fatalf("%v of %s: %v", words, name, err)
				}
				back, err := Parse(Text(rules))
				if err != nil || len(back) != len(rules) {
					t.Fatalf("%v of %s: %q, %v", words, name, Text(rules), err)
				}
				for k := range back {
					if back[k].Path != rules[k].Path || !slices.Equal(back[k].Capabilities, rules[k].Capabilities) {
						t.Fatalf("%v came back as %v", rules[k], back[k])
					}
				}
				found, err := Lint(back, engines)
				if err != nil || len(found) > 0 {
					t.Fatalf("%v of %s: %q, %v", words, name, found, err)
				}
				for _, r := range rules {
					if strings.HasSuffix(r.Path, "*") || slices.Contains(r.Capabilities, "sudo") || !strings.HasPrefix(r.Path, e.Path+"/") {
						t.Fatalf("%v of %s grants %v", words, name, r)
					}
				}
			}
		}
	}
	if _, err := Least(engines[1], "a", []string{"delete"}); !errors.Is(err, keyturn.Unsupported) {
		t.Errorf("%v", err)
	}
	// Credentials: whoever takes a lease renews and revokes it.
	for name, want := range map[string]int{"creds/app": 3, "static-creds/app": 1} {
		rules, err := Least(Engine{Path: "database"}, name, []string{"read"})
		if err != nil || len(rules) != want || rules[0].Path != "database/"+name {
			t.Errorf("%s: %v, %v", name, rules, err)
		}
		if found, err := Lint(rules, append(slices.Clone(engines), Engine{Path: "database"})); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	for name, wild := range map[string]bool{"a": false, "a*": true, "a*b": false, "a/+/b": true, "a+b": false, "{{x}}": true, "${x}": true} {
		if Wild(name) != wild {
			t.Errorf("%s: %v", name, !wild)
		}
	}
}

// FuzzParse: whatever it is given it ends, and what it reads of a policy that it
// wrote itself is what it wrote.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`path "a" { capabilities = ["read"] }`, "# x\npath \"a/*\" {}", `{"path": {"a": {"capabilities": ["read"]}}}`,
		`path "a" { allowed_parameters = { "x" = [1] } }`, "path \"a\\\"\" {", "/* "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(text)
		if err != nil {
			return
		}
		_, _ = Lint(rules, engines)
		for _, r := range rules {
			if strings.ContainsAny(r.Path+strings.Join(r.Capabilities, ""), "\n\r\"\\") || keyturn.Clean(r.Path) != r.Path {
				return
			}
		}
		back, err := Parse(Text(rules))
		if err == nil && len(back) != len(rules) {
			t.Fatalf("%q came back as %v", Text(rules), back)
		}
	})
}

// TestGrow: what is missing is added, what is there stays, and what is denied is not
// granted.
func TestGrow(t *testing.T) {
	t.Parallel()
	a, b := "path \"s/data/a\" {\n  capabilities = [\"read\"]\n}\n", "path \"s/data/b\" {\n  capabilities = [\"read\"]\n}\n"
	read := []Rule{{Path: "s/data/a", Capabilities: []string{"read"}}}
	for _, c := range []struct{ name, text, want string }{
		{"none", "", a},
		{"there", a, a},
		{"more than asked", "path \"s/data/a\" {\n  capabilities = [\"list\", \"read\"]\n}\n", "path \"s/data/a\" {\n  capabilities = [\"list\", \"read\"]\n}\n"},
		{"ours, sorted", b, a + "\n" + b},
		{"ours, another capability", "path \"s/data/a\" {\n  capabilities = [\"list\"]\n}\n", "path \"s/data/a\" {\n  capabilities = [\"list\", \"read\"]\n}\n"},
		{"somebody's words", "# mine\n" + b + "\n\n", "# mine\n" + b + "\n" + a},
		{"with limits of its own", "path \"s/data/b\" {\n  capabilities = [\"read\"]\n  max_wrapping_ttl = \"1h\"\n}\n", "path \"s/data/b\" {\n  capabilities = [\"read\"]\n  max_wrapping_ttl = \"1h\"\n}\n\n" + a},
		{"a wider path is not this one", "path \"s/data/*\" {\n  capabilities = [\"read\"]\n}\n", "path \"s/data/*\" {\n  capabilities = [\"read\"]\n}\n\n" + a},
	} {
		got, err := Grow(c.text, read)
		if c.name == "a wider path is not this one" {
			c.want = "path \"s/data/*\" {\n  capabilities = [\"read\"]\n}\n\n" + a
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
		if again, err := Grow(got, read); err != nil || again != got {
			t.Errorf("%s: once more: %v\n%s", c.name, err, again)
		}
	}
	if _, err := Grow("path \"s/data/a\" { capabilities = [\"deny\"] }", read); !errors.Is(err, keyturn.Conflict) {
		t.Errorf("denied: %v", err)
	}
	for _, text := range []string{`{"path": {}}`, "path s {"} {
		if _, err := Grow(text, read); !errors.Is(err, keyturn.Unsupported) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if at := At("path \"s/data/a\" { capabilities = [\"list\"] }\npath \"s/data/a\" { capabilities = [\"read\"] }", read); len(at) != 1 || !slices.Equal(at[0].Capabilities, []string{"list", "read"}) {
		t.Errorf("all that is granted there: %v", at)
	}
}
