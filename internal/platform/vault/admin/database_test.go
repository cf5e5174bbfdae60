package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// TestAllowRoleTogether: of roles that are added at the same time none is lost.
func TestAllowRoleTogether(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	roles := []string{"app"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"allowed_roles": roles}})
			return
		}
		var body struct {
			Roles []string `json:"allowed_roles"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		roles = body.Roles
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	c, err := api.New(api.Config{Address: srv.URL, Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.fake")), nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{client: c, mount: "vault"}
	var all sync.WaitGroup
	for _, role := range []string{"one", "two", "three"} {
		all.Go(func() {
			if err := allowRole(t.Context(), s, "database/config/shop", connection{Roles: []string{"app"}}, role); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, role := range []string{"app", "one", "two", "three"} {
		if !slices.Contains(roles, role) {
			t.Errorf("%s is lost: %v", role, roles)
		}
	}
}

// TestCheckCreation: a user of a known plugin gets a password of its own, or none.
func TestCheckCreation(t *testing.T) {
	t.Parallel()
	pg := databasePlugins["postgresql"]
	for creation, ok := range map[string]bool{
		"CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}'": true,
		"CREATE ROLE \"{{name}}\" WITH LOGIN":                         true,
		"CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD NULL":           true,
		"CREATE USER '{{name}}' IDENTIFIED BY 'kt-fake'":              false,
		"CREATE ROLE \"{{name}}\" PASSWORD $$kt-fake$$":               false,
		"SELECT 1": false,
	} {
		if err := checkCreation(pg, creation); (err == nil) != ok || err != nil && !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %v", creation, err)
		}
	}
	if err := checkCreation("mongodb-database-plugin", `{"db": "admin"}`); err != nil {
		t.Error(err)
	}
}
