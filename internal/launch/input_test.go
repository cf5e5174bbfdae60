//go:build unix

package launch

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// fed runs a script with standard input from in, all of which is looked at.
func fed(t *testing.T, in *os.File, look func([]byte) error, script string) (out string, st Status, err error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err = Run(t.Context(), Command{Args: sh(script), Inherit: os.Environ(), Stdin: in, Stdout: f, Stderr: f, Input: look, Grace: time.Second,
		Env: []EnvVar{{"SECRET", value(canary)}}, Filter: func(dst io.Writer) io.WriteCloser { return &mask{dst: dst} }})
	text, readErr := os.ReadFile(f.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(text), st, err
}

// TestInputIsAPipe: with Input the child's standard input is ours: a file that is open for
// writing there cannot be written by the child, while all that is in it comes through.
func TestInputIsAPipe(t *testing.T) {
	const much = 1 << 20
	path := filepath.Join(t.TempDir(), "upwards")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), much), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	seen := 0
	out, st, err := fed(t, in, func(p []byte) error { seen += len(p); return nil }, `echo "$SECRET" >&0; wc -c; echo "$SECRET" >/dev/stdin`)
	if err != nil || st.Code != 0 || !strings.Contains(out, "1048576") || seen != much {
		t.Errorf("%+v, %q after %d bytes (%v)", st, out, seen, err)
	}
	if got, _ := os.ReadFile(path); len(got) != much || bytes.Contains(got, []byte(canary)) {
		t.Errorf("the file has %d bytes", len(got))
	}
}

// TestInputRefused: an error of Input ends the child before it gets what was refused.
func TestInputRefused(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, _ = w.WriteString("first\n")
	begun := time.Now()
	out, st, err := fed(t, r, func(p []byte) error {
		if bytes.Contains(p, []byte("second")) {
			return keyturn.E(keyturn.Denied, "no", "")
		}
		_, _ = w.WriteString("second\n")
		return nil
	}, "cat; sleep 100")
	if !errors.Is(err, keyturn.Denied) || !st.Started || st.Code == 0 || strings.Contains(out, "second") || time.Since(begun) > guard {
		t.Errorf("%+v, %q (%v)", st, out, err)
	}
}

// TestInputNeverEnds: a standard input that stays open and silent holds nothing up.
func TestInputNeverEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if out, st, err := fed(t, r, func([]byte) error { return nil }, "echo done"); err != nil || st.Code != 0 || out != "done\n" {
		t.Errorf("%+v, %q (%v)", st, out, err)
	}
}
