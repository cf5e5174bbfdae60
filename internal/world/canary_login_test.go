package world_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// parrot answers as Vault does, gives out one token, and repeats what it was sent
// in every error: the canary must not come back by what a server says.
func parrot(t *testing.T, token string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := func(status int, v any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
		no := func(status int) {
			w.Header().Set("X-Echo", r.Header.Get("X-Vault-Token"))
			answer(status, map[string]any{"errors": []string{"no " + string(body) + " " + r.URL.String() + " " + r.Header.Get("X-Vault-Token") + r.Header.Get("Authorization")}})
		}
		switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
		case path == "auth/userpass/login/anna", path == "auth/approle/login", path == "auth/jwt/login":
			answer(200, map[string]any{"auth": map[string]any{"client_token": token, "accessor": "acc", "policies": []string{"app"}, "lease_duration": 3600, "renewable": true}})
		case path == "auth/token/lookup-self" && r.Header.Get("X-Vault-Token") == token:
			answer(200, map[string]any{"data": map[string]any{"display_name": "anna", "accessor": "acc", "policies": []string{"app"}, "renewable": true}})
		case path == "sys/wrapping/lookup" && strings.Contains(string(body), "other"):
			answer(200, map[string]any{"data": map[string]any{"creation_path": "auth/approle/role/" + token}})
		case path == "sys/wrapping/lookup":
			answer(200, map[string]any{"data": map[string]any{"creation_path": "auth/approle/role/app/secret-id"}})
		case path == "sys/wrapping/unwrap" && r.Header.Get("X-Vault-Token") == token:
			answer(200, map[string]any{"data": map[string]any{"secret_id": token}})
		case path == "sys/seal-status":
			answer(200, map[string]any{"initialized": true, "version": "1.21.1"})
		case path == "auth/broken/login":
			answer(200, map[string]any{"auth": string(body) + token})
		case path == "auth/away/login":
			no(503)
		case path == "auth/bad/login":
			no(400)
		case path == "/actions":
			answer(200, map[string]any{"value": token})
		default:
			no(403)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// login logs in with the canary, gets it back as a token, uses it against a server
// that repeats it, and goes in ways that fail.
func (c *tour) login(t *testing.T) {
	t.Helper()
	at := "VAULT_ADDR=" + parrot(t, c.v)
	here := c.m.As(at)
	for _, form := range [][]string{{"-v"}, {"-o", "json", "-v"}} {
		add := func(stdin string, status int, vars []string, args ...string) {
			c.steps = append(c.steps, step{c.m.As(append(vars, at)...), stdin, append(args, form...), false, status})
		}
		userpass := []string{"login", "vault", "--method", "userpass", "--username", "anna"}
		add(c.v, 0, nil, append(userpass, "-")...)
		add("", 0, nil, "status")
		add("", wantFailure, nil, "list", "vault/secret/")
		add("", wantFailure, nil, "get", "vault/secret/a")
		add(c.v, wantFailure, nil, "put", "vault/secret/a", "b=-")
		add("", anything, nil, "logout", "vault") // it is not revoked
		add(c.v, 0, nil, "login", "vault", "-")
		add("", wantFailure, nil, "logout", "vault") // the token was given
		add("", 0, nil, "logout", "vault", "--keep")
		add(c.v, 0, nil, "login", "vault", "-")
		add("", anything, nil, "logout", "vault", "--yes")
		approle := []string{"login", "vault", "--method", "approle", "--role-id", "app", "--wrapped", "-"}
		add(c.v, 0, nil, approle...)
		add(c.v+"x", wantFailure, nil, approle...)
		add(c.v+"other", wantFailure, nil, approle...)
		add("", 0, []string{"VAULT_TOKEN=" + c.v}, "login", "vault")
		add("", 0, []string{"VAULT_SECRET_ID=" + c.v, "VAULT_ROLE_ID=app"}, "login", "vault", "--method", "approle")
		add("", 0, []string{"VAULT_ID_TOKEN=" + c.v}, "login", "vault", "--method", "jwt", "--role", "ci")
		add("", 0, []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + strings.TrimPrefix(at, "VAULT_ADDR=") + "/actions", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + c.v}, "login", "vault", "--method", "jwt", "--role", "ci")
		add("", wantFailure, []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + strings.TrimPrefix(at, "VAULT_ADDR=") + "/no", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + c.v}, "login", "vault", "--method", "jwt", "--role", "ci")
		for _, path := range []string{"broken", "away", "bad", "nowhere"} {
			add(c.v, wantFailure, nil, "login", "vault", "--method", "jwt", "--role", "ci", "--path", path, "-")
		}
		// Where it does not belong.
		add("", wantFailure, nil, append(userpass, c.v)...)
		add(c.v+"\n\n", wantFailure, nil, "login", "local", "-")
		add("", wantFailure, nil, "login", "vault", "--method", "jwt", "--role", "ci", "--jwt-env", "NONE")
		add(strings.Repeat(c.v, 3000), wantFailure, nil, append(userpass, "-")...)
		add(c.v, wantFailure, []string{"AI_AGENT=canary"}, append(userpass, "-")...)
		add("", wantFailure, []string{"AI_AGENT=canary", "VAULT_TOKEN=" + c.v}, "login", "vault")
		add("", wantFailure, []string{"AI_AGENT=canary"}, "logout", "vault")
	}
	c.steps = append(c.steps, step{here, "", []string{"audit", "list", "-o", "json"}, false, 0})
}
