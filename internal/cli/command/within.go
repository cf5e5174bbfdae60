package command

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are:
// every command that writes a file that its caller names asks this, before anything is
// done. path is absolute.
func (c *Command) MayWrite(path string) error {
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	if durable.Within(path, facts.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}
