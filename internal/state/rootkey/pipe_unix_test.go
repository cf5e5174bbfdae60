//go:build unix

package rootkey

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// TestPipeForAKey: a pipe in the place of a key file is refused at once; one that a
// passphrase is to come from is waited for as long as that can come to something.
func TestPipeForAKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, FileName)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		do   func() error
		want error
	}{
		"a key":                  {func() error { _, err := loadFile(dir, FileName); return err }, keyturn.Invalid},
		"a sealed key":           {func() error { _, err := Keeper{Dir: dir}.readSealed(FileName); return err }, keyturn.Invalid},
		"a passphrase":           {func() error { _, err := ReadPassphrase(t.Context(), pipe); return err }, keyturn.Invalid},
		"a passphrase, and a ^C": {func() error { _, err := ReadPassphrase(ended, pipe); return err }, context.Canceled},
	} {
		done := make(chan error, 1)
		go func() { done <- c.do() }()
		select {
		case err := <-done:
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits", what)
		}
	}
}
