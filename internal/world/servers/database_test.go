package servers_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world/servers"
)

// The servers are what the tests of leases rest on: who has the password comes in,
// and nobody else.
func TestDatabases(t *testing.T) {
	for _, start := range []func(testing.TB) *servers.Database{servers.Postgres, servers.MariaDB} {
		t.Run("", func(t *testing.T) {
			begun := time.Now()
			d := start(t)
			t.Logf("%s after %s", d.Kind, time.Since(begun).Round(time.Millisecond))
			if err := d.Login(d.Admin, "wrong"); err == nil {
				t.Error("a wrong password comes in")
			}
			if users := d.Users(); len(users) != 0 {
				t.Errorf("users %v", users)
			}
			d.Stop()
			if err := d.Login(d.Admin, d.Password); err == nil {
				t.Error("a server that was stopped answers")
			}
			d.Start()
		})
	}
}
