// Package disk has the steps by which a file gets its name durably: whoever is
// killed between them leaves the old file, the new one, or none, and never a half.
package disk

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

// Temp returns a name beside path for a file that is not finished.
func Temp(path string) string {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // never fails
	return path + unfinished + hex.EncodeToString(id)
}

// New makes an empty file that only its owner may use. It must not be there.
func New(path string) error { return system.Create(path) }

// Copy makes a new file that holds what another does, and that only its owner may
// use.
func Copy(from, to string) error {
	in, err := os.Open(from)
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

// Publish syncs a file and gives it its final name, durably, unless that is taken:
// then it is fs.ErrExist, and the file keeps its name.
func Publish(temp, path string) error {
	if err := Sync(temp); err != nil {
		return err
	}
	if err := link(temp, path); err != nil {
		return err
	}
	_ = system.Remove(temp)
	return SyncDir(filepath.Dir(path))
}

func link(temp, path string) error {
	err := system.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links. Two at once could both come here: the name is
	// taken first, by an empty file.
	if err := New(path); err != nil {
		return err
	}
	if err := system.Rename(temp, path); err != nil {
		_ = system.Remove(path)
		return err
	}
	return nil
}

// Sweep removes the unfinished files beside path that somebody who was killed left
// behind an hour ago or longer: a younger one may still be at work.
func Sweep(path string) {
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), filepath.Base(path)+unfinished) && time.Since(fi.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

// Sync writes what a file holds to the disk.
func Sync(path string) error { return system.Sync(path) }

// SyncDir makes the names in a folder durable, where the system has something for it.
func SyncDir(dir string) error { return system.SyncDir(dir) }
