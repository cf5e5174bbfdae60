// Package entry logs in to platforms and out of them.
package entry

import (
	"context"
	"strings"

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

// Login gets a token for a mount, which its platform keeps, with the name of who logs in.
// Without an entrance there is no login; a page is shown to people only. With spare the
// login before it is not revoked.
func Login(ctx context.Context, at Entrance, who keyturn.Actor, spare bool, m *platform.Mount, r keyturn.Receipt, op keyturn.Login) (keyturn.Result, error) {
	if at == nil {
		return nil, keyturn.E(keyturn.Unsupported, "nobody can log in from here", "log in on the machine that keyturn runs on")
	}
	inputs := map[string]string{}
	for name, text := range map[string]string{"role": op.Role, "role-id": op.RoleID, "username": op.Username} {
		if text != "" {
			inputs[name] = text
		}
	}
	l := platform.Login{Method: op.Method, Path: op.Path, Inputs: inputs, Wrapped: op.Wrapped, By: who.Principal(), Spare: spare,
		Ask: func(ctx context.Context, in platform.Input) (keyturn.Value, error) { return at.Ask(ctx, op.Mount, in) }}
	if who.Kind == keyturn.Person {
		l.Visit = at.Visit
	}
	s, err := m.Login(ctx, l)
	return &keyturn.LoggedIn{Receipt: r, Target: m.Target(), Identity: s.Identity, Accessor: s.Accessor, Policies: s.Policies,
		Expires: s.Expires, Renewable: s.Renewable, Instead: s.Instead, Left: keyturn.AsError(s.Left)}, err
}

// Logout ends what Login began. A token that could not be revoked is forgotten all
// the same, and the answer says so.
func Logout(ctx context.Context, m *platform.Mount, r keyturn.Receipt, op keyturn.Logout) (keyturn.Result, error) {
	e, err := m.Logout(ctx, platform.Logout{Given: op.Given, Keep: op.Keep})
	return &keyturn.LoggedOut{Receipt: r, Target: m.Target(), Identity: e.Identity, Accessor: e.Accessor, Revoked: e.Revoked,
		Err: keyturn.AsError(e.Err), Expires: e.Expires, Instead: e.Instead}, err
}

// Ends is the login of a mount that op, a login or a logout, ends; zero where none is
// kept, or op is another operation. mount finds a mount.
func Ends(ctx context.Context, mount func(string) (*platform.Mount, error), op keyturn.Op) (Ending, error) {
	name := ""
	switch op := op.(type) {
	case keyturn.Login:
		name = op.Mount
	case keyturn.Logout:
		name = op.Mount
	default:
		return Ending{}, nil
	}
	m, err := mount(name)
	if err != nil {
		return Ending{}, err
	}
	h, ok, err := m.Holder(ctx)
	if err != nil || !ok {
		return Ending{}, err
	}
	by := "it is not known who logged in"
	if h.By != "" {
		by = h.By + " logged in"
	}
	return Ending{
		Words:  "ends the login of " + m.Name() + " as " + orNobody(h.Identity) + ", for all who use this store; " + by,
		Mark:   h.Mark,
		Person: !strings.HasPrefix(h.By, "agent:") && !strings.HasPrefix(h.By, "service:"),
	}, nil
}

// Ending is a login that an operation ends.
type Ending struct {
	Words  string // whose it is; "" where there is none
	Mark   string // tells it from any other
	Person bool   // a person logged in, or nobody knows who
}

func orNobody(s string) string {
	if s == "" {
		return "somebody whom the server does not name"
	}
	return s
}
