//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelock

import (
	"errors"
	"os"
)

// Try is errors.ErrUnsupported where the system has no lock that ends with its process.
func Try(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }
