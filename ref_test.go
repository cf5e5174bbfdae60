package keyturn_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]string{
		"local/a":                            "kt://local/a",
		"kt://local/a":                       "kt://local/a",
		"vault/secret/myapp/config#pass":     "kt://vault/secret/myapp/config#pass",
		"gcp/db-password?version=3":          "kt://gcp/db-password?version=3",
		"aws/x?version=AWSPREVIOUS#user":     "kt://aws/x?version=AWSPREVIOUS#user",
		"local/with%20space#a%23b":           "kt://local/with%20space#a%23b",
		"local/100%25":                       "kt://local/100%25",
		"local/a#tls.crt":                    "kt://local/a#tls.crt",
		"local/a#dir/key":                    "kt://local/a#dir/key",
		"local/ünïcode/名前":                   "kt://local/ünïcode/名前",
		"local/a:b&c=d@e+f,g":                "kt://local/a:b&c=d@e+f,g",
		"local/db-*":                         "kt://local/db-*",
		"k8s-1/ns/name":                      "kt://k8s-1/ns/name",
		"local/...":                          "kt://local/...",
		"local/a%0A":                         "kt://local/a%0A",
		"local/a?version=v%2525":             "kt://local/a?version=v%2525",
		"local/kt://local/a":                 "", // empty segment
		"":                                   "",
		"local":                              "",
		"local/":                             "",
		"/a":                                 "",
		"Local/a":                            "",
		"1local/a":                           "",
		"lo_cal/a":                           "",
		"local//a":                           "",
		"local/a/":                           "",
		"local/./a":                          "",
		"local/../a":                         "",
		"local/a/..":                         "",
		"local/*":                            "",
		"local/a/**":                         "",
		"local/a b":                          "",
		"local/a\n":                          "",
		"local/a\x7f":                        "",
		"local/a%2f":                         "",
		"local/a%2Fb":                        "",
		"local/%61":                          "",
		"local/a%":                           "",
		"local/a%4":                          "",
		"local/a%zz":                         "",
		"local/a%FF":                         "",
		"local/a\xff":                        "",
		"local/a%0a":                         "",
		"local/a?":                           "",
		"local/a?version=":                   "",
		"local/a?v=1":                        "",
		"local/a?version=1?version=2":        "",
		"local/a?version=1&x=2#f?":           "",
		"local/a#":                           "",
		"local/a##":                          "",
		"local/a#f?version=1":                "",
		"KT://local/a":                       "",
		"kt://kt://local/a":                  "",
		"local/" + strings.Repeat("a", 2049): "",
		strings.Repeat("m", 64) + "/a":       "",
	} {
		r, err := keyturn.ParseRef(in)
		if want == "" {
			if !errors.Is(err, keyturn.Invalid) {
				t.Errorf("ParseRef(%.80q) = %q, %v; want invalid", in, r, err)
			}
			continue
		}
		if err != nil || r.String() != want {
			t.Errorf("ParseRef(%q) = %q, %v; want %q", in, r, err, want)
		}
	}
}

func TestRefHints(t *testing.T) {
	for in, want := range map[string]string{
		"local/my secret":      "write local/my%20secret",
		"local/%61b":           "write local/ab",
		"local/a%0a":           "write local/a%0A",
		"local/a#f?version=12": "write 'local/a?version=12#f'",
		"local/a b#c d":        "write 'local/a%20b#c%20d'",
	} {
		_, err := keyturn.ParseRef(in)
		if got := keyturn.AsError(err).Hint; got != want {
			t.Errorf("the hint for %q is %q; want %q", in, got, want)
		}
	}
}

// text draws strings that a part of a reference might hold, hostile ones too.
func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("ab/.*%?# \n\x00é\u202e=version"))))
}

func TestRefHasOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := keyturn.NewRef("local", text().Draw(t, "name"))
		if err != nil {
			return
		}
		if f := text().Draw(t, "field"); f != "" {
			if r2, err := r.WithField(f); err == nil {
				r = r2
			}
		}
		if v := text().Draw(t, "version"); v != "" {
			if r2, err := r.WithVersion(v); err == nil {
				r = r2
			}
		}
		for _, s := range []string{r.String(), r.Short()} {
			back, err := keyturn.ParseRef(s)
			if err != nil || back != r {
				t.Fatalf("%q came back as %q, %v", s, back, err)
			}
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back keyturn.Ref
		if err := json.Unmarshal(data, &back); err != nil || back != r {
			t.Fatalf("JSON %s came back as %q, %v", data, back, err)
		}
	})
}

func TestPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"local": "kt://local/", "local/": "kt://local/", "kt://local/a": "kt://local/a/", "local/a/": "kt://local/a/",
		"local/a/b": "kt://local/a/b/", "local//": "", "local/a//": "", "local/a#f": "", "local/a?version=1": "", "": "", "/": "", "L/a": "", "local/..": "",
	} {
		p, err := keyturn.ParsePrefix(in)
		if got := p.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("ParsePrefix(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	p, _ := keyturn.ParsePrefix("local/my")
	for ref, want := range map[string]bool{"local/my": true, "local/my/app": true, "local/myapp": false, "vault/my": false, "local/a/my": false} {
		if got := p.Holds(keyturn.MustRef(ref)); got != want {
			t.Errorf("%s holds %s: %v", p, ref, got)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"local/a": "local/a", "local/a#f": "'local/a#f'", "a'b": `'a'\''b'`, "": "''", "$(x)": "'$(x)'", "~": "'~'"} {
		if got := keyturn.Quote(in); got != want {
			t.Errorf("Quote(%q) = %s; want %s", in, got, want)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"local/a", "kt://vault/secret/a?version=3#f", "local/%25", "local/a b", "local/%", "x/\x00#?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := keyturn.ParseRef(s)
		if err != nil {
			if !errors.Is(err, keyturn.Invalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if r.String() != keyturn.Scheme+strings.TrimPrefix(s, keyturn.Scheme) {
			t.Fatalf("%q was read as %q: two spellings of one name", s, r)
		}
	})
}
