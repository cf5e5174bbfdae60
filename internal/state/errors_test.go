package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/ncruces/go-sqlite3"
)

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{Writer: "1.2.3"})
	put(t, db, "a", "f", "v")
	_ = db.Close()
	good, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		root   byte
		want   keyturn.Code
		says   string
	}{
		"good":                {func(b []byte) []byte { return b }, 'R', "", ""},
		"another root":        {func(b []byte) []byte { return b }, 'S', keyturn.Sealed, "root key"},
		"text":                {func([]byte) []byte { return bytes.Repeat([]byte("hello "), 100) }, 'R', keyturn.Corrupt, "not a keyturn store"},
		"empty":               {func([]byte) []byte { return nil }, 'R', keyturn.Corrupt, "not a keyturn store"},
		"another application": {func(b []byte) []byte { b[71]++; return b }, 'R', keyturn.Corrupt, "not a keyturn store"},
		"newer format":        {func(b []byte) []byte { b[63]++; return b }, 'R', keyturn.Unsupported, "1.2.3"},
		"older format":        {func(b []byte) []byte { b[63]--; return b }, 'R', keyturn.Unsupported, "has format 1, made by keyturn 1.2.3"},
		"no format":           {func(b []byte) []byte { b[63] = 0; return b }, 'R', keyturn.Corrupt, ""},
		"header only":         {func(b []byte) []byte { return b[:100] }, 'R', keyturn.Corrupt, ""},
		"first page":          {func(b []byte) []byte { return b[:4096] }, 'R', keyturn.Corrupt, ""},
		"half":                {func(b []byte) []byte { return b[:len(b)/2] }, 'R', keyturn.Corrupt, ""},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, File)
		if err := os.WriteFile(path, c.change(bytes.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		key := bytes.Repeat([]byte{c.root}, 32)
		db, err := Open(t.Context(), dir, func(string, string, string) ([]byte, error) { return key, nil }, Options{})
		if err == nil {
			_, err = db.Read(t.Context(), "a", 1)
			_ = db.Close()
		}
		wantCode(t, name, err, c.want)
		if e := keyturn.AsError(err); e != nil && (!strings.Contains(e.Message, path) || !strings.Contains(e.Message, c.says) || e.Hint == "") {
			t.Errorf("%s: %s", name, errText(err))
		}
		if _, err := Create(t.Context(), dir, root, Options{}); !isCode(err, keyturn.Conflict) {
			t.Errorf("%s: create over it: %v", name, err)
		}
	}
	_, err = Open(t.Context(), t.TempDir(), rootOf, Options{})
	wantCode(t, "no store", err, keyturn.NotFound)
	_, err = Peek(t.Context(), filepath.Join(t.TempDir(), "none"), Options{})
	wantCode(t, "no folder", err, keyturn.NotFound)
	_, err = Open(t.Context(), dir, func(string, string, string) ([]byte, error) { return []byte("short"), nil }, Options{})
	wantCode(t, "short root key", err, keyturn.Sealed)
	own := keyturn.E(keyturn.Denied, "no", "")
	if _, err = Open(t.Context(), dir, func(string, string, string) ([]byte, error) { return nil, own }, Options{}); err != own {
		t.Errorf("keyfunc's error: %v", err)
	}
}

func TestPeek(t *testing.T) {
	t.Parallel()
	id := NewID()
	o := Options{ID: id, Kind: "keychain", Place: "keyturn/" + id, Writer: "1.2.3"}
	db, dir := create(t, o)
	f, err := Peek(t.Context(), dir, Options{})
	if err != nil || f.ID != id || f.Kind != o.Kind || f.Place != o.Place || f.Writer != o.Writer || f.Format != Format || f.Size == 0 || f.Path != filepath.Join(dir, File) {
		t.Errorf("%+v, %v", f, err)
	}
	if db.Stats() != f {
		t.Errorf("%+v, want %+v", db.Stats(), f)
	}
	var asked [2]string
	again, err := Open(t.Context(), dir, func(id, kind, place string) ([]byte, error) { asked = [2]string{id, kind}; return root[:], nil }, Options{})
	if err != nil || asked != [2]string{id, "keychain"} {
		t.Fatalf("%v, %v", asked, err)
	}
	_ = again.Close()
}

// TestCreateRace makes one store by many at once: one of them does.
func TestCreateRace(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "odd #? %41 name")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			db, err := Create(t.Context(), dir, root, Options{})
			if errs[i] = err; err == nil {
				_ = db.Close()
			}
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			wantCode(t, "create", err, keyturn.Conflict)
		}
	}
	if files := contents(t, dir); made != 1 || files[File] == nil || len(files) > 3 {
		t.Errorf("%d were made, %d files", made, len(files))
	}
}

