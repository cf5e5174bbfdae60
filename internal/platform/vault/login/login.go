// Package login gets a token from Vault or OpenBao by one of its auth methods, and
// gives it back. It asks nobody: whoever calls it has the inputs, and opens the
// browser.
package login

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Input is one thing that a method needs.
type Input struct {
	Name     string
	Help     string
	Secret   bool   // asked without echo, never on the command line
	Env      string // a variable that holds it, by the vendor's custom; "" for none
	Optional bool
}

// Method is one way to log in.
type Method struct {
	Name   string
	Help   string
	Path   string // where it is usually enabled, below auth/
	Inputs []Input
}

// Methods lists the ways to log in.
func Methods() []Method {
	role := Input{Name: "role", Help: "the role to log in as"}
	jwt := Input{Name: "jwt", Help: "the signed token of whoever vouches for you", Secret: true}
	return []Method{
		{Name: "token", Help: "a token that you have", Inputs: []Input{{Name: "token", Help: "the token", Secret: true, Env: "VAULT_TOKEN"}}},
		{Name: "oidc", Help: "your organisation's login page, in a browser", Path: "oidc", Inputs: []Input{{Name: "role", Help: role.Help, Optional: true}}},
		{Name: "userpass", Help: "a user name and a password", Path: "userpass", Inputs: []Input{{Name: "username", Help: "your user name"}, {Name: "password", Help: "your password", Secret: true}}},
		{Name: "approle", Help: "a service's role id and secret id", Path: "approle", Inputs: []Input{
			{Name: "role-id", Help: "the role's id", Env: "VAULT_ROLE_ID"}, {Name: "secret-id", Help: "its secret id", Secret: true, Env: "VAULT_SECRET_ID", Optional: true}}},
		{Name: "kubernetes", Help: "the service account of this pod", Path: "kubernetes", Inputs: []Input{role, {Name: "jwt", Help: "the service account's token; the pod's own where left out", Secret: true, Optional: true}}},
		{Name: "jwt", Help: "a signed token, for instance of GitHub Actions or GitLab CI", Path: "jwt", Inputs: []Input{role, jwt}},
	}
}

// Token is what a login gave.
type Token struct {
	Value     keyturn.Value
	Accessor  string
	Identity  string // display name
	Policies  []string
	Expires   time.Time // zero: never
	Renewable bool
}

// Request is one login.
type Request struct {
	Method string
	Path   string // where the method is enabled, below auth/; "" for the usual place
	Inputs map[string]keyturn.Value
	// Visit shows a person an address, in a browser or as text; for oidc.
	Visit func(ctx context.Context, url string) error
}

// Login gets a token. Denied where the server does not take what it was given,
// Invalid where an input is missing.
func Login(ctx context.Context, c *api.Client, r Request) (Token, error) {
	at := slices.IndexFunc(Methods(), func(m Method) bool { return m.Name == r.Method })
	if at < 0 {
		var names []string
		for _, m := range Methods() {
			names = append(names, m.Name)
		}
		return Token{}, keyturn.E(keyturn.Invalid, "there is no login method '"+keyturn.Clean(r.Method)+"'", "there are "+strings.Join(names, ", "))
	}
	method := Methods()[at]
	for _, in := range method.Inputs {
		if v := r.Inputs[in.Name]; v.Len() == 0 && !in.Optional {
			return Token{}, keyturn.E(keyturn.Invalid, "the login method "+method.Name+" needs "+in.Help, "give --"+in.Name)
		}
	}
	path := r.Path
	if path == "" {
		path = method.Path
	}
	path = strings.Trim(strings.TrimPrefix(path, "auth/"), "/")
	in := func(name string) string { return string(r.Inputs[name].Reveal()) }
	switch method.Name {
	case "token":
		return known(ctx, c, r.Inputs["token"])
	case "oidc":
		return browser(ctx, c, path, in("role"), r.Visit)
	case "userpass":
		name := in("username")
		if strings.ContainsAny(name, "/?#%") {
			return Token{}, keyturn.E(keyturn.Invalid, "that is no user name", "")
		}
		return exchange(ctx, c, path+"/login/"+name, map[string]string{"password": in("password")})
	case "approle":
		return exchange(ctx, c, path+"/login", map[string]string{"role_id": in("role-id"), "secret_id": in("secret-id")})
	}
	return exchange(ctx, c, path+"/login", map[string]string{"role": in("role"), "jwt": in("jwt")})
}

