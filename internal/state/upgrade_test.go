package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// found is what the program of format 1 said of a frozen store.
type found struct {
	Made                    time.Time
	ID, Kind, Place, Writer string
	Secrets                 map[string][]struct {
		Info   keyturn.Info
		Values map[string][]byte
	}
	Log   []string
	Items map[string]map[string]string
}

var fixtures = []string{"closed", "wal"}

// fixture copies a frozen store to a folder, and returns what must be found in it
// and the options to open it.
func fixture(t testing.TB, name string) (dir string, want found, keyfunc Keyfunc, o Options) {
	t.Helper()
	dir = t.TempDir()
	from := filepath.Join("testdata", "format-1", name)
	for _, file := range []string{File, File + "-wal", "found.json", "root.key"} {
		b, err := os.ReadFile(filepath.Join(from, file))
		switch {
		case errors.Is(err, os.ErrNotExist) && name == "closed":
			continue
		case err != nil:
			t.Fatal(err)
		}
		switch file {
		case "found.json":
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
		case "root.key":
			keyfunc = keyOf(b)
		default:
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(want.Secrets) < 8 || len(want.Log) < 50 || len(want.Items) < 3 || keyfunc == nil {
		t.Fatalf("the fixture %s is not whole", name)
	}
	return dir, want, keyfunc, Options{Tree: tree, Writer: "2.0.0", Now: func() time.Time { return want.Made }}
}

// keyOf reads a key file: a line that says what it is, and the key.
func keyOf(file []byte) Keyfunc {
	lines := strings.Split(string(file), "\n")
	return func(string, string, string) ([]byte, error) { return base64.StdEncoding.DecodeString(lines[1]) }
}

// tree is a tree of one's own: a hash over all leaves.
func tree(top keyturn.LogTop, records [][]byte) (add []keyturn.LogEntry, tree []byte, err error) {
	last := top.Last
	tree = top.Tree
	for _, r := range records {
		last = keyturn.LogEntry{Seq: last.Seq + 1, Data: r, Leaf: sha256.Sum256(append([]byte{0}, r...))}
		sum := sha256.Sum256(append(bytes.Clone(tree), last.Leaf[:]...))
		tree, add = sum[:], append(add, last)
	}
	return add, tree, nil
}

// check holds a store against what must be found in it.
func (want found) check(t testing.TB, db *DB) {
	t.Helper()
	ctx := context.Background()
	if f := db.Stats(); f.ID != want.ID || f.Kind != want.Kind || f.Place != want.Place || f.Format != Format || f.Writer != "2.0.0" {
		t.Errorf("facts: %+v", f)
	}
	names := 0
	for info, err := range db.Names(ctx, "") {
		if err != nil {
			t.Fatal(errText(err))
		}
		names++
		versions, err := db.Versions(ctx, info.Path)
		if err != nil || len(versions) != len(want.Secrets[info.Path]) {
			t.Fatalf("%s: %d versions, %v", info.Path, len(versions), errText(err))
		}
		for i, v := range want.Secrets[info.Path] {
			if !reflect.DeepEqual(versions[i], v.Info) {
				t.Errorf("%s: is\n%+v, was\n%+v", info.Path, versions[i], v.Info)
			}
			s, err := db.Read(ctx, info.Path, i+1)
			if v.Info.State == keyturn.Destroyed {
				if !isCode(err, keyturn.NotFound) {
					t.Errorf("%s version %d was destroyed: %v", info.Path, i+1, errText(err))
				}
				continue
			}
			if err != nil || len(s.Values) != len(v.Values) {
				t.Fatalf("%s version %d: %v", info.Path, i+1, errText(err))
			}
			for f, b := range v.Values {
				if !bytes.Equal(s.Values[f].Reveal(), b) {
					t.Errorf("%s#%s: another value", info.Path, f)
				}
			}
		}
	}
	if names != len(want.Secrets) {
		t.Errorf("%d secrets, want %d", names, len(want.Secrets))
	}
	var records [][]byte
	for e, err := range db.Log(ctx, 1) {
		if err != nil {
			t.Fatal(errText(err))
		}
		if records = append(records, e.Data); e.Leaf != sha256.Sum256(append([]byte{0}, e.Data...)) {
			t.Errorf("record %d has another leaf", e.Seq)
		}
	}
	if got := string(bytes.Join(records, []byte("\n"))); got != strings.Join(want.Log, "\n") {
		t.Error("the log is another")
	}
	_, edge, _ := tree(keyturn.LogTop{}, records)
	if top, err := db.LastLog(ctx); err != nil || !bytes.Equal(top.Tree, edge) || top.Generation != 1 {
		t.Errorf("the end of the log is %+v, %v", top, errText(err))
	}
	for kind, items := range want.Items {
		n := 0
		for it, err := range db.Items(ctx, kind) {
			if err != nil {
				t.Fatal(errText(err))
			}
			n++
			if got := fmt.Sprintf("%s %d", it.Body, it.Expires.Unix()); got != items[it.ID] {
				t.Errorf("%s %s is\n%s, was\n%s", kind, it.ID, got, items[it.ID])
			}
		}
		if n != len(items) {
			t.Errorf("%d items of kind %s, want %d", n, kind, len(items))
		}
	}
	if err := db.VerifyState(ctx); err != nil {
		t.Error(errText(err))
	}
	var sound string
	if err := db.pool.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity: %s %v", sound, err)
	}
}

// copies lists the copies that upgrades have made.
func copies(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, File+".format-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, name := range fixtures {
		dir, want, keyfunc, o := fixture(t, name)
		if f, err := Peek(t.Context(), dir, o); err != nil || f.Format != 1 || f.ID != want.ID {
			t.Errorf("%s: peek: %+v, %v", name, f, errText(err))
		}
		db, err := Open(t.Context(), dir, keyfunc, o)
		if err != nil {
			t.Fatalf("%s: %s", name, errText(err))
		}
		want.check(t, db)
		from, copied := db.Upgraded()
		if from != 1 || copied != filepath.Join(dir, File+".format-1-"+want.Made.UTC().Format("20060102T150405Z")) {
			t.Errorf("%s: upgraded from %d, copy at %s", name, from, copied)
		}
		key := db.LogKey()
		twin, _, twinKey, twinOptions := fixture(t, name) // the same store, upgraded by itself
		if other := reopenOptions(t, twin, twinKey, twinOptions); other.LogKey() != key {
			t.Errorf("%s: two upgrades of one store have two logs", name)
		}
		put(t, db, "app/db", "password", "not-a-secret-9")
		if err := db.Close(); err != nil {
			t.Fatal(errText(err))
		}
		again := reopenOptions(t, dir, keyfunc, o)
		if from, copied := again.Upgraded(); from != 0 || copied != "" || again.LogKey() != key {
			t.Errorf("%s: it was upgraded again", name)
		}
		if s, err := again.Read(t.Context(), "app/db", 4); err != nil || string(s.Values["password"].Reveal()) != "not-a-secret-9" {
			t.Errorf("%s: %s", name, errText(err))
		}
		if err := again.Rekey(t.Context(), nil); err != nil {
			t.Errorf("%s: rekey: %s", name, errText(err))
		}
		if got := copies(t, dir); len(got) != 1 {
			t.Errorf("%s: copies %v", name, got)
		}
		// The copy is a store of format 1 of its own, whole without a WAL.
		fi, err := os.Stat(copied)
		if err != nil || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
		other := t.TempDir()
		if err := Restore(t.Context(), other, copied, o); err != nil {
			t.Fatal(errText(err))
		}
		want.check(t, reopenOptions(t, other, keyfunc, o))
	}
}

