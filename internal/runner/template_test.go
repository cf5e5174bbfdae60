package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
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
