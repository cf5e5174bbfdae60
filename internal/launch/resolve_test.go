//go:build unix

package launch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
)

// Resolve finds what Run would start, on the PATH that the child is to have.
func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "tool"), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	c := Command{Args: []string{"tool"}, Inherit: []string{"PATH=" + one}}
	if path, st, err := Resolve(c); err != nil || st.Code != 0 || path != filepath.Join(one, "tool") {
		t.Errorf("%q, %+v, %v", path, st, err)
	}
	c.Env = []EnvVar{{Name: "PATH", Value: keyturn.NewValue([]byte(two))}}
	if path, _, err := Resolve(c); err != nil || path != filepath.Join(two, "tool") {
		t.Errorf("with PATH given: %q, %v", path, err)
	}
	if path, st, err := Resolve(Command{Args: []string{"no-such-tool"}, Inherit: c.Inherit}); !errors.Is(err, keyturn.NotFound) || st.Code != exitNotFound || path != "" {
		t.Errorf("none: %q, %+v, %v", path, st, err)
	}
	// Run starts no other program than the one that was found.
	c.Program = filepath.Join(one, "tool")
	if st, err := Run(t.Context(), c); !errors.Is(err, keyturn.Conflict) || st.Started || st.Code != exitFailed {
		t.Errorf("another program: %+v, %v", st, err)
	}
	if _, st, err := Resolve(Command{}); err == nil || st.Code != exitFailed {
		t.Errorf("no command: %+v, %v", st, err)
	}
}
