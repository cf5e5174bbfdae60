package session

import (
	"errors"
	"io/fs"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// Replace writes data to the file that the caller named, for its owner only. A file is
// replaced as a whole or not at all, and durably; what is no file (a pipe, a terminal)
// is written to as it is. Replace reports whether there was a file before. It refuses
// keyturn's own folder, folders and symbolic links. No error holds data. path is
// absolute.
func (f Facts) Replace(path string, data []byte) (replaced bool, err error) {
	there, isFile, err := f.replaceable(path)
	if err != nil {
		return false, err
	}
	if there && !isFile {
		return false, writeThrough(path, data)
	}
	err = durable.Replace(path, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
	if err != nil {
		return false, cannotWrite(path, err)
	}
	return there, nil
}

// CanReplace returns the error that Replace would return for path, as far as that is
// known beforehand, and changes nothing.
func (f Facts) CanReplace(path string) error {
	there, isFile, err := f.replaceable(path)
	if err != nil || there && !isFile {
		return err
	}
	temp, err := durable.Begin(path)
	if err != nil {
		return cannotWrite(path, err)
	}
	temp.Drop()
	return nil
}

// replaceable reports whether there is something at path, and whether that is a file.
func (f Facts) replaceable(path string) (there, isFile bool, err error) {
	if err := f.MayWrite(path); err != nil {
		return false, false, err
	}
	shown := "'" + keyturn.Clean(path) + "'"
	if info, err := os.Stat(path); err == nil {
		switch {
		case info.IsDir():
			return false, false, keyturn.E(keyturn.Invalid, shown+" is a folder", "name a file in it")
		case !info.Mode().IsRegular():
			return true, false, nil
		}
		there = true
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return false, false, keyturn.E(keyturn.Conflict, shown+" is a symbolic link", "name the file it leads to, or remove it")
	}
	return there, true, nil
}

func writeThrough(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(data)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return cannotWrite(path, err)
	}
	return nil
}

func cannotWrite(path string, err error) error {
	shown := "'" + keyturn.Clean(path) + "'"
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.Invalid, "there is no folder for "+shown, "make it first").Because(err)
	}
	return keyturn.E(keyturn.Unavailable, shown+" cannot be written", "check that you may write there, and that there is space").Because(err)
}
