//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package config

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
)

// unchecked says why owner and mode are not checked here.
const unchecked = ""

// checkFile refuses a file that others own or may write to.
func checkFile(path string, info fs.FileInfo, uid int) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid != 0 && int(st.Uid) != uid {
		return file(path).errAt(0, "this file belongs to another user, so it is not trusted",
			"look at what it says, then: sudo chown \"$USER\" "+keyturn.Quote(path))
	}
	if info.Mode().Perm()&0o022 != 0 {
		return file(path).errAt(0, "others may write to this file, so it is not trusted",
			"look at what it says, then: chmod go-w "+keyturn.Quote(path))
	}
	return nil
}

// checkFolder refuses a folder in which everybody may put another file in its place.
func checkFolder(path, folder string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return file(path).errAt(0, "everybody may replace this file, so it is not trusted", "chmod o-w "+keyturn.Quote(folder))
	}
	return nil
}

// ofRoot reports whether what is at a path belongs to root, and nobody else may write to it.
// A link's own mode says nothing.
func ofRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && (info.Mode().Type() == fs.ModeSymlink || info.Mode().Perm()&0o022 == 0)
}

// lockFolder keeps other processes from changing the file meanwhile, as far as
// the file system can lock; it leaves nothing behind.
func lockFolder(folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for range 100 {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return func() { _ = f.Close() }, nil // locked, or no locks to be had here
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = f.Close()
	return nil, keyturn.E(keyturn.Conflict, "another program is changing "+keyturn.Clean(folder), "try again")
}
