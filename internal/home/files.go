package home

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/keyturn/keyturn"
)

// occupied is the Conflict where there is a file already.
func occupied(path string) error {
	return keyturn.E(keyturn.Conflict, "there is a file already: '"+keyturn.Clean(path)+"'", "name another one, or say --yes to replace it")
}

// unwritten is the error of a file that could not be written. A *keyturn.Error, and the
// end of a context, it returns as they are.
func unwritten(path string, err error) error {
	if errors.As(err, new(*keyturn.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(path)+"' cannot be written", "look at its folder and at the space on the disk; nothing was left there").Because(err)
}

// scratch makes a private folder beside the store. It removes those that killed
// programs left behind a day ago or longer.
func scratch(home, prefix string) (string, error) {
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

// until returns a writer to f that refuses to write once ctx has ended.
func until(ctx context.Context, f *os.File) io.Writer { return cancelled{ctx, f} }

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
