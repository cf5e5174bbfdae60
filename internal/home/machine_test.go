package home

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/state"
)

func TestTrustedEnv(t *testing.T) {
	dir := t.TempDir()
	open, sticky, own := filepath.Join(dir, "open"), filepath.Join(dir, "sticky"), filepath.Join(dir, "own")
	for path, mode := range map[string]os.FileMode{open: 0o777, sticky: 0o777 | os.ModeSticky, own: 0o755} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HOME": "/home/anna", "USER": "anna", "LD_PRELOAD": "/x.so", "SHELL": "",
		"PATH": own + "::bin:." + ":" + open + ":" + sticky + ":" + filepath.Join(open, "not there") + ":" + filepath.Join(own, "not there") + ":/usr/bin"}
	got := TrustedEnv(func(name string) string { return env[name] })
	want := []string{"HOME=/home/anna", "PATH=" + own + ":" + filepath.Join(own, "not there") + ":/usr/bin", "USER=anna"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A folder is the store's by its path and inode, or by its inode where the store has gone from the
// place that it knows: another file system can have a folder of that number.
func TestStands(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "empty"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name, state.File), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string, inode uint64) journal.Folder {
		return journal.Folder{Path: filepath.Join(dir, name), Inode: inode}
	}
	for _, c := range []struct {
		known, now journal.Folder
		want       bool
	}{
		{at("a", 1), at("a", 1), true}, {at("a", 1), at("a", 2), false}, {at("a", 0), at("a", 2), true}, {at("a", 1), at("b", 2), false}, {at("gone", 1), at("b", 1), true},
		{at("empty", 1), at("b", 1), true}, {at("a", 1), at("b", 1), false}, {at("a", 0), at("b", 0), false}, {at("gone", 0), at("b", 0), false},
	} {
		if got := stands(c.known, c.now); got != c.want {
			t.Errorf("known %v, now %v: %v", c.known, c.now, got)
		}
	}
}
