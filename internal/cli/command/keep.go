package command

import (
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

// Keep replaces a file whole: after a crash there is the old one or the new one.
func Keep(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keyturn-*")
	if err == nil {
		defer func() { _ = os.Remove(f.Name()) }()
		_, err = f.Write(data)
		if err == nil {
			err = f.Chmod(mode)
		}
		if err == nil {
			err = f.Sync()
		}
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err == nil {
			err = SyncFolder(filepath.Dir(path))
		}
	}
	if err != nil {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(path)+" cannot be written", "name another file").Because(err)
	}
	return nil
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // what has no folders to sync has nothing to lose
	return nil
}
