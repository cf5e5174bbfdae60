package config

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

// read returns the content of a regular file, of MaxFile bytes at most.
func read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|doNotWait, 0)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, file(path).errAt(0, "this is not a regular file", "")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	return data, info, nil
}

// readTrusted reads a file that nobody but the caller and root can have written.
// What was opened is what is checked.
func readTrusted(path string) ([]byte, fs.FileInfo, error) {
	data, info, err := read(path)
	if err != nil {
		return nil, nil, err
	}
	if err := checkFile(path, info, os.Geteuid()); err != nil {
		return nil, nil, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	for _, folder := range []string{filepath.Dir(path), filepath.Dir(real)} {
		info, err := os.Stat(folder)
		if err != nil {
			return nil, nil, unreadable(folder, err)
		}
		if err := checkFolder(path, folder, info); err != nil {
			return nil, nil, err
		}
	}
	return data, info, nil
}

func unreadable(path string, err error) error {
	return keyturn.E(keyturn.Unavailable, "cannot read "+keyturn.Clean(path), "check its permissions and those of its folders").Because(err)
}
