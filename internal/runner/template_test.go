package runner

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// TestTemplateIsOneText: what is asked for names the template by its whole path and its
// text by its digest, and the file that is written by its whole path: a yes to one is no
// yes to another of the same name.
func TestTemplateIsOneText(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	form := func(folder, name, out, text string) string {
		t.Helper()
		tmpl, err := ParseTemplate(folder, name, []byte(text), false)
		if err != nil {
			t.Fatal(err)
		}
		if out != "" {
			if err := tmpl.SendTo(session.Facts{}, out); err != nil {
				t.Fatal(err)
			}
		}
		form, err := keyturn.EncodeOp(tmpl.Op)
		if err != nil {
			t.Fatal(err)
		}
		return string(form)
	}
	const text = `x={{ "kt://local/a#f" }}`
	sum := sha256.Sum256([]byte(text))
	a := filepath.Join(dir, "a")
	want, _ := keyturn.EncodeOp(keyturn.RenderTemplate{Template: filepath.Join(a, "t"), Out: filepath.Join(a, "o"), Secrets: []keyturn.Ref{keyturn.MustRef("local/a#f")}, Digest: hex.EncodeToString(sum[:])})
	if got := form(a, "t", "o", text); got != string(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if os.Symlink(a, filepath.Join(dir, "link")) == nil && form(filepath.Join(dir, "link"), "t", "o", text) != string(want) {
		t.Error("by a link to the folder it is another one")
	}
	for what, other := range map[string]string{
		"another folder": form(filepath.Join(dir, "b"), "t", "../a/o", text), "another text": form(a, "t", "o", text+"\n"), "another file": form(a, "t", "../b/o", text),
		"another template": form(a, "../b/t", "o", text), "standard input": form(a, "-", "o", text),
	} {
		if other == string(want) {
			t.Errorf("%s has the same form", what)
		}
	}
	if tmpl, _ := ParseTemplate(a, "/dev/fd/63", []byte(text), false); tmpl.Op.Template != "/dev/fd/63" {
		t.Errorf("a descriptor is called %s", tmpl.Op.Template)
	}
}

// TestTemplateHeld: a template of an agent or a service that holds a value which the caller
// sees by this operation alone, in whatever spelling, is not filled, and counted. What it
// may see anyway, and what could be guessed, is not sought: neither tells of a guess.
func TestTemplateHeld(t *testing.T) {
	const a, pin = "local/shop#A", "local/shop#PIN"
	for name, c := range map[string]struct {
		text   string
		unseen []string
		held   bool
	}{
		"the value":               {long, []string{a, pin}, true},
		"in base64":               {base64.StdEncoding.EncodeToString([]byte("user:" + long)), []string{a, pin}, true},
		"inside a word":           {"x" + long + "y", []string{a, pin}, true},
		"another one":             {wrongly(long), []string{a, pin}, false},
		"a beginning of it":       {long[:len(long)-1], []string{a, pin}, false},
		"one that can be seen":    {long, []string{pin}, false},
		"all can be seen":         {long, nil, false},
		"one that can be guessed": {short, []string{a, pin}, false},
	} {
		for _, who := range callers {
			caller := newCaller(t, who)
			caller.service.unseen = c.unseen
			const refs = `{{ "kt://` + a + `" }} {{ "kt://` + pin + `" }}`
			tmpl, err := ParseTemplate(caller.Dir, "-", []byte("note="+c.text+"\n"+refs), false)
			if err != nil {
				t.Fatal(err)
			}
			err = tmpl.Fetch(t.Context(), caller.session)
			var out strings.Builder
			_, wrote := tmpl.WriteTo(&out)
			if c.held && who.Kind != keyturn.Person {
				if !errors.Is(err, keyturn.Denied) || keyturn.ReasonOf(err) != keyturn.Held || strings.Contains(err.Error(), long) {
					t.Errorf("%s, %s: %v", name, who.Kind, err)
				}
				if wrote == nil || out.Len() > 0 {
					t.Errorf("%s, %s: it is filled", name, who.Kind)
				}
				if got := caller.service.ended; len(got) != 1 || got[0].ID != "render" || len(got[0].Held) != 1 || got[0].Held[0].Short() != a || got[0].Met {
					t.Errorf("%s, %s: counted is %+v", name, who.Kind, got)
				}
				continue
			}
			if err != nil || wrote != nil || len(caller.service.ended) > 0 || !strings.HasSuffix(out.String(), "\n"+long+" "+short) {
				t.Errorf("%s, %s: %q, counted %+v (%v, %v)", name, who.Kind, out.String(), caller.service.ended, err, wrote)
			}
		}
	}
}
