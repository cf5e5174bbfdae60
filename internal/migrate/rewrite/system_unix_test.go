//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package rewrite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// Nothing waits for the other end of a pipe, or reads a device without end.
func TestPipesAndDevices(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	zero := filepath.Join(dir, "zero")
	if err := os.Symlink("/dev/zero", zero); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, zero, "/dev/zero", "/dev/tty"} {
		if s, err := Open("it", path); err == nil && s.There() || err != nil && !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s is read: %v", path, err)
		}
		ch := Change{Path: path, Before: []byte("old"), Had: true, After: []byte("new"), Has: true, Temp: TempName(pipe, "id", 0)}
		if path == "/dev/tty" {
			continue
		}
		if err := ch.Apply(); !errors.Is(err, keyturn.Conflict) {
			t.Errorf("%s is replaced: %v", path, err)
		}
		Settle(path, TempName(pipe, "id", 0), 0o644)
	}
	// One that takes a file's place after it was looked at.
	if f, _, err := durable.OpenRegular(pipe, os.O_RDONLY|notFollowed); !errors.Is(err, durable.ErrIrregular) {
		_ = f.Close()
		t.Errorf("opening a pipe: %v", err)
	}
	if f, _, err := durable.OpenRegular(zero, os.O_RDONLY|notFollowed); err == nil {
		_ = f.Close()
		t.Error("a link is followed")
	}
}

func TestMayOwn(t *testing.T) {
	for _, c := range []struct {
		user         int
		groups       []int
		owner, group int
		want         bool
	}{
		{1000, []int{1000}, 1000, 1000, true},
		{1000, []int{1000, 27}, 1000, 27, true},
		{1000, []int{1000}, 1000, 27, false},
		{1000, []int{1000}, 0, 1000, false},
		{1000, []int{1000}, 1001, 1000, false},
		{1000, nil, 1000, 1000, false},
		{0, nil, 1000, 27, true},
	} {
		if got := mayOwn(c.user, c.groups, c.owner, c.group); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "mine")
	info, err := os.Stat(path)
	if err != nil || !ownable(info, filepath.Dir(path)) {
		t.Errorf("a file of one's own cannot be one's own (%v)", err)
	}
}

func TestUmask(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	if m := Umask(); m != fs.FileMode(0o027) {
		t.Errorf("%o", m)
	}
	if now := syscall.Umask(0o027); now != 0o027 {
		t.Errorf("it is another afterwards: %o", now)
	}
}

// Whether files can be made in a folder is found out without making one.
func TestMayCreate(t *testing.T) {
	dir := t.TempDir()
	s := Source{Path: filepath.Join(dir, ".env")}
	probe := filepath.Join(dir, ".keyturn-migrate-probe")
	put(t, probe, "somebody's")
	if err := s.Writable(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v (%v)", entries, err)
	}
	s.Path = filepath.Join(dir, "gone", ".env")
	if err := s.Writable(); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("no folder: %v", err)
	}
}
