//go:build !linux && !darwin && !windows

package outfile

import "io/fs"

// Free is not known here.
func Free(string) int64 { return -1 }

// Foreign is not known here.
func Foreign(fs.FileInfo) bool { return false }
