package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/durable"
)

func says(text string) func(*os.File) error {
	return func(f *os.File) error { _, err := f.WriteString(text); return err }
}

// holds fails unless the folder holds exactly these files, by name.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if is, ok := want[e.Name()]; err != nil || !ok || is != string(text) {
			t.Errorf("%s holds %q (%v), want %q", e.Name(), text, err, is)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d", len(entries), len(want))
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "two"} {
		if err := durable.Replace(path, says(text)); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, map[string]string{"file": text})
	}
	if fi, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && fi.Mode() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}

	bad := errors.New("full")
	err := durable.Replace(path, func(f *os.File) error {
		if err := says("a half")(f); err != nil {
			return err
		}
		holds(t, dir, map[string]string{"file": "two", filepath.Base(f.Name()): "a half"}) // not in its place yet
		return bad
	})
	if err != bad {
		t.Errorf("an error of fill: %v", err)
	}
	holds(t, dir, map[string]string{"file": "two"})

	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(folder, says("three")); err == nil {
		t.Error("a folder was replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".keyturn-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := durable.Replace(filepath.Join(dir, "none", "file"), says("")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// TestReplaceUnread: where a folder may be written to and not be read, its files can
// be replaced, and nothing tells that they were not.
func TestReplaceUnread(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("every folder may be read")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if err := durable.Replace(filepath.Join(dir, "file"), says("one")); err != nil {
		t.Error(err)
	}
	if err := durable.SyncFolder(dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the folder was synced: %v", err)
	}
}

func TestClaim(t *testing.T) {
	dir := t.TempDir()
	path, temp, other := filepath.Join(dir, "file"), filepath.Join(dir, "temp"), filepath.Join(dir, "other")
	for _, f := range []string{temp, other} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Claim(temp, path); err != nil {
		t.Fatal(err)
	}
	if err := durable.Claim(other, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != temp {
		t.Errorf("%q, %v", text, err)
	}
	// A folder cannot be linked, as nothing can where there are no links: the name is
	// taken by an empty file first, which goes again, since a folder cannot take its
	// place either.
	folder, third := filepath.Join(dir, "folder"), filepath.Join(dir, "third")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Claim(folder, third); err == nil {
		t.Error("a folder got the name of a file")
	}
	if _, err := os.Lstat(third); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty file stayed: %v", err)
	}
}

// What somebody who was killed left a day ago goes; what is newer may still be in use,
// and what is not of this package is nobody's to remove.
func TestTempSweeps(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-25 * time.Hour)
	for name, age := range map[string]time.Time{".keyturn-123": old, ".keyturn-456": time.Now(), ".keyturn-migrate-1": old, ".keyturn-": old, "keyturn-7": old} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, age, age); err != nil {
			t.Fatal(err)
		}
	}
	f, err := durable.Begin(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for name, want := range map[string]bool{".keyturn-123": false, ".keyturn-456": true, ".keyturn-migrate-1": true, ".keyturn-": true, "keyturn-7": true, filepath.Base(f.Name()): true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It knows its own again.
	if err := os.Chtimes(f.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	err = durable.Replace(filepath.Join(dir, "new"), func(*os.File) error { return nil })
	if _, statErr := os.Stat(f.Name()); err != nil || statErr == nil {
		t.Errorf("%v; its own is there still", err)
	}
}
