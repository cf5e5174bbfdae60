package document

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

// canary marks values that must not turn up in any message.
const canary = "c4n4ryVALUE"

func parse(t *testing.T, text string) EnvFile {
	t.Helper()
	f, err := ParseEnv(".env", []byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return f
}

// show writes entries as NAME=VALUE, with @ for a reference.
func show(f EnvFile) []string {
	var out []string
	for _, e := range f.Entries {
		s := e.Name + "=" + string(e.Value.Reveal())
		if e.Ref != nil {
			s = e.Name + "@" + e.Ref.String()
		}
		out = append(out, s)
	}
	return out
}

func TestDialects(t *testing.T) {
	for in, want := range map[string][]string{
		"":                                 nil,
		"\n\r\n  \t\n# c\n  # c":           nil,
		"A=1":                              {"A=1"},
		"A=1\nB=2\n":                       {"A=1", "B=2"},
		"A=1\r\nB=2\r\n":                   {"A=1", "B=2"},
		"\xEF\xBB\xBFA=1":                  {"A=1"},
		"  A=1  ":                          {"A=1"},
		"export A=1\nexport\tB=2":          {"A=1", "B=2"},
		"export=1":                         {"export=1"},
		"export =1":                        {"export=1"},
		"export export=1":                  {"export=1"},
		"A = 1 2 \t":                       {"A=1 2"},
		"A=\nB=":                           {"A=", "B="},
		"A= # c\nB=#1\nC=1#2\nD=1 #2 #3":   {"A=", "B=#1", "C=1#2", "D=1"},
		"A='1 # $B \\n \"'":                {`A=1 # $B \n "`},
		"A='1\r\n2\n3'\nB=4":               {"A=1\n2\n3", "B=4"},
		`A="1\n2\r\t\"\\\$\x\'" # c`:       {"A=1\n2\r\t\"\\$\\x\\'"},
		"A=\"1\n# 2\nB=3\"\nC=4":           {"A=1\n# 2\nB=3", "C=4"},
		"A=`1 \"'\\n\n2`#c":                {"A=1 \"'\\n\n2"},
		"A=''\nB=\"\"\nC=``":               {"A=", "B=", "C="},
		"A=it's\nB=a\"b\"\nC=a`b":          {"A=it's", "B=a\"b\"", "C=a`b"},
		"A=a=b==":                          {"A=a=b=="},
		"A=a\\nb":                          {`A=a\nb`},
		"spring.data-url=1\n_A9=2":         {"spring.data-url=1", "_A9=2"},
		"A=\xff\xfe":                       {"A=\xff\xfe"},
		"A=${B}\nB=$A\nC='$A'":             {"A=${B}", "B=$A", "C=$A"},
		"A=kt://local/app#F":               {"A@kt://local/app#F"},
		"A=kt://local/app#F # c":           {"A@kt://local/app#F"},
		"A='kt://local/app?version=3#F'":   {"A@kt://local/app?version=3#F"},
		"A=\"kt://local/app\"":             {"A@kt://local/app"},
		"A='kt://local/$a#$b'":             {"A@kt://local/$a#$b"},
		`A="kt://local/\$a"`:               {"A@kt://local/$a"},
		"A=kt://local/a$":                  {"A@kt://local/a$"},
		"A=\" kt://local/app\"":            {"A= kt://local/app"},
		"A=postgres://kt://local/app@host": {"A=postgres://kt://local/app@host"},
	} {
		if d := cmp.Diff(want, show(parse(t, in))); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
}

func TestEntries(t *testing.T) {
	const text = "# head\nA='1\n2' # c\n\nexport B = \"x\"\nC=\nD=  # c\nE= bare  # c\nF=`k`"
	want := []struct {
		name   string
		line   int
		quote  Quote
		export bool
		raw    string
	}{
		{"A", 2, Single, false, "'1\n2'"}, {"B", 5, Double, true, `"x"`}, {"C", 6, Bare, false, ""},
		{"D", 7, Bare, false, ""}, {"E", 8, Bare, false, "bare"}, {"F", 9, Backtick, false, "`k`"},
	}
	f := parse(t, text)
	for i, w := range want {
		e := f.Entries[i]
		if e.Name != w.name || e.Line != w.line || e.Quote != w.quote || e.Export != w.export || text[e.Start:e.End] != w.raw {
			t.Errorf("%+v, raw %q; want %+v", e, text[e.Start:e.End], w)
		}
	}
	// The offsets are enough to rewrite the file.
	out := []byte(text)
	for i := len(f.Entries) - 1; i >= 0; i-- {
		e := f.Entries[i]
		out = append(out[:e.Start:e.Start], append([]byte("kt://local/app#"+e.Name), out[e.End:]...)...)
	}
	g := parse(t, string(out))
	for i, e := range g.Entries {
		if e.Ref == nil || e.Ref.Field() != want[i].name {
			t.Errorf("rewritten: %q has %v", e.Name, e.Ref)
		}
	}
	if n := strings.Count(string(out), "# c"); n != 3 {
		t.Errorf("%d comments left in %q", n, out)
	}
}

func TestNotices(t *testing.T) {
	f := parse(t, "A="+canary+"1\nB=x\nA="+canary+"2\nC=see kt://"+canary)
	var got []string
	for _, n := range f.Notices {
		got = append(got, n.String())
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], ".env:3: A was already given in line 1") || !strings.HasPrefix(got[1], ".env:4: C holds kt://") {
		t.Errorf("%q", got)
	}
	if strings.Contains(strings.Join(got, ""), canary) {
		t.Errorf("%q", got)
	}
	var names []string
	for _, e := range f.Effective() {
		names = append(names, fmt.Sprint(e.Name, e.Line))
	}
	if d := cmp.Diff([]string{"B2", "A3", "C4"}, names); d != "" {
		t.Error(d)
	}
}

var broken = []struct {
	text string
	at   string
}{
	{canary, ":1: "}, {"A=1\n" + canary + "\n", ":2: "}, {"9" + canary + "=1", ":1: "},
	{"=" + canary, ":1: "}, {"A " + canary + "=1", ":1: "}, {"export " + canary, ":1: "}, {"A: " + canary, ":1: "},
	{"A\n=" + canary, ":1: "}, {"é" + canary + "=1", ":1: "}, {"A=1\n" + strings.Repeat("x", maxName+1) + "=" + canary, ":2: "},
	{"A='" + canary, ":1: "}, {"\n\nA=\"" + canary + "\\\"", ":3: "}, {"A=`" + canary + "\nB=1", ":1: "},
	{"A='x'" + canary, ":1: "}, {"A=\"x\n\" " + canary, ":2: "}, {"A='x'\\''" + canary + "'", ":1: "},
	{"A=1\nB=" + canary + "\x00", ":2: "}, {"\xff\xfeA\x00=" + canary, ":1: "}, {"\xfe\xff\x00A" + canary, ":1: "},
	{"A=kt://" + canary, ":1: "}, {"A='kt://local/" + canary + "/'", ":1: "}, {"A=\"KT://local/" + canary + "\"", ":1: "},
	{"A=kt://local/" + canary + "//x", ":1: "}, {"A=kt://local/$" + canary, ":1: "}, {"A=\"kt://${" + canary + "}/x\"", ":1: "},
	{"A=kt://local/x y" + canary, ":1: "},
	{"-----BEGIN " + canary + "-----\n" + canary, ":1: "}, {"K=-----BEGIN KEY-----\nMII" + canary + "\n", ":2: "},
}

// No error shows any of what it is about but names, and all say where.
func TestBroken(t *testing.T) {
	for _, c := range broken {
		_, err := ParseEnv("my.env", []byte(c.text))
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Invalid) || e.Hint == "" || !strings.HasPrefix(e.Error(), "my.env"+c.at) {
			t.Errorf("%q: %v (%v)", c.text, err, e)
			continue
		}
		// The hint about a reference may hold its canonical form, which is a
		// name and no value; nothing else may.
		if shown := fmt.Sprintf("%s|%+v", e.Message, e.Err); strings.Contains(shown, canary) ||
			strings.Contains(e.Hint, canary) && !strings.Contains(e.Hint, "local/") {
			t.Errorf("%q is told in %s | %s", c.text, shown, e.Hint)
		}
	}
	big := bytes.Repeat([]byte("\n"), MaxSize+1)
	if _, err := ParseEnv("x", big); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("large: %v", err)
	}
	if _, err := ParseEnv("x", big[1:]); err != nil {
		t.Errorf("just fits: %v", err)
	}
	if _, err := ParseEnv("x", bytes.Repeat([]byte("A=\n"), MaxEntries+1)); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("many: %v", err)
	}
	_, err := ParseEnv("a\x1b[31m\nb", []byte("x"))
	if strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%q", err)
	}
}

