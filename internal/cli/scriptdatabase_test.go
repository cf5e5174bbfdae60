package cli_test

import (
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
