// Package durable writes files so that a crash or a loss of power leaves the old file
// or the new one, and never a half.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace makes the file at path, or puts it in the place of the one there, with what
// fill writes: it goes to a temporary file beside it, to the disk, and then to its
// name. It is only its owner's, unless fill gives it another mode. An error of fill
// comes back as it is; after an error the old file is there, or, where only the folder
// could not be synced, the new one, and no temporary file. The name itself is durable
// on return, but in a folder that this user may not read.
func Replace(path string, fill func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keyturn-*") // 0600
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err = SyncFolder(filepath.Dir(path)); errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// Claim gives a file the name path, unless that is taken: then it is fs.ErrExist, and
// the file at path stays as it is. The file keeps its old name too, where the file
// system has links. Neither file nor name is durable by it.
func Claim(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links. Two at once could both come here: the name is
	// taken first, by an empty file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err = os.Rename(temp, path); err != nil {
		_ = os.Remove(path)
	}
	return err
}
