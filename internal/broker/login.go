package broker

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// protectLogin has an agent or a service ask for approval before it ends the login of a
// person, whatever the rules allow it: a login is for everybody who uses this store.
func (b *Broker) protectLogin(ctx context.Context, c *call) error {
	if c.actor.Kind == keyturn.Person || c.verdict.Effect == rules.Deny { // a caller who needs an approval anyway learns nothing
		return nil
	}
	end, err := b.loginEndedBy(ctx, c.op)
	if err != nil || end.words == "" || !end.person {
		return err
	}
	on := ""
	switch op := c.op.(type) {
	case keyturn.Login:
		on = op.On()
	case keyturn.Logout:
		on = op.On()
	}
	c.verdict = c.verdict.And(rules.Verdict{Effect: rules.Deny, Where: "built in", Why: "this " + end.words,
		No: []rules.Refused{{Verb: c.op.Verb(), Path: on}}})
	return nil
}

// Entrance stands beside the caller of a login: what it gives and shows is no part of
// any operation. It is asked once the login was allowed and recorded.
type Entrance interface {
	// Ask returns a secret input for a login to a mount, from where it usually is or from
	// a person; a zero Value where there is none.
	Ask(ctx context.Context, mount string, in platform.Input) (keyturn.Value, error)
	// Visit shows a login page to a person.
	Visit(ctx context.Context, url string) error
}

// login has a mount's platform get a token, and keep it with the name of who logged in.
// Without an Entrance it is Unsupported; a login page is shown to people only. The login
// before is not revoked while leases of the mount live.
func (b *Broker) login(ctx context.Context, c *call, m *platform.Mount, r keyturn.Receipt, op keyturn.Login) (keyturn.Result, error) {
	lives, err := b.journal.Leases.Any(ctx, op.Mount)
	spare := lives || err != nil
	if b.Entrance == nil {
		return nil, keyturn.E(keyturn.Unsupported, "nobody can log in from here", "log in on the machine that keyturn runs on")
	}
	inputs := map[string]string{}
	for name, text := range map[string]string{"role": op.Role, "role-id": op.RoleID, "username": op.Username} {
		if text != "" {
			inputs[name] = text
		}
	}
	l := platform.Login{Method: op.Method, Path: op.Path, Inputs: inputs, Wrapped: op.Wrapped, By: c.actor.Principal(), Spare: spare,
		Ask: func(ctx context.Context, in platform.Input) (keyturn.Value, error) {
			return b.Entrance.Ask(ctx, op.Mount, in)
		}}
	if c.actor.Kind == keyturn.Person {
		l.Visit = b.Entrance.Visit
	}
	s, err := m.Login(ctx, l)
	return &keyturn.LoggedIn{Receipt: r, Target: m.Target(), Identity: s.Identity, Accessor: s.Accessor, Policies: s.Policies,
		Expires: s.Expires, Renewable: s.Renewable, Instead: s.Instead, Left: keyturn.AsError(s.Left)}, err
}

// logout ends a login. A token that could not be revoked is forgotten all the same, and
// the answer says so.
func (b *Broker) logout(ctx context.Context, m *platform.Mount, r keyturn.Receipt, op keyturn.Logout) (keyturn.Result, error) {
	e, err := m.Logout(ctx, platform.Logout{Given: op.Given, Keep: op.Keep})
	return &keyturn.LoggedOut{Receipt: r, Target: m.Target(), Identity: e.Identity, Accessor: e.Accessor, Revoked: e.Revoked,
		Err: keyturn.AsError(e.Err), Expires: e.Expires, Instead: e.Instead}, err
}

// loginEndedBy returns the login of a mount that op, a login or a logout, would end;
// zero where none is kept, and for any other operation.
func (b *Broker) loginEndedBy(ctx context.Context, op keyturn.Op) (endedLogin, error) {
	name := ""
	switch op := op.(type) {
	case keyturn.Login:
		name = op.Mount
	case keyturn.Logout:
		name = op.Mount
	default:
		return endedLogin{}, nil
	}
	m, err := b.Mounts.Mount(name)
	if err != nil {
		return endedLogin{}, err
	}
	h, ok, err := m.Holder(ctx)
	if err != nil || !ok {
		return endedLogin{}, err
	}
	by := "it is not known who logged in"
	if h.By != "" {
		by = h.By + " logged in"
	}
	return endedLogin{
		words:  "ends the login of " + m.Name() + " as " + orNobody(h.Identity) + ", for all who use this store; " + by,
		mark:   h.Mark,
		person: !strings.HasPrefix(h.By, "agent:") && !strings.HasPrefix(h.By, "service:"),
	}, nil
}

// endedLogin is a login that an operation would end.
type endedLogin struct {
	words  string // "ends the login of …"; "" where there is none
	mark   string // tells this login from any other
	person bool   // a person logged in, or nobody knows who
}

func orNobody(s string) string {
	if s == "" {
		return "somebody whom the server does not name"
	}
	return s
}