func TestCanonicalHint(t *testing.T) {
	_, err := ParseEnv("x", []byte("A=kt://local/a%2fb"))
	if h := keyturn.AsError(err).Hint; !strings.Contains(h, "local/a/b") {
		t.Errorf("%q", h)
	}
}

// Printing what was parsed shows no value.
func TestPrinting(t *testing.T) {
	f := parse(t, "A="+canary+"\nB=\"$X"+canary+"\"\nC='"+canary+"'")
	vars, _, err := f.Expand(nil)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ParseTemplate("t", []byte(canary+`{{ "kt://a/b" }}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{f, &f, f.Entries, vars, tmpl, *tmpl} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if g := fmt.Sprintf(verb, v); strings.Contains(g, canary) || strings.Contains(g, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T shows it: %s", verb, v, g)
			}
		}
	}
}

func TestEnvName(t *testing.T) {
	for _, s := range []string{"A", "_", "a_B9"} {
		if n, ok := EnvName(s); n != s || !ok {
			t.Errorf("%q: %q %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "9", "a-b", "a.b", "é", "a b", "A=", "A\n"} {
		if n, ok := EnvName(s); n != "" || ok {
			t.Errorf("%q: %q %v", s, n, ok)
		}
	}
}

// quoteEnv writes any value that a .env file can hold.
func quoteEnv(v string) string {
	if !strings.ContainsAny(v, "'\r") {
		return "'" + v + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`, "\r", `\r`).Replace(v) + `"`
}

func roundTrip(t rapid.TB, v string) {
	if strings.Contains(v, "\x00") || len(v) >= 5 && strings.EqualFold(v[:5], keyturn.Scheme) {
		return
	}
	text := "# c\r\nexport A=" + quoteEnv(v) + " # c\r\nB=1\n"
	f, err := ParseEnv("x", []byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if len(f.Entries) != 2 || string(f.Entries[0].Value.Reveal()) != v {
		t.Fatalf("%q: %q", v, show(f))
	}
	vars, notices, err := f.Expand(func(string) (keyturn.Value, bool) { return keyturn.NewValue([]byte("no")), true })
	if err != nil || len(vars) != 2 || len(notices) != 0 || string(vars[0].Value.Reveal()) != v {
		t.Fatalf("%q expands to %q, %v", v, vars[0].Value.Reveal(), err)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, rapid.StringOf(rapid.SampledFrom([]rune("ab '\"`\\$\n\r#={}:-é"))).Draw(t, "value"))
	})
}

