//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package forward

import "os"

// tryLock locks nothing where the system has no lock that ends with its process:
// a row may then be sent twice.
func tryLock(*os.File) (held bool, err error) { return true, nil }
