package durable

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Within reports whether a file is, or would be, below a folder, whatever links and
// other names lead there. path is absolute. It is false where the folder does not exist.
func Within(path, folder string) bool {
	names, whole := Names(path)
	for _, name := range names {
		if FolderWithin(folderOf(name), folder) {
			return true
		}
	}
	return !whole // where they lead nobody can tell
}

// Onto reports whether what is written to path would be written onto file, or take its
// place, whatever links and other names lead there: a hard link counts too. Neither has to
// exist. Both are absolute.
func Onto(path, file string) bool {
	if a, err := os.Stat(path); err == nil {
		if b, err := os.Stat(file); err == nil && os.SameFile(a, b) {
			return true
		}
	}
	from, whole := Names(path)
	to, _ := Names(file)
	for _, name := range from {
		folder, err := os.Stat(folderOf(name))
		if err != nil {
			continue
		}
		for _, other := range to {
			if there, err := os.Stat(folderOf(other)); err == nil && os.SameFile(folder, there) && sameName(filepath.Base(name), filepath.Base(other)) {
				return true
			}
		}
	}
	return !whole
}

// sameName reports whether two names are one to the file systems that this system usually
// has.
func sameName(a, b string) bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// folderOf is the folder that a path is in, as it stands: to the system ".." behind a link
// is elsewhere.
func folderOf(path string) string {
	if i := strings.LastIndexByte(path, filepath.Separator); i > 0 {
		return path[:i]
	}
	return filepath.Dir(path)
}

// Names returns path and each name that it leads to, one link after the other; the last
// need not lead to anything. whole is false where there are more than a system follows.
func Names(path string) (names []string, whole bool) {
	for range maxLinks {
		names = append(names, path)
		to, err := os.Readlink(path)
		if err != nil {
			return names, true
		}
		if !filepath.IsAbs(to) {
			dir := folderOf(path)
			if real, err := filepath.EvalSymlinks(dir); err == nil {
				dir = real
			}
			to = dir + string(filepath.Separator) + to
		}
		path = to
	}
	return names, false
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
