package launch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
)

// lookPath finds the program as a shell inside the child would: in the child's
// PATH, or, where the name has a slash, relative to the child's folder. Unlike
// a shell, and like os/exec, it takes nothing from a relative folder in PATH.
// With an error it returns the exit status.
func lookPath(name, dir string, env []string) (string, int, error) {
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", exitFailed, keyturn.E(keyturn.Invalid, "no folder "+dir+" to run the command in", "").Because(err)
		}
	}
	none := keyturn.E(keyturn.NotFound, "command not found: "+name, "")
	if name == "" || strings.Contains(name, "\x00") {
		return "", exitNotFound, none
	}
	if hasDir(name) {
		// Relative to the child's folder; absolute, so that it is one thing for
		// the check, for the system and on Windows.
		full := name
		if !filepath.IsAbs(full) {
			full = filepath.Join(dir, name)
		}
		full, err := filepath.Abs(full)
		if err == nil {
			full, err = executable(full, env)
		}
		switch {
		case err == nil:
			return full, 0, nil
		case errors.Is(err, fs.ErrNotExist):
			return "", exitNotFound, none.Because(err)
		}
		return "", exitNotExecutable, keyturn.E(keyturn.Invalid, "cannot execute "+name, "is it a program, and are you allowed to run it?").Because(err)
	}

	path, ok := lookup(env, "PATH")
	if !ok {
		path = defaultPath
	}
	var denied error
	for _, folder := range filepath.SplitList(path) {
		if folder == "" {
			folder = "."
		}
		relative := !filepath.IsAbs(folder)
		at := filepath.Join(folder, name)
		if relative {
			at = filepath.Join(dir, at)
		}
		full, err := executable(at, env)
		switch {
		case err == nil && relative:
			none.Hint = "there is one in the folder " + folder + " of PATH, which is relative and not searched: write ./" + name
		case err == nil:
			return full, 0, nil
		case !errors.Is(err, fs.ErrNotExist) && denied == nil && !relative:
			denied = err
		}
	}
	if denied != nil {
		return "", exitNotExecutable, keyturn.E(keyturn.Invalid, "cannot execute "+name, "there is a file of that name in PATH that cannot be run").Because(denied)
	}
	return "", exitNotFound, none
}
