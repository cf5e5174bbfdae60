package disk

import (
	"errors"
	"os"

	"github.com/keyturn/keyturn/internal/durable"
)

// files are the steps as the operating system has them. Tests put a disk in their
// place that forgets what was not synced.
type files interface {
	Create(path string) error
	Link(path, to string) error
	Rename(path, to string) error
	Remove(path string) error
	Sync(path string) error
	SyncDir(dir string) error
}

var system files = osFiles{}

type osFiles struct{}

func (osFiles) Create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (osFiles) Link(path, to string) error   { return os.Link(path, to) }
func (osFiles) Rename(path, to string) error { return os.Rename(path, to) }
func (osFiles) Remove(path string) error     { return os.Remove(path) }

func (osFiles) Sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (osFiles) SyncDir(dir string) error { return durable.SyncFolder(dir) }
