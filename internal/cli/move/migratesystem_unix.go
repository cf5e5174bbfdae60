//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package move

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
)

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// keepOwner gives f the owner and group that info tells.
func keepOwner(f *os.File, info fs.FileInfo) error {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if have, ok := now.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

// syncFolder makes a rename in folder durable.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// lockFolders keeps other migrations out of the folders of files until unlock or
// the end of the process, as far as the file system can lock; it leaves nothing
// behind. Conflict where one of them stays locked for a second.
func lockFolders(files []string) (unlock func(), err error) {
	var folders []string
	for _, f := range files {
		folders = append(folders, filepath.Dir(f))
	}
	slices.Sort(folders) // two migrations take them in the same order
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			_ = f.Close()
		}
	}
	for _, folder := range slices.Compact(folders) {
		f, err := os.Open(folder)
		if err != nil {
			unlock()
			return nil, cannotWrite(folder, err)
		}
		held = append(held, f)
		for try := 0; ; try++ {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
				break // locked, or no locks to be had here
			}
			if try == 50 {
				unlock()
				return nil, keyturn.E(keyturn.Conflict, "another migration is at work in "+keyturn.Clean(folder), "try again when it has ended")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return unlock, nil
}
