package document

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// fixed answers every reference with its field, or with a value given here.
func fixed(values map[string]string) func(keyturn.Ref) (keyturn.Value, error) {
	return func(r keyturn.Ref) (keyturn.Value, error) {
		if v, ok := values[r.String()]; ok {
			return keyturn.NewValue([]byte(v)), nil
		}
		return keyturn.NewValue([]byte(r.Field())), nil
	}
}

func render(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	tmpl, err := ParseTemplate("t", []byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	v, err := tmpl.Render(fixed(values))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(v.Reveal())
}

func TestTemplates(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "",
		"text { } }} \xff\x00 {a}":               "text { } }} \xff\x00 {a}",
		`a{{ "kt://l/a#F" }}b`:                   "aFb",
		`{{"kt://l/a#F"}}{{ "kt://l/a#G" }}`:     "FG",
		"{{\n\t\"kt://l/a#F\"\r\n |\njson }}":    `"F"`,
		`{{ "kt://l/a#F G" | url }}`:             "",
		`{{ "kt://l/a#F%20G" | url }}`:           "F%20G",
		`{{ "kt://l/a#F" | base64 | json }}`:     `"Rg=="`,
		`{{ "kt://l/a#it's" | shell | base64 }}`: base64.StdEncoding.EncodeToString([]byte(`'it'\''s'`)),
		`{{ "{{" }} x {{ "}}" }}`:                "{{ x }}",
		`{{ "{{" | json }}`:                      `"{{"`,
		`{{{ "kt://l/a#F" }}}`:                   "",
		`{ {{ "kt://l/a#F" }} }`:                 "{ F }",
		`{{ "kt://l/q\"\\#F" }}`:                 "F",
		`{{ "kt://l/a}}#F" }}`:                   "F",
	} {
		if want == "" && in != "" {
			if _, err := ParseTemplate("t", []byte(in)); !errors.Is(err, keyturn.Invalid) {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		if got := render(t, in, nil); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A value is never read as a template, whatever is in it.
func TestSinglePass(t *testing.T) {
	evil := `{{ "kt://l/b#G" }}{{ "{{" }}`
	if got := render(t, `{{ "kt://l/a#F" }}{{ "kt://l/a#F" }}`, map[string]string{"kt://l/a#F": evil}); got != evil+evil {
		t.Errorf("%q", got)
	}
	half := map[string]string{"kt://l/a#F": "{", "kt://l/b#G": `{ "kt://l/c#H" }}`}
	if got := render(t, `{{ "kt://l/a#F" }}{{ "kt://l/b#G" }}`, half); got != `{{ "kt://l/c#H" }}` {
		t.Errorf("%q", got)
	}
}

func TestRefs(t *testing.T) {
	tmpl, err := ParseTemplate("t", []byte(`{{ "kt://l/b#G" }}{{ "kt://l/a" }}{{ "kt://l/b#G" | json }}{{ "{{" }}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range tmpl.Refs() {
		got = append(got, r.String())
	}
	if d := cmp.Diff([]string{"kt://l/b#G", "kt://l/a"}, got); d != "" {
		t.Error(d)
	}
	var asked []string
	_, err = tmpl.Render(func(r keyturn.Ref) (keyturn.Value, error) {
		asked = append(asked, r.String())
		return keyturn.Value{}, keyturn.E(keyturn.Denied, "no", "").About(r)
	})
	if d := cmp.Diff(got, asked); d != "" {
		t.Error(d)
	}
	if e := keyturn.AsError(err); !errors.Is(err, keyturn.Denied) || len(e.Each) != 2 {
		t.Errorf("%v", err)
	}
	tmpl.Refs()[0] = keyturn.Ref{}
	if tmpl.Refs()[0].IsZero() {
		t.Error("Refs shares its slice")
	}
}

func TestBrokenTemplates(t *testing.T) {
	for in, at := range map[string]string{
		"{{": "1:1", "a\nbc{{ .Values." + canary + " }}": "2:3", "{{-": "1:1", `{{ "`: "1:1", `{{ "` + canary: "1:1",
		`{{ "` + canary + `" }}`: "1:1", `{{ "local/` + canary + `#b" }}`: "1:1", `{{ "" }}`: "1:1", `{{ 'kt://l/a#F' }}`: "1:1",
		`{{ "kt://` + canary + `" }}`: "1:1", `{{ "kt://l/a//` + canary + `" }}`: "1:1", `{{ "KT://l/` + canary + `" }}`: "1:1",
		`{{ "kt://l/a\n" }}`: "1:1", "{{ \"kt://l/a\n\" }}": "1:1", `{{ "kt://l/a#F"`: "1:1", `{{ "kt://l/a#F" }`: "1:1",
		`{{ "kt://l/a#F" ` + canary + ` }}`: "1:1", `{{ "kt://l/a#F" | ` + canary + ` }}`: "1:1", `{{ "kt://l/a#F" | }}`: "1:1",
		`{{ "kt://l/a#F" | json json }}`: "1:1", `{{ "kt://l/a#F" || json }}`: "1:1", `{{ "kt://l/a#F" | JSON }}`: "1:1",
		`x {{ "kt://l/a#F" }}` + "\n" + `{{ "kt://l/a#F" ` + "\n\n" + `}} {{ "\\" }}`: "4:4",
		`{{ "kt://l/a#F"` + strings.Repeat(" | url", maxFilters+1) + " }}":            "1:1",
	} {
		_, err := ParseTemplate("my.tmpl", []byte(in))
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Invalid) || !strings.HasPrefix(err.Error(), "my.tmpl:"+at+": ") || e.Hint == "" && !strings.Contains(in, "//"+canary) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if g := fmt.Sprint(e.Message, e.Hint, e.Err); strings.Contains(g, canary) {
			t.Errorf("%q is told in %s", in, g)
		}
	}
	if _, err := ParseTemplate("t", make([]byte, MaxSize+1)); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("large: %v", err)
	}
	if _, err := ParseTemplate("t", bytes.Repeat([]byte(`{{ "kt://l/a#F" }}`), MaxEntries+1)); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("many: %v", err)
	}
	if _, err := ParseTemplate("t", []byte("{{")); !strings.Contains(keyturn.AsError(err).Hint, `{{ "{{" }}`) {
		t.Errorf("the hint does not say how to write {{: %v", keyturn.AsError(err).Hint)
	}
}

// What filters cannot take is told by reference, never by value.
func TestFilterErrors(t *testing.T) {
	for _, c := range []struct{ filter, value string }{{"json", canary + "\xff"}, {"yaml", "\xc0" + canary}, {"shell", canary + "\x00"}} {
		tmpl, err := ParseTemplate("t", []byte("\n "+`{{ "kt://l/a#F" | `+c.filter+" }}"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Render(fixed(map[string]string{"kt://l/a#F": c.value}))
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Invalid) || e.Ref.String() != "kt://l/a#F" || !strings.HasPrefix(e.Message, "t:2:2: kt://l/a#F ") {
			t.Errorf("%s: %v", c.filter, err)
		}
		if g := fmt.Sprintf("%+v", *e); strings.Contains(g, canary) {
			t.Errorf("%s: %s", c.filter, g)
		}
		if got := render(t, `{{ "kt://l/a#F" | base64 | `+c.filter+" }}", map[string]string{"kt://l/a#F": c.value}); got == "" {
			t.Error("not by way of base64")
		}
	}
	big := strings.Repeat("x", 20<<20)
	tmpl, err := ParseTemplate("t", []byte(`{{ "kt://l/a#F" }}{{ "kt://l/a#F" }}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Render(fixed(map[string]string{"kt://l/a#F": big})); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("large: %v", err)
	}
}

func TestFilterTable(t *testing.T) {
	for _, c := range []struct{ filter, in, want string }{
		{"json", "a\"b\\c\n<&>\u2028é\x7f", `"a\"b\\c\n<&>\u2028é` + "\x7f" + `"`}, {"json", "", `""`},
		{"url", "aZ09-._~", "aZ09-._~"}, {"url", "a b+/?#&=%é\xff", "a%20b%2B%2F%3F%23%26%3D%25%C3%A9%FF"},
		{"base64", "\xff\x00x", "/wB4"}, {"base64", "", ""},
		{"shell", "it's $x\n", `'it'\''s $x` + "\n'"}, {"shell", "", "''"},
		{"yaml", "a\"\\\n\x00\x1b\u0085é€😀{{: #", `"a\"\\\n\0\e\x85\xE9\u20AC\U0001F600{{: #"`}, {"yaml", "", `""`},
	} {
		in := []byte(c.in)
		got, bad := filters[c.filter](in)
		if string(got) != c.want || bad != "" || string(in) != c.in {
			t.Errorf("%s(%q) = %q %s, want %q", c.filter, c.in, got, bad, c.want)
		}
	}
	for name := range filters {
		if !strings.Contains(filterNames, name) {
			t.Errorf("%s is not named in hints", name)
		}
	}
}

// others checks each filter against an implementation that is not ours.
func others(t rapid.TB, in []byte) {
	if out, _ := toURL(in); true {
		if back, err := url.QueryUnescape(string(out)); err != nil || back != string(in) {
			t.Fatalf("url of %q: %q %v", in, back, err)
		}
		if back, err := url.PathUnescape(string(out)); err != nil || back != string(in) {
			t.Fatalf("url of %q: %q %v", in, back, err)
		}
	}
	js, bad := toJSON(in)
	if (bad == "") != utf8.Valid(in) {
		t.Fatalf("json of %q: %s", in, bad)
	}
	var s string
	if bad == "" && (json.Unmarshal(js, &s) != nil || s != string(in)) {
		t.Fatalf("json of %q: %q", in, js)
	}
	ya, bad := toYAML(in)
	if (bad == "") != utf8.Valid(in) {
		t.Fatalf("yaml of %q: %s", in, bad)
	}
	var doc map[string]string
	if bad == "" {
		if err := yaml.Unmarshal([]byte("k: "+string(ya)+"\n"), &doc); err != nil || doc["k"] != string(in) {
			t.Fatalf("yaml of %q: %q %v", in, ya, err)
		}
	}
}

func TestFiltersLikeOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		others(t, []byte(rapid.String().Draw(t, "text")))
		others(t, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	})
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here")
	}
	for _, in := range []string{"", "a", "it's", "''", "$(id) `id` \\ \" \n!*?[~", "-n", "\xff\xfe"} {
		word, _ := toShell([]byte(in))
		if out, err := exec.Command(sh, "-c", "printf %s "+string(word)).Output(); err != nil || string(out) != in {
			t.Errorf("%q: %q %v", in, out, err)
		}
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"", "text", `a {{ "kt://l/a#F" }} b`, `{{ "kt://l/a#F" | json | url }}`, `{{ "{{" }}`, "{{", "{{{", "}}", `{{ "kt://l/a`,
		"{{\n\"kt://l/a#F\"\n|\nyaml\n}}", "\xff\x00", `{{ "a\"b" }}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		others(t, data)
		tmpl, err := ParseTemplate("x", data)
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) || !bytes.Contains(data, []byte("{{")) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		out, err := tmpl.Render(func(keyturn.Ref) (keyturn.Value, error) { return keyturn.NewValue(data), nil })
		if err != nil && !errors.Is(err, keyturn.Invalid) {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte("{{")) && !bytes.Equal(out.Reveal(), data) {
			t.Fatalf("%q renders to %q", data, out.Reveal())
		}
		// With its braces escaped, any text renders to itself.
		escaped := bytes.ReplaceAll(data, []byte("{{"), []byte(`{{ "{{" }}`))
		again, err := ParseTemplate("x", escaped)
		if err != nil {
			t.Fatalf("%q: %v", escaped, err)
		}
		if out, err := again.Render(nil); err != nil || !bytes.Equal(out.Reveal(), data) {
			t.Fatalf("%q renders to %q, %v", escaped, out.Reveal(), err)
		}
	})
}
