// Package durable writes files so that a crash or a loss of power leaves the old file,
// the new one, or none, and never a half.
//
// A file that a person names is written as a File: a temporary file in the same folder,
// which Replace or Create gives its name. A file that must be made under a name of its
// own, as SQLite makes a database, is made at TempName, and gets its name by Publish.
//
// It also is the one place that opens files to be read: see OpenRegular and OpenInput.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Replace makes the file at path, or puts it in the place of the one there, with what
// fill writes. The file is for its owner only, unless fill gives it another mode. An
// error of fill is returned as it is. After an error the old file is there, or, where
// only the folder could not be synced, the new one; no temporary file is left.
func Replace(path string, fill func(*os.File) error) error {
	return write(path, fill, (*File).Replace)
}

// Create is Replace of a file that must not be there: where there is one, it stays as
// it is, and the error is fs.ErrExist.
func Create(path string, fill func(*os.File) error) error {
	return write(path, fill, (*File).Create)
}

func write(path string, fill func(*os.File) error, finish func(*File) error) error {
	f, err := Begin(path)
	if err != nil {
		return err
	}
	defer f.Drop()
	if err := fill(f.File); err != nil {
		return err
	}
	return finish(f)
}

// File is a file that is being written beside its final name. End it with Replace or
// with Create, and call Drop in any case.
type File struct {
	*os.File
	path string
	// InPlace is set once the file has its name, also where its folder could then not be
	// synced.
	InPlace bool
}

// Begin makes a temporary file for path, in the same folder and for its owner only. It
// removes the temporary files that killed programs left in the folder a day ago or
// longer.
func Begin(path string) (*File, error) {
	folder := filepath.Dir(path)
	sweepTemporary(folder)
	f, err := os.CreateTemp(folder, prefix+"*") // 0600, digits
	if err != nil {
		return nil, err
	}
	return &File{File: f, path: path}, nil
}

// Replace writes the file to the disk and gives it its name, also where another file
// has that name. The name is durable on return, but in a folder that this user may not
// read.
func (f *File) Replace() error { return f.finish(system.Rename) }

// Create is Replace where no file has the name. Else it returns fs.ErrExist.
func (f *File) Create() error { return f.finish(claim) }

func (f *File) finish(place func(temp, path string) error) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := place(f.Name(), f.path); err != nil {
		return err
	}
	f.InPlace = true
	if err := SyncFolder(filepath.Dir(f.path)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// Drop closes the file, and removes it if it did not get its name.
func (f *File) Drop() {
	_ = f.Close()
	if !f.InPlace {
		_ = os.Remove(f.Name())
	}
}

const prefix = ".keyturn-"

// leftAfter is the age of a temporary file whose maker was killed for sure.
const leftAfter = 24 * time.Hour

// sweepTemporary removes what Begin made in a folder and nobody ended.
func sweepTemporary(folder string) {
	files, _ := os.ReadDir(folder) // in vain: they stay
	for _, f := range files {
		digits, ours := strings.CutPrefix(f.Name(), prefix)
		if !ours || digits == "" || strings.Trim(digits, "0123456789") != "" || !f.Type().IsRegular() {
			continue
		}
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > leftAfter {
			_ = os.Remove(filepath.Join(folder, f.Name()))
		}
	}
}
