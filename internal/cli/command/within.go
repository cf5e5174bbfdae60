package command

import (
	"os"
	"path/filepath"
)

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
