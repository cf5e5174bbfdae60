package command

import (
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are:
// every command that writes a file that its caller names asks this, before anything is
// done. path is absolute.
func (c *Command) MayWrite(path string) error {
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	if Within(path, facts.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}

// Within reports whether a file is, or would be, below a folder, by whatever names.
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
