//go:build unix

package wire

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn"
)

// pipe makes a named pipe, into which somebody could write, and does not.
func pipe(t *testing.T, path string) string {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return path
}

// TestPipeForAuthorities: Go reads by itself what the environment names, and is kept from
// waiting for a pipe there.
func TestPipeForAuthorities(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name, value string) func(string) string {
		return func(n string) string {
			if n == name {
				return value
			}
			return ""
		}
	}
	for what, lookup := range map[string]func(string) string{"nothing": env("", ""), "a file": env("SSL_CERT_FILE", file), "folders": env("SSL_CERT_DIR", dir+":/nosuch")} {
		if err := FilesOfEnvironment(lookup); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	p := pipe(t, filepath.Join(dir, "pipe"))
	for what, lookup := range map[string]func(string) string{"a pipe": env("SSL_CERT_FILE", p), "a pipe in a folder": env("SSL_CERT_DIR", "/nosuch:"+dir)} {
		if err := FilesOfEnvironment(lookup); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