func reopenOptions(t testing.TB, dir string, keyfunc Keyfunc, o Options) *DB {
	t.Helper()
	db, err := Open(context.Background(), dir, keyfunc, o)
	if err != nil {
		t.Fatal(errText(err))
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestUpgradeRace opens a store of format 1 by many at once: one upgrades it.
func TestUpgradeRace(t *testing.T) {
	t.Parallel()
	for _, name := range fixtures {
		dir, want, keyfunc, o := fixture(t, name)
		var wg sync.WaitGroup
		upgrades := make([]int, 6)
		for i := range upgrades {
			wg.Go(func() {
				db, err := Open(t.Context(), dir, keyfunc, o)
				if err != nil {
					t.Error(errText(err))
					return
				}
				upgrades[i], _ = db.Upgraded()
				want.check(t, db)
				_ = db.Close()
			})
		}
		wg.Wait()
		n := 0
		for _, from := range upgrades {
			n += from
		}
		if n != 1 || len(copies(t, dir)) != 1 {
			t.Errorf("%s: %d upgraded it, %d copies", name, n, len(copies(t, dir)))
		}
	}
}

// TestUpgradeRefused: the store is as it was, and no copy is left.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	for _, name := range fixtures {
		for doing, c := range map[string]struct {
			change func(dir string, o *Options, k *Keyfunc)
			forge  string
			want   keyturn.Code
			says   string
		}{
			"full disk":        {change: func(_ string, o *Options, _ *Keyfunc) { o.maxPages = 1 }, want: keyturn.Unavailable, says: "disk is full"},
			"no tree":          {change: func(_ string, o *Options, _ *Keyfunc) { o.Tree = nil }, want: keyturn.Internal},
			"another root key": {change: func(_ string, _ *Options, k *Keyfunc) { *k = rootOf }, want: keyturn.Sealed, says: "root key"},
			"a tree that fails": {change: func(_ string, o *Options, _ *Keyfunc) {
				o.Tree = func(keyturn.LogTop, [][]byte) ([]keyturn.LogEntry, []byte, error) {
					return nil, nil, keyturn.E(keyturn.Corrupt, "no tree", "x")
				}
			}, want: keyturn.Corrupt, says: "no tree"},
			"the last record gone":    {forge: "DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)", want: keyturn.Corrupt, says: "record"},
			"a record gone":           {forge: "DELETE FROM log WHERE seq = 7", want: keyturn.Corrupt, says: "record 7"},
			"a record too many":       {forge: "INSERT INTO log SELECT max(seq) + 1, data FROM log", want: keyturn.Corrupt, says: "record"},
			"a secret gone":           {forge: "DELETE FROM version WHERE secret = 1; DELETE FROM secret WHERE id = 1", want: keyturn.Corrupt},
			"a version gone":          {forge: "DELETE FROM version WHERE secret = 1 AND number = 1", want: keyturn.Corrupt},
			"a version of none":       {forge: "INSERT INTO version SELECT 99, number, info, key, data FROM version WHERE secret = 1", want: keyturn.Corrupt},
			"an item gone":            {forge: "DELETE FROM item WHERE id = (SELECT min(id) FROM item)", want: keyturn.Corrupt},
			"an item of unknown kind": {forge: "UPDATE item SET kind = x'00' WHERE id = (SELECT min(id) FROM item)", want: keyturn.Corrupt},
			"a byte of a value":       {forge: "UPDATE version SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB) WHERE secret = 1 AND number = 1", want: keyturn.Corrupt},
			"no head":                 {forge: "DELETE FROM meta WHERE k = 'head'", want: keyturn.Corrupt},
			"a newer format":          {forge: "PRAGMA user_version = 3", want: keyturn.Invalid, says: "made by keyturn devel"},
		} {
			dir, want, keyfunc, o := fixture(t, name)
			good := o
			if c.change != nil {
				c.change(dir, &o, &keyfunc)
			}
			if c.forge != "" {
				plain := outside(t, dir)
				run(t, plain, c.forge)
				_ = plain.Close()
			}
			db, err := Open(t.Context(), dir, keyfunc, o)
			wantCode(t, name+", "+doing, err, c.want)
			if err == nil {
				_ = db.Close()
				continue
			}
			if !strings.Contains(errText(err), c.says) {
				t.Errorf("%s, %s: %s", name, doing, errText(err))
			}
			if got := copies(t, dir); len(got) != 0 {
				t.Errorf("%s, %s: copies %v", name, doing, got)
			}
			if c.forge == "" { // with all that it needs it goes
				_, _, keyfunc, _ := fixture(t, name)
				want.check(t, reopenOptions(t, dir, keyfunc, good))
			} else if c.want == keyturn.Corrupt {
				if f, err := Peek(t.Context(), dir, o); err != nil || f.Format != 1 {
					t.Errorf("%s, %s: format %d afterwards, %v", name, doing, f.Format, errText(err))
				}
			}
		}
	}
}

// TestUpgradeKilled kills the upgrade at random moments: the store has one format or
// the other, and the next goes on.
func TestUpgradeKilled(t *testing.T) {
	t.Parallel()
	formats := map[int]int{}
	var takes time.Duration // without a kill
	for round := range 30 {
		dir, want, keyfunc, o := fixture(t, fixtures[round%2])
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "KEYTURN_STATE_WRITER="+dir, "KEYTURN_STATE_MODE=upgrade "+fixtures[round%2])
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = out.Read(make([]byte, 1)) // it begins now
		began := time.Now()
		if round > 0 {
			time.Sleep(takes * time.Duration(round) / 20)
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		if round == 0 {
			takes = time.Since(began)
		}
		f, err := Peek(t.Context(), dir, o)
		if err != nil {
			t.Fatal(errText(err))
		}
		formats[f.Format]++
		want.check(t, reopenOptions(t, dir, keyfunc, o))
	}
	if formats[1] == 0 || formats[2] == 0 {
		t.Errorf("kills left the formats %v: all of one", formats)
	}
}
