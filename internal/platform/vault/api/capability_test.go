package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/world/servers"
)

func clientFor(t *testing.T, address, token string) *Client {
	t.Helper()
	c, err := New(Config{Address: address, Mount: "prod", Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte(token)), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLacking: the real server denies, and the error names what is missing by
// Vault's own names; a token that is none is Expired and not Denied.
func TestLacking(t *testing.T) {
	v := servers.VaultDev(t)
	v.Call(http.MethodPost, "sys/policies/acl/some", map[string]string{"policy": `
path "secret/data/read" { capabilities = ["read"] }
path "secret/data/create" { capabilities = ["create"] }
path "secret/data/parameter" {
	capabilities = ["create", "update"]
	denied_parameters = { "*" = [] }
}
path "sys/raw/a" { capabilities = ["read"] }
path "sys/seal-status-of-nobody" { capabilities = ["read", "sudo"] }`}, nil)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"some"}}, &made)
	c := clientFor(t, v.Address, made.Auth.Token)
	body := map[string]any{"data": map[string]string{"a": "b"}}
	v.Call(http.MethodPost, "secret/data/create", body, nil) // so that a post is an update
	for _, r := range []struct {
		method, path string
		body         any
		hint         string
	}{
		{http.MethodGet, "secret/data/other", nil, "the token lacks 'read' on secret/data/other\n"},
		{"LIST", "secret/metadata/x/", nil, "the token lacks 'list' on secret/metadata/x/\n"},
		{http.MethodPost, "secret/data/read", body, "the token lacks 'create' and 'update' on secret/data/read\n"},
		{http.MethodPost, "secret/data/create", body, "the token lacks 'update' on secret/data/create\n"},
		{http.MethodDelete, "secret/data/read", nil, "the token lacks 'delete' on secret/data/read\n"},
		{http.MethodPost, "secret/data/parameter", body, "the token lacks 'sudo' on secret/data/parameter, or its policies refuse one of the parameters"},
		{http.MethodGet, "sys/raw/a", nil, "the token lacks 'sudo' on sys/raw/a"},
	} {
		err := c.Do(t.Context(), keyturn.Ref{}, r.method, r.path, "", r.body, nil)
		e := keyturn.AsError(err)
		if e == nil || e.Code != keyturn.Denied || e.By != "platform" || !strings.HasPrefix(e.Hint, r.hint) {
			t.Errorf("%s %s: %v, hint %q, want %q", r.method, r.path, err, hintOf(e), r.hint)
		}
		if e != nil && strings.HasSuffix(r.hint, "\n") && !strings.Contains(e.Hint, "one of its policies has to hold: path \""+r.path) {
			t.Errorf("%s %s: the hint has no policy: %q", r.method, r.path, e.Hint)
		}
	}
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"some"}, "no_default_policy": true}, &made)
	err := clientFor(t, v.Address, made.Auth.Token).Do(t.Context(), keyturn.Ref{}, http.MethodGet, "secret/data/other", "", nil, nil)
	if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Denied || strings.Contains(e.Hint, "lacks") || !strings.Contains(e.Hint, "has to hold") {
		t.Errorf("a token that may not even ask: %v, hint %q", err, hintOf(e))
	}
	err = clientFor(t, v.Address, "hvs.not-a-token").Do(t.Context(), keyturn.Ref{}, http.MethodGet, "secret/data/other", "", nil, nil)
	if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Expired || e.Hint != "keyturn login prod" {
		t.Errorf("no token: %v, hint %q", err, hintOf(e))
	}
}

func hintOf(e *keyturn.Error) string {
	if e == nil {
		return ""
	}
	return e.Hint
}

// TestLackingStrange: whatever a server answers to the question, the error stays
// Denied, and the question is asked once and never for a login.
func TestLackingStrange(t *testing.T) {
	for _, answer := range []string{"", "{", `{"capabilities":null}`, `{"capabilities":["root"]}`, `{"capabilities":["deny"]}`, `{"capabilities":"kt-canary"}`} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, capabilitiesSelf) {
				asked++
				_, _ = io.WriteString(w, answer)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":["permission denied kt-canary"]}`)
		}))
		c := clientFor(t, s.URL, "hvs.fake")
		err := c.Do(t.Context(), keyturn.Ref{}, http.MethodGet, "secret/data/a", "", nil, nil)
		e := keyturn.AsError(err)
		if e == nil || e.Code != keyturn.Denied || e.Hint == "" || asked != 1 {
			t.Errorf("%q: %v, asked %d times", answer, err, asked)
		} else if strings.Contains(fmt.Sprint(e, e.Hint, e.Err), "kt-canary") {
			t.Errorf("%q: the server is quoted: %v %s", answer, e, e.Hint)
		}
		for _, r := range []Request{{Method: http.MethodPost, Path: "auth/userpass/login/a", Anonymous: true},
			{Method: http.MethodGet, Path: "sys/internal/ui/mounts/a"}} {
			_, err := c.Send(t.Context(), r)
			if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Denied || asked != 1 {
				t.Errorf("%s: %v, asked %d times", r.Path, err, asked)
			}
		}
		s.Close()
	}
}
