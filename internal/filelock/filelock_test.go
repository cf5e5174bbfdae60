package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/filelock"
)

// TestTry takes the lock of one file by two handles, as two processes would.
func TestTry(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	one, two := open(), open()
	held, err := filelock.Try(one)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no such locks")
	}
	if err != nil || !held {
		t.Fatalf("a free lock: %v, %v", held, err)
	}
	if held, err := filelock.Try(two); err != nil || held {
		t.Errorf("a lock that is held: %v, %v", held, err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := filelock.Try(two); err != nil || !held {
		t.Errorf("once its handle is closed: %v, %v", held, err)
	}
}
