package home

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state"
)

// guard makes sure that nobody else can put files into keyturn's own folder. keyturn's own
// folder, and an empty one, it closes to others; guard returns Invalid for one that belongs to another
// user, or that everybody may write to and that is not keyturn's to close. What the group may
// do where the mode cannot be changed, doctor tells. A folder that does not exist is right:
// it is made for its owner alone. Who owns a folder is not known on Windows.
func guard(home string) error {
	info, err := os.Stat(home)
	if err != nil || !info.IsDir() || runtime.GOOS == "windows" {
		return nil // what uses the folder says what is wrong with it
	}
	shown := "'" + keyturn.Clean(home) + "'"
	hint := "have keyturn make one of its own in it: KEYTURN_HOME=" + keyturn.Quote(filepath.Join(home, "keyturn")) + "   (a store that is here already is moved there with all its files)"
	if durable.Foreign(info) {
		return keyturn.E(keyturn.Invalid, "keyturn's folder "+shown+" belongs to another user", hint)
	}
	if info.Mode().Perm()&0o077 != 0 && info.Mode()&fs.ModeSticky == 0 && keyturns(home) {
		_ = os.Chmod(home, 0o700|info.Mode()&fs.ModeSetgid)
		if now, err := os.Stat(home); err == nil {
			info = now
		}
	}
	if info.Mode().Perm()&0o002 != 0 {
		return keyturn.E(keyturn.Invalid, "everybody may write to keyturn's folder "+shown, hint)
	}
	return nil
}

// keyturns reports whether a folder is keyturn's own, or is empty and so about to be: no
// other folder that a caller names is closed to anybody.
func keyturns(home string) bool {
	names, err := os.ReadDir(home)
	return err == nil && (len(names) == 0 || slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == state.File }))
}
