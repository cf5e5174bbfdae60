//go:build unix

package state

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// TestPipeForAStore: a pipe in the place of a file of the store keeps nobody waiting.
func TestPipeForAStore(t *testing.T) {
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		db, dir := create(t, Options{})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, File+end)
		_ = os.Remove(path)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip("no pipes here:", err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := Peek(t.Context(), dir, Options{})
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, keyturn.Corrupt) {
				t.Errorf("%q: %v", end, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q: it waits", end)
		}
	}
}
