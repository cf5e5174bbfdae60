package oversee

import (
	"context"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

// mayWrite settles whether the file of --out may be written: never in keyturn's own
// folder, where the store and its keys are, and over a file that is there only when
// a person says so.
func mayWrite(ctx context.Context, c *command.Command, s *command.Session, out string) error {
	path, shown := c.Abs(out), "'"+keyturn.Clean(out)+"'"
	if inside(path, s.Home) {
		return keyturn.E(keyturn.Invalid, shown+" is in keyturn's own folder, with the store", "name a file elsewhere")
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
	if c.JSON() || !c.Prompt().Possible() {
		return keyturn.E(keyturn.Conflict, "there is a file already: "+shown, "name another one, or say --yes to replace it")
	}
	yes, err := c.Prompt().Confirm(ctx, "Replace "+shown+"?")
	if err == nil && !yes {
		return command.SaidNo()
	}
	return err
}

// inside reports whether a file is, or would be, below a folder, by whatever names.
func inside(path, folder string) bool {
	own, err := os.Stat(folder)
	if err != nil {
		return false
	}
	dir := filepath.Dir(path)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for {
		if fi, err := os.Stat(dir); err == nil && os.SameFile(fi, own) {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}
