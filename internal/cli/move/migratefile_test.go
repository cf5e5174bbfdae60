package move

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
		ch      change
		want    string
		code    keyturn.Code
		garbage bool // a crash left a temporary file behind
	}{
		"as it was":                {now: "old", ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, want: "new"},
		"after a crash":            {now: "old", ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, want: "new", garbage: true},
		"done already":             {now: "new", ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, want: "new", garbage: true},
		"changed":                  {now: "else", ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, want: "else", code: keyturn.Conflict, garbage: true},
		"gone":                     {ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, code: keyturn.Conflict},
		"a link now":               {now: "old", link: true, ch: change{before: []byte("old"), had: true, after: []byte("new"), has: true}, want: "old", code: keyturn.Conflict},
		"a new one":                {ch: change{after: []byte("new"), has: true}, want: "new"},
		"a new one that is there":  {now: "else", ch: change{after: []byte("new"), has: true}, want: "else", code: keyturn.Conflict},
		"a new one, empty":         {ch: change{after: nil, has: true}},
		"to be removed":            {now: "new", ch: change{before: []byte("new"), had: true}},
		"removed already":          {ch: change{before: []byte("new"), had: true}},
		"to be removed, but other": {now: "else", ch: change{before: []byte("new"), had: true}, want: "else", code: keyturn.Conflict},
	} {
		dir := t.TempDir()
		ch := c.ch
		ch.path, ch.mode = filepath.Join(dir, ".env"), 0o604
		ch.temp = tempName(ch.path, "id", 0)
		switch {
		case c.link:
			put(t, filepath.Join(dir, "real"), c.now)
			if err := os.Symlink("real", ch.path); err != nil {
				t.Skip(err)
			}
		case c.now != "":
			put(t, ch.path, c.now)
		}
		if c.garbage {
			put(t, ch.temp, "half a fi")
		}
		err := ch.apply()
		if c.code == "" && err != nil || c.code != "" && !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
		got, err := os.ReadFile(ch.path)
		if string(got) != c.want || (err != nil) != (c.want == "" && !(ch.has && c.code == "")) {
			t.Errorf("%s: the file holds %q (%v), want %q", name, got, err, c.want)
		}
		if info, err := os.Stat(ch.path); err == nil && c.want == "new" && c.now != "new" && info.Mode().Perm() != 0o604 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		if _, err := os.Lstat(ch.temp); err == nil {
			t.Errorf("%s: the temporary file is left behind", name)
		}
	}
}

func TestLockFolders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	unlock, err := lockFolders([]string{file, filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := lockFolders([]string{file}); !errors.Is(err, keyturn.Conflict) {
		if err == nil {
			again()
		}
		t.Skip("folders cannot be locked here")
	}
	unlock()
	unlock, err = lockFolders([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
