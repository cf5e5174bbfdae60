package broker

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// Every character of every set comes up, and about as often as the others.
func TestEvenlyDrawn(t *testing.T) {
	for name, set := range charsets {
		const n = 20
		counts := map[rune]int{}
		for range (n*len(set) + maxGeneratedLength - 1) / maxGeneratedLength {
			v, err := generate(keyturn.Generate{Field: "f", Length: maxGeneratedLength, Charset: name})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range string(v.Reveal()) {
				counts[r]++
			}
		}
		total := 0
		for _, c := range counts {
			total += c
		}
		want := total / len(set)
		for _, r := range set {
			if c := counts[r]; c < want/4 || c > want*4 {
				t.Errorf("%s: %q comes up %d times, %d would be even", name, r, c, want)
			}
		}
		if len(counts) != len(set) {
			t.Errorf("%s: %d characters came up, it has %d", name, len(counts), len(set))
		}
	}
}

// What Check lets through can be made, and is what was asked for.
func FuzzGenerate(f *testing.F) {
	for name := range charsets {
		f.Add("password", 40, name)
	}
	f.Add("id", 0, "uuid")
	f.Add("", -1, "no such set")
	f.Fuzz(func(t *testing.T, field string, length int, charset string) {
		g := keyturn.Generate{Field: field, Length: length, Charset: charset}
		v, err := generate(g)
		if (err == nil) != (checkGenerate(g) == nil) {
			t.Fatalf("%+v: made: %v, checked: %v", g, err, checkGenerate(g))
		}
		if err != nil {
			if e := keyturn.AsError(err); e.Code != keyturn.Invalid || keyturn.Clean(e.Message) != e.Message {
				t.Fatalf("%+v: %v", g, err)
			}
			return
		}
		want := length
		switch {
		case charset == "uuid":
			want = 36
		case length == 0:
			want = generatedLength
		}
		if s := string(v.Reveal()); utf8.RuneCountInString(s) != want || charset != "uuid" && charset != "" && strings.Trim(s, charsets[charset]) != "" {
			t.Fatalf("%+v made %d characters", g, len(s))
		}
	})
}
