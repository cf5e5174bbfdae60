package world_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// administered is a server whose secret id, and the token that wraps it, are the
// canary. All else it refuses with a status, and repeats what it was sent and what it
// knows.
func administered(t *testing.T, value string, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := func(status int, v any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
		data := func(v any) { answer(200, map[string]any{"data": v}) }
		switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
		case path == "sys/seal-status":
			answer(200, map[string]any{"initialized": true, "sealed": true, "t": 2, "n": 3, "version": "1.21.1"})
		case path == "sys/internal/ui/mounts/auth/approle":
			data(map[string]any{"path": "approle/", "type": "approle"})
		case path == "sys/internal/ui/mounts/database":
			data(map[string]any{"path": "database/", "type": "database"})
		case path == "database/roles/odd":
			data(map[string]any{"db_name": "odd", "creation_statements": []string{"CREATE ROLE x PASSWORD '" + value + "'"}})
		case path == "auth/approle/role/app":
			data(map[string]any{"token_ttl": 60})
		case path == "auth/approle/role/app/role-id":
			data(map[string]any{"role_id": "role"})
		case path == "auth/approle/role/app/secret-id" && r.Method == http.MethodPost:
			answer(200, map[string]any{"wrap_info": map[string]any{"token": value, "accessor": "acc", "ttl": 60}})
		case path == "sys/wrapping/unwrap" && strings.Contains(string(body), "token"):
			data(map[string]any{"secret_id": value, "secret_id_accessor": "acc", "secret_id_ttl": 60})
		case path == "database/config/odd":
			data(map[string]any{"plugin_name": "p", "connection_details": map[string]any{"connection_url": "postgresql://admin:" + value + "@db/x", "username": "admin", "password": value}})
		case status == 200:
			_, _ = fmt.Fprintf(w, `{"data": %q, "auth": {"client_token": %q}}`, value+string(body), value)
		default:
			answer(status, map[string]any{"errors": []string{value + string(body) + r.Header.Get("X-Vault-Token") + r.URL.String()}, "data": value})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// actions administers servers that hold the canary and say it whenever they can.
func (c *tour) actions(t *testing.T) {
	t.Helper()
	const held = "local/c/json#password"
	policy := c.write(t, "policy.hcl", `path "secret/data/a" { capabilities = ["read"] }`)
	well := c.m.As("VAULT_ADDR="+administered(t, c.v, 403), "VAULT_TOKEN=hvs."+c.v[3:27])
	on := func(m *world.Machine, shows bool, status int, args ...string) {
		c.steps = append(c.steps, step{m, "", args, shows, status})
	}
	on(well, false, 0, "vault", "approle", "secret-id", "app", "--to", "local/c/id", "-v")
	on(well, false, 0, "vault", "approle", "secret-id", "app", "--to", "local/c/id#other", "-o", "json", "-v")
	on(well, false, 0, "vault", "approle", "secret-id", "app", "--to-file", filepath.Join(c.in, "id"), "-v")
	on(well, false, 0, "vault", "approle", "secret-id", "app", "--to-file", filepath.Join(c.in, "id2"), "-o", "json")
	on(well, true, 0, "vault", "approle", "secret-id", "app", "--wrap", "60s")
	on(well, true, 0, "vault", "approle", "secret-id", "app", "--wrap", "60s", "-o", "json")
	on(well, false, wantFailure, "vault", "approle", "secret-id", "app", "-v")
	on(well, false, wantFailure, "vault", "approle", "secret-id", "app", "--to", "nowhere/x", "-v")
	on(well, false, wantFailure, "vault", "approle", "secret-id", "app", "--to", "vault/secret/x", "-v", "-o", "json")
	on(well, false, wantFailure, "vault", "approle", "secret-id", "app", "--to-file", filepath.Join(c.in, "id"), "-v")
	on(well, false, 0, "vault", "database", "read", "odd", "-o", "json", "-v")
	on(well, false, 0, "vault", "database", "role", "read", "odd", "-o", "json", "-v")
	for _, status := range []int{200, 400, 403, 404, 500} {
		m := c.m.As("VAULT_ADDR="+administered(t, c.v, status), "VAULT_TOKEN=hvs."+c.v[3:27])
		for _, args := range [][]string{
			{"status"}, {"unseal", "--share", held}, {"unseal"}, {"seal", "--yes"}, {"policy", "check", "a", policy}, {"policy", "write", "a", policy},
			{"policy", "least", "vault/secret/a", "--can", "read"},
			{"policy", "for", "vault/secret/a", "--can", "read"}, {"policy", "grant", "vault:approle/app", "vault/secret/a", "--can", "read", "--yes"},
			{"policy", "check-grant", "vault:entity/app", "vault/secret/a", "--can", "read"}, {"approle", "create", "other"}, {"approle", "secret-ids", "app"},
			{"enable", "kv-v2"}, {"disable", "x", "--yes"}, {"auth", "list"}, {"settings", "secret"}, {"tune", "secret", "--max-versions", "3", "--ttl", "1h"},
			{"lease", "list", "database"}, {"lease", "revoke", "database/creds/a/b"}, {"lease", "revoke-all", "database", "--yes"}, {"auth", "settings", "token"}, {"auth", "tune", "token", "--ttl", "1h"}, {"kv", "settings", "vault/secret/a"}, {"kv", "tune", "vault/secret/a", "--max-versions", "3"},
			{"database", "connect", "a", "--plugin", "mysql", "--url", "{{username}}:{{password}}@tcp(db)/", "--username", "admin", "--password", held},
			{"database", "connect", "a", "--plugin", "mysql", "--url", "admin:" + c.v + "@tcp(db)/", "--username", "admin"},
			{"database", "rotate-root", "odd", "--yes"}, {"database", "role", "write", "a", "--db", "odd", "--creation", "{{name}} {{password}}"},
		} {
			on(m, false, anything, append(append([]string{"vault"}, args...), "-v")...)
			on(m.As("AI_AGENT=canary"), false, anything, append(append([]string{"vault"}, args...), "-o", "json", "-v")...)
		}
	}
}
