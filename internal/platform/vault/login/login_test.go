package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/world/servers"
)

func client(t *testing.T, v *servers.Vault) *api.Client {
	t.Helper()
	c, err := api.New(api.Config{Address: v.Address, Token: func(context.Context) (keyturn.Value, error) {
		return keyturn.Value{}, errors.New("a login asks for no token")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func inputs(pairs ...string) map[string]keyturn.Value {
	out := map[string]keyturn.Value{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = keyturn.NewValue([]byte(pairs[i+1]))
	}
	return out
}

type made struct {
	Data struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
}

// TestLogin: each method against the real server gives a token that works, with
// its policies and its end; what is wrong is denied, and says nothing of it.
func TestLogin(t *testing.T) {
	v := servers.VaultDev(t)
	c := client(t, v)
	v.Call(http.MethodPost, "sys/policies/acl/app", map[string]string{"policy": `path "secret/data/app" { capabilities = ["read"] }`}, nil)
	for _, method := range []string{"userpass", "approle", "jwt", "kubernetes"} {
		v.Call(http.MethodPost, "sys/auth/"+method, map[string]string{"type": method}, nil)
	}
	v.Call(http.MethodPost, "auth/userpass/users/anna", map[string]any{"password": "kt-fake-password", "token_policies": "app", "token_ttl": "1h"}, nil)
	v.Call(http.MethodPost, "auth/approle/role/app", map[string]any{"token_policies": "app", "token_ttl": "1h", "token_max_ttl": "4h"}, nil)
	var role, secret made
	v.Call(http.MethodGet, "auth/approle/role/app/role-id", nil, &role)
	v.Call(http.MethodPost, "auth/approle/role/app/secret-id", map[string]any{}, &secret)
	issuer := servers.NewIssuer(t)
	v.Call(http.MethodPost, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": []string{issuer.PublicKey()}, "bound_issuer": issuer.URL}, nil)
	v.Call(http.MethodPost, "auth/jwt/role/ci", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "app", "token_ttl": "1h"}, nil)
	cluster := reviewer(t, "kt-fake-service-account")
	v.Call(http.MethodPost, "auth/kubernetes/config", map[string]any{"kubernetes_host": cluster, "disable_local_ca_jwt": true, "disable_iss_validation": true}, nil)
	v.Call(http.MethodPost, "auth/kubernetes/role/app", map[string]any{"bound_service_account_names": "app", "bound_service_account_namespaces": "prod", "token_policies": "app", "token_ttl": "1h", "audience": ""}, nil)

	pod := issuer.Sign(map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:prod:app",
		"kubernetes.io/serviceaccount/namespace": "prod", "kubernetes.io/serviceaccount/service-account.name": "app", "kubernetes.io/serviceaccount/service-account.uid": "1"})
	for _, m := range []struct {
		method      string
		right       []string
		wrong       []string
		isUnchecked bool // the server has no idea of a wrong one here
	}{
		{"userpass", []string{"username", "anna", "password", "kt-fake-password"}, []string{"username", "anna", "password", "kt-canary-wrong"}, false},
		{"approle", []string{"role-id", role.Data.RoleID, "secret-id", secret.Data.SecretID}, []string{"role-id", role.Data.RoleID, "secret-id", "kt-canary-wrong"}, false},
		{"jwt", []string{"role", "ci", "jwt", issuer.Sign(map[string]any{"aud": "vault"})}, []string{"role", "ci", "jwt", issuer.Sign(map[string]any{"aud": "kt-canary-other"})}, false},
		{"kubernetes", []string{"role", "app", "jwt", pod}, []string{"role", "app", "jwt", "kt-canary-wrong"}, false},
	} {
		tok, err := Login(t.Context(), c, Request{Method: m.method, Inputs: inputs(m.right...)})
		if err != nil {
			t.Errorf("%s: %v", m.method, err)
			continue
		}
		if tok.Identity == "" || !tok.Renewable || len(tok.Policies) != 2 || tok.Expires.Before(time.Now().Add(50*time.Minute)) {
			t.Errorf("%s: the token is %s, %v, ends %v", m.method, tok.Identity, tok.Policies, tok.Expires)
		}
		if again, err := Login(t.Context(), c, Request{Method: "token", Inputs: map[string]keyturn.Value{"token": tok.Value}}); err != nil || again.Accessor != tok.Accessor {
			t.Errorf("%s: its token is not known: %v", m.method, err)
		}
		if renewed, err := Renew(t.Context(), c, tok); err != nil || renewed.Expires.IsZero() {
			t.Errorf("%s: renew: %v", m.method, err)
		}
		if err := Revoke(t.Context(), c, tok.Value); err != nil {
			t.Errorf("%s: revoke: %v", m.method, err)
		}
		_, err = Login(t.Context(), c, Request{Method: "token", Inputs: map[string]keyturn.Value{"token": tok.Value}})
		code(t, m.method+": a revoked token", err, keyturn.Expired)
		_, err = Login(t.Context(), c, Request{Method: m.method, Inputs: inputs(m.wrong...)})
		code(t, m.method+": wrong", err, keyturn.Denied)
		_, err = Login(t.Context(), c, Request{Method: m.method, Path: "nowhere", Inputs: inputs(m.right...)})
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Denied && e.Code != keyturn.NotFound {
			t.Errorf("%s elsewhere: %v", m.method, err)
		}
		_, err = Login(t.Context(), c, Request{Method: m.method})
		code(t, m.method+": without inputs", err, keyturn.Invalid)
	}
	_, err := Login(t.Context(), c, Request{Method: "magic"})
	code(t, "an unknown method", err, keyturn.Invalid)
}

// secondFactor has the real server ask for a passcode at each login by userpass, and
// returns what tells the one of now: Vault's own engine for that.
func secondFactor(t *testing.T, v *servers.Vault) func() string {
	t.Helper()
	var method, entity, key struct {
		Data struct {
			Method   string `json:"method_id"`
			ID       string `json:"id"`
			URL      string `json:"url"`
			Accessor string `json:"accessor"`
		}
	}
	v.Call(http.MethodPost, "sys/auth/userpass", map[string]string{"type": "userpass"}, nil)
	v.Call(http.MethodPost, "auth/userpass/users/anna", map[string]any{"password": "kt-fake-password"}, nil)
	v.Call(http.MethodPost, "identity/mfa/method/totp", map[string]any{"issuer": "test", "algorithm": "SHA256"}, &method)
	v.Call(http.MethodGet, "sys/auth/userpass", nil, &key)
	v.Call(http.MethodPost, "identity/entity", map[string]string{"name": "anna"}, &entity)
	v.Call(http.MethodPost, "identity/entity-alias", map[string]string{"name": "anna", "canonical_id": entity.Data.ID, "mount_accessor": key.Data.Accessor}, nil)
	v.Call(http.MethodPost, "identity/mfa/method/totp/admin-generate", map[string]string{"method_id": method.Data.Method, "entity_id": entity.Data.ID}, &key)
	v.Call(http.MethodPost, "identity/mfa/login-enforcement/all", map[string]any{"mfa_method_ids": []string{method.Data.Method}, "auth_method_types": []string{"userpass"}}, nil)
	v.Call(http.MethodPost, "sys/mounts/totp", map[string]string{"type": "totp"}, nil)
	v.Call(http.MethodPost, "totp/keys/anna", map[string]string{"url": key.Data.URL}, nil)
	return func() string {
		var now struct{ Data struct{ Code string } }
		v.Call(http.MethodGet, "totp/code/anna", nil, &now)
		return now.Data.Code
	}
}

// TestSecondFactor: where the real server asks for a passcode a person is asked for
// it, once more where it is wrong, and nobody else is.
func TestSecondFactor(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	v := servers.VaultDev(t)
	now := secondFactor(t, v)
	right := inputs("username", "anna", "password", "kt-fake-password")
	var asked []platform.Input
	ask := func(answers ...string) func(context.Context, platform.Input) (keyturn.Value, error) {
		asked = nil
		return func(_ context.Context, in platform.Input) (keyturn.Value, error) {
			asked = append(asked, in)
			return keyturn.NewValue([]byte(answers[min(len(asked), len(answers))-1])), nil
		}
	}
	wrong := func(code string) string { // another one of six digits
		return fmt.Sprintf("%06d", (int(code[0]-'0')*100_000+777_777)%1_000_000)
	}
	_, err := Login(t.Context(), client(t, v), Request{Method: "userpass", Inputs: right})
	code(t, "nobody to ask", err, keyturn.Denied)
	_, err = Login(t.Context(), client(t, v), Request{Method: "userpass", Inputs: right, Ask: ask("")})
	code(t, "nobody answers", err, keyturn.Denied)
	if e := keyturn.AsError(err); e == nil || !strings.Contains(e.Hint, "at a terminal") || len(asked) != 1 || !asked[0].Typed || !asked[0].Secret || !strings.Contains(asked[0].Help, "totp") {
		t.Errorf("%v, asked for %+v", err, asked)
	}
	code1 := now()
	tok, err := Login(t.Context(), client(t, v), Request{Method: "userpass", Inputs: right, Ask: ask(wrong(code1), " "+code1+"\n")})
	if err != nil || tok.Identity != "userpass-anna" || tok.Value.Len() == 0 || len(asked) != 2 {
		t.Errorf("%+v, %v, asked %d times", tok, err, len(asked))
	}
	// A passcode works once.
	_, err = Login(t.Context(), client(t, v), Request{Method: "userpass", Inputs: right, Ask: ask(code1)})
	code(t, "the same once more", err, keyturn.Denied)
	if len(asked) != guesses {
		t.Errorf("asked %d times", len(asked))
	}
	_, err = Login(t.Context(), client(t, v), Request{Method: "userpass", Inputs: inputs("username", "anna", "password", "kt-canary-wrong"), Ask: ask(code1)})
	code(t, "a wrong password", err, keyturn.Denied)
	if len(asked) != 0 {
		t.Error("a second factor was asked for without the first")
	}
}

// TestSecondFactorOnTheWire: what the real server here does not ask for: several
// factors, one that is confirmed on a device, and answers that say nothing.
func TestSecondFactorOnTheWire(t *testing.T) {
	for name, x := range map[string]struct {
		requirement string
		sent        string // to sys/mfa/validate
		code        keyturn.Code
	}{
		"two factors": {`{"mfa_request_id":"r","mfa_constraints":{"b":{"any":[{"type":"duo","id":"d"},{"type":"totp","id":"t","uses_passcode":true}]},"c":{"any":[{"type":"okta","id":"o"}]}}}`,
			`{"mfa_payload":{"o":[],"t":["123456"]},"mfa_request_id":"r"}`, ""},
		"on a device":  {`{"mfa_request_id":"r","mfa_constraints":{"c":{"any":[{"type":"okta","id":"o"}]}}}`, `{"mfa_payload":{"o":[]},"mfa_request_id":"r"}`, ""},
		"no id":        {`{"mfa_constraints":{"c":{"any":[{"type":"okta","id":"o"}]}}}`, "", keyturn.Unavailable},
		"none of them": {`{"mfa_request_id":"r","mfa_constraints":{"c":{"any":[]}}}`, "", keyturn.Unavailable},
		"nothing":      {`{"mfa_request_id":"r"}`, "", keyturn.Unavailable},
		"no JSON":      {`"kt-canary"`, "", keyturn.Unavailable},
	} {
		sent := ""
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch {
			case strings.HasPrefix(r.URL.Path, "/v1/auth/userpass/login"):
				_, _ = io.WriteString(w, `{"auth":{"client_token":"","mfa_requirement":`+x.requirement+`}}`)
			case r.URL.Path == "/v1/sys/mfa/validate":
				sent = string(body)
				_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.fake","lease_duration":60}}`)
			default:
				_, _ = io.WriteString(w, `{"data":{"display_name":"anna"}}`)
			}
		}))
		c, err := api.New(api.Config{Address: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Login(t.Context(), c, Request{Method: "userpass", Inputs: inputs("username", "anna", "password", "p"),
			Ask: func(context.Context, platform.Input) (keyturn.Value, error) {
				return keyturn.NewValue([]byte("123456")), nil
			}})
		if sent != x.sent {
			t.Errorf("%s: sent %q", name, sent)
		}
		if x.code != "" {
			code(t, name, err, x.code)
		} else if err != nil || tok.Identity != "anna" {
			t.Errorf("%s: %+v, %v", name, tok, err)
		}
		s.Close()
	}
}

func code(t *testing.T, doing string, err error, want keyturn.Code) {
	t.Helper()
	e := keyturn.AsError(err)
	if e == nil || e.Code != want {
		t.Errorf("%s: %v, want %s", doing, err, want)
		return
	}
	for err := error(e); err != nil; err = errors.Unwrap(err) {
		if strings.Contains(fmt.Sprint(err)+e.Hint, "kt-canary") {
			t.Errorf("%s: the error repeats what was given: %v", doing, err)
		}
	}
}

// reviewer answers TokenReviews as an API server does; what only this stand-in
// proves is that the request has the shape that Vault wants.
func reviewer(t *testing.T, _ string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(body), "kt-canary") {
			_, _ = io.WriteString(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":false,"error":"no"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"user":{"username":"system:serviceaccount:prod:app","uid":"1","groups":["system:serviceaccounts"]}}}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestOIDC: a login in a browser against the real server and a small issuer.
func TestOIDC(t *testing.T) {
	v := servers.VaultDev(t)
	c := client(t, v)
	// A port of its own: other packages are tested at the same time. Vault takes any
	// port of this machine for the one that the role allows (RFC 8252, 7.3).
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	usual := callbackAddress
	t.Cleanup(func() { callbackAddress = usual })
	callbackAddress = fmt.Sprintf("localhost:%d", taken.Addr().(*net.TCPAddr).Port)
	_, err = Login(t.Context(), c, Request{Method: "oidc", Visit: func(context.Context, string) error { return nil }})
	code(t, "a port that is taken", err, keyturn.Unavailable)
	_ = taken.Close()
	issuer := servers.NewIssuer(t)
	v.Call(http.MethodPost, "sys/auth/oidc", map[string]string{"type": "oidc"}, nil)
	v.Call(http.MethodPost, "auth/oidc/config", map[string]any{"oidc_discovery_url": issuer.URL, "oidc_client_id": issuer.Client, "oidc_client_secret": "fake", "default_role": "people"}, nil)
	v.Call(http.MethodPost, "auth/oidc/role/people", map[string]any{"user_claim": "email", "allowed_redirect_uris": []string{"http://localhost:8250/oidc/callback"}, "token_policies": "default", "token_ttl": "1h"}, nil)
	visit := func(ctx context.Context, url string) error {
		// Others on the machine knock first, without the state, and with another.
		for _, stray := range []string{callbackAddress + "/oidc/callback?state=stray&code=stray", callbackAddress + "/other", taken.Addr().String() + "/oidc/callback?code=a"} {
			if resp, err := http.Get("http://" + stray); err == nil {
				_ = resp.Body.Close()
			}
		}
		resp, err := http.Get(url) // the issuer redirects to the callback
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "close this page") {
			t.Errorf("the page that the browser ends on: %d %s", resp.StatusCode, page)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tok, err := Login(ctx, c, Request{Method: "oidc", Visit: visit})
	if err != nil || !strings.Contains(tok.Identity, "anna@example.com") {
		t.Fatalf("login: %+v, %v", tok, err)
	}
	issuer.Refuse = true
	_, err = Login(t.Context(), c, Request{Method: "oidc", Visit: func(ctx context.Context, url string) error {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}})
	code(t, "a page that says no", err, keyturn.Denied)
	_, err = Login(t.Context(), c, Request{Method: "oidc"})
	code(t, "without a person", err, keyturn.Denied)
	_, err = Login(t.Context(), c, Request{Method: "oidc", Inputs: inputs("role", "nobody"), Visit: visit})
	code(t, "an unknown role", err, keyturn.Denied)
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	_, err = Login(short, c, Request{Method: "oidc", Visit: func(context.Context, string) error { return nil }})
	code(t, "nobody comes back", err, keyturn.Unavailable)
}

// TestEnds: a token's end is counted by this clock, whatever the server's says, and a life
// longer than a time can hold is a long one.
func TestEnds(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/lookup-self") {
			_, _ = io.WriteString(w, `{"data":{"display_name":"anna","ttl":3600,"expire_time":"2020-01-01T00:00:00Z","renewable":true}}`)
			return
		}
		_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.made","lease_duration":9223372036854775807,"renewable":true}}`)
	}))
	defer s.Close()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := api.New(api.Config{Address: s.URL, Now: func() time.Time { return now }, Token: func(context.Context) (keyturn.Value, error) { return keyturn.Value{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Login(t.Context(), c, Request{Method: "token", Inputs: inputs("token", "hvs.brought")})
	if err != nil || !got.Expires.Equal(now.Add(time.Hour)) {
		t.Errorf("by another clock it ends at %v (%v)", got.Expires, err)
	}
	got, err = Login(t.Context(), c, Request{Method: "userpass", Inputs: inputs("username", "anna", "password", "kt-fake")})
	if err != nil || got.Expires.Before(now.AddDate(50, 0, 0)) {
		t.Errorf("a long life ends at %v (%v)", got.Expires, err)
	}
	got.Value = keyturn.NewValue([]byte("hvs.made"))
	if got, err = Renew(t.Context(), c, got); err != nil || got.Expires.Before(now.AddDate(50, 0, 0)) {
		t.Errorf("renewed, it ends at %v (%v)", got.Expires, err)
	}
	if !Ends(now, 0).IsZero() || !Ends(now, -1).IsZero() {
		t.Errorf("a token without an end has one")
	}
}
