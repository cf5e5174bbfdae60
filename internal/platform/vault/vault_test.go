package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/wire"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// counting counts the values that come over the wire.
type counting struct {
	http.RoundTripper
	reads atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/secret/data/") && resp.StatusCode == http.StatusOK {
		c.reads.Add(1)
	}
	return resp, err
}

func configOf(v *servers.Vault) api.Config {
	return api.Config{Address: v.Address, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte(v.Root)), nil }}
}

func open(t *testing.T, c api.Config) *Platform {
	t.Helper()
	p, err := New(c, "vault")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestReal is the whole conformance suite against a real server.
func TestReal(t *testing.T) {
	v := servers.VaultDev(t)
	v.Call(http.MethodPost, "secret/config", map[string]int{"max_versions": 50}, nil) // the suite makes more than the usual 10
	platformtest.Run(t, func(t *testing.T) platformtest.Harness {
		c := configOf(v)
		count := &counting{RoundTripper: http.DefaultTransport}
		c.Transport = count
		return platformtest.Harness{Platform: open(t, c), Second: open(t, configOf(v)), Spec: Spec, Mount: "vault",
			Prefix: "secret/under test", Reads: func() int { return int(count.reads.Load()) }}
	})
}

func want(t *testing.T, doing string, err error, code keyturn.Code, hint string) {
	t.Helper()
	e := keyturn.AsError(err)
	if e == nil || e.Code != code || !strings.Contains(e.Hint, hint) {
		t.Errorf("%s: %v, want %s with the hint %q", doing, err, code, hint)
		if e != nil {
			t.Logf("hint: %s", e.Hint)
		}
	}
}

// TestErrors: a server that is sealed, a token that is none or may not, a server
// that is away, each by its code, through every method.
func TestErrors(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	v := servers.VaultOnDisk(t)
	p := open(t, configOf(v))
	ref := keyturn.MustRef("vault/kv/app")
	each := func(doing string, p *Platform, code keyturn.Code, hint string) {
		t.Helper()
		m := platform.NewMount("vault", p, Spec, "test")
		one := map[string]keyturn.Value{"f": keyturn.NewValue([]byte("kt-canary-of-errors"))}
		_, err := m.Get(t.Context(), ref)
		want(t, doing+": get", err, code, hint)
		_, err = m.Put(t.Context(), ref, platform.Put{Values: one, Mode: keyturn.Replace})
		want(t, doing+": put", err, code, hint)
		_, err = m.Describe(t.Context(), ref)
		want(t, doing+": describe", err, code, hint)
		_, _, err = m.Delete(t.Context(), ref)
		want(t, doing+": delete", err, code, hint)
		want(t, doing+": destroy", m.Destroy(t.Context(), ref, nil), code, hint)
	}
	if h := p.Status(t.Context()); !h.Sealed || !h.Reachable || h.Err == nil || h.Err.Code != keyturn.Sealed || !strings.Contains(h.Err.Hint, "0 of 2 keys") {
		t.Errorf("the status of a sealed server: %+v", h)
	}
	each("sealed", p, keyturn.Sealed, "unseal")
	v.Unseal()
	v.Call(http.MethodPost, "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	m := platform.NewMount("vault", p, Spec, "test")
	if _, err := m.Put(t.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("x"))}}); err != nil {
		t.Fatal(err)
	}
	if h := p.Status(t.Context()); h.Sealed || !h.Reachable || h.Err != nil || h.Identity != "root" {
		t.Errorf("the status of an unsealed server: %+v", h)
	}

	none := configOf(v)
	none.Token = func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.not-a-token")), nil }
	each("a token that is none", open(t, none), keyturn.Expired, "keyturn login vault")

	var made struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	v.Call(http.MethodPost, "sys/policies/acl/nothing", map[string]string{"policy": `path "kv/data/other" { capabilities = ["read"] }`}, nil)
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"nothing"}}, &made)
	weak := configOf(v)
	weak.Token = func(context.Context) (keyturn.Value, error) {
		return keyturn.NewValue([]byte(made.Auth.ClientToken)), nil
	}
	each("a token that may not", open(t, weak), keyturn.Denied, "")

	v.Seal()
	_, err := m.Get(t.Context(), ref)
	want(t, "sealed meanwhile", err, keyturn.Sealed, "unseal")
	v.Kill()
	_, err = m.Get(t.Context(), ref)
	want(t, "killed", err, keyturn.Unavailable, "keyturn status")
	v.Start()
	v.Unseal()
	if s, err := m.Get(t.Context(), ref); err != nil || s.Values["f"].Len() != 1 {
		t.Errorf("after it came back: %v", err)
	}
}

