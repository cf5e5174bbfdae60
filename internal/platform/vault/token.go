package vault

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
)

// tokenVariable holds a token, as for Vault's own command line. It belongs to VAULT_ADDR.
const tokenVariable = "VAULT_TOKEN"

// tokenFile is the file in HOME in which Vault's own command line keeps its token.
const tokenFile = ".vault-token"

// ofLogin is the name of the kept login as the source of a token.
const ofLogin = "login"

// tokenSource picks the token for one server: VAULT_TOKEN, the kept login, or, where no
// login was ever kept, the file of Vault's own command line, in that order. VAULT_TOKEN
// and the file belong to the address in VAULT_ADDR, or, where that is not set, to the only
// mount of Vault. A token is never sent to another server.
//
// An agent can set any variable, HOME included, and could choose an identity that way.
// Therefore only the kept login counts for agents. A service gets VAULT_TOKEN from
// whoever runs it, and has no home of a person.
type tokenSource struct {
	env     func(name string) string
	caller  keyturn.ActorKind
	mount   string
	address string
	only    bool // no other mount of Vault is configured
	kept    *login.Kept
}

// token returns the token for a request.
func (t *tokenSource) token(ctx context.Context) (keyturn.Value, error) {
	v, _, err := t.pick(ctx)
	return v, err
}

// source names the source of the token for a request: "login" for the kept login, the
// name of a variable or a file; "" where there is no token.
func (t *tokenSource) source(ctx context.Context) string {
	_, from, _ := t.pick(ctx)
	return from
}

// pick returns the token that counts and its source. It returns Expired where there is
// none, and where the kept login has ended: another token would change the identity from
// one moment to the next.
func (t *tokenSource) pick(ctx context.Context) (v keyturn.Value, from string, err error) {
	if v := t.variable(); v != "" {
		return keyturn.NewValue([]byte(v)), tokenVariable, nil
	}
	v, err = t.kept.Token(ctx)
	if err == nil {
		return v, ofLogin, nil
	}
	if errors.Is(err, keyturn.NotFound) {
		if v := t.file(); v.Len() > 0 {
			return v, "~/" + tokenFile, nil
		}
		err = keyturn.E(keyturn.Expired, "nobody is logged in to "+keyturn.Clean(t.address), "")
	}
	if errors.Is(err, keyturn.Expired) {
		err = keyturn.E(keyturn.Expired, keyturn.AsError(err).Message, t.anew(ctx))
	}
	return keyturn.Value{}, "", err
}

// attend keeps the token that counts now alive until ctx ends, where it comes from the
// kept login. Where the token cannot be kept alive, attend calls tell once, in time: see
// login.Kept.
func (t *tokenSource) attend(ctx context.Context, need time.Duration, tell func(login.End)) {
	switch v, from, err := t.pick(ctx); {
	case err != nil:
	case from == ofLogin:
		t.kept.Attend(ctx, need, tell)
	default:
		t.kept.Watch(ctx, v, from, need, tell)
	}
}

// anew returns the command that logs in again, in the same way as the kept login.
func (t *tokenSource) anew(ctx context.Context) string {
	login := "keyturn login " + t.mount
	if k, err := t.kept.Load(ctx); err == nil && k.Words != "" {
		login += " " + keyturn.Clean(k.Words)
	}
	if t.variable() != "" {
		return tokenVariable + " is set: unset it, and then: " + login
	}
	return login
}

// own reports whether VAULT_TOKEN and the token file belong to this server, and count for
// this caller.
func (t *tokenSource) own() bool {
	at := t.env(addressVariable)
	counts := t.caller == keyturn.Person || t.caller == keyturn.ServiceKind
	return counts && (at == "" && t.only || at != "" && platform.SameAddress(at, t.address))
}

// variable returns the token in VAULT_TOKEN; "" where it does not count.
func (t *tokenSource) variable() string {
	if !t.own() {
		return ""
	}
	return t.env(tokenVariable)
}

// instead names the source that is used instead of the kept login, where kept is set, or
// in the absence of one; "" for none.
func (t *tokenSource) instead(kept bool) string {
	switch {
	case t.variable() != "":
		return tokenVariable
	case !kept && t.file().Len() > 0:
		return "~/" + tokenFile
	}
	return ""
}

// file returns the token in the file of Vault's own command line; empty where there is
// none, or it does not count.
func (t *tokenSource) file() keyturn.Value {
	home := t.env("HOME")
	if home == "" || t.caller != keyturn.Person || !t.own() {
		return keyturn.Value{}
	}
	v, err := platform.ReadTokenFile(filepath.Join(home, tokenFile))
	if err != nil {
		return keyturn.Value{}
	}
	return v
}
