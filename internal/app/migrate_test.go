package app

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/migrate"
	"github.com/keyturn/keyturn/internal/session"
)

// agreeable is a person who says yes to everything.
type agreeable struct{ session.Nobody }

func (agreeable) Possible() bool { return true }

func (agreeable) Confirm(context.Context, string) (bool, error) { return true, nil }

// TestMigrateWithoutADoor: package migrate holds by itself, with a whole program below
// it and no command line above it, that trust goes back with a migration.
func TestMigrateWithoutADoor(t *testing.T) {
	d := newDesk(t)
	d.init()
	s, err := d.m.open(t.Context(), session.How{Desk: agreeable{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	dir, err := filepath.EvalSymlinks(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	const compose = "services:\n  db:\n    environment:\n      DB_PASSWORD: made-up-db-password\n"
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &migrate.Migrator{Session: s, Dir: dir, Env: d.m.env}
	p, err := m.Plan(t.Context(), migrate.Options{Files: []string{"compose.yaml"}, To: keyturn.MustRef("local/shop")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply(t.Context())
	p.Close()
	if err != nil || !out.Created || len(out.Migration.Fields) != 1 {
		t.Fatalf("%+v (%v)", out, err)
	}
	trusted := func() int {
		t.Helper()
		res, err := keyturn.Do[*keyturn.Trusted](t.Context(), s.Service, keyturn.ShowTrust{Path: filepath.Join(dir, config.FileName)})
		if err != nil {
			t.Fatal(err)
		}
		return len(res.Before)
	}
	if trusted() != 1 {
		t.Fatal("a yes to what was shown trusts nothing")
	}
	if _, err := m.TakeBack(t.Context(), out.Migration.ID); err != nil {
		t.Fatal(err)
	}
	if n := trusted(); n != 0 {
		t.Errorf("%d entries are still trusted", n)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "compose.yaml")); err != nil || string(got) != compose {
		t.Errorf("the file is %q (%v)", got, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, config.FileName)); err == nil {
		t.Error("the project's file is still there")
	}
}
