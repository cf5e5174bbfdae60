//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package alive

import (
	"errors"
	"os"
)

// lockFile fails where the system has no lock that ends with its process: nobody
// could tell who lives.
func lockFile(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }
