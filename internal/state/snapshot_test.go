package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// TestSnapshot copies a store while four processes and this one write to it: each
// copy is whole, and holds all that was acknowledged before it.
func TestSnapshot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := sample(t)
	put(t, db, "shared", "n", "1")
	for i := range 400 {
		put(t, db, fmt.Sprint("more/", i), "value", strings.Repeat("x", 900))
	}
	var running []*exec.Cmd
	for range 4 {
		cmd := writer(t, dir, "")
		cmd.Stdout = new(strings.Builder)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, cmd := range running {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, cmd.Stdout)
			}
		}
		close(done)
	})
	folder := t.TempDir()
	made, seen := 0, 0
	for more := true; more; made++ {
		select {
		case <-done:
			more = false
		default:
		}
		versions, err := db.Versions(t.Context(), "shared")
		if err != nil {
			t.Fatal(errText(err))
		}
		path := filepath.Join(folder, fmt.Sprint(made))
		if err := db.Snapshot(t.Context(), path); err != nil {
			t.Fatal(errText(err))
		}
		other := t.TempDir()
		if err := Restore(t.Context(), other, path, Options{}); err != nil {
			t.Fatal(errText(err))
		}
		restored := reopen(t, other, Options{})
		n := wholenessAfterKills(t, restored)
		if n < len(versions) || n < seen {
			t.Errorf("copy %d has %d versions, %d were there", made, n, len(versions))
		}
		seen = n
		_ = restored.Close()
	}
	wg.Wait()
	if made < 3 {
		t.Errorf("only %d copies", made)
	}
	if seen != 101 {
		t.Errorf("the last copy has %d versions", seen)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != made {
		t.Errorf("%d files for %d copies, %v", len(entries), made, err)
	}
	for _, e := range entries {
		if fi, err := e.Info(); err != nil || fi.Mode() != 0o600 {
			t.Errorf("%s: %v", e.Name(), fi.Mode())
		}
	}
}

// TestRestore puts a copy into another place, where it says what the store said.
func TestRestore(t *testing.T) {
	t.Parallel()
	db, dir := sample(t)
	was := whole(db)
	path := filepath.Join(t.TempDir(), "copy")
	if err := db.Snapshot(t.Context(), path); err != nil {
		t.Fatal(errText(err))
	}
	wantCode(t, "again", db.Snapshot(t.Context(), path), keyturn.Conflict)
	put(t, db, "a", "user", "later")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "new", "folder")
	if err := Restore(t.Context(), other, path, Options{}); err != nil {
		t.Fatal(errText(err))
	}
	if files := contents(t, other); len(files) != 1 || files[File] == nil {
		t.Errorf("%d files", len(files))
	}
	if is := whole(reopen(t, other, Options{})); fmt.Sprint(is) != fmt.Sprint(was) {
		t.Errorf("was %v\nis %v", was, is)
	}
	wantCode(t, "over a store", Restore(t.Context(), dir, path, Options{}), keyturn.Conflict)
	if now, err := os.ReadFile(path); err != nil || string(now) != string(good) {
		t.Error("the copy was changed by its use")
	}
	_, err = Open(t.Context(), other, func(string, string, string) ([]byte, error) { return []byte(strings.Repeat("S", 32)), nil }, Options{})
	wantCode(t, "another root key", err, keyturn.Sealed)
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   keyturn.Code
	}{
		"cut in a page":    {func(b []byte) []byte { return b[:len(b)-100] }, keyturn.Corrupt},
		"cut by a page":    {func(b []byte) []byte { return b[:len(b)-4096] }, keyturn.Corrupt},
		"half":             {func(b []byte) []byte { return b[:len(b)/2] }, keyturn.Corrupt},
		"header only":      {func(b []byte) []byte { return b[:100] }, keyturn.Corrupt},
		"empty":            {func(b []byte) []byte { return nil }, keyturn.Corrupt},
		"something else":   {func(b []byte) []byte { return []byte(strings.Repeat("text ", 1000)) }, keyturn.Corrupt},
		"a page of zeroes": {func(b []byte) []byte { clear(b[8192:12288]); return b }, keyturn.Corrupt},
		"newer format":     {func(b []byte) []byte { b[63]++; return b }, keyturn.Unsupported},
	} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, c.change([]byte(string(good))), 0o600); err != nil {
			t.Fatal(err)
		}
		fresh := t.TempDir()
		err := Restore(t.Context(), fresh, bad, Options{})
		wantCode(t, name, err, c.want)
		if e := keyturn.AsError(err); e == nil || e.Hint == "" || !strings.Contains(e.Message, "'") {
			t.Errorf("%s: %s", name, errText(err))
		}
		if left := contents(t, fresh); len(left) != 0 {
			t.Errorf("%s: %d files are left", name, len(left))
		}
	}
	wantCode(t, "no file", Restore(t.Context(), t.TempDir(), filepath.Join(dir, "none"), Options{}), keyturn.NotFound)
	wantCode(t, "a store in use", Restore(t.Context(), t.TempDir(), filepath.Join(dir, File), Options{}), keyturn.Invalid)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := t.TempDir()
	if err := db.Snapshot(done, filepath.Join(fresh, "x")); !errors.Is(err, context.Canceled) {
		t.Error(errText(err))
	}
	wantCode(t, "no folder", db.Snapshot(t.Context(), filepath.Join(fresh, "none", "x")), keyturn.NotFound)
	if err := db.Snapshot(t.Context(), filepath.Join(dir, File)); !isCode(err, keyturn.Conflict) || errors.Is(err, fs.ErrNotExist) {
		t.Error(errText(err))
	}
	if left := contents(t, fresh); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// TestSnapshotOfRekey copies a store midway in a Rekey: the copy is whole, and a
