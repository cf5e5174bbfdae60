package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/guarded"
)

// Abs returns the absolute path of a file as a caller names it, seen from the folder dir.
func Abs(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// Whole is Abs with the links followed that lead to the file's folder: the path by which
// an operation names a file, so that it is about the same file whatever becomes of the
// links. What the file itself leads to stays as it is.
func Whole(dir, path string) string {
	at := path
	if !filepath.IsAbs(at) {
		at = dir + string(filepath.Separator) + at
	}
	if clean := filepath.Clean(at); strings.HasPrefix(clean, "/dev/fd/") || strings.HasPrefix(clean, "/proc/self/fd/") {
		return clean // a descriptor: what leads there names the process, which is another one each time
	}
	folder, name := filepath.Split(at) // not cleaned: ".." behind a link is elsewhere
	if real, err := filepath.EvalSymlinks(folder); err == nil && name != "" && name != "." && name != ".." {
		return filepath.Join(real, name)
	}
	return Abs(dir, path)
}

// MayWrite refuses, with Invalid, the files of a store and of the operator's, whatever
// links and other names lead there: see guarded. A door asks it of each file that its caller
// names, before anything is done. path is absolute.
func (f Facts) MayWrite(path string) error { return guarded.MayWrite(path, f.Home, f.Operators) }

// Replace writes data to the file that the caller named, for its owner only. A file is
// replaced as a whole or not at all, and durably; a terminal and a descriptor of this
// process (/dev/fd/N) are written to as they are. Replace reports whether there was a file
// before. It refuses what MayWrite does, named pipes, folders and symbolic links. No error
// holds data. path is absolute.
func (f Facts) Replace(path string, data []byte) (replaced bool, err error) {
	return f.ReplaceAs(path, data, 0o600)
}

// ReplaceAs is Replace with another mode than for its owner only.
func (f Facts) ReplaceAs(path string, data []byte, mode fs.FileMode) (replaced bool, err error) {
	there, isFile, err := f.replaceable(path)
	if err != nil {
		return false, err
	}
	if there && !isFile {
		if err := durable.WriteThrough(path, data); err != nil {
			return false, cannotWrite(path, err)
		}
		return false, nil
	}
	err = durable.Replace(path, func(f *os.File) error {
		if _, err := f.Write(data); err != nil || mode == 0o600 {
			return err
		}
		return f.Chmod(mode)
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
			if err := durable.CanWriteThrough(path); err != nil {
				return false, false, cannotWrite(path, err)
			}
			return true, false, nil
		}
		there = true
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return false, false, keyturn.E(keyturn.Conflict, shown+" is a symbolic link", "name the file it leads to, or remove it")
	}
	return there, true, nil
}

func cannotWrite(path string, err error) error {
	shown := "'" + keyturn.Clean(path) + "'"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return keyturn.E(keyturn.Invalid, "there is no folder for "+shown, "make it first").Because(err)
	case errors.Is(err, durable.ErrNamedPipe):
		return keyturn.E(keyturn.Invalid, shown+" is a named pipe, which may have nobody who reads", "name a file, or a pipe of the shell's: >(COMMAND)").Because(err)
	case errors.Is(err, durable.ErrIrregular):
		return keyturn.E(keyturn.Invalid, shown+" is a device or a socket, and no file", "name a file").Because(err)
	}
	return keyturn.E(keyturn.Unavailable, shown+" cannot be written", "check that you may write there, and that there is space").Because(err)
}

// MaxInput is how many bytes of a file, a pipe or a line are read.
const MaxInput = 4 << 20

// ReadFile reads what a caller names, seen from the folder dir: a file, or a pipe, of which
// it waits for the end until ctx ends. A named pipe that nobody opens to write is refused
// after two seconds. It returns Invalid where it cannot be read or is too large.
func ReadFile(ctx context.Context, dir, name string) ([]byte, error) {
	b, err := durable.ReadInput(ctx, Whole(dir, name), MaxInput)
	return b, Unread(ctx, "'"+keyturn.Clean(name)+"'", err)
}

// ReadInput is ReadFile of what is open already; what is its name in errors.
func ReadInput(ctx context.Context, r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(durable.Until(ctx, r), MaxInput+1))
	if err == nil && len(b) > MaxInput {
		err = durable.ErrLarge
	}
	return b, Unread(ctx, keyturn.Clean(what), err)
}

// Unread is the error of an input that could not be read, from the one of durable; nil for
// none, and that of a context that ended as it is. shown is the input's name.
func Unread(ctx context.Context, shown string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, durable.ErrLarge):
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("%s is larger than %d MiB", shown, MaxInput>>20), "a value may have 1 MiB, what holds several values 4 MiB").Because(err)
	case errors.Is(err, durable.ErrNoWriter):
		return keyturn.E(keyturn.Invalid, shown+" is a named pipe that nobody writes to", "begin the writer first, or use a pipe of the shell's: <(COMMAND)").Because(err)
	case errors.Is(err, durable.ErrIrregular):
		return keyturn.E(keyturn.Invalid, shown+" is a folder, a socket or a disk, and no file", "name a file").Because(err)
	}
	return keyturn.E(keyturn.Invalid, shown+" cannot be read", "check that it exists and that you may read it").Because(err)
}
