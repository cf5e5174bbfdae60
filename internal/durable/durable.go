// Package durable writes files so that a crash or a loss of power leaves the old file
// or the new one, and never a half.
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
// fill writes: it goes to a temporary file beside it, to the disk, and then to its
// name. It is only its owner's, unless fill gives it another mode. An error of fill
// comes back as it is; after an error the old file is there, or, where only the folder
// could not be synced, the new one, and no temporary file. The name itself is durable
// on return, but in a folder that this user may not read.
func Replace(path string, fill func(*os.File) error) error {
	f, err := Temp(filepath.Dir(path))
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

const prefix = ".keyturn-"

// leftAfter is how old a temporary file is whose maker was killed for sure.
const leftAfter = 24 * time.Hour

// Temp makes a temporary file in a folder, for its owner only, and removes those that
// others made by it, who were killed, a day ago or longer.
func Temp(folder string) (*os.File, error) {
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
	return os.CreateTemp(folder, prefix+"*") // 0600, digits
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
