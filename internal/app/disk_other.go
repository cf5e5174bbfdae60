//go:build !linux && !darwin && !windows

package app

import "io/fs"

// freeBytes is not known here.
func freeBytes(string) int64 { return -1 }

func foreign(fs.FileInfo) bool { return false }
