package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

var (
	goodPatterns = []string{"**", "*", "local/**", "local/myapp/db", "*/a", "**/db", "a/**/b/**/c", "local/my%20app/*", "local/a%2Ab",
		"local/ü", "local/*/x", "local", "**/*", "vault/secret/%25/x"}
	badPatterns = []string{"", "/", "local/", "/local", "local//x", "local/a*", "local/*a", "local/***", "local/./x", "local/../x",
		"kt://local/x", "local/my app", "local/a?version=3", "local/a#f", "local/%2a", "local/%41", "local/%", "Local/x", "lo*/x",
		"local/\x00", "local/\xff", "local/x%2A%2A/..", "local/%2A", "local/%2A%2A", strings.Repeat("a/", 2000) + "a", strings.Repeat("*/", 200) + "*"}
)

func TestPatterns(t *testing.T) {
	for _, s := range goodPatterns {
		p, err := ParsePattern(s)
		if err != nil || p.String() != s {
			t.Errorf("%q: got %q, %v", s, p, err)
		}
	}
	for _, s := range badPatterns {
		p, err := ParsePattern(s)
		if !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%q as %q: %v, want invalid", s, p, err)
		}
	}
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"**", "", true}, {"*", "", false}, {"**/*", "", false}, {"local/**", "", false}, {"**/**", "", true},
		{"local/**", "local", true}, {"local/**", "local/a", true}, {"local/**", "local/a/b/c", true}, {"local/**", "locale/a", false},
		{"local/*", "local", false}, {"local/*", "local/a", true}, {"local/*", "local/a/b", false},
		{"*/a", "local/a", true}, {"**/db", "local/x/y/db", true}, {"**/db", "local/x/dbx", false}, {"**/db", "local/db/x", false},
		{"a/**/b/**/c", "a/b/c", true}, {"a/**/b/**/c", "a/x/b/y/z/c", true}, {"a/**/b/**/c", "a/c/b", false},
		{"local/myapp/**", "local/myapp2/x", false}, {"local/myapp/**", "local/MYAPP/x", false},
		{"local/a%2Ab", "local/a*b", true}, {"local/a%2Ab", "local/axb", false}, {"local/my%20app/*", "local/my%20app/x", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(c.path); got != c.want {
			t.Errorf("%s on %q: %v", c.pattern, c.path, got)
		}
	}
	if (Pattern{}).Match("") || (Pattern{}).Match("local/a") {
		t.Error("the zero pattern matches something")
	}
	for _, bad := range []string{"", "local//a", "kt://local/a", "local/a#f", "*", "local/**"} {
		if p := Literal(bad); p.String() != "" {
			t.Errorf("Literal(%q) is %q", bad, p)
		}
	}
	if !Literal("**").Match("") || Literal("local/a*b").String() != "local/a%2Ab" || !Literal("local/a*b").Match("local/a*b") {
		t.Error("Literal")
	}
}

// naive matches by trying everything.
func naive(p, s []string) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	if p[0] == "**" {
		return naive(p[1:], s) || len(s) > 0 && naive(p, s[1:])
	}
	return len(s) > 0 && (p[0] == "*" || p[0] == s[0]) && naive(p[1:], s[1:])
}

var (
	drawPattern = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "**"}), 1, 6).Draw(t, "segments"), "/")
	})
	drawPath = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 6).Draw(t, "segments"), "/")
	})
)

func TestPatternsAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, path := drawPattern.Draw(t, "pattern"), drawPath.Draw(t, "path")
		p, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Match(path), naive(strings.Split(text, "/"), splitPath(path)); got != want {
			t.Fatalf("%q on %q: %v, want %v", text, path, got, want)
		}
		q, _ := ParsePattern(drawPattern.Draw(t, "other"))
		if p.Covers(q) && q.Match(path) && !p.Match(path) {
			t.Fatalf("%q is said to cover %q, but %q", p, q, path)
		}
		for i := range len(splitPath(path)) + 1 {
			if p.Match(path) && !p.Reaches(splitPath(path)[:i]) {
				t.Fatalf("%q matches %q but does not reach below %q", p, path, splitPath(path)[:i])
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range append(slices.Clone(goodPatterns), badPatterns...) {
		f.Add(s, "local/a/b")
	}
	f.Fuzz(func(t *testing.T, s, path string) {
		p, err := ParsePattern(s)
		if err != nil {
			if e := keyturn.AsError(err); e.Code != keyturn.Invalid || keyturn.Clean(e.Message) != e.Message {
				t.Fatalf("%q: %v, want invalid", s, err)
			}
			return
		}
		again, err := ParsePattern(p.String())
		if err != nil || !slices.Equal(p.segments, again.segments) {
			t.Fatalf("%q is written %q, which is %q (%v)", s, p, again, err)
		}
		p.Match(path)
		// What has no wildcard is a name, and matches itself.
		if !strings.Contains(s, "*") && !p.Match(strings.ReplaceAll(s, "%2A", "*")) {
			t.Fatalf("%q does not match itself", s)
		}
	})
}

// Hostile patterns must not blow up: each of these takes years with backtracking.
func TestPatternsAreLinear(t *testing.T) {
	path := strings.Repeat("a/", 1000) + "a"
	for _, unit := range []string{"**/a/", "**/a/a/", "**/*/", "*/**/a/"} {
		segs := strings.Split(strings.Repeat(unit, maxSegments/len(strings.Split(unit, "/")))+"b", "/")
		p, err := ParsePattern(strings.Join(segs, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if p.Match(path) || !p.Reaches(splitPath(path)) || p.Covers(everythingUnder(splitPath(path))) {
			t.Errorf("%s…", unit)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{"**", "**", true}, {"**", "*", true}, {"**", "a/b", true}, {"*", "**", false}, {"*", "*", true}, {"*", "a", true}, {"a", "*", false},
		{"a/**", "a", true}, {"a/**", "a/b/*", true}, {"a/**", "a/**", true}, {"a/**", "b/**", false}, {"a/*", "a/**", false}, {"a/**/b", "a/**", false},
		{"**/b", "a/**/b", true}, {"a/**", "**", false},
	} {
		p, _ := ParsePattern(c.p)
		q, _ := ParsePattern(c.q)
		if p.Covers(q) != c.want {
			t.Errorf("%s covers %s: %v", c.p, c.q, !c.want)
		}
	}
	if (Pattern{}).Covers(Pattern{}) || Literal("**").Covers(Pattern{}) || (Pattern{}).Covers(Literal("a")) {
		t.Error("the zero pattern")
	}
}