// TestVersion1: the engine without versions reads, writes, lists and destroys; the
// rest is unsupported, and says so.
func TestVersion1(t *testing.T) {
	v := servers.VaultDev(t)
	v.Call(http.MethodPost, "sys/mounts/team/old", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}}, nil)
	m := platform.NewMount("vault", open(t, configOf(v)), Spec, "test")
	ref := keyturn.MustRef("vault/team/old/app/db")
	one := map[string]keyturn.Value{"user": keyturn.NewValue([]byte("anna")), "password": keyturn.NewValue([]byte("kt-fake-1"))}
	c, err := m.Put(t.Context(), ref, platform.Put{Values: one, Mode: keyturn.Replace})
	if err != nil || c.Info.Path != "team/old/app/db" {
		t.Fatalf("put: %+v, %v", c, err)
	}
	s, err := m.Get(t.Context(), ref)
	if err != nil || !s.Values["password"].Equal(one["password"]) || len(s.Values) != 2 {
		t.Errorf("get: %v", err)
	}
	for _, under := range []string{"vault/", "vault/team", "vault/team/old", "vault/team/old/app", "vault/team/old/app/db"} {
		prefix, err := keyturn.ParsePrefix(under)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for info, err := range m.List(t.Context(), prefix, false) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, info.Ref.Short())
		}
		if len(got) != 1 || got[0] != ref.Short() {
			t.Errorf("list %s: %q", under, got)
		}
	}
	_, _, err = m.Delete(t.Context(), ref)
	want(t, "delete", err, keyturn.Unsupported, "keyturn destroy")
	_, err = m.Put(t.Context(), ref, platform.Put{Values: one, Mode: keyturn.Replace, Labels: map[string]string{"a": "b"}})
	want(t, "labels", err, keyturn.Unsupported, "--label")
	if err := m.Destroy(t.Context(), ref, nil); err != nil {
		t.Error(err)
	}
	_, err = m.Get(t.Context(), ref)
	want(t, "get of what is destroyed", err, keyturn.NotFound, "")
}

// TestTypes: what is no string in the engine is read as its JSON text, and is
// written back with its type.
func TestTypes(t *testing.T) {
	v := servers.VaultDev(t)
	v.Call(http.MethodPost, "secret/data/rds", map[string]any{"data": map[string]any{"port": 5432, "tls": true, "hosts": []string{"a", "b"}, "text": "5432", "none": nil}}, nil)
	m := platform.NewMount("vault", open(t, configOf(v)), Spec, "test")
	ref := keyturn.MustRef("vault/secret/rds")
	s, err := m.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for f, text := range map[string]string{"port": "5432", "tls": "true", "hosts": `["a","b"]`, "text": "5432", "none": "null"} {
		if !s.Values[f].Equal(keyturn.NewValue([]byte(text))) {
			t.Errorf("%s is not %s", f, text)
		}
	}
	if _, err := m.Put(t.Context(), ref, platform.Put{Mode: keyturn.Merge, Values: map[string]keyturn.Value{
		"port": keyturn.NewValue([]byte("5433")), "tls": keyturn.NewValue([]byte("maybe")), "new": keyturn.NewValue([]byte("1"))}}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data struct{ Data map[string]any }
	}
	v.Call(http.MethodGet, "secret/data/rds", nil, &got)
	is := got.Data.Data
	if is["port"] != 5433.0 || is["tls"] != "maybe" || is["text"] != "5432" || is["new"] != "1" || is["none"] != nil || len(is) != 6 {
		t.Errorf("after a merge: %v", is)
	}
}

