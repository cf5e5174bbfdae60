package session

import (
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are,
// with Invalid. A door asks it of each file that its caller names, before anything is
// done. path is absolute.
func (f Facts) MayWrite(path string) error {
	if Within(path, f.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}

// Within reports whether a file is, or would be, in a folder or below it. Links are
// followed, and folders are compared as the system knows them, not by their names.
func Within(path, folder string) bool {
	own, err := os.Stat(folder)
	if err != nil {
		return false
	}
	dir := filepath.Dir(path)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for {
		if fi, err := os.Stat(dir); err == nil && os.SameFile(fi, own) {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}
