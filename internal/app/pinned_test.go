package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/session"
)

// TestFormerConfiguration: the one file that an earlier keyturn knew by its path counts for
// agents until a person has said which does. What is left of it afterwards, after a crash or
// in a restored store, counts no more.
func TestFormerConfiguration(t *testing.T) {
	for _, settled := range []bool{false, true} {
		d := newDesk(t)
		d.init()
		rules := filepath.Join(d.dir, "rules.yaml")
		if err := os.WriteFile(rules, []byte("rules:\n  - {who: agents, may: [list], on: [\"local/**\"]}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		db := d.open()
		err := db.UpdateItem(t.Context(), "config", rules, func(it keyturn.Item) (keyturn.Item, error) {
			it.Body = []byte("{}")
			return it, nil
		})
		if err == nil {
			err = journal.New(db, d.m.Now).Machines.Change(t.Context(), func(m *journal.Machine) error { m.Settled = settled; return nil })
		}
		if closeErr := db.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		o := d.m.Options
		o.Environ = append(o.Environ, "CLAUDECODE=1")
		s, err := o.machine().open(t.Context(), session.How{Desk: session.Nobody{}})
		if err != nil {
			t.Fatal(err)
		}
		if counts := s.Operator != nil; counts == settled {
			t.Errorf("settled %v: it counts %v", settled, counts)
		}
		_ = s.Close()
	}
}
