//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package rewrite

import (
	"io/fs"
	"os"
)

// On other systems hard links and owners are not checked, pipes are not among the
// files, and no folder is locked: there the journal alone keeps two migrations apart.

func links(fs.FileInfo) uint64 { return 1 }

func ownable(fs.FileInfo, string) bool { return true }

// notFollowed is nothing: links are looked for before a file is opened.
const notFollowed = 0

func setMode(path string, _ fs.FileInfo, mode fs.FileMode) error { return os.Chmod(path, mode) }

// mayCreate checks that a file can be created in folder, by creating one.
func mayCreate(folder string) error {
	f, err := os.CreateTemp(folder, ".keyturn-migrate-*")
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// Umask returns 0.
func Umask() fs.FileMode { return 0 }

// LockFolders locks nothing.
func LockFolders([]string) (unlock func(), err error) { return func() {}, nil }