func FuzzParseEnv(f *testing.F) {
	for _, c := range broken {
		f.Add([]byte(c.text))
	}
	for _, s := range []string{"A=1", "export A = \"x\\n\" # c", "A=`\n`\r\nB='$'", "A=kt://local/a#b\nB=${A}", "A=${B:-${C:-x}}$$",
		"A=aaaa\nB=$A$A$A\nC=$B$B$B", "\xEF\xBB\xBFA=", "A=\"${\"", "A=${A}${A:+x}${A:?y}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip(t, string(data))
		file, err := ParseEnv("x", data)
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) || keyturn.AsError(err).Hint == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		end := 0
		for _, e := range file.Entries {
			if e.Start < end || e.End < e.Start || e.End > len(data) || e.Name == "" || e.Line < 1 {
				t.Fatalf("%q: %+v", data, e)
			}
			end = e.End
			if e.Quote != Bare && (data[e.Start] != byte(e.Quote) || data[e.End-1] != byte(e.Quote)) {
				t.Fatalf("%q: quotes of %+v", data, e)
			}
			if e.Quote == Bare && !bytes.Equal(data[e.Start:e.End], e.Value.Reveal()) {
				t.Fatalf("%q: bytes of %+v", data, e)
			}
		}
		vars, _, err := file.Expand(nil)
		if err != nil && !errors.Is(err, keyturn.Invalid) {
			t.Fatal(err)
		}
		if err == nil && len(vars) != len(file.Effective()) {
			t.Fatalf("%d variables", len(vars))
		}
	})
}