// TestCreateAgain finds what a Create that was killed leaves: it is in nobody's way.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, File+".new-0123")
	for _, name := range []string{left, left + "-wal", left + "-shm"} {
		if err := errors.Join(os.WriteFile(name, []byte("half"), 0o600), os.Chtimes(name, time.Time{}, time.Now().Add(-2*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Peek(t.Context(), dir, Options{})
	wantCode(t, "peek", err, keyturn.NotFound)
	db, err := Create(t.Context(), dir, root, Options{})
	if err != nil {
		t.Fatal(errText(err))
	}
	put(t, db, "a", "f", "v")
	_ = db.Close()
	if len(contents(t, dir)) != 1 {
		t.Error("rubbish is left")
	}
	// The WAL of a database that was removed would be taken for the new one's.
	if err := os.WriteFile(filepath.Join(dir, File+"-wal"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, File))
	_, err = Create(t.Context(), dir, root, Options{})
	wantCode(t, "create beside an old WAL", err, keyturn.Conflict)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := t.TempDir()
	if _, err = Create(done, fresh, root, Options{}); !errors.Is(err, context.Canceled) || len(contents(t, fresh)) != 0 {
		t.Errorf("cancelled: %v, %d files", err, len(contents(t, fresh)))
	}
}

// every calls all that writes.
func every(db *DB, ctx context.Context, name, value string) map[string]error {
	out := map[string]error{}
	_, out["append"] = db.Append(ctx, name, -1, secretOf("f", value))
	out["log"] = db.AppendLog(ctx, true, entry)
	out["log later"] = db.AppendLog(ctx, false, entry)
	out["item"] = db.UpdateItem(ctx, "k", "i", func(it keyturn.Item) (keyturn.Item, error) { it.Body = []byte(value); return it, nil })
	_, out["mark"] = db.Mark(ctx, "known", 1, keyturn.Deleted)
	out["shred"] = db.Shred(ctx, "known", []int{1})
	return out
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{})
	put(t, db, "known", "f", "v")
	addLog(t, db, 3)
	_ = db.Close()
	small := reopen(t, dir, Options{maxPages: 1}) // no page more than there are
	before := whole(small)
	big := strings.Repeat("x", 1<<20)
	_, err := small.Append(t.Context(), "a", -1, secretOf("f", big))
	wantCode(t, "append", err, keyturn.Unavailable)
	if !strings.Contains(errText(err), "disk is full") {
		t.Errorf("%v", errText(err))
	}
	err = small.UpdateItem(t.Context(), "k", "1", func(it keyturn.Item) (keyturn.Item, error) { it.Body = []byte(big); return it, nil })
	wantCode(t, "item", err, keyturn.Unavailable)
	err = small.AppendLog(t.Context(), true, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
		return []keyturn.LogEntry{{Seq: top.Last.Seq + 1, Data: []byte(big)}}, nil, nil
	})
	wantCode(t, "log", err, keyturn.Unavailable)
	if after := whole(small); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something changed:\n%v\n%v", before, after)
	}
	roomy := reopen(t, dir, Options{})
	put(t, roomy, "a", "f", big)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	_, dir := create(t, Options{}) // stays open: a reader cannot make the WAL's index
	db := reopen(t, dir, Options{readOnly: true})
	for doing, err := range every(db, t.Context(), "a", "v") {
		if doing == "mark" || doing == "shred" {
			if err == nil {
				t.Errorf("%s: no error", doing)
			}
			continue
		}
		wantCode(t, doing, err, keyturn.Unavailable)
		if !strings.Contains(errText(err), dir) {
			t.Errorf("%s does not name the path: %s", doing, errText(err))
		}
	}
	if os.Geteuid() == 0 {
		t.Log("not tried: a folder that cannot be written, as root may write anywhere")
		return
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	_, err := Create(t.Context(), filepath.Join(dir, "sub"), root, Options{})
	wantCode(t, "create", err, keyturn.Unavailable)
}

func TestLocked(t *testing.T) {
	t.Parallel()
	holder, dir := create(t, Options{})
	put(t, holder, "known", "f", "v")
	db := reopen(t, dir, Options{Busy: 20 * time.Millisecond})
	patient := reopen(t, dir, Options{})
	err := holder.write(t.Context(), func(*tx, *rows.Top) error {
		for doing, err := range every(db, t.Context(), "a", "v") {
			wantCode(t, doing, err, keyturn.Unavailable)
			if !strings.Contains(errText(err), "locked") {
				t.Errorf("%s: %s", doing, errText(err))
			}
		}
		if _, err := db.Read(t.Context(), "known", 1); err != nil {
			t.Errorf("a reader waits for a writer: %s", errText(err))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := patient.AppendLog(ctx, true, entry); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait that ended: %v", errText(err))
		}
		return nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
	for doing, err := range every(patient, t.Context(), "a", "v") {
		wantCode(t, doing+", later", err, "")
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	db, _ := create(t, Options{})
	put(t, db, "known", "f", "v")
	addLog(t, db, 2)
	before := whole(db)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	errs := every(db, done, "a", "v")
	_, errs["versions"] = db.Versions(done, "known")
	_, errs["read"] = db.Read(done, "known", 1)
	_, errs["last"] = db.LastLog(done)
	_, errs["get item"] = db.Item(done, "k", "1")
	for _, errs["names"] = range db.Names(done, "") {
	}
	for _, errs["records"] = range db.Log(done, 1) {
	}
	for _, errs["items"] = range db.Items(done, "k") {
	}
	// Cancelled within: nothing may be left of it.
	ctx, cancel := context.WithCancel(t.Context())
	errs["log, within"] = db.AppendLog(ctx, true, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) { cancel(); return entry(top) })
	ctx, cancel = context.WithCancel(t.Context())
	errs["item, within"] = db.UpdateItem(ctx, "k", "1", func(it keyturn.Item) (keyturn.Item, error) { cancel(); it.Body = []byte("x"); return it, nil })
	for doing, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", doing, errText(err))
		}
	}
	if after := whole(db); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something changed:\n%v\n%v", before, after)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	db, _ := create(t, Options{})
	addLog(t, db, 2)
	setItem(t, db, "k", "1", "one")
	before := whole(db)
	own := errors.New("own")
	if err := db.UpdateItem(t.Context(), "k", "1", func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{Body: []byte("x")}, keyturn.E(keyturn.Denied, "no", "").Because(own)
	}); !isCode(err, keyturn.Denied) || !errors.Is(err, own) {
		t.Errorf("%v", err)
	}
	if err := db.AppendLog(t.Context(), true, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
		e, _, _ := entry(top)
		return append(e, keyturn.LogEntry{Seq: top.Last.Seq + 3}), nil, nil // a gap
	}); !isCode(err, keyturn.Internal) {
		t.Errorf("%v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = db.AppendLog(t.Context(), true, func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) { panic("bug") })
	}()
	if after := whole(db); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something changed:\n%v\n%v", before, after)
	}
	addLog(t, db, 1) // nothing is locked
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]keyturn.Code{
		sqlite3.FULL: keyturn.Unavailable, syscall.ENOSPC: keyturn.Unavailable, sqlite3.BUSY: keyturn.Unavailable,
		sqlite3.BUSY_SNAPSHOT: keyturn.Unavailable, sqlite3.READONLY: keyturn.Unavailable, fs.ErrPermission: keyturn.Unavailable,
		sqlite3.READONLY_DIRECTORY: keyturn.Unavailable, sqlite3.CANTOPEN: keyturn.Unavailable, sqlite3.IOERR_READ: keyturn.Unavailable,
		sqlite3.NOTADB: keyturn.Corrupt, sqlite3.CORRUPT: keyturn.Corrupt, sqlite3.CORRUPT_INDEX: keyturn.Corrupt,
		sqlite3.CONSTRAINT_UNIQUE: keyturn.Corrupt, sqlite3.ERROR: keyturn.Corrupt, sqlite3.NOMEM: keyturn.Internal,
	} {
		got := keyturn.AsError(sqlite.Fail(t.Context(), "/somewhere/"+File, fmt.Errorf("wrapped: %w", err)))
		if got.Code != want || got.Hint == "" || !strings.Contains(got.Message, "/somewhere") || !errors.Is(got, err) {
			t.Errorf("%v: %s", err, errText(got))
		}
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	db, _ := create(t, Options{Now: func() time.Time { return now }})
	set := func(id, body string, expires time.Time) {
		t.Helper()
		err := db.UpdateItem(t.Context(), "k", id, func(it keyturn.Item) (keyturn.Item, error) {
			if it.Body != nil || it.ID != id {
				t.Errorf("%s is there already", id)
			}
			return keyturn.Item{Body: []byte(body), Expires: expires}, nil
		})
		if err != nil {
			t.Fatal(errText(err))
		}
	}
	list := func() (out string) {
		for it, err := range db.Items(t.Context(), "k") {
			if err != nil {
				t.Fatal(errText(err))
			}
			out += it.ID + "=" + string(it.Body) + ";"
			if _, err := db.Item(t.Context(), "k", it.ID); err != nil { // nothing is locked meanwhile
				t.Fatal(errText(err))
			}
			set(fmt.Sprint("other", len(out), now.Unix()), "", now.Add(time.Nanosecond))
		}
		return out
	}
	set("b", "never", time.Time{})
	set("a", "minute", now.Add(time.Minute))
	now = now.Add(time.Minute - 1)
	if got := list(); got != "a=minute;b=never;" {
		t.Errorf("before: %s", got)
	}
	now = now.Add(1)
	if got := list(); got != "b=never;" {
		t.Errorf("expired: %s", got)
	}
	_, err := db.Item(t.Context(), "k", "a")
	wantCode(t, "expired", err, keyturn.NotFound)
	now = now.Add(time.Hour)
	set("a", "again", now.Add(time.Hour))
	var rows int
	if err := db.pool.QueryRow("SELECT count(*) FROM item").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows are left: %v", rows, err)
	}
	err = db.UpdateItem(t.Context(), "k", "b", func(it keyturn.Item) (keyturn.Item, error) { it.Body = nil; return it, nil })
	wantCode(t, "remove", err, "")
	_, err = db.Item(t.Context(), "k", "b")
	wantCode(t, "removed", err, keyturn.NotFound)
}
