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

// TestCanary puts a marked value through every command, by every way in and with
// mistakes, as a person and as an agent; then everything that was written
// anywhere is searched for it: standard output and error, the store, the working
// and home and temporary folders. Only what exists to show a value may.
func TestCanary(t *testing.T) {
	m, v := world.New(t), canary()
	in := t.TempDir() // what a person brings along; not searched
	write := func(name, text string) string {
		path := filepath.Join(in, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	js, _ := json.Marshal(map[string]string{"password": v, "user": "app"})
	object := string(js)
	env := "PASSWORD=" + "'" + strings.ReplaceAll(v, "'", "") + "'\n"
	v2 := strings.ReplaceAll(v, "'", "") // as .env can hold it
	file := write("value", v)

	agent := m.As("AI_AGENT=canary")
	type step struct {
		on     *world.Machine
		stdin  string
		args   []string
		shows  bool // its purpose is to show the value on standard output
		status int  // -1: any but 0
	}
	var steps []step
	ok := func(stdin string, args ...string) { steps = append(steps, step{m, stdin, args, false, 0}) }
	bad := func(stdin string, args ...string) { steps = append(steps, step{m, stdin, args, false, -1}) }
	any := func(on *world.Machine, stdin string, args ...string) {
		steps = append(steps, step{on, stdin, args, false, -2})
	}
	shows := func(args ...string) { steps = append(steps, step{m, "", args, true, 0}) }

	ok("", "init", "--key", "file")
	// Every way in.
	ok(v, "put", "local/c/stdin", "password=-")
	ok(v+"\n", "put", "local/c/trim", "password=-", "--trim")
	ok("", "put", "local/c/literal", "password="+v, "--reason", "because")
	ok("", "put", "local/c/file", "password=@"+file, "user=app")
	ok(object, "put", "local/c/json", "--from-json", "-", "--label", "team=web")
	ok("", "put", "local/c/jsonfile", "--from-json", write("in.json", object), "-o", "json", "-v")
	ok("", "put", "local/c/env", "--from-env", write("in.env", env))
	ok("", "put", "local/c/file", "--generate", "other:20", "--merge")
	ok(object, "put", "local/c/json", "--from-json", "-", "--if-version", "1")
	// Ways in that fail.
	bad(v, "put", "local/c/file", "one=-")                                         // fields would vanish
	bad(object, "put", "local/c/json", "--from-json", "-", "--if-version", "none") // exists
	bad(object+"}", "put", "local/c/broken", "--from-json", "-", "-v")
	bad(`{"password": `+v, "put", "local/c/broken", "--from-json", "-", "-v", "-o", "json")
	bad(`["`+v[3:20]+`"]`, "put", "local/c/broken", "--from-json", "-", "-v")
	bad("PASSWORD='"+v2+"\n", "put", "local/c/broken", "--from-env", "-", "-v")
	bad(v2+"\n", "put", "local/c/broken", "--from-env", "-", "-v", "-o", "json")
	bad(v, "put", "nowhere/c", "password=-", "-v")
	bad("", "put", "local/c/broken", "password=@"+filepath.Join(in, "missing"))
	any(m, "", "put", "local/c/broken", "odd\x01field="+v)
	bad("", "put", "local/c/broken", "password="+v, "password="+v)
	bad("", "put", "local/c/broken", "password="+v, "--no-such-flag")
	bad("", "put", "local/c/broken", "="+v, "-v")
	bad(strings.Repeat(v, 300000), "put", "local/c/large", "password=-", "-v")
	// What is known of it, and how it changes.
	for _, json := range [][]string{nil, {"-o", "json", "-v"}} {
		for _, args := range [][]string{
			{"get", "local/c/json"}, {"get", "local/c/json#password"}, {"list"}, {"list", "local/"}, {"list", "local/c", "--shallow"},
			{"history", "local/c/json"}, {"status"}, {"config", "check"}, {"version"}, {"help"},
			{"rules", "explain", "agents", "use", "local/c/json"}, {"trust"}, {"approve"}, {"approve", "23456789"},
			{"audit", "list"}, {"audit", "verify"}, {"completion", "bash"},
		} {
			any(m, "", append(slices.Clone(args), json...)...)
			any(agent, "", append(slices.Clone(args), json...)...)
		}
	}
	ok("", "rollback", "local/c/json", "--to", "1")
	ok("", "delete", "local/c/json")
	ok("", "restore", "local/c/json")
	// Where it is used: the child prints it, the redactor covers it.
	use := []string{"run", "--env", "PASSWORD=local/c/json#password"}
	run := func(script string, flags ...string) []string {
		return append(append(append([]string{}, use...), flags...), "--", "sh", "-c", script)
	}
	ok("", run(`printf 'it is %s\n' "$PASSWORD"; printf '%s' "$PASSWORD" >&2`)...)
	ok("", run(`printf %s "$PASSWORD" | base64; printf x%s "$PASSWORD" | base64; printf xy%s "$PASSWORD" | base64`)...)
	ok("", run(`printf %s "$PASSWORD" | od -An -tx1 | tr -d ' \n'`)...)
	ok("", run(`printf %s "$PASSWORD" | head -c 9; sleep 0.2; printf %s "$PASSWORD" | tail -c +10`)...)
	any(m, "", run(`echo "$PASSWORD"; exit 7`, "--report", filepath.Join(m.Work, "report.json"))...)
	any(m, "", run(`exec no-such-program "$PASSWORD"`)...)
	ok("", "run", "--env-from", "local/c/json,prefix=APP_", "--", "sh", "-c", `echo "$APP_password"`)
	ok("", "run", "--file", "secret.txt=local/c/json#password", "--", "sh", "-c", `cat secret.txt`)
	any(m, "", "run", "--env", "PASSWORD=local/c/nothing#password", "--env", "A=local/c/json#password", "--", "true")
	any(agent, "", run(`echo "$PASSWORD"`)...)
	any(agent, "", "get", "local/c/json#password", "--reveal", "--allow-pipe", "-v", "-o", "json")
	any(agent, v, "put", "local/c/json", "password=-", "-v")
	any(agent, "", "render", write("template", `{{ "kt://local/c/json#password" }}`), "-v")
	any(m, "", "render", write("broken", v2+` {{ "kt://local/c/json#nothing" }} {{`), "-v", "-o", "json")
	// What exists to show it.
	shows("get", "local/c/json#password", "--reveal", "--allow-pipe")
	shows("get", "local/c/json", "--reveal", "--allow-pipe", "-o", "json")
	shows("render", write("template", `{{ "kt://local/c/json#password" }}`), "--allow-pipe")
	shows(run(`printf %s "$PASSWORD"`, "--no-redact")...)
	// And what is left of it at the end.
	ok("", "quickstart")
	ok("", "audit", "verify")
	ok("", "audit", "list", "-o", "json")
	ok("", "destroy", "local/c/json", "--yes")
	ok("", "destroy", "local/c/literal", "--versions", "1", "--yes")

	shown, commands := 0, map[string]bool{}
	for _, s := range steps {
		out := s.on.Run(s.stdin, s.args...)
		line := shortened("keyturn " + strings.Join(s.args, " "))
		commands[s.args[0]] = true
		if s.status == 0 && out.Status != 0 || s.status == -1 && out.Status == 0 {
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
	t.Logf("%d command lines of %d commands, %d files searched for %d needles", len(steps), len(commands), files, len(needles(v)))
}

func shortened(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}
