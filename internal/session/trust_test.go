package session

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/keyturn/keyturn/internal/config"
)

// TestFound: a file is trusted by where it is found. A link to another project's file, and
// what a descriptor leads to, takes no trust; a link to the folder changes nothing.
func TestFound(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links take rights that a test may not have")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(p string) string { return filepath.Join(dir, p) }
	for _, d := range []string{"good", "cloned"} {
		if err := os.Mkdir(at(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("good/keyturn.yaml"), []byte("env: {A: \"kt://local/a#b\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"cloned/keyturn.yaml": "good/keyturn.yaml", "linked": "good"} {
		if err := os.Symlink(at(to), at(from)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"good": "good", "cloned": "cloned", "linked": "good"} {
		p, err := config.LoadProject(at(name), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if got := TrustOf(p); got.Path != at(want+"/keyturn.yaml") || len(got.Pinned) != 1 {
			t.Errorf("%s is trusted as %+v", name, got)
		}
		if !IsFile(at(name + "/keyturn.yaml")) {
			t.Errorf("%s is no file", name)
		}
	}
	f, err := os.Open(at("good/keyturn.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range []string{"/dev/stdin", "/dev/null", "/proc/self/environ", at("good"), at("none")} {
		if IsFile(p) {
			t.Errorf("%s counts as a file", p)
		}
	}
}
