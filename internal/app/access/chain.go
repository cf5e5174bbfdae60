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

// ofLogin names the login that is kept, where a token comes from it.
const ofLogin = "login"

// Chain is where the token of one server comes from: VAULT_TOKEN, the login that
// is kept, or, where none ever was, the file that Vault's own command line writes. The
// first and the last belong to the address that VAULT_ADDR names; where it names none,
// to the only mount there is. A token is never sent elsewhere.
//
// An agent can set any variable, HOME among them, and with it choose who it is: for
// agents the login counts and nothing else. A service is given VAULT_TOKEN by whoever
// runs it, and has no home of a person.
type Chain struct {
	Env     func(name string) string
	Mount   string
	Address string
	Only    bool              // of its platform in the configuration
	Who     keyturn.ActorKind // of the caller
	Kept    *login.Kept
}

// Token gives the token for a request.
func (t Chain) Token(ctx context.Context) (keyturn.Value, error) {
	v, _, err := t.pick(ctx)
	return v, err
}

// Source names where the token for a request comes from: "login" for the one that is
// kept, the name of a variable or a file; "" where there is none.
func (t Chain) Source(ctx context.Context) string {
	_, from, _ := t.pick(ctx)
	return from
}

// pick gives the token that counts, and where it comes from. Expired where there is
// none, or the login that is kept has ended: nothing takes its place, or it would be
// somebody else from one moment to the next.
func (t Chain) pick(ctx context.Context) (v keyturn.Value, from string, err error) {
	if v := t.variable(); v != "" {
		return keyturn.NewValue([]byte(v)), tokenVariable, nil
	}
	v, err = t.Kept.Token(ctx)
	if err == nil {
		return v, ofLogin, nil
	}
	if errors.Is(err, keyturn.NotFound) {
		if v := t.file(); v.Len() > 0 {
			return v, "~/" + tokenFile, nil
		}
		err = keyturn.E(keyturn.Expired, "nobody is logged in to "+keyturn.Clean(t.Address), "")
	}
	if errors.Is(err, keyturn.Expired) {
		err = keyturn.E(keyturn.Expired, keyturn.AsError(err).Message, t.Anew(ctx))
	}
	return keyturn.Value{}, "", err
}

// Attend makes the token that requests are sent with now live on until ctx ends,
// where it is of a login that is kept. Where it does not live on, tell is called once,
// in time: see login.Kept.
func (t Chain) Attend(ctx context.Context, need time.Duration, tell func(login.End)) {
	switch v, from, err := t.pick(ctx); {
	case err != nil:
	case from == ofLogin:
		t.Kept.Attend(ctx, need, tell)
	default:
		t.Kept.Watch(ctx, v, from, need, tell)
	}
}

// Anew says how to log in once more: as before, where a login is kept that has ended.
func (t Chain) Anew(ctx context.Context) string {
	login := "keyturn login " + t.Mount
	if k, err := t.Kept.Load(ctx); err == nil && k.Words != "" {
		login += " " + keyturn.Clean(k.Words)
	}
	if t.variable() != "" {
		return tokenVariable + " is set: unset it, and then: " + login
	}
	return login
}

// Own reports whether Vault's own variables are about this server, and count for
// this caller.
func (t Chain) Own() bool {
	at := t.Env("VAULT_ADDR")
	counts := t.Who == keyturn.Person || t.Who == keyturn.ServiceKind
	return counts && (at == "" && t.Only || at != "" && tokens.Same(at, t.Address))
}

// variable is the token in VAULT_TOKEN, where it counts.
func (t Chain) variable() string {
	if !t.Own() {
		return ""
	}
	return t.Env(tokenVariable)
}

// Instead names what is used in place of the login that is kept, or where none is.
func (t Chain) Instead(kept bool) string {
	switch {
	case t.variable() != "":
		return tokenVariable
	case !kept && t.file().Len() > 0:
		return "~/" + tokenFile
	}
	return ""
}

// file is the token that Vault's own command line wrote for a person; empty where
// there is none.
func (t Chain) file() keyturn.Value {
	home := t.Env("HOME")
	if home == "" || t.Who != keyturn.Person || !t.Own() {
		return keyturn.Value{}
	}
	v, err := readToken(filepath.Join(home, tokenFile))
	if err != nil {
		return keyturn.Value{}
	}
	return v
}
