package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// read returns the content of a regular file, of MaxFile bytes at most.
func read(path string) ([]byte, fs.FileInfo, error) {
	f, info, err := durable.OpenRegular(path, os.O_RDONLY)
	if errors.Is(err, durable.ErrIrregular) {
		return nil, nil, file(path).errAt(0, "this is not a regular file", "a configuration is a file: it is never read from a pipe, a socket or a device")
	}
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer f.Close()
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
