//go:build !unix

package durable

import (
	"io/fs"
	"os"
)

// SyncFolder is nothing here: this system makes names durable by itself, or not at all.
func SyncFolder(string) error { return nil }

// KeepOwner is nothing here: who owns a file is not looked at.
func KeepOwner(*os.File, fs.FileInfo) error { return nil }
