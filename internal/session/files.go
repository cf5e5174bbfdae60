package session

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// Abs returns the absolute path of a file as a caller names it, seen from the folder dir.
func Abs(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are,
// with Invalid. A door asks it of each file that its caller names, before anything is
// done. path is absolute.
func (f Facts) MayWrite(path string) error {
	if durable.Within(path, f.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}

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

// MaxInput is how many bytes of a file, a pipe or a line are read.
const MaxInput = 4 << 20

// ReadFile reads a file that a caller names. It returns Invalid where the file cannot be
// read or is too large.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' cannot be read", "check that it exists and that you may read it").Because(err)
	}
	defer f.Close()
	return ReadInput(f, path)
}

// ReadInput is ReadFile of what is open already; what is its name in errors.
func ReadInput(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxInput+1))
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, keyturn.Clean(what)+" cannot be read", "check what it leads to").Because(err)
	}
	if len(b) > MaxInput {
		return nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("%s is larger than %d MiB", keyturn.Clean(what), MaxInput>>20), "a value may have 1 MiB, what holds several values 4 MiB")
	}
	return b, nil
}
