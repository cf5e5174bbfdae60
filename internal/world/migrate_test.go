package world_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestMigrateAtOnce starts migrations of the same files at the same time, into the
// same secret: one after the other does it or is told why not, and what is there
// afterwards is one whole migration.
func TestMigrateAtOnce(t *testing.T) {
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	const at = 4
	for n := range 4 {
		p := newProject(t, m, n)
		outs := make([]world.Output, at)
		var wait sync.WaitGroup
		for i := range outs {
			wait.Go(func() { outs[i] = m.Run("", p.args()...) })
		}
		wait.Wait()
		did := 0
		for _, out := range outs {
			switch {
			case out.Status == 0 && strings.Contains(out.Stdout, "stored 3 values"):
				did++
			case out.Status == 0 && strings.Contains(out.Stdout, "nothing to migrate"):
			case out.Status == 5: // conflict: another is at work, or was
			default:
				t.Errorf("exit status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
			}
		}
		if did != 1 || p.state(t, "after all") != 2 {
			t.Errorf("%d of %d migrated", did, at)
		}
		p.stored(t, m, "after all")
		p.only(t, "after all")
		m.Must("", "migrate", "--rollback", filepath.Join(p.dir, ".env"))
		if p.state(t, "taken back") != 0 {
			t.Error("taken back it is something else")
		}
	}
}

// TestMigrateFromSOPS imports a file that sops wrote, with the key where sops
// finds it.
func TestMigrateFromSOPS(t *testing.T) {
	corpus := filepath.Join("..", "migrate", "imports", "testdata", "sops")
	key, err := os.ReadFile(filepath.Join(corpus, "fake-age-key.txt"))
	if err != nil {
		t.Fatal(err)
	}
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	for _, name := range []string{"app.env", "app.json", "app.yaml"} {
		data, err := os.ReadFile(filepath.Join(corpus, name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(m.Work, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"migrate", file, "--to", "local/sops/" + name, "-o", "json"}
		if out := m.Run("", args...); out.Status != 2 {
			t.Errorf("%s without a key: exit status %d\n%s", name, out.Status, out.Stdout)
		}
		for _, text := range strings.Fields(string(key)) {
			if !strings.HasPrefix(text, "AGE-SECRET-KEY-") {
				continue
			}
			out := m.As("SOPS_AGE_KEY="+text).Must("", args...)
			var doc struct {
				Secret    struct{ Fields []string }
				Migration struct{ Moved []struct{ Why string } }
			}
			if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil {
				t.Fatal(err)
			}
			if len(doc.Secret.Fields) == 0 || len(doc.Migration.Moved) != len(doc.Secret.Fields) || doc.Migration.Moved[0].Why != "from sops" {
				t.Errorf("%s: %s", name, out.Stdout)
			}
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(data) {
			t.Errorf("%s was changed (%v)", name, err)
		}
		keys := filepath.Join(m.Home, ".config", "sops", "age", "keys.txt")
		if err := os.MkdirAll(filepath.Dir(keys), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keys, key, 0o600); err != nil {
			t.Fatal(err)
		}
		if out := m.Must("", "migrate", file, "--to", "local/sops/"+name); !strings.Contains(out.Stdout, "already, the same") {
			t.Errorf("%s again, with the key in sops' own file: %s", name, out.Stdout)
		}
		if err := os.Remove(keys); err != nil {
			t.Fatal(err)
		}
		if out := m.As("SOPS_AGE_KEY_FILE="+filepath.Join(m.Work, "none")).Run("", args...); out.Status != 2 {
			t.Errorf("%s with a key file that is not there: exit status %d\n%s", name, out.Status, out.Stdout)
		}
	}
}
