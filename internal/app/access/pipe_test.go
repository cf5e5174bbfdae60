//go:build unix

package access

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
	"github.com/keyturn/keyturn/internal/session"
)

// TestTokenInAPipe: a pipe in the place of a token's file keeps nobody waiting, whichever
// token it is.
func TestTokenInAPipe(t *testing.T) {
	home := t.TempDir()
	pipe := filepath.Join(home, ".vault-token")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		env := map[string]string{"VAULT_ADDR": "https://a", "HOME": home}
		chain := Chain{Env: func(n string) string { return env[n] }, Mount: "prod", Address: "https://a", Who: keyturn.Person,
			Kept: &login.Kept{Keeper: shelf{err: keyturn.E(keyturn.NotFound, "none", "")}}}
		if _, err := chain.Token(t.Context()); !errors.Is(err, keyturn.Expired) || chain.Instead(false) != "" {
			t.Errorf("a pipe is a token: %v", err)
		}
		_, err := entranceWith(session.Login{}, false).Ask(t.Context(), "a", platform.Input{Name: "jwt", Help: "t", Secret: true, File: pipe})
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
