package rootkey

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// FileName is the name of a new store's key file in keyturn's folder. One that
// replaces it later has a name of its own, root-….key.
const FileName = "root.key"

const (
	header = "keyturn root key v1\n"
	store  = "keyturn.db" // as package state names it

	maxFile = 4096 // bytes of a key file that are read
)

// Text is a root key as its file holds it.
func Text(key []byte) string { return header + encode(key) + "\n" }

// Parse reads what Text made; false where it is anything else.
func Parse(text []byte) ([]byte, bool) {
	body, ok := strings.CutPrefix(string(text), header)
	key, whole := decode(strings.TrimSuffix(body, "\n"))
	return key, ok && whole
}

func newFile(dir string) ([]byte, error) {
	path := filepath.Join(dir, FileName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, store)); err == nil {
		return nil, keyturn.E(keyturn.Conflict, "there is a store already in '"+keyturn.Clean(dir)+"'", "use it, or move it away first, with its root key")
	}
	durable.Sweep(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := write(path, Text(generate())); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, unwritable(path, err)
		}
	}
	// What is there now counts: another init may have been quicker.
	return loadFile(dir, FileName)
}

// makeFile keeps text under a name that nothing has.
func makeFile(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unwritable(path, err)
	}
	durable.Sweep(filepath.Join(dir, "*.key"))
	err := write(path, text)
	if errors.Is(err, fs.ErrExist) {
		return keyturn.E(keyturn.Conflict, "there is a root key already in '"+keyturn.Clean(path)+"'", "").Because(err)
	}
	if err != nil {
		return unwritable(path, err)
	}
	return nil
}

// write makes a file that is complete from its first moment, and durable when
// write returns. It returns fs.ErrExist where the name is taken.
func write(path, text string) error {
	temp := durable.TempName(path)
	defer os.Remove(temp) // where it does not get its name
	if err := fill(temp, text); err != nil {
		return err
	}
	return durable.Publish(temp, path)
}

func fill(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func loadFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	text, err := readKey(path)
	if err != nil {
		return nil, err
	}
	key, ok := Parse(text)
	if !ok {
		return nil, keyturn.E(keyturn.Corrupt, "'"+keyturn.Clean(path)+"' is not a root key", "put your copy of it back; if there is no store yet, remove the file")
	}
	return key, nil
}

// readKey reads a key file that only its owner may use.
func readKey(path string) ([]byte, error) {
	b, err := private(path, "the root key", maxFile, func() (input, error) {
		f, _, err := durable.OpenRegular(path, os.O_RDONLY)
		return f, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, keyturn.E(keyturn.Sealed, "the root key is missing: there is no '"+keyturn.Clean(path)+"'",
			"without it nothing in the store can be read: put your copy of it back, or restore a backup:\n"+
				"keyturn store restore BACKUP --identity KEYFILE --replace").Because(err)
	}
	return b, err
}

// input is what private reads.
type input interface {
	io.ReadCloser
	Stat() (fs.FileInfo, error)
}

// private reads a small file of ours that nobody else may use, as open opens it.
func private(path, what string, limit int64, open func() (input, error)) ([]byte, error) {
	shown := what + " '" + keyturn.Clean(path) + "'"
	f, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, keyturn.E(keyturn.Invalid, "there is no "+shown, "").Because(err)
	}
	switch {
	case errors.Is(err, durable.ErrIrregular):
		return nil, keyturn.E(keyturn.Invalid, shown+" is not a file", "it must be a file of yours").Because(err)
	case errors.Is(err, durable.ErrNoWriter):
		return nil, keyturn.E(keyturn.Invalid, shown+" is a named pipe that nobody writes to", "name a file of yours, or a pipe of the shell's: <(COMMAND)").Because(err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, err
	case err != nil:
		return nil, keyturn.E(keyturn.Unavailable, shown+" cannot be read", "it must belong to you").Because(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, shown+" cannot be read", "").Because(err)
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		return nil, keyturn.E(keyturn.Invalid, "others can use "+shown, "chmod 600 "+keyturn.Quote(path))
	}
	if durable.Foreign(fi) {
		return nil, keyturn.E(keyturn.Invalid, shown+" belongs to another user", "chown it to yourself, if you trust where it comes from")
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, shown+" cannot be read", "").Because(err)
	}
	if int64(len(b)) > limit {
		return nil, keyturn.E(keyturn.Corrupt, shown+" is too large", "it is something else: look for the right file")
	}
	return b, nil
}

func discardFile(dir string) error {
	path := filepath.Join(dir, FileName)
	if _, err := os.Lstat(filepath.Join(dir, store)); !errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.Conflict, "the root key '"+keyturn.Clean(path)+"' stays: there is a store beside it", "").Because(err)
	}
	return removeFile(dir, FileName)
}

func removeFile(dir, name string) error {
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(path, err)
	}
	_ = durable.SyncFolder(dir) // a name that comes back after a power cut is only untidy
	return nil
}

func unwritable(path string, err error) error {
	return keyturn.E(keyturn.Unavailable, "the root key cannot be kept in '"+keyturn.Clean(path)+"'", "its folder must be yours and writable, on a disk that is not full").Because(err)
}
