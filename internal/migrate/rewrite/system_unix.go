//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package rewrite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// links returns the number of names that a file has.
func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// ownable reports whether this process can give a new file in folder the owner and group
// of an existing file.
func ownable(info fs.FileInfo, folder string) bool {
	file, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	inherited := -1 // the group that a new file inherits from its folder
	if d, err := os.Stat(folder); err == nil && (d.Mode()&fs.ModeSetgid != 0 || runtime.GOOS != "linux") {
		if st, ok := d.Sys().(*syscall.Stat_t); ok {
			inherited = int(st.Gid)
		}
	}
	return mayOwn(os.Geteuid(), append(groups, os.Getegid(), inherited), int(file.Uid), int(file.Gid))
}

// mayOwn reports whether a process of a user and groups can make a file that belongs to
// owner and group: root always can, others only for themselves.
func mayOwn(user int, groups []int, owner, group int) bool {
	return user == 0 || user == owner && slices.Contains(groups, group)
}

// notFollowed has an opening refuse a link.
const notFollowed = syscall.O_NOFOLLOW

// setMode sets the mode of the file at path, durably, if it is still the file that info
// describes.
func setMode(path string, info fs.FileInfo, mode fs.FileMode) error {
	if info.Mode().Perm() == mode {
		return nil
	}
	f, now, err := durable.OpenRegular(path, os.O_RDONLY|notFollowed)
	if err != nil {
		return err
	}
	defer f.Close()
	if !os.SameFile(now, info) {
		return nil // another file by now: the caller finds out when it looks at the text
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Sync()
}

// mayCreate checks that a file can be created in folder. It creates none.
func mayCreate(folder string) error {
	const writeAndSearch = 2 | 1 // W_OK|X_OK of access(2)
	return syscall.Access(folder, writeAndSearch)
}

// Umask returns the umask of this process. The only way to read it is to set it: for
// that moment it is the strictest one.
func Umask() fs.FileMode {
	mask := syscall.Umask(0o777 &^ int(private))
	syscall.Umask(mask)
	return fs.FileMode(mask).Perm()
}

// LockFolders locks the folders of files against other migrations, until unlock or the
// end of the process, as far as the file system can lock. It leaves nothing behind. A
// folder that does not exist needs no lock. It is Conflict if a folder stays locked for
// a second.
func LockFolders(files []string) (unlock func(), err error) {
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
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
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
