//go:build unix

package durable_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/durable"
)

func TestKeepOwner(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	own, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.KeepOwner(f, own); err != nil {
		t.Errorf("its own owner: %v", err)
	}
	if os.Geteuid() != 0 {
		root, err := os.Stat("/")
		if err == nil {
			err = durable.KeepOwner(f, root)
		}
		if err == nil {
			t.Error("a file was given to root by somebody else")
		}
		return
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(other, 4321, 5432); err != nil {
		t.Fatal(err)
	}
	theirs, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.KeepOwner(f, theirs); err != nil {
		t.Fatal(err)
	}
	now, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if st := now.Sys().(*syscall.Stat_t); st.Uid != 4321 || st.Gid != 5432 {
		t.Errorf("it belongs to %d, %d", st.Uid, st.Gid)
	}
}
