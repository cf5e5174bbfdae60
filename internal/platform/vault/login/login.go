// Package login gets a token from Vault or OpenBao by one of its auth methods, and
// revokes it. It asks nobody: the caller passes in the inputs and a function that opens
// a browser.
package login

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// podToken is the token of a pod's service account
// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api).
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Methods lists the ways to log in.
func Methods() []platform.Method {
	role := platform.Input{Name: "role", Help: "the role to log in as"}
	jwt := platform.Input{Name: "jwt", Help: "the signed token of whoever vouches for you", Secret: true, Env: "VAULT_ID_TOKEN", Signed: true}
	return []platform.Method{
		{Name: "token", Help: "a token that you have", Inputs: []platform.Input{{Name: "token", Help: "the token", Secret: true, Env: "VAULT_TOKEN"}}},
		{Name: "oidc", Help: "your organisation's login page, in a browser", Path: "oidc", Inputs: []platform.Input{{Name: "role", Help: role.Help, Optional: true}}},
		{Name: "userpass", Help: "a user name and a password", Path: "userpass", Inputs: []platform.Input{{Name: "username", Help: "your user name"}, {Name: "password", Help: "your password", Secret: true}}},
		{Name: "approle", Help: "a service's role id and secret id", Path: "approle", Inputs: []platform.Input{
			{Name: "role-id", Help: "the role's id", Env: "VAULT_ROLE_ID"}, {Name: "secret-id", Help: "its secret id", Secret: true, Env: "VAULT_SECRET_ID", Optional: true}}},
		{Name: "kubernetes", Help: "the service account of this pod", Path: "kubernetes", Inputs: []platform.Input{role, {Name: "jwt", Help: "the service account's token: the pod's own, where this is one", Secret: true, File: podToken}}},
		{Name: "jwt", Help: "a signed token, for instance of GitHub Actions or GitLab CI", Path: "jwt", Inputs: []platform.Input{role, jwt}},
	}
}

// Request is one login.
type Request struct {
	Method string
	Path   string // where the method is enabled, below auth/; "" for the usual place
	Inputs map[string]keyturn.Value
	// Wrapped tells that the secret id is given as the token that it is wrapped in.
	Wrapped bool
	// Visit shows a person an address, in a browser or as text; for oidc.
	Visit func(ctx context.Context, url string) error
	// Ask gets a passcode from a person, where the server asks for a second factor; nil
	// where there is none. A zero Value is nobody's answer.
	Ask func(ctx context.Context, in platform.Input) (keyturn.Value, error)
}

// missing is the error of an input that nobody gave.
func missing(m platform.Method, in platform.Input) error {
	hint := "give --" + in.Name
	if in.Secret {
		hint = "it is asked for at a terminal; elsewhere pipe it in and write - behind the mount"
		if in.Env != "" {
			hint += ", or set " + in.Env
		}
	}
	return keyturn.E(keyturn.Invalid, "the login method "+m.Name+" needs "+in.Help, hint)
}

// plain reports whether s means in a URL what it says.
func plain(s string) bool {
	if strings.ContainsAny(s, "?#%\\") || keyturn.Clean(s) != s {
		return false
	}
	for seg := range strings.SplitSeq(s, "/") {
		if seg == "." || seg == ".." || seg == "" && s != "" {
			return false
		}
	}
	return true
}

func methodOf(name string) (platform.Method, bool) {
	at := slices.IndexFunc(Methods(), func(m platform.Method) bool { return m.Name == name })
	if at < 0 {
		return platform.Method{}, false
	}
	return Methods()[at], true
}

// Inputs lists what a method needs; nothing where there is no such method. What is
// wrapped is asked for by the token that it is wrapped in.
func Inputs(method string, wrapped bool) []platform.Input {
	m, _ := methodOf(method)
	return asked(m, wrapped)
}

func asked(m platform.Method, wrapped bool) []platform.Input {
	list := slices.Clone(m.Inputs)
	for i, in := range list {
		if wrapped && in.Secret {
			list[i].Help, list[i].Optional = "the token that "+in.Help+" is wrapped in", false
		}
	}
	return list
}

// pathOf is where the method of r is enabled, below auth/.
func pathOf(m platform.Method, r Request) string {
	if r.Path == "" {
		return m.Path
	}
	return strings.Trim(strings.TrimPrefix(r.Path, "auth/"), "/")
}

