package durable

import (
	"errors"
	"os"
)

// steps are what the operating system does to files. Tests put a disk in its place that
// forgets what was not synced.
type steps interface {
	Create(path string) error
	Link(path, to string) error
	Rename(path, to string) error
	Remove(path string) error
	Sync(path string) error
	SyncDir(folder string) error
}

var system steps = osSteps{}

type osSteps struct{}

func (osSteps) Create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (osSteps) Link(path, to string) error   { return os.Link(path, to) }
func (osSteps) Rename(path, to string) error { return os.Rename(path, to) }
func (osSteps) Remove(path string) error     { return os.Remove(path) }

func (osSteps) Sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (osSteps) SyncDir(folder string) error { return syncFolder(folder) }
