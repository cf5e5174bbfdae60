// Package entry logs in to platforms and out of them.
package entry

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Entrance is beside the caller of a login: what it gives and shows is no part of
// any operation. It is asked once the login was let through and is on record.
type Entrance interface {
	// Ask gets an input that is secret, for a login to a mount: from where it usually
	// is, or from a person. A zero Value where there is none.
	Ask(ctx context.Context, mount string, in platform.Input) (keyturn.Value, error)
	// Visit shows a login page to a person.
	Visit(ctx context.Context, url string) error
}

// Login gets a token for a mount, which its platform keeps. Without an entrance
// there is no login.
func Login(ctx context.Context, at Entrance, m *platform.Mount, r keyturn.Receipt, op keyturn.Login) (keyturn.Result, error) {
	if at == nil {
		return nil, keyturn.E(keyturn.Unsupported, "nobody can log in from here", "log in on the machine that keyturn runs on")
	}
	inputs := map[string]string{}
	for name, text := range map[string]string{"role": op.Role, "role-id": op.RoleID, "username": op.Username} {
		if text != "" {
			inputs[name] = text
		}
	}
	s, err := m.Login(ctx, platform.Login{Method: op.Method, Path: op.Path, Inputs: inputs, Wrapped: op.Wrapped, Visit: at.Visit,
		Ask: func(ctx context.Context, in platform.Input) (keyturn.Value, error) { return at.Ask(ctx, op.Mount, in) }})
	return &keyturn.LoggedIn{Receipt: r, Target: m.Target(), Identity: s.Identity, Policies: s.Policies,
		Expires: s.Expires, Renewable: s.Renewable, Instead: s.Instead}, err
}

// Logout ends what Login began. A token that could not be revoked is forgotten all
// the same, and the answer says so.
func Logout(ctx context.Context, m *platform.Mount, r keyturn.Receipt, op keyturn.Logout) (keyturn.Result, error) {
	e, err := m.Logout(ctx, platform.Logout{Given: op.Given, Keep: op.Keep})
	return &keyturn.LoggedOut{Receipt: r, Target: m.Target(), Identity: e.Identity, Revoked: e.Revoked,
		Err: keyturn.AsError(e.Err), Expires: e.Expires, Instead: e.Instead}, err
}
