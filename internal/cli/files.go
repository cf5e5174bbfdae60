package cli

import (
	"context"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// Keep writes a file that others may read, too. See session.Facts.ReplaceAs.
func (c *command) Keep(path string, data []byte) error {
	facts, err := c.Facts(c.How())
	if err == nil {
		_, err = facts.ReplaceAs(path, data, 0o644)
	}
	return err
}

// mayWrite settles whether the file of --out may be written: never in keyturn's own
// folder, where the store and its keys are, and over a file that is there only when
// a person says so.
func mayWrite(ctx context.Context, c *command, out string) error {
	path, shown := c.Abs(out), "'"+keyturn.Clean(out)+"'"
	if err := c.MayWrite(path); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil // there is none; or what is wrong with the path shows when it is written
	}
	if !fi.Mode().IsRegular() {
		return keyturn.E(keyturn.Invalid, shown+" is not a file", "name a file, or use - for standard output")
	}
	if c.Yes {
		return nil
	}
	if c.JSON() || !c.Possible() {
		return keyturn.E(keyturn.Conflict, "there is a file already: "+shown, "name another one, or say --yes to replace it")
	}
	yes, err := c.Confirm(ctx, "Replace "+shown+"?")
	if err == nil && !yes {
		return session.SaidNo()
	}
	return err
}
