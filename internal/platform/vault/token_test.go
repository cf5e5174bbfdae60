package vault

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
)

// shelf is a Keeper that holds one token, or fails.
type shelf struct {
	platform.Keeper
	token platform.Token
	err   error
}

func (s shelf) Load(context.Context) (platform.Token, error) { return s.token, s.err }

// TestTokenSource: which token counts, and to whose server it belongs.
func TestTokenSource(t *testing.T) {
	home, empty := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".vault-token"), []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const here = "https://a.example.com:8200"
	kept := shelf{token: platform.Token{Value: keyturn.NewValue([]byte("of-the-login"))}}
	ended := shelf{token: platform.Token{Identity: "anna", Expires: time.Now().Add(-time.Minute), Words: "--method oidc"}}
	all := map[string]string{"VAULT_ADDR": here, "VAULT_TOKEN": "t", "HOME": home}
	none := shelf{err: keyturn.E(keyturn.NotFound, "none", "")}
	for name, c := range map[string]struct {
		env     map[string]string
		kept    shelf
		who     keyturn.ActorKind // "" for a person
		only    bool
		want    string
		code    keyturn.Code
		says    string
		instead string // while a login is kept
		after   string // while none is
	}{
		"a variable":                {env: map[string]string{"VAULT_ADDR": here, "VAULT_TOKEN": "t", "HOME": home}, kept: kept, want: "t", instead: "VAULT_TOKEN", after: "VAULT_TOKEN"},
		"a variable of another":     {env: map[string]string{"VAULT_ADDR": "https://b.example.com", "VAULT_TOKEN": "t", "HOME": home}, kept: kept, want: "of-the-login"},
		"a variable of none":        {env: map[string]string{"VAULT_TOKEN": "t", "HOME": home}, kept: none, code: keyturn.Expired, says: "nobody is logged in to " + here},
		"a variable of the only":    {env: map[string]string{"VAULT_TOKEN": "t"}, kept: kept, only: true, want: "t", instead: "VAULT_TOKEN", after: "VAULT_TOKEN"},
		"not the only by its name":  {env: map[string]string{"VAULT_ADDR": "https://b.example.com", "VAULT_TOKEN": "t"}, kept: none, only: true, code: keyturn.Expired},
		"a login before the file":   {env: map[string]string{"VAULT_ADDR": here, "HOME": home}, kept: kept, want: "of-the-login", after: "~/.vault-token"},
		"the file":                  {env: map[string]string{"VAULT_ADDR": here + "/", "HOME": home}, kept: none, want: "of-the-file", after: "~/.vault-token"},
		"the file of another":       {env: map[string]string{"VAULT_ADDR": "https://b.example.com", "HOME": home}, kept: none, code: keyturn.Expired},
		"no file for an ended one":  {env: map[string]string{"VAULT_ADDR": here, "HOME": home}, kept: ended, code: keyturn.Expired, says: "the login as anna ended at ", after: "~/.vault-token"},
		"an agent":                  {env: all, kept: kept, who: keyturn.Agent, only: true, want: "of-the-login"},
		"an agent and nobody":       {env: all, kept: none, who: keyturn.Agent, only: true, code: keyturn.Expired, says: "nobody is logged in to " + here},
		"an agent that names none":  {env: map[string]string{"VAULT_TOKEN": "t", "HOME": home}, kept: none, who: keyturn.Agent, only: true, code: keyturn.Expired},
		"an agent and an ended one": {env: all, kept: ended, who: keyturn.Agent, only: true, code: keyturn.Expired, says: "the login as anna ended at "},
		"an agent, and no store":    {env: all, kept: shelf{err: keyturn.E(keyturn.Corrupt, "damaged", "")}, who: keyturn.Agent, code: keyturn.Corrupt},
		"a service":                 {env: all, kept: kept, who: keyturn.ServiceKind, want: "t", instead: "VAULT_TOKEN", after: "VAULT_TOKEN"},
		"a service has no home":     {env: map[string]string{"VAULT_ADDR": here, "HOME": home}, kept: none, who: keyturn.ServiceKind, only: true, code: keyturn.Expired},
		"nobody has nothing":        {env: all, kept: none, who: "x", only: true, code: keyturn.Expired},
		"no file":                   {env: map[string]string{"VAULT_ADDR": here, "HOME": empty}, kept: ended, code: keyturn.Expired, says: "the login as anna ended at "},
		"no home":                   {env: map[string]string{"VAULT_ADDR": here}, kept: none, code: keyturn.Expired},
		"a store that fails":        {env: map[string]string{"VAULT_ADDR": here, "HOME": home}, kept: shelf{err: keyturn.E(keyturn.Corrupt, "damaged", "")}, code: keyturn.Corrupt, after: "~/.vault-token"},
	} {
		who := cmp.Or(c.who, keyturn.Person)
		source := &tokenSource{env: func(n string) string { return c.env[n] }, mount: "prod", address: here, only: c.only, caller: who, kept: &login.Kept{Keeper: c.kept}}
		got, err := source.token(t.Context())
		want := map[string]string{"t": "VAULT_TOKEN", "of-the-login": "login", "of-the-file": "~/.vault-token"}[c.want]
		if from := source.source(t.Context()); from != want {
			t.Errorf("%s: it is of %q, want %q", name, from, want)
		}
		switch {
		case c.code == "" && (err != nil || !got.Equal(keyturn.NewValue([]byte(c.want)))):
			t.Errorf("%s: it is not %q (%v)", name, c.want, err)
		case c.code != "" && (!errors.Is(err, c.code) || got.Len() > 0 || !strings.HasPrefix(err.Error(), c.says)):
			t.Errorf("%s: %v, want %s", name, err, c.code)
		case c.code == keyturn.Expired && keyturn.AsError(err).Hint != "keyturn login prod"+map[bool]string{true: " --method oidc"}[c.kept.token.Words != ""]:
			t.Errorf("%s: hint %q", name, keyturn.AsError(err).Hint)
		}
		if in, after := source.instead(true), source.instead(false); in != c.instead || after != c.after {
			t.Errorf("%s: %q in place of a login and %q without one, want %q and %q", name, in, after, c.instead, c.after)
		}
	}
}
