package world_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"filippo.io/age"

	"github.com/keyturn/keyturn/internal/world"
)

// canary is a value that is found again wherever it went. It holds what encodings
// spell differently.
func canary() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return "kT/" + hex.EncodeToString(b) + `"<&'é\z`
}

// needle is one way to write a part of a canary.
type needle struct {
	form string
	text []byte
}

// needles returns every stretch of ten characters of the canary's middle, in every
// form: a part is enough to show a leak.
func needles(value string) []needle {
	var out []needle
	add := func(form string, text string) { out = append(out, needle{form, []byte(text)}) }
	parts := []string{value}
	for middle := value[3:27]; len(middle) >= 10; middle = middle[1:] { // hexadecimal digits
		parts = append(parts, middle[:10])
	}
	for _, part := range parts {
		add("plain", part)
		add("upper case", strings.ToUpper(part))
		add("hex", hex.EncodeToString([]byte(part)))
		add("HEX", strings.ToUpper(hex.EncodeToString([]byte(part))))
		add("query", url.QueryEscape(part))
		add("path", url.PathEscape(part))
		add("percent", percent(part))
		add("Go", strings.Trim(fmt.Sprintf("%q", part), `"`))
		j, _ := json.Marshal(part)
		add("JSON", strings.Trim(string(j), `"`))
		add("decimal bytes", strings.Trim(fmt.Sprint([]byte(part)), "[]"))
		r := []rune(part)
		slices.Reverse(r)
		add("reversed", string(r))
		for i, order := range []func(b []byte, u uint16) []byte{
			func(b []byte, u uint16) []byte { return append(b, byte(u), byte(u>>8)) },
			func(b []byte, u uint16) []byte { return append(b, byte(u>>8), byte(u)) },
		} {
			var wide []byte
			for _, u := range utf16.Encode([]rune(part)) {
				wide = order(wide, u)
			}
			add([]string{"UTF-16LE", "UTF-16BE"}[i], string(wide))
		}
		for shift := range 3 { // by how the value lies in what was encoded
			for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
				text := enc.EncodeToString(append(bytes.Repeat([]byte("x"), shift), part...))
				head := []int{0, 2, 3}[shift] // characters that hold bits of what is before
				add(fmt.Sprintf("%s+%d", name, shift), text[head:len(text)-3])
			}
		}
	}
	return out
}

func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// search tells where and how any part of value is in data.
func search(value string, data []byte) []string {
	var found []string
	for _, n := range needles(value) {
		if bytes.Contains(data, n.text) && !slices.Contains(found, n.form) {
			found = append(found, n.form)
		}
	}
	return found
}

// TestCanarySearch: the search finds what it is meant to find.
func TestCanarySearch(t *testing.T) {
	v := canary()
	reversed := []rune(v)
	slices.Reverse(reversed)
	b64 := func(before string) string {
		return base64.StdEncoding.EncodeToString([]byte(before + v + " and more"))
	}
	j, _ := json.Marshal(map[string]string{"f": v})
	for form, text := range map[string]string{
		"plain": "x" + v + "x", "cut": v[5:20], "base64+0": b64("abc"), "base64+1": b64("abcd"), "base64+2": b64("abcde"),
		"hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))), "JSON": string(j),
		"query": url.QueryEscape(v), "percent": percent(v), "reversed": string(reversed), "decimal bytes": fmt.Sprint([]byte(v)),
	} {
		if len(search(v, []byte(text))) == 0 {
			t.Errorf("not found: %s", form)
		}
	}
	if got := search(v, []byte(canary())); got != nil {
		t.Errorf("another canary is taken for this one: %v", got)
	}
}

// step is one command line of the canary's way.
type step struct {
	on     *world.Machine
	stdin  string
	args   []string
	shows  bool // its purpose is to show the value on standard output
	status int  // wantFailure, anything, or 0
}

const (
	wantFailure = -1
	anything    = -2
)

// tour collects steps.
type tour struct {
	m, agent *world.Machine
	v        string // the canary
	in       string // a folder of what a person brings along; it is not searched
	steps    []step
}

func (c *tour) ok(stdin string, args ...string) {
	c.steps = append(c.steps, step{c.m, stdin, args, false, 0})
}
func (c *tour) bad(stdin string, args ...string) {
	c.steps = append(c.steps, step{c.m, stdin, args, false, wantFailure})
}
func (c *tour) any(on *world.Machine, stdin string, args ...string) {
	c.steps = append(c.steps, step{on, stdin, args, false, anything})
}
func (c *tour) shows(args ...string) { c.steps = append(c.steps, step{c.m, "", args, true, 0}) }

