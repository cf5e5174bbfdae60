package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/durable"
)

func TestWithin(t *testing.T) {
	dir := t.TempDir()
	own, other := filepath.Join(dir, "own"), filepath.Join(dir, "other")
	for _, d := range []string{filepath.Join(own, "sub"), other} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"folder": own, "file": filepath.Join(own, "a"), "relative": "../own/a", "elsewhere": filepath.Join(dir, "x"),
		"twice": filepath.Join(other, "file"), "circle": filepath.Join(other, "circle")} {
		if err := os.Symlink(to, filepath.Join(other, name)); err != nil {
			t.Skip("this system lets nobody make links here:", err)
		}
	}
	for path, want := range map[string]bool{
		"own/a": true, "own/sub/a": true, "own/new/deep/a": true, "other/../own/a": true, "other/folder/a": true, "other/folder/new/a": true,
		"other/file": true, "other/relative": true, "other/twice": true, "other/circle": true,
		"other/a": false, "other/elsewhere": false, "a": false, "own": false, "owner/a": false,
	} {
		if got := durable.Within(filepath.Join(dir, filepath.FromSlash(path)), own); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	// A link behind another link leads on from where it is, and ".." goes up from there.
	deep := filepath.Join(other, "e", "d", "r")
	for _, err := range []error{os.MkdirAll(deep, 0o700), os.Symlink("../../../../own/rel", filepath.Join(deep, "g")),
		os.Symlink("e/d/r", filepath.Join(other, "dm")), os.Symlink(filepath.Join(own, "sub"), filepath.Join(other, "sl")),
		os.Symlink("sl/../via", filepath.Join(other, "vs"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"dm/g", "vs", "sl/../a"} {
		if !durable.Within(other+string(filepath.Separator)+path, own) {
			t.Errorf("%s is not within", path)
		}
	}
	if durable.Within(filepath.Join(dir, "nosuch", "a"), filepath.Join(dir, "nosuch")) {
		t.Error("a file is within a folder that does not exist")
	}
}

func TestOnto(t *testing.T) {
	dir := t.TempDir()
	conf, other := filepath.Join(dir, "conf"), filepath.Join(dir, "other")
	file, none := filepath.Join(conf, "k.yaml"), filepath.Join(conf, "none.yaml")
	for _, err := range []error{os.Mkdir(conf, 0o700), os.Mkdir(other, 0o700), os.WriteFile(file, nil, 0o600), os.WriteFile(filepath.Join(other, "k.yaml"), nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{os.Symlink(conf, filepath.Join(other, "folder")), os.Symlink(file, filepath.Join(other, "link")), os.Symlink("../conf/none.yaml", filepath.Join(other, "dangling")),
		os.Symlink("link", filepath.Join(other, "twice")), os.Symlink("circle", filepath.Join(other, "circle")), os.Link(file, filepath.Join(other, "hard")),
		os.Symlink(filepath.Join(other, "away.yaml"), filepath.Join(conf, "linked.yaml"))} {
		if err != nil {
			t.Skip("this system lets nobody make links here:", err)
		}
	}
	for _, c := range []struct {
		path, file string
		want       bool
	}{
		{"conf/k.yaml", file, true}, {"other/../conf/k.yaml", file, true}, {"other/folder/k.yaml", file, true}, {"other/link", file, true}, {"other/twice", file, true},
		{"other/hard", file, true}, {"other/circle", file, true}, {"conf/none.yaml", none, true}, {"other/dangling", none, true}, {"other/folder/none.yaml", none, true},
		{"conf/linked.yaml", filepath.Join(conf, "linked.yaml"), true}, {"other/away.yaml", filepath.Join(conf, "linked.yaml"), true},
		{"other/k.yaml", file, false}, {"conf/none.yaml", file, false}, {"conf/k.yaml.new", file, false}, {"other/none.yaml", none, false}, {"nosuch/k.yaml", file, false}, {"conf", file, false},
	} {
		if got := durable.Onto(filepath.Join(dir, filepath.FromSlash(c.path)), c.file); got != c.want {
			t.Errorf("%s onto %s: %v", c.path, c.file, got)
		}
	}
}
