//go:build unix

package rootkey

import (
	"io/fs"
	"os"
	"syscall"
)

// ours reports whether a file belongs to whom the process runs as.
func ours(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Geteuid()
}
