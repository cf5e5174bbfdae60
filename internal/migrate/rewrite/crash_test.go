package rewrite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn"
)

func modeAt(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if modeAt(t, path) != mode {
		t.Skip("files have no such modes here")
	}
}

// The text is for its owner only until it is in its place, whatever the mode and
// the umask.
func TestTemporaryFile(t *testing.T) {
	ch := Change{Path: filepath.Join(t.TempDir(), ".env"), After: []byte("A=made-up"), Has: true, Mode: 0o644}
	ch.Temp = TempName(ch.Path, "id", 0)
	put(t, ch.Path, "old")
	chmod(t, ch.Path, 0o644)
	was, err := os.Stat(ch.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.write(was); err != nil {
		t.Fatal(err)
	}
	if mode := modeAt(t, ch.Temp); mode != 0o600 {
		t.Errorf("the temporary file has the mode %v", mode)
	}
}

// A mode is never wider than it was recorded, nor than it is.
func TestModes(t *testing.T) {
	for _, c := range []struct{ recorded, now, want fs.FileMode }{
		{0o644, 0o644, 0o644}, {0o644, 0o600, 0o600}, {0o600, 0o644, 0o600}, {0o664, 0o640, 0o640}, {0o640, 0o604, 0o600}, {0o755, 0o700, 0o700},
	} {
		for _, text := range []string{"old", "new"} { // to be written, and written already
			ch := Change{Path: filepath.Join(t.TempDir(), ".env"), Before: []byte("old"), Had: true, After: []byte("new"), Has: true, Mode: c.recorded}
			ch.Temp = TempName(ch.Path, "id", 0)
			put(t, ch.Path, text)
			chmod(t, ch.Path, c.now)
			if err := ch.Apply(); err != nil {
				t.Fatal(err)
			}
			want := c.want
			if text == "new" {
				want = c.now // it is nobody's to change
			}
			if mode := modeAt(t, ch.Path); mode != want {
				t.Errorf("recorded %v, now %v: %v, want %v", c.recorded, c.now, mode, want)
			}
		}
	}
}

// What a crash left is settled, at each place where it can happen, by whoever goes
// on and by whoever does something else.
func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		text      string // of the file; "" for none
		mode      fs.FileMode
		temp      bool
		mark      string
		most      fs.FileMode
		want      fs.FileMode
		link, odd bool // the mark is a link, or a folder
	}{
		"nothing":                      {text: "old", mode: 0o640, most: 0o640, want: 0o640},
		"half a temporary file":        {text: "old", mode: 0o640, temp: true, most: 0o640, want: 0o640},
		"all but the rename":           {text: "old", mode: 0o640, temp: true, mark: "0640", most: 0o640, want: 0o640},
		"all but the mode":             {text: "new", mode: 0o600, mark: "0640", most: 0o640, want: 0o640},
		"all but the mark":             {text: "new", mode: 0o640, mark: "0640", most: 0o640, want: 0o640},
		"no file":                      {temp: true, mark: "0640", most: 0o640},
		"a mark that is wider":         {text: "new", mode: 0o600, mark: "0666", most: 0o640, want: 0o640},
		"a mark that says nothing":     {text: "new", mode: 0o600, mark: "x", most: 0o640, want: 0o600},
		"a mode that somebody chose":   {text: "new", mode: 0o400, mark: "0640", most: 0o640, want: 0o400},
		"no mark: the mode is chosen":  {text: "new", mode: 0o600, most: 0o640, want: 0o600},
		"a mark that leads elsewhere":  {text: "new", mode: 0o600, mark: "0640", most: 0o640, want: 0o600, link: true},
		"a mark that is something odd": {text: "new", mode: 0o600, mark: "0640", most: 0o640, want: 0o600, odd: true},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, ".env")
		temp := TempName(path, "id", 0)
		if c.text != "" {
			put(t, path, c.text)
			chmod(t, path, c.mode)
		}
		if c.temp {
			put(t, temp, "A=made-up")
		}
		switch {
		case c.link:
			put(t, filepath.Join(dir, "elsewhere"), c.mark)
			if err := os.Symlink("elsewhere", temp+modeEnd); err != nil {
				t.Skip(err)
			}
		case c.odd:
			if err := os.Mkdir(temp+modeEnd, 0o700); err != nil {
				t.Fatal(err)
			}
		case c.mark != "":
			put(t, temp+modeEnd, c.mark)
		}
		Settle(path, temp, c.most)
		if c.text != "" {
			if mode := modeAt(t, path); mode != c.want {
				t.Errorf("%s: the mode is %v, want %v", name, mode, c.want)
			}
		}
		for _, left := range []string{temp, temp + modeEnd} {
			if _, err := os.Lstat(left); err == nil {
				t.Errorf("%s: %s is left", name, filepath.Base(left))
			}
		}
	}
}

// A file that cannot be written at the last moment leaves nothing beside it.
func TestApplyFails(t *testing.T) {
	dir := t.TempDir()
	ch := Change{Path: filepath.Join(dir, ".env"), Before: []byte("old"), Had: true, After: []byte("new"), Has: true, Mode: 0o644}
	ch.Temp = TempName(filepath.Join(dir, "gone", ".env"), "id", 0)
	put(t, ch.Path, "old")
	if err := ch.Apply(); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v (%v)", entries, err)
	}
}
