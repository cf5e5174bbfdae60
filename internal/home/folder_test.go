package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestGuard(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not looked at there")
	}
	dir := filepath.Join(t.TempDir(), "store")
	if err := guard(dir); err != nil {
		t.Error("a folder that is to be made:", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode, want fs.FileMode
		refused    bool
	}{{0o700, 0o700, false}, {0o755, 0o700, false}, {0o777, 0o700, false}, {0o770 | fs.ModeSetgid, 0o700 | fs.ModeSetgid, false},
		{0o777 | fs.ModeSticky, 0o777 | fs.ModeSticky, true}, {0o755 | fs.ModeSticky, 0o755 | fs.ModeSticky, false}} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		err := guard(dir)
		info, statErr := os.Stat(dir)
		if (err != nil) != c.refused || statErr != nil || info.Mode()&^fs.ModeDir != c.want {
			t.Errorf("%v: %v, now %v", c.mode, err, info.Mode())
		}
		if hint := "KEYTURN_HOME=" + filepath.Join(dir, "keyturn"); c.refused && (!errors.Is(err, keyturn.Invalid) || !strings.Contains(keyturn.AsError(err).Hint, hint)) {
			t.Errorf("%v: no hint %q", err, hint)
		}
	}
	// What is not keyturn's is closed to nobody, whatever a caller says: a folder with other
	// things in it, a file.
	other := t.TempDir()
	file := filepath.Join(other, "file")
	if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Chmod(file, 0o644), os.Chmod(other, 0o755)); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{other: 0o755, file: 0o644} {
		_ = guard(path)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v (%v)", path, info.Mode(), err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("another user's folder takes root to make")
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 4242, 4242)); err != nil {
		t.Fatal(err)
	}
	if err := guard(dir); !errors.Is(err, keyturn.Invalid) || !strings.Contains(err.Error(), "another user") {
		t.Error("another's:", err)
	}
}
