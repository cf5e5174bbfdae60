package wire

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// TestCertificateFiles: what is no file, or a huge one, is refused at once and not
// read.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	fifo, huge, folder := filepath.Join(dir, "fifo"), filepath.Join(dir, "huge"), filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{"a pipe": pipe(t, fifo), "a huge one": huge, "a folder": folder, "nothing": filepath.Join(dir, "none"), "a device": os.DevNull} {
		for name, files := range map[string]TLS{"ca_cert": {CACert: path}, "client_cert": {ClientCert: path, ClientKey: path}} {
			done := make(chan error, 1)
			go func() { _, err := Options{TLS: files}.Transport(); done <- err }()
			select {
			case err := <-done:
				if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Invalid {
					t.Errorf("%s as %s: %v", what, name, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s as %s is waited for", what, name)
			}
		}
	}
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe(t, filepath.Join(in, "fifo"))
	if _, err := (Options{TLS: TLS{CAPath: in}}).Transport(); keyturn.AsError(err) == nil {
		t.Error("a folder of a pipe is one of authorities")
	}
}