// Rekey there goes on.
func TestSnapshotOfRekey(t *testing.T) {
	t.Parallel()
	db, _ := sample(t)
	ctx, cancel := context.WithCancel(t.Context())
	if err := db.Rekey(ctx, func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(errText(err))
	}
	was := whole(db)
	path := filepath.Join(t.TempDir(), "copy")
	if err := db.Snapshot(t.Context(), path); err != nil {
		t.Fatal(errText(err))
	}
	other := t.TempDir()
	if err := Restore(t.Context(), other, path, Options{}); err != nil {
		t.Fatal(errText(err))
	}
	restored := reopen(t, other, Options{})
	sameAnswers(t, "restored", was, whole(restored))
	if err := restored.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
	sameAnswers(t, "rekeyed", was, whole(restored))
}

// TestSwapped has a store's file, or its root key, be another's: what is said names
// the file, and how to go on.
func TestSwapped(t *testing.T) {
	t.Parallel()
	db, dir := sample(t)
	_ = db.Close()
	one := NewID()
	byID := func(id, _, _ string) ([]byte, error) { // as a keychain has it
		if id != one {
			return nil, keyturn.E(keyturn.Sealed, "the root key is missing", "put it back")
		}
		return root[:], nil
	}
	other := t.TempDir()
	second, err := Create(t.Context(), other, [32]byte([]byte(strings.Repeat("2", 32))), Options{Kind: "file", Place: "root.key"})
	if err != nil {
		t.Fatal(errText(err))
	}
	_ = second.Close()
	swapped := t.TempDir()
	if err := os.Rename(filepath.Join(other, File), filepath.Join(swapped, File)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), swapped, rootOf, Options{})
	wantCode(t, "another's store", err, keyturn.Sealed)
	if e := keyturn.AsError(err); !strings.Contains(e.Message, second.Stats().ID) || !strings.Contains(e.Hint, "same backup") {
		t.Error(errText(err))
	}
	_, err = Open(t.Context(), dir, byID, Options{})
	wantCode(t, "another id", err, keyturn.Sealed)

	// While it is open: SQLite keeps the file that it has open, or says that it is gone.
	db = reopen(t, dir, Options{Busy: 50 * time.Millisecond})
	was := whole(db)
	if err := os.Rename(filepath.Join(dir, File), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	for q, a := range whole(db) {
		if a != was[q] && !strings.HasPrefix(a, "error ") {
			t.Errorf("%s: was\n%s\nis\n%s", q, was[q], a)
		}
	}
}
