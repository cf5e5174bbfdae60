//go:build unix

package vault

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
)

// TestTokenFileIsAPipe: a pipe in the place of the token file keeps nobody waiting.
func TestTokenFileIsAPipe(t *testing.T) {
	home := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(home, tokenFile), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		env := map[string]string{"VAULT_ADDR": "https://a", "HOME": home}
		source := &tokenSource{env: func(n string) string { return env[n] }, mount: "prod", address: "https://a", caller: keyturn.Person,
			kept: &login.Kept{Keeper: shelf{err: keyturn.E(keyturn.NotFound, "none", "")}}}
		if _, err := source.token(t.Context()); !errors.Is(err, keyturn.Expired) || source.instead(false) != "" {
			t.Errorf("a pipe is a token: %v", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it waits for whoever writes to the pipe")
	}
}