// exchange sends what a method takes and reads the token that comes back.
func exchange(ctx context.Context, c *api.Client, path string, body any) (Token, error) {
	a, err := c.Send(ctx, api.Request{Method: http.MethodPost, Path: "auth/" + path, Body: body, Anonymous: true})
	if err != nil {
		return Token{}, refused(path, err)
	}
	return issued(ctx, c, a)
}

// refused tells a wrong password from a server that is not well: of a login's
// refusals Vault answers 400 to most.
func refused(path string, err error) error {
	e := *keyturn.AsError(err)
	switch e.Code {
	case keyturn.Invalid, keyturn.Denied, keyturn.Expired, keyturn.Conflict:
		e.Code, e.By = keyturn.Denied, "platform"
		e.Message = "the server did not take this login at auth/" + keyturn.Clean(strings.Split(path, "/login")[0])
		e.Hint = "check what you gave, and where the method is enabled (--path)"
	case keyturn.NotFound, keyturn.Unsupported:
		e.Code = keyturn.NotFound
		e.Message = "there is no such login method at auth/" + keyturn.Clean(strings.Split(path, "/login")[0])
		e.Hint = "an operator enables it, or it is at another --path"
	}
	return &e
}

func issued(ctx context.Context, c *api.Client, a api.Answer) (Token, error) {
	if a.Auth == nil || a.Auth.Token == "" {
		return Token{}, keyturn.E(keyturn.Unavailable, "the server answered the login without a token", "is it Vault, and is the method's answer wrapped?")
	}
	t := Token{Value: keyturn.NewValue([]byte(a.Auth.Token)), Accessor: a.Auth.Accessor, Policies: a.Auth.Policies, Renewable: a.Auth.Renewable}
	if a.Auth.Duration > 0 {
		t.Expires = c.Now().Add(time.Duration(a.Auth.Duration) * time.Second).UTC()
	}
	if full, err := known(ctx, c, t.Value); err == nil {
		t.Identity = full.Identity
	}
	return t, nil
}

// as is the same server asked with another token.
func as(c *api.Client, token keyturn.Value) (*api.Client, error) {
	conf := c.Config
	conf.Token = func(context.Context) (keyturn.Value, error) { return token, nil }
	return api.New(conf)
}

// known looks a token up with itself.
func known(ctx context.Context, c *api.Client, token keyturn.Value) (Token, error) {
	own, err := as(c, token)
	if err != nil {
		return Token{}, err
	}
	var self struct {
		Name      string    `json:"display_name"`
		Accessor  string    `json:"accessor"`
		Policies  []string  `json:"policies"`
		Expires   time.Time `json:"expire_time"`
		Renewable bool      `json:"renewable"`
	}
	if err := own.Do(ctx, keyturn.Ref{}, http.MethodGet, "auth/token/lookup-self", "", nil, &self); err != nil {
		return Token{}, err
	}
	return Token{Value: token, Accessor: self.Accessor, Identity: self.Name, Policies: self.Policies, Expires: self.Expires.UTC(), Renewable: self.Renewable}, nil
}

// Renew makes a token live on; NotFound where it cannot be renewed any more.
func Renew(ctx context.Context, c *api.Client, t Token) (Token, error) {
	if !t.Renewable {
		return t, keyturn.E(keyturn.NotFound, "this token cannot be renewed", "log in once more when it has expired")
	}
	own, err := as(c, t.Value)
	if err != nil {
		return t, err
	}
	a, err := own.Send(ctx, api.Request{Method: http.MethodPost, Path: "auth/token/renew-self"})
	if err != nil {
		return t, err
	}
	if a.Auth != nil && a.Auth.Duration > 0 {
		t.Expires = c.Now().Add(time.Duration(a.Auth.Duration) * time.Second).UTC()
		t.Renewable = a.Auth.Renewable
	}
	return t, nil
}

// Revoke gives a token back: it opens nothing any more, nor does what it made.
func Revoke(ctx context.Context, c *api.Client, token keyturn.Value) error {
	own, err := as(c, token)
	if err != nil {
		return err
	}
	return own.Do(ctx, keyturn.Ref{}, http.MethodPost, "auth/token/revoke-self", "", nil, nil)
}