// TestEngines: a name without an engine, an engine that keeps no secrets, and the
// engine itself are told apart.
func TestEngines(t *testing.T) {
	v := servers.VaultDev(t)
	v.Call(http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	p := open(t, configOf(v))
	for ref, code := range map[string]keyturn.Code{
		"vault/nowhere/a": keyturn.Denied, "vault/transit/a": keyturn.Unsupported, "vault/secret/absent": keyturn.NotFound,
	} {
		_, err := p.Get(t.Context(), keyturn.MustRef(ref))
		want(t, ref, err, code, "")
	}
	for _, address := range []string{"http://vault.example.com:8200", "ftp://127.0.0.1", "https://user:pass@127.0.0.1", "vault", ""} {
		if _, err := New(api.Config{Address: address}, "vault"); keyturn.AsError(err) == nil || keyturn.AsError(err).Code != keyturn.Invalid {
			t.Errorf("the address %q is taken: %v", address, err)
		}
	}
}

// TestTLS: a server is known by its authority, and by nothing less.
func TestTLS(t *testing.T) {
	v := servers.VaultTLS(t)
	ref := keyturn.MustRef("vault/secret/a")
	get := func(c api.Config) error {
		_, err := open(t, c).Get(t.Context(), ref)
		return err
	}
	c := configOf(v)
	want(t, "an unknown authority", get(c), keyturn.Unavailable, "certificate")
	c.TLS.CACert = v.CACert
	want(t, "the right authority", get(c), keyturn.NotFound, "")
	c.TLS.ServerName = "elsewhere.example.com"
	want(t, "another name", get(c), keyturn.Unavailable, "certificate")
	c.TLS.ServerName = "localhost"
	want(t, "the right name", get(c), keyturn.NotFound, "")
	for _, bad := range []wire.TLS{{CACert: "/nowhere"}, {CACert: "vault_test.go"}, {ClientCert: v.CACert}} {
		c.TLS = bad
		if _, err := New(c, "vault"); keyturn.AsError(err) == nil || keyturn.AsError(err).Code != keyturn.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestRedirect: the token goes to the mount's own address and nowhere else.
func TestRedirect(t *testing.T) {
	var strangers atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	defer other.Close()
	standby := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/secret/data/a", http.StatusTemporaryRedirect))
	defer standby.Close()
	c := api.Config{Address: standby.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.fake")), nil }}
	_, err := open(t, c).Get(t.Context(), keyturn.MustRef("vault/secret/a"))
	want(t, "a redirect", err, keyturn.Unavailable, "addresses: [")
	if strangers.Load() > 0 {
		t.Error("a redirect was followed to another address")
	}
}

// TestHostileServer: answers that are too large, cut short, not JSON, or repeat what
// was sent give an error without any of it.
func TestHostileServer(t *testing.T) {
	const canary = "kt-canary-of-a-hostile-server"
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"echo of the body": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {string(body), canary}})
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>"+canary) },
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = io.WriteString(w, canary)
		},
		"an error page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, canary)
		},
		"another shape": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":["`+canary+`"]}`) },
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/") {
				_, _ = io.WriteString(w, `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`)
				return
			}
			answer(w, r)
		}))
		c := api.Config{Address: s.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte(canary)), nil }}
		p, ref := open(t, c), keyturn.MustRef("vault/secret/a")
		_, get := p.Get(t.Context(), ref)
		_, put := p.Put(t.Context(), ref, platform.New{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte(canary))}})
		_, describe := p.Describe(t.Context(), ref)
		for doing, err := range map[string]error{"get": get, "put": put, "describe": describe} {
			e := keyturn.AsError(err)
			if e == nil {
				t.Errorf("%s: %s succeeded", name, doing)
				continue
			}
			for err := error(e); err != nil; err = errors.Unwrap(err) {
				if strings.Contains(fmt.Sprintf("%+v", err), canary) {
					t.Errorf("%s: the error of %s repeats what was sent or answered: %v", name, doing, err)
				}
			}
		}
		s.Close()
	}
}
