package vault

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
)

// Methods implements platform.Authenticator.
func (p *Platform) Methods() []platform.Method { return login.Methods() }

// Holder implements platform.Authenticator.
func (p *Platform) Holder(ctx context.Context) (platform.Holder, error) {
	if p.Keeper == nil {
		return platform.Holder{}, notHere()
	}
	t, err := p.Keeper.Load(ctx)
	if err != nil {
		return platform.Holder{}, err
	}
	mark := t.Accessor
	if mark == "" { // a batch token, which is not renewed either
		mark = t.Issued.UTC().Format(time.RFC3339Nano)
	}
	return platform.Holder{Identity: t.Identity, By: t.By, Mark: mark}, nil
}

// Login implements platform.Authenticator.
func (p *Platform) Login(ctx context.Context, l platform.Login) (platform.Session, error) {
	if p.Keeper == nil {
		return platform.Session{}, notHere()
	}
	inputs := map[string]keyturn.Value{}
	for name, text := range l.Inputs {
		inputs[name] = keyturn.NewValue([]byte(text))
	}
	r := login.Request{Method: l.Method, Path: l.Path, Inputs: inputs, Wrapped: l.Wrapped, Visit: l.Visit, Ask: l.Ask}
	if err := login.Check(r); err != nil { // before anybody is asked for a secret
		return platform.Session{}, err
	}
	for _, in := range login.Inputs(l.Method, l.Wrapped) {
		if !in.Secret || l.Ask == nil {
			continue
		}
		if p.tokens != nil && !p.tokens.own() {
			in.Foreign = tokenVariable
		}
		v, err := l.Ask(ctx, in)
		if err != nil {
			return platform.Session{}, err
		}
		inputs[in.Name] = v
	}
	t, err := login.Login(ctx, p.client, r)
	if errors.Is(err, keyturn.Expired) {
		e := *keyturn.AsError(err) // whose hint is to log in
		e.Hint = "give another token, or log in by another --method"
		err = &e
	}
	if err != nil {
		return platform.Session{}, err
	}
	t.Words, t.Given, t.By = l.Words(), l.Method == login.Given, l.By
	before, err := p.Keeper.Keep(ctx, t)
	if err != nil {
		if l.Method != login.Given { // the login made it, and nobody has it
			_ = login.Revoke(context.WithoutCancel(ctx), p.client, t.Value)
		}
		return platform.Session{}, err
	}
	p.forget()
	s := p.session(t, true)
	if before.Value.Len() > 0 && !before.Value.Equal(t.Value) && !before.Given && !p.ended(before) {
		s.Left = p.left(ctx, before, l.Spare)
	}
	return s, nil
}

// left revokes the token that a new login has replaced, and returns why it cannot.
func (p *Platform) left(ctx context.Context, t platform.Token, spare bool) error {
	if spare {
		return keyturn.E(keyturn.Conflict, "leases were taken by it, and would end with it", "")
	}
	return p.revoke(ctx, t)
}

// revoke revokes t. It returns no error where the server does not know t any more.
func (p *Platform) revoke(ctx context.Context, t platform.Token) error {
	err := login.Revoke(ctx, p.client, t.Value)
	switch e := keyturn.AsError(err); {
	case e == nil, e.Code == keyturn.Expired:
		return nil
	case e.Code == keyturn.Invalid: // https://developer.hashicorp.com/vault/docs/concepts/tokens#batch-tokens
		return keyturn.E(keyturn.Unsupported, "the server revokes no tokens of this kind", "batch tokens end by themselves").Because(e.Err)
	}
	return err
}

func (p *Platform) ended(t platform.Token) bool {
	return !t.Expires.IsZero() && !p.client.Now().Before(t.Expires)
}

// Logout implements platform.Authenticator.
func (p *Platform) Logout(ctx context.Context, o platform.Logout) (platform.Ended, error) {
	if p.Keeper == nil {
		return platform.Ended{}, notHere()
	}
	t, err := p.Keeper.Load(ctx)
	if err != nil {
		return platform.Ended{}, p.notKept(err)
	}
	out := platform.Ended{Session: p.session(t, false)}
	switch {
	case o.Keep:
	case t.Given && !o.Given && !p.ended(t):
		return platform.Ended{}, keyturn.E(keyturn.Conflict, "this login did not make its token: somebody brought it, and may use it elsewhere",
			"revoke it, with all that was made by it: --yes; or only forget it here: --keep").With(keyturn.GivenToken)
	default:
		out.Err = p.revoke(ctx, t)
		out.Revoked = out.Err == nil
	}
	if err := p.Keeper.Forget(context.WithoutCancel(ctx), t); err != nil {
		return platform.Ended{}, err
	}
	p.forget()
	return out, nil
}

func (p *Platform) session(t platform.Token, kept bool) platform.Session {
	s := platform.Session{Identity: t.Identity, Accessor: t.Accessor, Policies: t.Policies, Expires: t.Expires, Renewable: t.Renewable}
	if p.tokens != nil {
		s.Instead = p.tokens.instead(kept)
	}
	return s
}

// Attend implements platform.Attender.
func (p *Platform) Attend(ctx context.Context, need time.Duration, tell func(end time.Time, why string)) {
	if p.tokens != nil {
		p.tokens.attend(ctx, need, func(e login.End) { tell(e.At, e.Why) })
	}
}

// Close implements platform.Closer: it waits for a renewal of the kept token.
func (p *Platform) Close(limit time.Duration) {
	if p.tokens != nil {
		p.tokens.kept.Close(limit)
	}
}

// notKept completes the error where no login is kept: it names the token that is used.
func (p *Platform) notKept(err error) error {
	e := *keyturn.AsError(err)
	if e.Code == keyturn.NotFound && p.tokens != nil {
		if used := p.tokens.instead(false); used != "" {
			e.Hint = "the token in " + used + " is not keyturn's: take it away there"
		} else {
			e.Hint = "keyturn login " + p.mount
		}
	}
	return &e
}

// forget drops what was found out with another token.
func (p *Platform) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.engines)
}

func notHere() error {
	return keyturn.E(keyturn.Unsupported, "no logins are kept here", "set VAULT_TOKEN")
}
