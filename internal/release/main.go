// Command release packs what was built into the archives of a release, with their
// checksums. What it writes depends on nothing but the bytes of the files, the
// version and the time: names are sorted, all times are the given one, and nobody's
// user or group is in it, so that everybody who builds the same source gets the same
// archives (docs/release.md).
//
//	release -version V -time SECONDS -built DIR -out DIR FILE...
//
// DIR of -built holds a folder OS-ARCH for each system with the program in it, and
// what else is in there goes with each: sboms/OS-ARCH.cdx.json beside the archive,
// completions/ into it. FILEs go into each archive.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// entry is one file of an archive.
type entry struct {
	name string // with slashes, below the archive's folder
	data []byte
	mode fs.FileMode
}

var (
	versions = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]*$`)
	systems  = regexp.MustCompile(`^(linux|darwin|windows)-[a-z0-9]+$`)
)

func run(args []string) error {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	version := f.String("version", "", "the version, a part of every name")
	seconds := f.Int64("time", 0, "the time of every file, in seconds since 1970")
	built := f.String("built", "", "the folder of what was built")
	out := f.String("out", "", "the folder for the archives; it is made")
	if err := f.Parse(args); err != nil {
		return err
	}
	if !versions.MatchString(*version) {
		return fmt.Errorf("%q cannot be a version", *version)
	}
	if *seconds <= 0 || *built == "" || *out == "" {
		return errors.New("-time, -built and -out are needed")
	}
	common, err := files(f.Args())
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(*built) // sorted by name
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	when := time.Unix(*seconds, 0).UTC()
	var sums bytes.Buffer
	keep := func(name string, data []byte) error {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), name)
		return os.WriteFile(filepath.Join(*out, name), data, 0o644)
	}
	packed := 0
	for _, folder := range folders {
		if !systems.MatchString(folder.Name()) {
			continue
		}
		name := "keyturn_" + strings.TrimPrefix(*version, "v") + "_" + strings.Replace(folder.Name(), "-", "_", 1)
		file, data, err := archive(*built, folder.Name(), name, common, when)
		if err != nil {
			return err
		}
		if err := keep(file, data); err != nil {
			return err
		}
		bill, err := os.ReadFile(filepath.Join(*built, "sboms", folder.Name()+".cdx.json"))
		if err != nil {
			return fmt.Errorf("the bill of materials of %s: %w", folder.Name(), err)
		}
		if err := keep(name+".cdx.json", bill); err != nil {
			return err
		}
		packed++
	}
	if packed == 0 {
		return fmt.Errorf("%s holds no program", *built)
	}
	return os.WriteFile(filepath.Join(*out, "SHA256SUMS"), sums.Bytes(), 0o644)
}

// files reads the files that go into each archive.
func files(paths []string) ([]entry, error) {
	var out []entry
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{filepath.Base(p), data, 0o644})
	}
	return out, nil
}

// archive packs the program for one system: a zip for Windows, else a tar.gz.
func archive(built, system, name string, common []entry, when time.Time) (file string, data []byte, err error) {
	program := "keyturn"
	windows := strings.HasPrefix(system, "windows-")
	if windows {
		program += ".exe"
	}
	code, err := os.ReadFile(filepath.Join(built, system, program))
	if err != nil {
		return "", nil, err
	}
	entries := append(slices.Clone(common), entry{program, code, 0o755})
	dir := filepath.Join(built, "completions")
	scripts, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, s := range scripts {
		text, err := os.ReadFile(filepath.Join(dir, s.Name()))
		if err != nil {
			return "", nil, err
		}
		entries = append(entries, entry{"completions/" + s.Name(), text, 0o644})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	if windows {
		err = zipped(&b, name, entries, when)
		return name + ".zip", b.Bytes(), err
	}
	err = tarred(&b, name, entries, when)
	return name + ".tar.gz", b.Bytes(), err
}

func tarred(w io.Writer, folder string, entries []entry, when time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, e := range entries {
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + e.name, Size: int64(len(e.data)),
			Mode: int64(e.mode), ModTime: when, Format: tar.FormatUSTAR})
		if err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func zipped(w io.Writer, folder string, entries []entry, when time.Time) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	for _, e := range entries {
		h := &zip.FileHeader{Name: folder + "/" + e.name, Method: zip.Deflate, Modified: when}
		h.SetMode(e.mode)
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return z.Close()
}
