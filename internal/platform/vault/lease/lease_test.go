package lease_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/lease"
)

var ref = keyturn.MustRef("vault/database/creds/app")

const canary = "CaNaRy-q7Zx9Kp2"

// server answers every request the same, and keeps what it was sent.
func server(t *testing.T, status int, body string) (*api.Client, *string) {
	t.Helper()
	sent := new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*sent = r.Method + " " + r.URL.Path + " " + string(b)
		if status == 0 { // it breaks off when the request is there
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	return client(t, s.URL), sent
}

func client(t *testing.T, address string) *api.Client {
	t.Helper()
	c, err := api.New(api.Config{Address: address, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("t")), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTake(t *testing.T) {
	c, sent := server(t, 200, `{"lease_id":"database/creds/app/x1","lease_duration":3600,"renewable":true,"data":{"username":"v-app","password":"`+canary+`","port":5432}}`)
	l, err := lease.Take(t.Context(), c, ref, "database/creds/app")
	if err != nil || l.ID != "database/creds/app/x1" || l.For != time.Hour || !l.Renewable || len(l.Values) != 3 ||
		string(l.Values["password"].Reveal()) != canary || string(l.Values["port"].Reveal()) != "5432" || *sent != "GET /v1/database/creds/app " {
		t.Errorf("%+v, %v, sent %q", l, err, *sent)
	}
	// Without a lease there are values that nobody can revoke.
	c, _ = server(t, 200, `{"lease_id":"","data":{"username":"static","password":"p"}}`)
	if l, err = lease.Take(t.Context(), c, ref, "database/static-creds/app"); err != nil || l.ID != "" || len(l.Values) != 2 {
		t.Errorf("%+v, %v", l, err)
	}
}

// What the server refuses has the right code; whether something was made is said
// where that is open; and nothing that the server says is repeated.
func TestRefusals(t *testing.T) {
	said := func(s string) string { return `{"errors":["` + s + ` ` + canary + `"]}` }
	take := func(c *api.Client) error {
		_, err := lease.Take(t.Context(), c, ref, "database/creds/app")
		return err
	}
	renew := func(c *api.Client) error {
		_, err := lease.Renew(t.Context(), c, ref, "id", time.Hour)
		return err
	}
	revoke := func(c *api.Client) error { return lease.Revoke(t.Context(), c, ref, "id") }
	for name, x := range map[string]struct {
		do      func(*api.Client) error
		status  int
		body    string
		code    keyturn.Code
		unknown bool
	}{
		"no role":             {take, 400, said("unknown role: app"), keyturn.NotFound, false},
		"no path":             {take, 404, `{"errors":[]}`, keyturn.NotFound, false},
		"made by a write":     {take, 405, said("unsupported operation"), keyturn.Unsupported, false},
		"nothing in it":       {take, 200, `{"data":null}`, keyturn.NotFound, false},
		"bad request":         {take, 400, said("bad"), keyturn.Invalid, false},
		"denied":              {take, 403, said("permission denied"), keyturn.Denied, false},
		"expired":             {take, 403, said("invalid token"), keyturn.Expired, false},
		"sealed":              {take, 503, said("Vault is sealed"), keyturn.Sealed, false},
		"a failure":           {take, 500, said("something"), keyturn.Unavailable, true},
		"database down":       {take, 500, said("dial tcp 127.0.0.1:5432: connect: connection refused"), keyturn.Unavailable, false},
		"not allowed":         {take, 500, said(`\"app\" is not an allowed role`), keyturn.Denied, false},
		"no connection":       {take, 500, said(`failed to find entry for connection with name: \"x\"`), keyturn.Conflict, false},
		"bad SQL":             {take, 500, said("failed to execute query: ERROR: syntax error"), keyturn.Conflict, false},
		"bad SQL of MariaDB":  {take, 500, said("Error 1064 (42000): You have an error"), keyturn.Conflict, false},
		"broken off":          {take, 0, "", keyturn.Unavailable, true},
		"not Vault":           {take, 200, "<html>", keyturn.Unavailable, true},
		"renew what ended":    {renew, 400, said("lease not found"), keyturn.NotFound, false},
		"not renewable":       {renew, 400, said("lease is not renewable"), keyturn.Unsupported, false},
		"longest time":        {renew, 400, said("past the max TTL, cannot renew"), keyturn.Unsupported, false},
		"renew broken off":    {renew, 0, "", keyturn.Unavailable, false},
		"renew denied":        {renew, 403, said("permission denied"), keyturn.Denied, false},
		"revoke refused":      {revoke, 400, said("failed to revoke entry"), keyturn.Unavailable, false},
		"revoke denied":       {revoke, 403, said("permission denied"), keyturn.Denied, false},
		"revoke broken off":   {revoke, 0, "", keyturn.Unavailable, true},
		"revoke while sealed": {revoke, 503, said("Vault is sealed"), keyturn.Sealed, false},
	} {
		c, _ := server(t, x.status, x.body)
		err := x.do(c)
		e := keyturn.AsError(err)
		if !errors.Is(err, x.code) || e.Unknown != x.unknown {
			t.Errorf("%s: %v (unknown: %v), want %s (%v)", name, err, e != nil && e.Unknown, x.code, x.unknown)
			continue
		}
		if e.Message == "" || strings.Contains(e.Message+e.Hint+err.Error(), canary) {
			t.Errorf("%s: %q, %q", name, e.Message, e.Hint)
		}
		if e.Code == keyturn.Denied && name != "not allowed" && !strings.Contains(e.Hint, "capabilities") {
			t.Errorf("%s: the missing capability is not named: %q", name, e.Hint)
		}
	}
	// Nobody there: nothing was made for sure.
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if e := keyturn.AsError(take(client(t, s.URL))); e.Code != keyturn.Unavailable || e.Unknown {
		t.Errorf("%v", e)
	}
	// Given up while it was under way: something may have been made.
	ctx, cancel := context.WithCancel(t.Context())
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); time.Sleep(50 * time.Millisecond) }))
	defer slow.Close()
	if _, err := lease.Take(ctx, client(t, slow.URL), ref, "database/creds/app"); !keyturn.AsError(err).Unknown {
		t.Errorf("%v", err)
	}
}

func TestSent(t *testing.T) {
	c, sent := server(t, 200, `{"lease_duration":7200,"renewable":true}`)
	if term, err := lease.Renew(t.Context(), c, ref, "database/creds/app/x1", 2*time.Hour); err != nil || term.For != 2*time.Hour ||
		*sent != `PUT /v1/sys/leases/renew {"increment":7200,"lease_id":"database/creds/app/x1"}` {
		t.Errorf("%+v, %v, sent %q", term, err, *sent)
	}
	c, sent = server(t, 204, "")
	if err := lease.Revoke(t.Context(), c, ref, "database/creds/app/x1"); err != nil || *sent != `PUT /v1/sys/leases/revoke {"lease_id":"database/creds/app/x1","sync":true}` {
		t.Errorf("%v, sent %q", err, *sent)
	}
}

func TestMakes(t *testing.T) {
	for engine, want := range map[string]bool{"database": true, "aws": true, "rabbitmq": true, "kv": false, "generic": false, "cubbyhole": false, "system": false, "identity": false, "ns_system": false, "": false} {
		if lease.Makes(engine) != want {
			t.Errorf("%q: %v", engine, !want)
		}
	}
}