func (c *tour) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(c.in, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keys brings along what backups and root keys need.
func (c *tour) keys(t *testing.T) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "key.txt", id.String()+"\n")
	c.write(t, "recipients.txt", id.Recipient().String()+"\n")
	c.write(t, "words", "correct horse battery\n")
}

// put goes every way in, and ways in that fail.
func (c *tour) put(t *testing.T) {
	t.Helper()
	js, _ := json.Marshal(map[string]string{"password": c.v, "user": "app"})
	object := string(js)
	env := "PASSWORD=" + "'" + strings.ReplaceAll(c.v, "'", "") + "'\n"
	v2 := strings.ReplaceAll(c.v, "'", "") // as .env can hold it
	file := c.write(t, "value", c.v)
	c.ok("", "init", "--key", "file")
	// Every way in.
	c.ok(c.v, "put", "local/c/stdin", "password=-")
	c.ok(c.v+"\n", "put", "local/c/trim", "password=-", "--trim")
	c.ok("", "put", "local/c/literal", "password="+c.v, "--reason", "because")
	c.ok("", "put", "local/c/file", "password=@"+file, "user=app")
	c.ok(object, "put", "local/c/json", "--from-json", "-", "--label", "team=web")
	c.ok("", "put", "local/c/jsonfile", "--from-json", c.write(t, "in.json", object), "-o", "json", "-v")
	c.ok("", "put", "local/c/env", "--from-env", c.write(t, "in.env", env))
	c.ok("", "put", "local/c/file", "--generate", "other:20", "--merge")
	c.ok(object, "put", "local/c/json", "--from-json", "-", "--if-version", "1")
	// Ways in that fail.
	c.bad(c.v, "put", "local/c/file", "one=-")                                       // fields would vanish
	c.bad(object, "put", "local/c/json", "--from-json", "-", "--if-version", "none") // exists
	c.bad(object+"}", "put", "local/c/broken", "--from-json", "-", "-v")
	c.bad(`{"password": `+c.v, "put", "local/c/broken", "--from-json", "-", "-v", "-o", "json")
	c.bad(`["`+c.v[3:20]+`"]`, "put", "local/c/broken", "--from-json", "-", "-v")
	c.bad("PASSWORD='"+v2+"\n", "put", "local/c/broken", "--from-env", "-", "-v")
	c.bad(v2+"\n", "put", "local/c/broken", "--from-env", "-", "-v", "-o", "json")
	c.bad(c.v, "put", "nowhere/c", "password=-", "-v")
	c.bad("", "put", "local/c/broken", "password=@"+filepath.Join(c.in, "missing"))
	c.any(c.m, "", "put", "local/c/broken", "odd\x01field="+c.v)
	c.bad("", "put", "local/c/broken", "password="+c.v, "password="+c.v)
	c.bad("", "put", "local/c/broken", "password="+c.v, "--no-such-flag")
	c.bad("", "put", "local/c/broken", "="+c.v, "-v")
	c.bad(strings.Repeat(c.v, 300000), "put", "local/c/large", "password=-", "-v")
}

// look asks everything that can be known, in text and JSON, and changes the secret.
func (c *tour) look() {
	// What is known of it, and how it changes.
	for _, json := range [][]string{nil, {"-o", "json", "-v"}} {
		for _, args := range [][]string{
			{"get", "local/c/json"}, {"get", "local/c/json#password"}, {"list"}, {"list", "local/"}, {"list", "local/c", "--shallow"},
			{"history", "local/c/json"}, {"status"}, {"doctor"}, {"list", "--pick"},
			{"get", "local/c/json#password", "--copy"}, {"__complete", "get", "local/c/"}, {"__complete", "get", "local/c/json#"}, {"config", "check"}, {"version"}, {"help"},
			{"rules", "explain", "agents", "use", "local/c/json"}, {"trust"}, {"approve"}, {"approve", "23456789"},
			{"lease", "list"}, {"lease", "create", "local/c/json"}, {"lease", "create", "local/c/json", "--reveal"},
			{"lease", "renew", "local/c/json"}, {"lease", "revoke", "local/c/json"}, {"lease", "revoke", "local/c/json", "--forget"},
			{"audit", "list"}, {"audit", "verify"}, {"audit", "checkpoint"}, {"audit", "export", "--out", "audit.jsonl", "--yes"},
			{"audit", "prune", "--older-than", "30d", "--yes"}, {"completion", "bash"},
		} {
			c.any(c.m, "", append(slices.Clone(args), json...)...)
			c.any(c.agent, "", append(slices.Clone(args), json...)...)
		}
	}
	c.store()
	c.ok("", "copy", "local/c/json", "local/c/copy", "--verify", "-v")
	c.ok("", "copy", "local/c/json#password", "local/c/copy#other", "-o", "json")
	c.bad("", "copy", "local/c/stdin", "local/c/file", "-v") // fields would vanish
	c.any(c.agent, "", "copy", "local/c/json", "local/c/agent", "-v", "-o", "json")
	c.ok("", "diff", "local/c/json", "local/c/copy", "-v")
	c.bad("", "diff", "local/c/json", "local/c/file", "--exit-code", "-o", "json", "-v")
	c.any(c.agent, "", "diff", "local/c/json", "local/c/copy", "-v")
	c.ok("", "rollback", "local/c/json", "--to", "1")
	c.ok("", "delete", "local/c/json")
	c.ok("", "restore", "local/c/json")
}

