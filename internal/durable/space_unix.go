//go:build linux || darwin

package durable

import "golang.org/x/sys/unix"

// Free returns how many bytes this user can still write to the disk that holds path;
// -1 where that is not known.
func Free(path string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
