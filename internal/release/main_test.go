package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// built is a folder as 'make release' leaves it, with files of some other time.
func built(t *testing.T, when time.Time) (dir string, args []string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"b/linux-amd64/keyturn": "a program", "b/windows-arm64/keyturn.exe": "another program",
		"b/completions/keyturn.bash": "complete", "b/completions/_keyturn": "compdef",
		"b/sboms/linux-amd64.cdx.json": "{}", "b/sboms/windows-arm64.cdx.json": "{ }",
		"README.md": "read me", "LICENSE": "you may",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"-version", "v1.2.3", "-time", "1790000000", "-built", filepath.Join(dir, "b"), "-out", filepath.Join(dir, "out"),
		filepath.Join(dir, "README.md"), filepath.Join(dir, "LICENSE")}
}

// TestSameBytes: two folders, times and orders give the same archives.
func TestSameBytes(t *testing.T) {
	one, args := built(t, time.Unix(1700000000, 0))
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	two, args := built(t, time.Now())
	last := len(args) - 1
	args[last], args[last-1] = args[last-1], args[last]
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(one, "out", "*"))
	if err != nil || len(names) != 5 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, a := range names {
		x, err := os.ReadFile(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(two, "out", filepath.Base(a)))
		if err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s differs (%v)", filepath.Base(a), err)
		}
	}
}

// TestContents: everything is in the archives, with its mode, the one time, and
// nobody's user; and the sums are those of the files.
func TestContents(t *testing.T) {
	dir, args := built(t, time.Now())
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1790000000, 0).UTC()
	want := "LICENSE README.md completions/_keyturn completions/keyturn.bash keyturn"
	if got := listTar(t, filepath.Join(dir, "out", "keyturn_1.2.3_linux_amd64.tar.gz"), "keyturn_1.2.3_linux_amd64/", when); got != want {
		t.Errorf("tar.gz holds %s", got)
	}
	if got := listZip(t, filepath.Join(dir, "out", "keyturn_1.2.3_windows_arm64.zip"), "keyturn_1.2.3_windows_arm64/", when); got != want+".exe" {
		t.Errorf("zip holds %s", got)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "out", "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 4 {
		t.Fatalf("%q, %v", sums, err)
	}
	for line := range strings.Lines(string(sums)) {
		f := strings.Fields(line)
		data, err := os.ReadFile(filepath.Join(dir, "out", f[1]))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != f[0] {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func mode(name string) os.FileMode {
	if strings.HasPrefix(filepath.Base(name), "keyturn") && !strings.Contains(name, "completions") {
		return 0o755
	}
	return 0o644
}

func listTar(t *testing.T, path, folder string, when time.Time) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return strings.Join(names, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, folder)
		if !ok || !h.ModTime.Equal(when) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.FileInfo().Mode() != mode(name) {
			t.Errorf("%+v", h)
		}
		names = append(names, name)
	}
}

func listZip(t *testing.T, path, folder string, when time.Time) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, folder)
		if !ok || !f.Modified.Equal(when) || f.Mode() != mode(name) {
			t.Errorf("%+v", f.FileHeader)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestRefused: what would make an incomplete or a strange release is refused.
func TestRefused(t *testing.T) {
	dir, args := built(t, time.Now())
	with := func(i int, value string) []string {
		out := append([]string{}, args...)
		out[i] = value
		return out
	}
	for what, args := range map[string][]string{
		"a version with a slash": with(1, "../1"), "no version": with(1, ""), "no time": with(3, "0"),
		"no folder": with(5, filepath.Join(dir, "none")), "a missing file": with(8, filepath.Join(dir, "none")), "no program": with(5, filepath.Join(dir, "out")),
	} {
		if err := run(args); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if err := os.Remove(filepath.Join(dir, "b", "sboms", "linux-amd64.cdx.json")); err != nil {
		t.Fatal(err)
	}
	if err := run(args); err == nil {
		t.Error("a missing bill of materials is passed over")
	}
}