// store changes keys, makes backups and restores them, in ways that fail too. A
// backup of the canary must be opened to find it.
func (c *tour) store() {
	key, recipients := filepath.Join(c.in, "key.txt"), filepath.Join(c.in, "recipients.txt")
	words := filepath.Join(c.in, "words")
	file := filepath.Join(c.m.Work, "b.age")
	c.ok("", "store", "backup", "--to", file, "--recipients-file", recipients, "-v")
	c.ok("", "store", "backup", "--to", file, "--passphrase-file", words, "-o", "json", "--yes")
	c.ok("", "store", "backup", "--to", file, "--recipients-file", recipients, "--yes")
	c.bad("", "store", "backup", "--to", file, "--recipients-file", recipients, "-v")
	c.bad("", "store", "backup", "--to", file+"2", "--recipient", c.v, "-v")
	c.bad("", "store", "backup", "--to", file+"2", "--passphrase-file", filepath.Join(c.in, "value"), "--recipients-file", recipients)
	c.ok("", "store", "restore", file, "--identity", key, "--check", "-v")
	c.bad("", "store", "restore", file, "--identity", key, "-v", "-o", "json")
	c.bad("", "store", "restore", file, "--identity", filepath.Join(c.in, "value"), "--check", "-v", "-o", "json")
	c.bad("", "store", "restore", filepath.Join(c.in, "value"), "--identity", key, "--check", "-v", "-o", "json")
	c.ok("", "store", "restore", file, "--identity", key, "--replace", "--yes", "--key", "file", "-o", "json")
	c.ok("", "store", "rekey", "--key", "passphrase", "--new-passphrase-file", words, "--yes", "-v")
	c.bad("", "get", "local/c/json", "-v")
	known := c.m.As("KEYTURN_PASSPHRASE_FILE=" + words)
	c.any(known, "", "store", "unlock", "-v")
	c.any(known, "", "store", "lock", "-v")
	c.any(c.m.As("KEYTURN_PASSPHRASE_FILE="+filepath.Join(c.in, "value")), "", "get", "local/c/json", "-v", "-o", "json")
	c.any(c.agent, "", "store", "backup", "--to", file, "--recipients-file", recipients, "-v")
	c.any(known, "", "store", "rekey", "--key", "file", "--yes", "-o", "json", "-v")
}

