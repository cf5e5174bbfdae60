package rules

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	goodTemplates = []string{"npm test", "npm run *", "npm run **", "go", "echo 'a b' \"c \\\"d\\\"\" e\\ f", "echo '*' \\* '**'", "find . -name '*.go'",
		"git log a#b", "x ''", "echo 'a\nb'", "/usr/bin/npm test", "a * b * **", "tab\tword", "echo '$HOME' 'a;b'", "x ü"}
	badTemplates = []string{"", "  ", "*", "**", "* x", "npm *x", "npm x* y", "npm ** x", "npm test; rm", "npm test && rm", "a | b", "a > b", "a < b",
		"echo $HOME", "echo \"$HOME\"", "echo `id`", "echo \"`id`\"", "echo $(id)", "a 'b", "a \"b", "a \\", "a\nb", "npm test # x", "# x",
		"a \x00", "\xff", "'' x", "a \"\\x\"", "a *'' b", "a \\\nb", strings.Repeat("a", 9000), strings.Repeat("a ", 300)}
)

func TestTemplates(t *testing.T) {
	for _, s := range goodTemplates {
		if _, err := ParseTemplate(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range badTemplates {
		_, err := ParseTemplate(s)
		if e := wantInvalid(t, s, err); e.Hint == "" {
			t.Errorf("%q: no hint", s)
		}
	}
	for _, c := range []struct {
		template string
		argv     []string
		want     bool
	}{
		{"npm test", []string{"npm", "test"}, true}, {"npm test", []string{"npm", "test", "x"}, false}, {"npm test", []string{"npm"}, false},
		{"npm test", nil, false}, {"npm test", []string{"npm test"}, false}, {"npm test", []string{"/tmp/evil/npm", "test"}, false},
		{"npm test", []string{"./npm", "test"}, false}, {"npm test", []string{"NPM", "test"}, false}, {"/usr/bin/npm", []string{"npm"}, false},
		{"npm run *", []string{"npm", "run"}, false}, {"npm run *", []string{"npm", "run", "a"}, true}, {"npm run *", []string{"npm", "run", ""}, true},
		{"npm run *", []string{"npm", "run", "a", "b"}, false}, {"npm run *", []string{"npm", "run", "a b; rm"}, true},
		{"npm run **", []string{"npm", "run"}, true}, {"npm run **", []string{"npm", "run", "a", "b"}, true}, {"npm run **", []string{"npm"}, false},
		{"echo '*'", []string{"echo", "*"}, true}, {"echo '*'", []string{"echo", "x"}, false}, {`echo \*`, []string{"echo", "x"}, false},
		{`echo "a b"`, []string{"echo", "a b"}, true}, {`echo a' 'b`, []string{"echo", "a b"}, true}, {"echo ''", []string{"echo", ""}, true}, {"echo ''", []string{"echo"}, false},
	} {
		p, err := ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(c.argv); got != c.want {
			t.Errorf("%s on %q: %v", c.template, c.argv, got)
		}
	}
	if (Template{}).Match(nil) || (Template{}).Match([]string{"a"}) {
		t.Error("the zero command matches")
	}
}

func TestTemplateOfACommand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		argv := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]string{"*", "**", "a*", "$x", "'", `"`, `\`, "#", "a;b", "\n", ""}), rapid.String()), 1, 5).Draw(t, "argv")
		s := TemplateOf(argv)
		if s == "" {
			if argv[0] != "" && !strings.Contains(strings.Join(argv, ""), "\x00") {
				t.Fatalf("no template for %q", argv)
			}
			return
		}
		c, err := ParseTemplate(s)
		if err != nil || !c.Match(argv) || c.rest || slices.ContainsFunc(c.words, func(w word) bool { return w.any }) {
			t.Fatalf("%q for %q: %v", s, argv, err)
		}
		if other := append(slices.Clone(argv), "x"); c.Match(other) || c.Match(argv[:len(argv)-1]) {
			t.Fatalf("%q matches more than %q", s, argv)
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range append(slices.Clone(goodTemplates), badTemplates...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseTemplate(s)
		if err != nil {
			wantInvalid(t, s, err)
			return
		}
		argv := make([]string, len(c.words))
		for i, w := range c.words {
			argv[i] = w.text
		}
		if !c.Match(argv) || c.Match(append([]string{"/tmp/" + argv[0]}, argv[1:]...)) {
			t.Fatalf("%q on %q", s, argv)
		}
		if !strings.Contains(s, "*") && c.Match(append(argv, "more")) {
			t.Fatalf("%q takes more", s)
		}
	})
}
