package app

import (
	"bytes"
	"log"
	"log/slog"
	"os"
	"testing"
)

// TestLoggersAreSilent: what the standard library logs while keyturn runs is printed
// nowhere: it holds parts of what servers answered, and of what was sent.
func TestLoggersAreSilent(t *testing.T) {
	old, handler := log.Writer(), slog.Default()
	defer func() { slog.SetDefault(handler); log.SetOutput(old) }()
	var out bytes.Buffer
	log.SetOutput(&out)
	nothing, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer nothing.Close()
	if status := Main(Options{Args: []string{"version"}, In: nothing, Out: nothing, Err: nothing, Environ: []string{}, Dir: t.TempDir()}); status != 0 {
		t.Fatalf("status %d", status)
	}
	log.Print("a line")
	slog.Error("a line")
	if _, err := log.Writer().Write([]byte("a line")); err != nil || out.Len() > 0 {
		t.Errorf("%q is printed (%v)", out.String(), err)
	}
}
