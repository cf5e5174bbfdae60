//go:build unix

package program

import (
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is searched when the child has no PATH, as execvp does.
const defaultPath = "/bin:/usr/bin"

func hasDir(name string) bool { return strings.Contains(name, "/") }

// executable returns path if it is a file that we may execute. A folder in the
// way that is none or may not be entered counts as no such file.
func executable(path string, _ Variables) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", &fs.PathError{Op: "exec", Path: path, Err: fs.ErrNotExist}
	}
	if info.IsDir() {
		return "", &fs.PathError{Op: "exec", Path: path, Err: syscall.EISDIR}
	}
	if err := unix.Access(path, unix.X_OK); err != nil {
		return "", &fs.PathError{Op: "exec", Path: path, Err: err}
	}
	return path, nil
}
