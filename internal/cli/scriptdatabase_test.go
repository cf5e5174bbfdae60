package cli_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyturn/keyturn/internal/world/servers"
)

// realDatabase gives a script a real database behind the Vault that it started, with
// the role myapp of an engine at database/: database postgresql|mariadb TTL MAX. LOGIN
// is a command for a shell that logs in as DB_USER with DB_PASS. Where the database is
// not installed the script is skipped; with KEYTURN_REAL=1 it fails.
func realDatabase(ts *testscript.TestScript, neg bool, args []string) {
	v := *ts.Value(vaultOf).(**servers.Vault)
	if neg || len(args) != 3 || v == nil {
		ts.Fatalf("usage, after 'vault dev': database postgresql|mariadb TTL MAX")
	}
	start := map[string]func(testing.TB) *servers.Database{"postgresql": servers.Postgres, "mariadb": servers.MariaDB}[args[0]]
	ttl, err := time.ParseDuration(args[1])
	ts.Check(err)
	most, err := time.ParseDuration(args[2])
	ts.Check(err)
	d := start(ts.Value(testOf).(testing.TB))
	d.Engine(v, "database", ttl, most)
	ts.Setenv("LOGIN", d.Client())
	ts.Setenv("DB_URL", d.URL) // of a connection, as which administrator, and what proves it
	ts.Setenv("DB_ADMIN", d.Admin)
	ts.Setenv("DB_ADMIN_PASSWORD", d.Password)
}

// playedRabbit puts the engine rabbitmq with the role app into the real Vault that a
// script has started, before a server of our own that answers as the management API of
// RabbitMQ does to it (https://www.rabbitmq.com/docs/management#http-api): rabbitmq
// FILE. FILE holds the users that there are.
func playedRabbit(ts *testscript.TestScript, neg bool, args []string) {
	v := *ts.Value(vaultOf).(**servers.Vault)
	if neg || len(args) != 1 || v == nil {
		ts.Fatalf("usage, after 'vault dev': rabbitmq FILE")
	}
	file := ts.MkAbs(args[0])
	var mu sync.Mutex
	users := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name, isUser := strings.CutPrefix(r.URL.Path, "/api/users/")
		switch {
		case isUser && r.Method == http.MethodPut:
			users[name] = true
		case isUser && r.Method == http.MethodDelete && users[name]:
			delete(users, name)
		case isUser:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = os.WriteFile(file, []byte(strings.Join(slices.Sorted(maps.Keys(users)), "\n")), 0o600)
		w.WriteHeader(http.StatusNoContent)
	}))
	ts.Value(testOf).(testing.TB).Cleanup(s.Close)
	ts.Check(os.WriteFile(file, nil, 0o600))
	v.Call(http.MethodPost, "sys/mounts/rabbitmq", map[string]string{"type": "rabbitmq"}, nil)
	v.Call(http.MethodPost, "rabbitmq/config/connection", map[string]any{"connection_uri": s.URL, "username": "admin", "password": "kt-fake-admin", "verify_connection": false}, nil)
	v.Call(http.MethodPost, "rabbitmq/config/lease", map[string]int{"ttl": 3600, "max_ttl": 7200}, nil)
	v.Call(http.MethodPost, "rabbitmq/roles/app", map[string]string{"vhosts": `{"/": {"configure": "", "write": ".*", "read": ".*"}}`}, nil)
}
