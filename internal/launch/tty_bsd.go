//go:build darwin || freebsd || netbsd || openbsd

package launch

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TIOCGETA
	setModes = unix.TIOCSETA
)

// pollable returns pty: kqueue and PTYs do not go together everywhere.
func pollable(pty *os.File) *os.File { return pty }

// readOnly returns f: there is no way to open it once more.
func readOnly(f *os.File) *os.File { return f }
