//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package config

import "io/fs"

// unchecked says why owner and mode are not checked here.
const unchecked = "owner and permissions of this file are not checked on this system: keep it where only you can write"

func checkFile(string, fs.FileInfo, int) error { return nil }

func checkFolder(string, string, fs.FileInfo) error { return nil }

func lockFolder(string) (unlock func(), err error) { return func() {}, nil }

func ofRoot(fs.FileInfo) bool { return false }
