//go:build !unix

package durable

import (
	"io/fs"
	"os"
)

// doNotWait is nothing: there are no named pipes here among the files.
const doNotWait = 0

// syncFolder does nothing: this system makes names durable by itself, or not at all.
func syncFolder(string) error { return nil }

// KeepOwner does nothing: who owns a file is not looked at.
func KeepOwner(*os.File, fs.FileInfo) error { return nil }

// Foreign reports false: who owns a file is not looked at.
func Foreign(fs.FileInfo) bool { return false }

// Inode returns 0: files have no number that is known here.
func Inode(fs.FileInfo) uint64 { return 0 }

// Links returns 1: how many names a file has is not looked at.
func Links(fs.FileInfo) uint64 { return 1 }
