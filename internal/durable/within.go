package durable

import (
	"os"
	"path/filepath"
	"strings"
)

// Within reports whether a file is, or would be, below a folder, whatever links and
// other names lead there. path is absolute. It is false where the folder does not exist.
func Within(path, folder string) bool {
	for range maxLinks {
		dir := filepath.Dir(path)
		if i := strings.LastIndexByte(path, filepath.Separator); i > 0 {
			dir = path[:i] // as it stands: to the system ".." behind a link is elsewhere
		}
		if FolderWithin(dir, folder) {
			return true
		}
		to, err := os.Readlink(path) // which need not lead to anything yet
		if err != nil {
			return false
		}
		if !filepath.IsAbs(to) {
			if real, err := filepath.EvalSymlinks(dir); err == nil {
				dir = real
			}
			to = dir + string(filepath.Separator) + to
		}
		path = to
	}
	return true // where they lead nobody can tell
}

// maxLinks is how many links lead from one to the next, as in Linux.
const maxLinks = 40

// FolderWithin reports whether dir is, or would be, a folder or below it, as Within does
// of a file.
func FolderWithin(dir, folder string) bool {
	own, err := os.Stat(folder)
	if err != nil {
		return false
	}
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
