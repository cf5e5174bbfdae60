// Package outfile writes files and folders that are whole and durable, or not there.
package outfile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// New writes a file that has its name from the moment that it is whole and on
// the disk, and returns its size. It is only its owner's to read.
func New(path string, overwrite bool, fill func(*os.File) error) (int64, error) {
	tag := make([]byte, 4)
	_, _ = rand.Read(tag)
	dir, name := filepath.Split(path)
	old, _ := filepath.Glob(filepath.Join(dir, "."+name+".new-????????"))
	for _, f := range old { // of who was killed
		if fi, err := os.Lstat(f); err == nil && time.Since(fi.ModTime()) > 24*time.Hour {
			_ = os.Remove(f)
		}
	}
	temp := filepath.Join(dir, "."+name+".new-"+hex.EncodeToString(tag))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, Unwritten(path, err)
	}
	defer os.Remove(temp)
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	fi, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return 0, Unwritten(path, err)
	}
	if overwrite {
		err = os.Rename(temp, path)
	} else {
		err = durable.Claim(temp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return 0, Occupied(path)
	}
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(path))
	}
	if err != nil {
		return 0, Unwritten(path, err)
	}
	return fi.Size(), nil
}

// Occupied is the Conflict where there is a file already.
func Occupied(path string) error {
	return keyturn.E(keyturn.Conflict, "there is a file already: '"+keyturn.Clean(path)+"'", "name another one, or say --yes to replace it")
}

// Unwritten is the error of a file that could not be written; what already says
// what it is stays as it is.
func Unwritten(path string, err error) error {
	if errors.As(err, new(*keyturn.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(path)+"' cannot be written", "look at its folder and at the space on the disk; nothing was left there").Because(err)
}

// Scratch makes a private folder beside the store, and removes those that others
// who were killed left behind a day ago or longer.
func Scratch(home, prefix string) (string, error) {
	old, _ := filepath.Glob(filepath.Join(home, prefix+"*"))
	for _, dir := range old {
		if fi, err := os.Lstat(dir); err == nil && fi.IsDir() && time.Since(fi.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir)
		}
	}
	dir, err := os.MkdirTemp(home, prefix)
	if err != nil {
		return "", keyturn.E(keyturn.Unavailable, "nothing can be written in '"+keyturn.Clean(home)+"'", "it must be yours and writable, on a disk that is not full").Because(err)
	}
	return dir, nil
}

// Until is a file that cannot be written any more once ctx has ended.
func Until(ctx context.Context, f *os.File) io.Writer { return cancelled{ctx, f} }

type cancelled struct {
	ctx context.Context
	f   *os.File
}

// Write implements io.Writer.
func (c cancelled) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.f.Write(b)
}
