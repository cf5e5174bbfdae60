//go:build unix

package disk

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Full reports whether nothing more can be written beside path: SQLite calls
// a write-ahead log that cannot grow a mere input/output error.
func Full(path string) bool {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		return false
	}
	const page = 64 << 10 // SQLite asks for as much at once
	return int64(s.Bavail)*int64(s.Bsize) < page
}