// Check refuses, as Invalid, a login that cannot be meant, by all that is not
// secret of it.
func Check(r Request) error {
	method, ok := methodOf(r.Method)
	if !ok {
		var names []string
		for _, m := range Methods() {
			names = append(names, m.Name)
		}
		return keyturn.E(keyturn.Invalid, "there is no login method '"+keyturn.Clean(r.Method)+"'", "there are "+strings.Join(names, ", "))
	}
	if r.Wrapped && r.Method != "approle" {
		return keyturn.E(keyturn.Invalid, "the login method "+method.Name+" takes nothing that is wrapped", "leave --wrapped out")
	}
	for _, in := range method.Inputs {
		if v := r.Inputs[in.Name]; v.Len() == 0 && !in.Optional && !in.Secret {
			return missing(method, in)
		}
	}
	for name, v := range r.Inputs {
		if v.Len() > 0 && !slices.ContainsFunc(method.Inputs, func(in platform.Input) bool { return in.Name == name }) {
			return keyturn.E(keyturn.Invalid, "the login method "+method.Name+" takes no --"+keyturn.Clean(name), "leave it out, or name another --method")
		}
	}
	if name := string(r.Inputs["username"].Reveal()); strings.Contains(name, "/") || !plain(name) {
		return keyturn.E(keyturn.Invalid, "that is no user name", "a user name has no / ? # or %")
	}
	if r.Path != "" && method.Path == "" {
		return keyturn.E(keyturn.Invalid, "the login method "+method.Name+" is not enabled anywhere", "leave --path out")
	}
	if path := pathOf(method, r); !plain(path) || r.Path != "" && path == "" {
		return keyturn.E(keyturn.Invalid, "a login method is not enabled at such a path", "name it as the server does, without auth/: --path oidc")
	}
	return nil
}

// Given is the method by which a person brings a token that they have: it is not
// made by the login, and stays theirs.
const Given = "token"

// Login gets a token. Denied where the server does not take what it was given,
// Invalid where an input is missing.
func Login(ctx context.Context, c *api.Client, r Request) (platform.Token, error) {
	if err := Check(r); err != nil {
		return platform.Token{}, err
	}
	method, _ := methodOf(r.Method)
	for _, in := range asked(method, r.Wrapped) {
		if v := r.Inputs[in.Name]; v.Len() == 0 && !in.Optional {
			return platform.Token{}, missing(method, in)
		}
	}
	path := pathOf(method, r)
	in := func(name string) string { return string(r.Inputs[name].Reveal()) }
	switch method.Name {
	case "token":
		return known(ctx, c, r.Inputs["token"])
	case "oidc":
		return browser(ctx, c, path, in("role"), r)
	case "userpass":
		return exchange(ctx, c, r, path, "/login/"+in("username"), map[string]string{"password": in("password")})
	case "approle":
		if r.Wrapped {
			return wrapped(ctx, c, path, r)
		}
		t, err := exchange(ctx, c, r, path, "/login", map[string]string{"role_id": in("role-id"), "secret_id": in("secret-id")})
		if errors.Is(err, keyturn.Denied) && looksWrapped(r.Inputs["secret-id"]) {
			e := *keyturn.AsError(err)
			e.Hint = "is it a token that the secret id is wrapped in? Then say --wrapped\n" + e.Hint
			err = &e
		}
		return t, err
	}
	return exchange(ctx, c, r, path, "/login", map[string]string{"role": in("role"), "jwt": in("jwt")})
}

// exchange sends what a method takes and reads the token that comes back.
func exchange(ctx context.Context, c *api.Client, r Request, path, rest string, body any) (platform.Token, error) {
	a, err := send(ctx, c, api.Request{Method: http.MethodPost, Path: "auth/" + path + rest, Body: body, Anonymous: true})
	if err != nil {
		return platform.Token{}, refused(path, err)
	}
	return issued(ctx, c, r, a)
}

