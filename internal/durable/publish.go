package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const unfinished = ".new-"

// TempName returns a name beside path for a file that is not finished.
func TempName(path string) string {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // never fails
	return path + unfinished + hex.EncodeToString(id)
}

// Sweep removes the unfinished files beside path that killed programs left behind an
// hour ago or longer. A younger one may still be written. The last element of path may
// be a pattern of filepath.Match.
func Sweep(path string) {
	folder, name := filepath.Split(path)
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if ours, err := filepath.Match(name+unfinished+"*", e.Name()); err != nil || !ours {
			continue
		}
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// Unfinished reports whether all names of the file at path but its own are those that
// Publish gives a file before it has its own, and removes after that.
func Unfinished(path string, fi fs.FileInfo) bool {
	others := Links(fi) - 1
	folder, name := filepath.Split(path)
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), name+unfinished) && os.SameFile(info, fi) {
			others--
		}
	}
	return others == 0
}

// New makes an empty file that only its owner may use. It must not be there.
func New(path string) error { return system.Create(path) }

// Copy makes a new file that holds what another does, and that only its owner may
// use.
func Copy(from, to string) error {
	in, _, err := OpenRegular(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Publish writes a file to the disk and gives it its final name, durably. Where that
// name is taken, Publish returns fs.ErrExist, and the file keeps its name.
func Publish(temp, path string) error {
	if err := system.Sync(temp); err != nil {
		return err
	}
	if err := claim(temp, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// claim gives a file the name path instead of its own, unless that is taken: then it
// returns fs.ErrExist, and both files stay as they are. Neither file nor name is durable
// by it.
func claim(temp, path string) error {
	err := system.Link(temp, path)
	if err == nil {
		_ = system.Remove(temp)
	}
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links. Two at once could both come here: the name is
	// taken first, by an empty file.
	if err := system.Create(path); err != nil {
		return err
	}
	if err := system.Rename(temp, path); err != nil {
		_ = system.Remove(path)
		return err
	}
	return nil
}

// SyncFolder makes the names in a folder durable, as far as its file system has
// something for it.
func SyncFolder(folder string) error { return system.SyncDir(folder) }
