//go:build unix

package app

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/session"
)

// TestTokenInAPipe: a pipe in the place of a token's file keeps nobody waiting.
func TestTokenInAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "token")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := entranceWith(session.Login{}).Ask(t.Context(), "a", platform.Input{Name: "jwt", Help: "t", Secret: true, File: pipe})
		if !errors.Is(err, keyturn.Invalid) {
			t.Errorf("a pipe in the place of a pod's token: %v", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it waits for whoever writes to the pipe")
	}
}
