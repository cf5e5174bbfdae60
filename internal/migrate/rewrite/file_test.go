package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func TestApply(t *testing.T) {
	for name, c := range map[string]struct {
		now     string // what is there; "" for nothing
		link    bool   // a link is there instead
		ch      Change
		want    string
		code    keyturn.Code
		garbage bool // a crash left a temporary file behind
	}{
		"as it was":                {now: "old", ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, want: "new"},
		"after a crash":            {now: "old", ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, want: "new", garbage: true},
		"done already":             {now: "new", ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, want: "new", garbage: true},
		"changed":                  {now: "else", ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, want: "else", code: keyturn.Conflict, garbage: true},
		"gone":                     {ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, code: keyturn.Conflict},
		"a link now":               {now: "old", link: true, ch: Change{Before: []byte("old"), Had: true, After: []byte("new"), Has: true}, want: "old", code: keyturn.Conflict},
		"a new one":                {ch: Change{After: []byte("new"), Has: true}, want: "new"},
		"a new one that is there":  {now: "else", ch: Change{After: []byte("new"), Has: true}, want: "else", code: keyturn.Conflict},
		"a new one, empty":         {ch: Change{After: nil, Has: true}},
		"to be removed":            {now: "new", ch: Change{Before: []byte("new"), Had: true}},
		"removed already":          {ch: Change{Before: []byte("new"), Had: true}},
		"to be removed, but other": {now: "else", ch: Change{Before: []byte("new"), Had: true}, want: "else", code: keyturn.Conflict},
	} {
		dir := t.TempDir()
		ch := c.ch
		ch.Path, ch.Mode = filepath.Join(dir, ".env"), 0o604
		ch.Temp = TempName(ch.Path, "id", 0)
		switch {
		case c.link:
			put(t, filepath.Join(dir, "real"), c.now)
			if err := os.Symlink("real", ch.Path); err != nil {
				t.Skip(err)
			}
		case c.now != "":
			put(t, ch.Path, c.now)
		}
		if c.garbage {
			put(t, ch.Temp, "half a fi")
		}
		err := ch.Apply()
		if c.code == "" && err != nil || c.code != "" && !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
		got, err := os.ReadFile(ch.Path)
		if string(got) != c.want || (err != nil) != (c.want == "" && !(ch.Has && c.code == "")) {
			t.Errorf("%s: the file holds %q (%v), want %q", name, got, err, c.want)
		}
		if info, err := os.Stat(ch.Path); err == nil && c.want == "new" && c.now != "new" && info.Mode().Perm() != 0o600 && c.now != "" || err == nil && c.now == "" && c.want == "new" && info.Mode().Perm() != 0o604 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		if _, err := os.Lstat(ch.Temp); err == nil {
			t.Errorf("%s: the temporary file is left behind", name)
		}
	}
}

func TestLockFolders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	unlock, err := LockFolders([]string{file, filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := LockFolders([]string{file}); !errors.Is(err, keyturn.Conflict) {
		if err == nil {
			again()
		}
		t.Skip("folders cannot be locked here")
	}
	unlock()
	unlock, err = LockFolders([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
