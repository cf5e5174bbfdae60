package rootkey

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// FileName is the name of the key file in keyturn's folder.
const FileName = "root.key"

const (
	header = "keyturn root key v1\n"
	store  = "keyturn.db" // as package state names it
)

func newFile(dir string) ([]byte, string, error) {
	path := filepath.Join(dir, FileName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", unwritable(path, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, store)); err == nil {
		return nil, "", keyturn.E(keyturn.Conflict, "there is a store already in '"+keyturn.Clean(dir)+"'", "use it, or move it away first, with its root key")
	}
	sweep(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := write(path, header+encode(generate())+"\n"); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", unwritable(path, err)
		}
	}
	// What is there now counts: another init may have been quicker.
	key, err := loadFile(dir)
	if err != nil {
		return nil, "", err
	}
	return key, FileName, nil
}

// sweep removes what an init that was killed left behind an hour ago or longer: a
// younger one may still be at work.
func sweep(path string) {
	left, _ := filepath.Glob(path + ".new-*")
	for _, f := range left {
		if fi, err := os.Lstat(f); err == nil && time.Since(fi.ModTime()) > time.Hour {
			_ = os.Remove(f)
		}
	}
}

// write makes a file that is complete from its first moment, and durable when
// write returns.
func write(path, text string) error {
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	temp := path + ".new-" + hex.EncodeToString(id)
	if err := fill(temp, text); err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links.
		if err := fill(path, text); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func fill(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func loadFile(dir string) ([]byte, error) {
	path := filepath.Join(dir, FileName)
	shown := "'" + keyturn.Clean(path) + "'"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, keyturn.E(keyturn.Sealed, "the root key is missing: there is no "+shown,
			"put it back from a backup: without it nothing in the store can be read").Because(err)
	}
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, "the root key "+shown+" cannot be read", "it must belong to you").Because(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, "the root key "+shown+" cannot be read", "").Because(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, keyturn.E(keyturn.Invalid, shown+" is not a file", "the root key is a file with two lines")
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		return nil, keyturn.E(keyturn.Invalid, "others can use the root key "+shown, "chmod 600 "+keyturn.Quote(path))
	}
	if !ours(fi) {
		return nil, keyturn.E(keyturn.Invalid, "the root key "+shown+" belongs to another user", "chown it to yourself, if you trust where it comes from")
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, "the root key "+shown+" cannot be read", "").Because(err)
	}
	body, ok := strings.CutPrefix(string(b), header)
	key, whole := decode(strings.TrimSuffix(body, "\n"))
	if !ok || !whole {
		return nil, keyturn.E(keyturn.Corrupt, shown+" is not a root key", "put it back from a backup; if there is no store yet, remove the file")
	}
	return key, nil
}

func deleteFile(dir string) error {
	path := filepath.Join(dir, FileName)
	if _, err := os.Lstat(filepath.Join(dir, store)); !errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.Conflict, "the root key '"+keyturn.Clean(path)+"' stays: there is a store beside it", "").Because(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return keyturn.E(keyturn.Unavailable, "the root key cannot be kept in '"+keyturn.Clean(path)+"'", "its folder must be yours and writable, on a disk that is not full").Because(err)
}