// use hands the value to programs that print it, to files and to templates.
func (c *tour) use(t *testing.T) {
	t.Helper()
	dir := filepath.Join(c.m.Home, ".config", "keyturn")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rules := "rules:\n  - {who: agents, may: [use], on: [\"local/c/json\"], run: [\"sh -c **\"]}\n" +
		"audit: {forward: [{file: " + filepath.Join(c.m.Work, "forwarded.jsonl") + "}, {file: /nonexistent/folder/audit.jsonl}]}\n"
	if err := os.WriteFile(filepath.Join(dir, "keyturn.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	// Where it is used: the child prints it, the redactor covers it.
	use := []string{"run", "--env", "PASSWORD=local/c/json#password"}
	run := func(script string, flags ...string) []string {
		return append(append(append([]string{}, use...), flags...), "--", "sh", "-c", script)
	}
	c.ok("", run(`printf 'it is %s\n' "$PASSWORD"; printf '%s' "$PASSWORD" >&2`)...)
	c.ok("", run(`printf %s "$PASSWORD" | base64; printf x%s "$PASSWORD" | base64; printf xy%s "$PASSWORD" | base64`)...)
	c.ok("", run(`printf %s "$PASSWORD" | od -An -tx1 | tr -d ' \n'`)...)
	c.ok("", run(`printf %s "$PASSWORD" | head -c 9; sleep 0.2; printf %s "$PASSWORD" | tail -c +10`)...)
	c.any(c.m, "", run(`echo "$PASSWORD"; exit 7`, "--report", filepath.Join(c.m.Work, "report.json"))...)
	c.any(c.m, "", run(`exec no-such-program "$PASSWORD"`)...)
	c.ok("", "run", "--env-from", "local/c/json,prefix=APP_", "--", "sh", "-c", `echo "$APP_password"`)
	c.ok("", "run", "--file", "secret.txt=local/c/json#password", "--", "sh", "-c", `cat secret.txt`)
	c.any(c.m, "", "run", "--env", "PASSWORD=local/c/nothing#password", "--env", "A=local/c/json#password", "--", "true")
	c.any(c.agent, "", run(`echo "$PASSWORD"`)...) // refused
	c.ok("", "config", "trust", "--yes")           // a person, who makes the rules below count
	c.steps = append(c.steps, step{c.agent, "", run(`echo "it is $PASSWORD"; echo "$PASSWORD" | base64`), false, 0})
	c.any(c.agent, "", run(`echo`, "--no-redact")...)
	c.any(c.agent, "", "get", "local/c/json#password", "--reveal", "--allow-pipe", "-v", "-o", "json")
	c.any(c.agent, c.v, "put", "local/c/json", "password=-", "-v")
	c.any(c.agent, "", "render", c.write(t, "template", `{{ "kt://local/c/json#password" }}`), "-v")
	c.any(c.m, "", "render", c.write(t, "broken", c.v[:27]+` {{ "kt://local/c/json#nothing" }} {{`), "-v", "-o", "json")
	// What exists to show it.
	c.shows("get", "local/c/json#password", "--reveal", "--allow-pipe")
	c.shows("get", "local/c/json", "--reveal", "--allow-pipe", "-o", "json")
	c.shows("render", c.write(t, "template", `{{ "kt://local/c/json#password" }}`), "--trust-project", "--allow-pipe")
	c.shows(run(`printf %s "$PASSWORD"`, "--no-redact")...)
	// And what is left of it at the end.
	c.ok("", "quickstart")
	c.ok("", "audit", "verify")
	c.ok("", "audit", "list", "-o", "json")
	c.ok("", "audit", "checkpoint", "--out", filepath.Join(c.m.Work, "checkpoint.txt"))
	c.ok("", "audit", "export", "--out", filepath.Join(c.m.Work, "audit.jsonl"), "--yes")
	c.ok("", "audit", "verify", filepath.Join(c.m.Work, "audit.jsonl"), "--checkpoint", filepath.Join(c.m.Work, "checkpoint.txt"))
	c.bad("", "audit", "verify", filepath.Join(c.m.Work, "checkpoint.txt"), "-v")
	c.ok("", "audit", "prune", "--older-than", "30d", "--yes")
	c.ok("", "destroy", "local/c/json", "--yes")
	c.ok("", "destroy", "local/c/literal", "--versions", "1", "--yes")
}

// migrate moves the value out of files of all kinds, and in ways that fail.
func (c *tour) migrate(t *testing.T) {
	t.Helper()
	v := strings.ReplaceAll(c.v, "'", "")
	q := strings.ReplaceAll(v, `"`, "")
	js, _ := json.Marshal(map[string]any{"database": map[string]string{"password": c.v, "host": "db"}})
	env := c.write(t, "m.env", "A_TOKEN='"+v+"' # c\nPORT=80\n")
	for i, json := range [][]string{{"-v"}, {"-o", "json", "-v"}} {
		out := filepath.Join(c.in, fmt.Sprint("out", i))
		if err := os.Mkdir(out, 0o700); err != nil {
			t.Fatal(err)
		}
		with := func(args ...string) []string { return append(append([]string{"migrate"}, args...), json...) }
		c.ok("", with(env, "--to", "local/m/env", "--dry-run")...)
		c.any(c.agent, "", with(env, "--to", "local/m/agent")...)
		c.ok("", with(env, "--to", "local/m/env")...)
		c.any(c.m, "", with(env, "--to", "local/m/env")...)
		c.ok("", with("--list")...)
		c.any(c.agent, "", with("--list")...)
		c.any(c.agent, "", with("--rollback", env)...)
		c.any(c.agent, "", with("--rollback", "--yes")...)
		c.bad("", with("--rollback", "--yes")...) // the files lie elsewhere
		c.ok("", with("--rollback", env)...)
		c.ok("", with("--rollback", "--out", out, env)...) // where a person asked for it
		c.any(c.m, "", with(c.write(t, "m.json", string(js)), "--to", "local/m/json")...)
		c.any(c.m, "", with("--rollback", filepath.Join(c.in, "m.json"))...)
		c.any(c.m, "", with(c.write(t, "compose.yaml", "services:\n  db:\n    environment:\n      DB_PASSWORD: '"+v+"'\n"), "--to", "local/m/compose")...)
		c.any(c.m, "", with("--rollback", filepath.Join(c.in, "compose.yaml"))...)
		c.any(c.m, "", with(c.write(t, "s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  p: '"+v+"'\n"), "--to", "local/m/k8s", "--as", "template")...)
		c.any(c.m, "", with("--rollback", filepath.Join(c.in, "s.yaml.tmpl"))...)
		c.any(c.m, "", with(c.write(t, "doppler.json", `{"DOPPLER_PROJECT": "x", "DOPPLER_CONFIG": "x", "DOPPLER_ENVIRONMENT": "x", "P": "`+q+`"}`), "--to", "local/m/doppler")...)
		// Ways that fail.
		c.ok("", "put", "local/m/other", "A_TOKEN=another")
		c.bad("", with(env, "--to", "local/m/other")...)
		c.bad("", with(c.write(t, "broken.env", "A_TOKEN='"+v), "--to", "local/m/broken")...)
		c.bad("", with(c.write(t, "broken.json", `{"a": "`+q), "--to", "local/m/broken")...)
		c.bad("", with(c.write(t, "broken.yaml", "a: ["+q+"\n  b: {"), "--to", "local/m/broken")...)
		c.bad("", with(env, "--to", "nowhere/m")...)
		c.bad("", with(c.write(t, "kt.env", "A_TOKEN=kt://"+q[3:20]+" x\n"), "--to", "local/m/broken")...)
	}
	c.ok("", "migrate", "--forget", env, "--yes")
}

// TestCanary puts a marked value through every command, by every way in and with
// mistakes, as a person and as an agent; then everything that was written
// anywhere is searched for it: standard output and error, the store, the working
// and home and temporary folders. Only what exists to show a value may.
func TestCanary(t *testing.T) {
	m, v := world.New(t), canary()
	c := &tour{m: m, agent: m.As("AI_AGENT=canary"), v: v, in: t.TempDir()}
	c.keys(t)
	c.put(t)
	c.migrate(t)
	c.look()
	c.login(t)
	c.actions(t)
	c.use(t)
	shown, commands := 0, map[string]bool{}
	for _, s := range c.steps {
		out := s.on.Run(s.stdin, s.args...)
		line := shortened("keyturn " + strings.Join(s.args, " "))
		commands[s.args[0]] = true
		if s.status == 0 && out.Status != 0 || s.status == wantFailure && out.Status == 0 {
			t.Errorf("%s: exit status %d\n%s", line, out.Status, out.Stderr)
		}
		if out.Status == 1 {
			t.Errorf("%s: an internal error\n%s", line, out.Stderr)
		}
		if s.shows {
			if search(v, []byte(out.Stdout)) == nil {
				t.Errorf("%s did not show the value: the test proves nothing", line)
			}
			shown++
		} else if found := search(v, []byte(out.Stdout)); found != nil {
			t.Errorf("%s: the value is on standard output (%v)", line, found)
		}
		if found := search(v, []byte(out.Stderr)); found != nil {
			t.Errorf("%s: the value is on standard error (%v)", line, found)
		}
	}
	_, list, _ := strings.Cut(m.Must("", "help").Stdout, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; !commands[name] {
			t.Errorf("keyturn %s was not tried", name)
		}
	}
	if list == "" {
		t.Error("'keyturn help' lists no commands")
	}
	files := 0
	err := filepath.WalkDir(m.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if found := search(v, append(data, path...)); found != nil {
			t.Errorf("the value is in %s (%v)", strings.TrimPrefix(path, m.Root), found)
		}
		return nil
	})
	if err != nil || files < 2 || shown == 0 {
		t.Errorf("searched %d files, %d shown (%v)", files, shown, err)
	}
	t.Logf("%d command lines of %d commands, %d files searched for %d needles", len(c.steps), len(commands), files, len(needles(v)))
}

func shortened(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}
