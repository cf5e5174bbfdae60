//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package rootkey

import (
	"os"

	"golang.org/x/sys/unix"
)

// hold locks the folder itself, so that no file is left behind.
func hold(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, errHeld
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
