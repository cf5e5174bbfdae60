//go:build !unix

package durable

import (
	"io/fs"
	"os"
)

// syncFolder does nothing: this system makes names durable by itself, or not at all.
func syncFolder(string) error { return nil }

// KeepOwner does nothing: who owns a file is not looked at.
func KeepOwner(*os.File, fs.FileInfo) error { return nil }

// Foreign reports false: who owns a file is not looked at.
func Foreign(fs.FileInfo) bool { return false }
