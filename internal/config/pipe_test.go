//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package config

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn"
)

// A pipe without a writer must not make keyturn wait.
func TestAPipeIsRefused(t *testing.T) {
	path := filepath.Join(folder(t), FileName)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	if _, err := LoadOperator(Locations{Explicit: path}); !errors.Is(err, keyturn.Invalid) {
		t.Error(err)
	}
}
