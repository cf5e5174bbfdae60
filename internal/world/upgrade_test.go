package world_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestUpgradeIsTold opens a store that the first keyturn made: it is kept as it was,
// upgraded, and told once.
func TestUpgradeIsTold(t *testing.T) {
	m := world.New(t)
	if err := os.Mkdir(m.Store, 0o700); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join("..", "state", "testdata", "format-1", "closed")
	for _, name := range []string{"keyturn.db", "root.key"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.Store, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := m.Must("", "list", "local/")
	if !strings.Contains(first.Stderr, "was upgraded") || !strings.Contains(first.Stderr, "keyturn.db.format-1-") {
		t.Errorf("not told: %q", first.Stderr)
	}
	second := m.Must("", "list", "local/")
	if second.Stderr != "" || second.Stdout != first.Stdout || first.Stdout == "" {
		t.Errorf("the second time: %q\n%q, first %q", second.Stderr, second.Stdout, first.Stdout)
	}
	if copies, _ := filepath.Glob(filepath.Join(m.Store, "keyturn.db.format-1-*")); len(copies) != 1 {
		t.Errorf("%d copies of the store as it was", len(copies))
	}
	m.Must("", "audit", "verify")
	m.Must("", "store", "rekey", "--yes")
	m.Must("", "audit", "verify")
}
