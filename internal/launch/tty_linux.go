package launch

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TCGETS
	setModes = unix.TCSETS
)

// pollable returns the PTY as a file whose reads can be broken off.
func pollable(pty *os.File) *os.File {
	fd := -1
	err := control(pty, func(old int) (err error) {
		fd, err = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 3)
		return err
	})
	if err != nil {
		return pty
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return pty
	}
	_ = pty.Close()
	return os.NewFile(uintptr(fd), "/dev/ptmx")
}

// readOnly opens f once more, for reading only; f itself where that fails.
func readOnly(f *os.File) *os.File {
	out := f
	_ = control(f, func(fd int) error {
		again, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_RDONLY|unix.O_NOCTTY, 0)
		if err == nil {
			out = again
		}
		return err
	})
	return out
}
