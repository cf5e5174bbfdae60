package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/session"
)

func entranceWith(from session.Login, environ ...string) entrance {
	return entrance{Environ: environ, Login: from, Desk: session.Nobody{}, Person: true}
}

// foreign is an input for which VAULT_TOKEN is not read.
func foreign(in platform.Input) platform.Input {
	in.Foreign = "VAULT_TOKEN"
	return in
}

// TestAsk: a secret input of a login comes from the source that the command line names, or
// else from the usual one; and never from a variable that belongs to another server.
func TestAsk(t *testing.T) {
	dir := t.TempDir()
	pod := filepath.Join(dir, "token")
	if err := os.WriteFile(pod, []byte("of-the-pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 64<<10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	token := platform.Input{Name: "token", Help: "the token", Secret: true, Env: "VAULT_TOKEN"}
	jwt := platform.Input{Name: "jwt", Help: "a token", Secret: true, Env: "VAULT_ID_TOKEN", Signed: true}
	given := func() (keyturn.Value, error) { return keyturn.NewValue([]byte("from-the-pipe")), nil }
	for name, c := range map[string]struct {
		e    entrance
		in   platform.Input
		want string
		code keyturn.Code
	}{
		"nothing":               {e: entranceWith(session.Login{}), in: token},
		"a pipe":                {e: entranceWith(session.Login{Given: given}, "VAULT_TOKEN=t"), in: token, want: "from-the-pipe"},
		"a variable":            {e: entranceWith(session.Login{}, "VAULT_TOKEN=t"), in: token, want: "t"},
		"the last one":          {e: entranceWith(session.Login{}, "VAULT_TOKEN=s", "VAULT_TOKEN=t"), in: token, want: "t"},
		"another server":        {e: entranceWith(session.Login{}, "VAULT_TOKEN=t"), in: foreign(token)},
		"another's as a job's":  {e: entranceWith(session.Login{Variable: "VAULT_TOKEN"}, "VAULT_TOKEN=t", "VAULT_ID_TOKEN=j"), in: foreign(jwt)},
		"a job":                 {e: entranceWith(session.Login{}, "VAULT_ID_TOKEN=j"), in: jwt, want: "j"},
		"a job's variable":      {e: entranceWith(session.Login{Variable: "MINE"}, "VAULT_ID_TOKEN=j", "MINE=m"), in: jwt, want: "m"},
		"a variable not there":  {e: entranceWith(session.Login{Variable: "MINE"}, "VAULT_ID_TOKEN=j"), in: jwt, code: keyturn.Invalid},
		"not for this":          {e: entranceWith(session.Login{Variable: "MINE"}, "MINE=m"), in: platform.Input{Name: "password", Help: "p", Secret: true}},
		"an address of nobody":  {e: entranceWith(session.Login{}, "ACTIONS_ID_TOKEN_REQUEST_URL=x"), in: jwt, code: keyturn.Invalid},
		"a pod":                 {e: entranceWith(session.Login{}), in: platform.Input{Name: "jwt", Help: "t", Secret: true, File: pod}, want: "of-the-pod"},
		"no pod":                {e: entranceWith(session.Login{}), in: platform.Input{Name: "jwt", Help: "t", Secret: true, File: pod + "x"}},
		"a folder":              {e: entranceWith(session.Login{}), in: platform.Input{Name: "jwt", Help: "t", Secret: true, File: dir}, code: keyturn.Invalid},
		"no token of this size": {e: entranceWith(session.Login{}), in: platform.Input{Name: "jwt", Help: "t", Secret: true, File: large}, code: keyturn.Invalid},
	} {
		got, err := c.e.Ask(t.Context(), "a", c.in)
		if c.code != "" {
			if !errors.Is(err, c.code) {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
			continue
		}
		if err != nil || !got.Equal(keyturn.NewValue([]byte(c.want))) {
			t.Errorf("%s: not %q (%v)", name, c.want, err)
		}
	}
}

// TestVisit: the page's address is shown in any case, and its text is clean.
func TestVisit(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	e := entranceWith(session.Login{NoBrowser: true}, "DISPLAY=:0")
	e.Err = out
	if err := e.Visit(t.Context(), "https://login.example.com/?state=x\x1b"); err != nil {
		t.Fatal(err)
	}
	e.Person, e.Login.NoBrowser = false, false
	if err := e.Visit(t.Context(), "https://login.example.com/agent"); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(out.Name())
	for _, want := range []string{"open this page in a browser on this machine", "  https://login.example.com/?state=x\ufffd\n", "  https://login.example.com/agent\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
