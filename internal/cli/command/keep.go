package command

import (
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// Keep replaces a file whole: after a crash there is the old one or the new one. See
// MayWrite.
func (c *Command) Keep(path string, data []byte, mode os.FileMode) error {
	if err := c.MayWrite(path); err != nil {
		return err
	}
	err := durable.Replace(path, func(f *os.File) error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Chmod(mode)
	})
	if err != nil {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(path)+" cannot be written", "name another file").Because(err)
	}
	return nil
}
