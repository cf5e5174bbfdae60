// Package access is what a request and a login come in with: the token that counts
// of those that there are, and what a login finds or asks for.
package access

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/tokens"
)

// tokenVariable holds a token by Vault's custom, and belongs to VAULT_ADDR.
const tokenVariable = "VAULT_TOKEN"

// tokenFile is where Vault's own command line keeps its token, in HOME.
const tokenFile = ".vault-token"

// Chain is where the token of one server comes from: VAULT_TOKEN, the login that
// is kept, or the file that Vault's own command line writes. The first and the last
// belong to the address that VAULT_ADDR names; where it names none, to the only
// mount there is. A token is never sent elsewhere.
type Chain struct {
	Env     func(name string) string
	Mount   string
	Address string
	Only    bool // of its platform in the configuration
	Kept    *login.Kept
}

// Token gives the token for a request.
func (t Chain) Token(ctx context.Context) (keyturn.Value, error) {
	own := t.Own()
	if v := t.Env(tokenVariable); own && v != "" {
		return keyturn.NewValue([]byte(v)), nil
	}
	v, err := t.Kept.Token(ctx)
	ended := errors.Is(err, keyturn.Expired)
	if err == nil || !ended && !errors.Is(err, keyturn.NotFound) {
		return v, err
	}
	if own {
		if v := t.file(); v.Len() > 0 {
			return v, nil
		}
	}
	e := keyturn.E(keyturn.Expired, "nobody is logged in to "+keyturn.Clean(t.Address), t.Anew(ctx))
	if ended {
		e.Message = keyturn.AsError(err).Message
	}
	return keyturn.Value{}, e
}

// Attend makes the token that requests are sent with now live on until ctx ends,
// where it is of a login that is kept. Where it does not live on, tell is called once,
// in time: see login.Kept.
func (t Chain) Attend(ctx context.Context, need time.Duration, tell func(login.End)) {
	if v := t.Env(tokenVariable); t.Own() && v != "" {
		t.Kept.Watch(ctx, keyturn.NewValue([]byte(v)), tokenVariable, need, tell)
		return
	}
	if _, err := t.Kept.Token(ctx); err == nil {
		t.Kept.Attend(ctx, need, tell)
		return
	}
	if v := t.file(); t.Own() && v.Len() > 0 {
		t.Kept.Watch(ctx, v, "~/"+tokenFile, need, tell)
	}
}

// Anew says how to log in once more: as before, where a login is kept that has ended.
func (t Chain) Anew(ctx context.Context) string {
	login := "keyturn login " + t.Mount
	if k, err := t.Kept.Load(ctx); err == nil && k.Words != "" {
		login += " " + keyturn.Clean(k.Words)
	}
	if t.Own() && t.Env(tokenVariable) != "" {
		return tokenVariable + " is set: unset it, and then: " + login
	}
	return login
}

// Own reports whether Vault's own variables and files are about this server.
func (t Chain) Own() bool {
	at := t.Env("VAULT_ADDR")
	return at == "" && t.Only || at != "" && tokens.Same(at, t.Address)
}

// Instead names what is used in place of the login that is kept, or where none is.
func (t Chain) Instead(kept bool) string {
	switch {
	case !t.Own():
		return ""
	case t.Env(tokenVariable) != "":
		return tokenVariable
	case !kept && t.file().Len() > 0:
		return "~/" + tokenFile
	}
	return ""
}

// file is the token that Vault's own command line wrote; empty where there is none.
func (t Chain) file() keyturn.Value {
	home := t.Env("HOME")
	if home == "" {
		return keyturn.Value{}
	}
	v, err := readToken(filepath.Join(home, tokenFile))
	if err != nil {
		return keyturn.Value{}
	}
	return v
}
