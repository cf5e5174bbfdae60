package crashlab_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/state/crashlab"
	"github.com/ncruces/go-sqlite3"
)

// left is what may be there after a crash when all of steps are done, by its text.
func left(t *testing.T, files crashlab.Files, faults crashlab.Faults, steps func(d *crashlab.Disk) error) map[string]bool {
	t.Helper()
	d := crashlab.New(files, faults)
	defer d.Close()
	if err := steps(d); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		d.Images(crashlab.Plan{Random: 12, Prefixes: 4, Sector: 512}, rng, func(img crashlab.Image) bool {
			if img.At == d.Now() {
				out[text(img.Files)] = true
			}
			return true
		})
	}
	return out
}

func text(files crashlab.Files) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s=%s;", name, files[name])
	}
	return b.String()
}

// TestDiskForgets: what may be left after a crash is what was synced, and any part
// of what was not.
func TestDiskForgets(t *testing.T) {
	t.Parallel()
	old := crashlab.Files{"f": []byte("old")}
	for name, c := range map[string]struct {
		steps      func(d *crashlab.Disk) error
		must, cant []string
		only       bool // nothing but what must be possible
	}{
		"nothing was synced": {
			steps: func(d *crashlab.Disk) error {
				return errors.Join(d.WriteFile("f", []byte("new")), d.WriteFile("g", []byte("more")))
			},
			must: []string{"f=old;", "f=new;", "f=new;g=more;", "f=;", "f=old;g=more;"},
		},
		"data was synced, its name was not": {
			steps: func(d *crashlab.Disk) error { return errors.Join(d.WriteFile("g", []byte("more")), d.Sync("g")) },
			must:  []string{"f=old;", "f=old;g=more;"}, only: true,
		},
		"the name was synced, the data was not": {
			steps: func(d *crashlab.Disk) error {
				return errors.Join(d.WriteFile("g", []byte("more")), d.SyncDir(""))
			},
			must: []string{"f=old;g=;", "f=old;g=more;"}, cant: []string{"f=old;"},
		},
		"both were synced": {
			steps: func(d *crashlab.Disk) error {
				return errors.Join(d.WriteFile("g", []byte("more")), d.Sync("g"), d.SyncDir(""))
			},
			must: []string{"f=old;g=more;"}, only: true,
		},
		"a rename is whole": {
			steps: func(d *crashlab.Disk) error {
				return errors.Join(d.WriteFile("g", []byte("new")), d.Sync("g"), d.SyncDir(""), d.Rename("g", "f"))
			},
			must: []string{"f=old;g=new;", "f=new;"}, only: true,
		},
		"a removal": {
			steps: func(d *crashlab.Disk) error { return d.Remove("f") },
			must:  []string{"f=old;", ""}, only: true,
		},
		"a link and a removal, in any combination": {
			steps: func(d *crashlab.Disk) error { return errors.Join(d.Link("f", "g"), d.Remove("f")) },
			must:  []string{"f=old;", "f=old;g=old;", "g=old;", ""}, only: true,
		},
	} {
		got := left(t, old, crashlab.Faults{}, c.steps)
		for _, want := range c.must {
			if !got[want] {
				t.Errorf("%s: %q was never left: %q", name, want, slices.Sorted(maps.Keys(got)))
			}
		}
		if c.only && len(got) != len(c.must) {
			t.Errorf("%s: left were %q, want only %q", name, slices.Sorted(maps.Keys(got)), c.must)
		}
		for _, cant := range c.cant {
			if got[cant] {
				t.Errorf("%s: %q was left", name, cant)
			}
		}
	}
}

// TestDiskTears: a write that was not synced may be there in part, by sectors, and
// never within one.
func TestDiskTears(t *testing.T) {
	t.Parallel()
	const sector = 512
	old, is := strings.Repeat("o", 4*sector), strings.Repeat("n", 4*sector)
	got := left(t, crashlab.Files{"f": []byte(old)}, crashlab.Faults{}, func(d *crashlab.Disk) error {
		return d.WriteFile("f", []byte(is))
	})
	torn := 0
	for s := range got {
		data := strings.TrimSuffix(strings.TrimPrefix(s, "f="), ";")
		kinds := map[byte]bool{}
		for at := 0; at+sector <= len(data); at += sector {
			if strings.Trim(data[at:at+sector], data[at:at+1]) != "" && !strings.Contains(data[at:at+sector], "\x00") && data[at] == 'n' {
				t.Fatalf("a sector is torn: %q", data[at:at+sector])
			}
			kinds[data[at]] = true
		}
		if kinds['n'] && kinds['o'] {
			torn++
		}
	}
	if torn < 4 {
		t.Errorf("only %d of %d were torn", torn, len(got))
	}
}

// TestDiskIsADisk has SQLite use the disk from several connections at once, and
// closes them.
func TestDiskIsADisk(t *testing.T) {
	t.Parallel()
	d := crashlab.New(crashlab.Files{"keyturn.db": nil}, crashlab.Faults{})
	defer d.Close()
	setup, err := raw(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := setup.Exec("PRAGMA journal_mode=WAL; CREATE TABLE n (n INTEGER); INSERT INTO n VALUES (0)"); err != nil {
		t.Fatal(err)
	}
	const writers, times = 4, 50
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			c, err := raw(d)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range times {
				if err := c.Exec("PRAGMA busy_timeout=10000; BEGIN IMMEDIATE; UPDATE n SET n = n + 1; COMMIT"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if !d.Exists("keyturn.db-wal") {
		t.Error("there is no WAL")
	}
	if err := setup.Close(); err != nil {
		t.Fatal(err)
	}
	if live := d.Live(); len(live) != 1 || len(live["keyturn.db"]) == 0 {
		t.Errorf("files after the last connection closed: %q", slices.Sorted(maps.Keys(live)))
	}
	n := 0
	if err := query(d, "SELECT n FROM n", func(s *sqlite3.Stmt) error { n = s.ColumnInt(0); return nil }); err != nil || n != writers*times {
		t.Errorf("%d times, %v: want %d", n, err, writers*times)
	}
	d.PowerOff()
	if _, err := raw(d); err == nil {
		t.Error("a disk without power was opened")
	}
	if err := d.Create("more"); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was made on a disk without power: %v", err)
	}
}