// refused tells a wrong password from a server that is not well: of a login's
// refusals Vault answers 400 to most.
func refused(path string, err error) error {
	e := *keyturn.AsError(err)
	switch e.Code {
	case keyturn.Invalid, keyturn.Denied, keyturn.Expired, keyturn.Conflict:
		e.Code, e.By = keyturn.Denied, "platform"
		e.Message = "the server did not take this login at auth/" + keyturn.Clean(path)
		e.Hint = "check what you gave, and where the method is enabled (--path)"
	case keyturn.NotFound, keyturn.Unsupported:
		e.Code = keyturn.NotFound
		e.Message = "there is no such login method at auth/" + keyturn.Clean(path)
		e.Hint = "an operator enables it, or it is at another --path"
	}
	return &e
}

// issued is the token of an answer, after a second factor where the server asks for one.
func issued(ctx context.Context, c *api.Client, r Request, a api.Answer) (platform.Token, error) {
	if a.Auth != nil && a.Auth.Token == "" && len(a.Auth.MFA) > 0 && string(a.Auth.MFA) != "null" {
		var err error
		if a, err = second(ctx, c, a.Auth.MFA, r.Ask); err != nil {
			return platform.Token{}, err
		}
	}
	if a.Auth == nil || a.Auth.Token == "" {
		return platform.Token{}, keyturn.E(keyturn.Unavailable, "the server answered the login without a token", "is it Vault, and is the method's answer wrapped?")
	}
	t := platform.Token{Value: keyturn.NewValue([]byte(a.Auth.Token)), Accessor: a.Auth.Accessor, Policies: a.Auth.Policies, Renewable: a.Auth.Renewable, Issued: c.Now().UTC()}
	t.Expires = Ends(c.Now(), a.Auth.Duration)
	if full, err := known(ctx, c, t.Value); err == nil {
		t.Identity = full.Identity
	}
	return bounded(t)
}

// as is the same server asked with another token.
func as(c *api.Client, token keyturn.Value) (*api.Client, error) {
	conf := c.Config
	conf.Token = func(context.Context) (keyturn.Value, error) { return token, nil }
	return api.New(conf)
}

// known looks a token up with itself.
func known(ctx context.Context, c *api.Client, token keyturn.Value) (platform.Token, error) {
	own, err := as(c, token)
	if err != nil {
		return platform.Token{}, err
	}
	var self struct {
		Name      string    `json:"display_name"`
		Accessor  string    `json:"accessor"`
		Policies  []string  `json:"policies"`
		Expires   time.Time `json:"expire_time"`
		TTL       int       `json:"ttl"`
		Renewable bool      `json:"renewable"`
	}
	if err := again(ctx, func() error {
		return own.Do(ctx, keyturn.Ref{}, http.MethodGet, "auth/token/lookup-self", "", nil, &self)
	}); err != nil {
		return platform.Token{}, err
	}
	if self.Name == "" && len(self.Policies) == 0 { // each has a name, and what it may do
		return platform.Token{}, keyturn.E(keyturn.Unavailable, "the server answers nothing about this token", "is it Vault that answers there?")
	}
	t := platform.Token{Value: token, Accessor: self.Accessor, Identity: self.Name, Policies: self.Policies, Issued: c.Now().UTC(), Renewable: self.Renewable}
	if !self.Expires.IsZero() { // by the server's clock, which may not be ours
		t.Expires = Ends(c.Now(), max(self.TTL, 1))
	}
	return bounded(t)
}

// longestLife is the most seconds that a token is taken to have left: a hundred years.
const longestLife = 100 * 365 * 24 * 60 * 60

// Ends is when a token ends that has so many seconds left now; zero, for never, where it
// has none.
func Ends(now time.Time, seconds int) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(min(seconds, longestLife)) * time.Second).UTC()
}

// Renew makes a token live on; NotFound where it cannot be renewed any more.
func Renew(ctx context.Context, c *api.Client, t platform.Token) (platform.Token, error) {
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
		t.Expires = Ends(c.Now(), a.Auth.Duration)
		t.Renewable, t.Issued = a.Auth.Renewable, c.Now().UTC()
	}
	return t, nil
}

// Revoke gives a token back: it opens nothing any more, nor does what it made.
func Revoke(ctx context.Context, c *api.Client, token keyturn.Value) error {
	own, err := as(c, token)
	if err != nil {
		return err
	}
	return again(ctx, func() error {
		return own.Do(ctx, keyturn.Ref{}, http.MethodPost, "auth/token/revoke-self", "", nil, nil)
	})
}
