package keyturn_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
)

// TestComfortPage runs docs/comfort.md as printed: its commands, its files under the
// names that they have there, and its recordings.
func TestComfortPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the page is for a shell that Windows does not have")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git, which the hook before a commit is for")
	}
	m := world.New(t)
	bin := t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(bin, "npm"), "#!/bin/sh\nif [ -n \"$DATABASE_URL\" ]; then echo \"npm $* has a database\"; else echo \"npm $* has none\"; fi\n", 0o700)
	write(filepath.Join(m.Work, "keyturn.yaml"), "env:\n  DATABASE_URL: kt://local/shop#DATABASE_URL\n", 0o600)
	m = m.As("PATH="+bin+string(filepath.ListSeparator)+strings.TrimPrefix(m.Env[0], "PATH="),
		"GIT_AUTHOR_NAME=anna", "GIT_AUTHOR_EMAIL=anna@example.com", "GIT_COMMITTER_NAME=anna", "GIT_COMMITTER_EMAIL=anna@example.com",
		"GIT_CONFIG_NOSYSTEM=1")
	m.Must("", "init", "--key", "file")
	m.Must("", "put", "local/shop", "--generate", "DATABASE_URL", "--generate", "STRIPE_KEY")
	m.Must("", "trust", "--yes")
	if out := m.Shell("git init -q ."); out.Status != 0 {
		t.Fatal(out.Stderr)
	}
	ran, files := 0, 0
	for _, b := range blocks(t, "docs/comfort.md") {
		name, isFile := strings.CutPrefix(b.lang, "sh file=")
		switch {
		case isFile:
			mode := os.FileMode(0o600)
			if strings.HasPrefix(b.text, "#!") {
				mode = 0o700
			}
			write(filepath.Join(m.Work, filepath.FromSlash(name)), b.text, mode)
			files++
		case b.lang == "sh":
			if out := m.Shell("set -e\n" + b.text); out.Status != 0 {
				t.Errorf("%s:%d: exit status %d\n%s%s", b.page, b.line, out.Status, out.Stdout, out.Stderr)
			}
			ran++
		case b.lang == "console":
			ran += replay(t, m, b)
		}
	}
	if ran < 6 || files < 3 {
		t.Errorf("only %d commands and %d files of the page were tried", ran, files)
	}
}
