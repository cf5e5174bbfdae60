package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// fullDisk keeps no token.
type fullDisk struct{ platform.Keeper }

func (fullDisk) Keep(context.Context, platform.Token) (platform.Token, error) {
	return platform.Token{}, keyturn.E(keyturn.Unavailable, "the disk is full", "")
}

// TestTokenThatCannotBeKept: one that the login made is revoked, since nobody has it;
// one that the person brought along is theirs, and stays as it is.
func TestTokenThatCannotBeKept(t *testing.T) {
	var revoked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/revoke-self"):
			revoked.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/lookup-self"):
			_, _ = io.WriteString(w, `{"data":{"display_name":"anna","policies":["app"]}}`)
		default:
			_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.made","policies":["app"],"lease_duration":60}}`)
		}
	}))
	defer s.Close()
	for method, want := range map[string]int64{"token": 0, "userpass": 1} {
		revoked.Store(0)
		p := open(t, api.Config{Address: s.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.Value{}, nil }})
		p.Keeper = fullDisk{}
		inputs := map[string]string{}
		if method == "userpass" {
			inputs["username"] = "anna"
		}
		_, err := p.Login(t.Context(), platform.Login{Method: method, Inputs: inputs,
			Ask: func(context.Context, platform.Input) (keyturn.Value, error) {
				return keyturn.NewValue([]byte("hvs.brought")), nil
			}})
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Unavailable || revoked.Load() != want {
			t.Errorf("%s: %v, %d revoked, want %d", method, err, revoked.Load(), want)
		}
	}
}

// one keeps the token of one login, as two processes see it.
type one struct{ token platform.Token }

func (o *one) Load(context.Context) (platform.Token, error) { return o.token, nil }

func (o *one) Keep(_ context.Context, t platform.Token) (platform.Token, error) {
	before := o.token
	o.token = t
	return before, nil
}

func (o *one) Renewed(context.Context, platform.Token) (bool, error) { return false, nil }

func (o *one) Forget(_ context.Context, t platform.Token) error {
	if o.token.Value.Equal(t.Value) {
		o.token = platform.Token{}
	}
	return nil
}

// TestLogoutBesideALogin: a logout forgets what it revoked, and not what somebody else
// logged in for meanwhile.
func TestLogoutBesideALogin(t *testing.T) {
	kept := &one{token: platform.Token{Value: keyturn.NewValue([]byte("hvs.old"))}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/revoke-self") && r.Header.Get("X-Vault-Token") == "hvs.old" {
			kept.token = platform.Token{Value: keyturn.NewValue([]byte("hvs.newer"))}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	p := open(t, api.Config{Address: s.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.Value{}, nil }})
	p.Keeper = kept
	out, err := p.Logout(t.Context(), platform.Logout{})
	if err != nil || !out.Revoked || !kept.token.Value.Equal(keyturn.NewValue([]byte("hvs.newer"))) {
		t.Errorf("the other login was forgotten, and not revoked (%v)", err)
	}
}

// TestLoginBeforeThisOne: the token that a login takes the place of is revoked where a
// login had made it and nothing lives by it, and where it is not that is told.
func TestLoginBeforeThisOne(t *testing.T) {
	token := func(given bool, expires time.Time) platform.Token {
		return platform.Token{Value: keyturn.NewValue([]byte("hvs.old")), Given: given, Expires: expires}
	}
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		before platform.Token
		method string
		spare  bool
		status int // of revoking it
		asked  bool
		left   keyturn.Code
	}{
		"none":                 {method: "userpass"},
		"of a login":           {before: token(false, later), method: "userpass", status: 204, asked: true},
		"of a login, for good": {before: token(false, time.Time{}), method: "token", status: 204, asked: true},
		"brought":              {before: token(true, later), method: "userpass"},
		"ended":                {before: token(false, time.Now().Add(-time.Minute)), method: "userpass"},
		"the same":             {before: platform.Token{Value: keyturn.NewValue([]byte("hvs.brought"))}, method: "token"},
		"lived by":             {before: token(false, later), method: "userpass", spare: true, left: keyturn.Conflict},
		"of a batch":           {before: token(false, later), method: "userpass", status: 400, asked: true, left: keyturn.Unsupported},
		"not known any more":   {before: token(false, later), method: "userpass", status: 403, asked: true},
		"away":                 {before: token(false, later), method: "userpass", status: 500, asked: true, left: keyturn.Unavailable},
	} {
		asked := false
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/revoke-self"):
				if asked = true; r.Header.Get("X-Vault-Token") != "hvs.old" {
					t.Errorf("%s: another token was revoked", name)
				}
				if w.WriteHeader(c.status); c.status == http.StatusForbidden {
					_, _ = io.WriteString(w, `{"errors":["permission denied","invalid token"]}`)
				}
			case strings.HasSuffix(r.URL.Path, "/lookup-self"):
				_, _ = io.WriteString(w, `{"data":{"display_name":"anna","policies":["app"]}}`)
			default:
				_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.made","policies":["app"],"lease_duration":60}}`)
			}
		}))
		p := open(t, api.Config{Address: s.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.Value{}, nil }})
		kept := &one{token: c.before}
		p.Keeper = kept
		inputs := map[string]string{}
		if c.method == "userpass" {
			inputs["username"] = "anna"
		}
		got, err := p.Login(t.Context(), platform.Login{Method: c.method, Inputs: inputs, Spare: c.spare, By: "user:anna",
			Ask: func(context.Context, platform.Input) (keyturn.Value, error) {
				return keyturn.NewValue([]byte("hvs.brought")), nil
			}})
		s.Close()
		left := keyturn.Code("")
		if got.Left != nil {
			left = keyturn.AsError(got.Left).Code
		}
		if err != nil || asked != c.asked || left != c.left || kept.token.Value.Equal(keyturn.NewValue([]byte("hvs.old"))) || kept.token.By != "user:anna" {
			t.Errorf("%s: %v, revoked %v, left %v", name, err, asked, got.Left)
		}
	}
}

// A token that somebody brought is not revoked unless that is said: the error tells so
// by its reason, for whatever door asks.
func TestLogoutOfAGivenToken(t *testing.T) {
	p := open(t, api.Config{Address: "http://127.0.0.1:1", Token: func(context.Context) (keyturn.Value, error) { return keyturn.Value{}, nil }})
	kept := &one{token: platform.Token{Value: keyturn.NewValue([]byte("hvs.old")), Given: true, Expires: time.Now().Add(time.Hour)}}
	p.Keeper = kept
	if _, err := p.Logout(t.Context(), platform.Logout{}); !errors.Is(err, keyturn.Conflict) || keyturn.ReasonOf(err) != keyturn.GivenToken || kept.token.Value.Len() == 0 {
		t.Errorf("%v, reason %q", err, keyturn.ReasonOf(err))
	}
	if out, err := p.Logout(t.Context(), platform.Logout{Keep: true}); err != nil || out.Revoked {
		t.Errorf("%+v, %v", out, err)
	}
}
