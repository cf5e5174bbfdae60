//go:build unix

package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
)

// Resolve says before the start what Run would say.
func TestResolveSaysWhatRunSays(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {""}, {"no-such-command-here"}, {plain}, {dir}, {filepath.Join(dir, "none")}, {"true"}} {
		c := Command{Args: args, Inherit: os.Environ()}
		_, before, err := Resolve(c)
		if len(args) == 1 && args[0] == "true" {
			if err != nil || before.Code != 0 || before.Started {
				t.Errorf("%q: %+v, %v", args, before, err)
			}
			continue
		}
		after, runErr := Run(context.Background(), c)
		if err == nil || before != after || err.Error() != runErr.Error() {
			t.Errorf("%q: Resolve says %+v, %v; Run %+v, %v", args, before, err, after, runErr)
		}
	}
}

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]error{
		filepath.Join(dir, "new"): nil, file: keyturn.Conflict, dir: keyturn.Conflict, link: keyturn.Conflict,
		filepath.Join(dir, "no", "new"): keyturn.Invalid, filepath.Join(file, "new"): keyturn.Invalid,
	} {
		err := CheckFile(path)
		if code == nil && err != nil || code != nil && !errors.Is(err, code) {
			t.Errorf("%s: %v; want %v", path, err, code)
		}
		if _, runErr := Run(context.Background(), Command{Args: []string{"true"}, Inherit: os.Environ(), Files: []File{{Path: path}}}); (runErr == nil) != (err == nil) {
			t.Errorf("%s: Check says %v, Run %v", path, err, runErr)
		}
	}
}
