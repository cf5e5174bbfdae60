package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

func TestFindOperator(t *testing.T) {
	dir := folder(t)
	user, system, explicit := filepath.Join(dir, "user"), filepath.Join(dir, "etc"), filepath.Join(dir, "mine.yaml")
	l := Locations{User: user, System: system}
	want := func(l Locations, path string) {
		t.Helper()
		if got, err := l.Find(); got != path || err != nil {
			t.Errorf("found %q, %v; want %q", got, err, path)
		}
	}
	want(l, "")
	if o, err := LoadOperator(l); o != nil || err != nil {
		t.Error(o, err)
	}
	if got, err := l.Target(); got != inFolder(user) || err != nil {
		t.Error(got, err)
	}
	if _, err := (Locations{}).Target(); !errors.Is(err, keyturn.Invalid) {
		t.Error(err)
	}
	write(t, inFolder(system), "groups:\n  a: b\n", 0o600)
	want(l, inFolder(system))
	if got, err := l.Target(); got != inFolder(system) || err != nil {
		t.Error(got, err)
	}
	write(t, inFolder(user), "groups:\n  b: b\n", 0o600)
	want(l, inFolder(user))
	if o, err := LoadOperator(l); err != nil || o.File != inFolder(user) || o.Groups[0].Name != "b" || o.Unchecked != unchecked {
		t.Error(o, err)
	}
	l.Explicit = explicit
	_, err := l.Find()
	if !errors.Is(err, keyturn.Invalid) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	if _, err := LoadOperator(l); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("missing: %v", err)
	}
	if got, err := l.Target(); got != explicit || err != nil {
		t.Error(got, err)
	}
	write(t, explicit, "", 0o600)
	want(l, explicit)

	// A link to nothing is there, and no reason to take the next.
	if err := os.Remove(inFolder(user)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nothing"), inFolder(user)); err == nil {
		if o, err := LoadOperator(Locations{User: user, System: system}); !errors.Is(err, keyturn.Unavailable) {
			t.Errorf("%v, %v", o, err)
		}
	}
	if err := os.RemoveAll(user); err != nil {
		t.Fatal(err)
	}
	write(t, user, "a file where a folder should be", 0o600)
	if _, err := (Locations{User: user, System: system}).Find(); err != nil && !errors.Is(err, keyturn.Unavailable) {
		t.Error(err)
	}
}

func TestOperatorIsTrusted(t *testing.T) {
	if unchecked != "" {
		t.Skip(unchecked)
	}
	path := filepath.Join(folder(t), "conf", FileName)
	load := func() error { _, err := LoadOperator(Locations{Explicit: path}); return err }
	write(t, path, "", 0o600)
	for _, c := range []struct {
		mode, dir fs.FileMode
		hint      string
	}{{0o600, 0o700, ""}, {0o644, 0o755, ""}, {0o640, 0o775, ""}, {0o660, 0o700, "chmod go-w "}, {0o602, 0o700, "chmod go-w "}, {0o666, 0o700, "chmod go-w "},
		{0o600, 0o777, "chmod o-w "}, {0o600, 0o777 | fs.ModeSticky, ""}} {
		if err := errors.Join(os.Chmod(path, c.mode), os.Chmod(filepath.Dir(path), c.dir)); err != nil {
			t.Fatal(err)
		}
		err := load()
		if c.hint == "" && err != nil || c.hint != "" && (!errors.Is(err, keyturn.Invalid) || !strings.Contains(keyturn.AsError(err).Hint, c.hint)) {
			t.Errorf("%v in %v: %v", c.mode, c.dir, err)
		}
		if _, rerr := Remember(path, someRule); (rerr == nil) != (err == nil) {
			t.Errorf("%v in %v: Remember says %v", c.mode, c.dir, rerr)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if err := checkFile(path, info, os.Geteuid()+1); !errors.Is(err, keyturn.Invalid) || !strings.Contains(keyturn.AsError(err).Hint, "chown") {
			t.Errorf("another's: %v", err)
		}
	} else {
		if err := errors.Join(os.Chown(path, 4242, 4242)); err != nil {
			t.Fatal(err)
		}
		if err := load(); !errors.Is(err, keyturn.Invalid) || !strings.Contains(keyturn.AsError(err).Hint, "chown") {
			t.Errorf("another's: %v", err)
		}
	}

	// What a link leads to is checked too.
	open := filepath.Join(filepath.Dir(filepath.Dir(path)), "open")
	target := filepath.Join(open, "k.yaml")
	write(t, target, "", 0o600)
	if err := errors.Join(os.Remove(path), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(filepath.Dir(path), 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	if err := load(); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("a link into an open folder: %v", err)
	}
	if err := os.Chmod(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := load(); err != nil {
		t.Error(err)
	}
}

func TestOnlyRegularFiles(t *testing.T) {
	dir := folder(t)
	if _, err := LoadOperator(Locations{Explicit: dir}); !errors.Is(err, keyturn.Invalid) {
		t.Errorf("a folder: %v", err)
	}
	path := filepath.Join(dir, FileName)
	write(t, path, strings.Repeat("#", MaxFile+1), 0o600)
	if _, err := LoadOperator(Locations{Explicit: path}); !errors.Is(err, keyturn.Invalid) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("too large: %v", err)
	}
	if _, err := LoadProject(dir, "", ""); !errors.Is(err, keyturn.Invalid) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("too large: %v", err)
	}
}

func TestFindProject(t *testing.T) {
	dir := folder(t)
	home := filepath.Join(dir, "home", "anna")
	deep := filepath.Join(home, "src", "app", "cmd")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	find := func(start, operator, want string) {
		t.Helper()
		if got, err := FindProject(start, home, operator); got != want || err != nil {
			t.Errorf("found %q, %v; want %q", got, err, want)
		}
	}
	write(t, filepath.Join(dir, "home", FileName), "", 0o600) // beside anna's home
	find(deep, "", "")
	find(home, "", "")
	find(filepath.Join(dir, "home"), "", filepath.Join(dir, "home", FileName)) // started outside of it
	atHome := filepath.Join(home, FileName)
	write(t, atHome, "mounts: {}\n", 0o600)
	find(deep, "", atHome)
	find(deep, atHome, "") // it is the operator's own
	app := filepath.Join(home, "src", "app", FileName)
	write(t, app, "env: {A: kt://local/a}\n", 0o600)
	find(deep, "", app)
	find(filepath.Dir(app), atHome, app)
	find(filepath.Join(home, "src"), atHome, "")
	if err := os.Mkdir(filepath.Join(deep, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	find(deep, "", app) // a folder of that name does not count
	p, err := LoadProject(deep, home, atHome)
	if err != nil || p.File != app || len(p.Env) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := LoadProject(filepath.Join(home, "src"), home, atHome); p != nil || err != nil {
		t.Error(p, err)
	}
	if p.Digest() == "" || (*Project)(nil).Entries() != nil {
		t.Error("digest")
	}
	// The operator's file does not become a project's through a link.
	link := filepath.Join(home, "src", FileName)
	if err := os.Symlink(atHome, link); err == nil {
		find(filepath.Dir(link), atHome, "")
	}
}
