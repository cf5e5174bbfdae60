// Package program finds the program that a command's name stands for, as a shell
// inside a child process would.
package program

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
)

// Exit statuses of a command that cannot be started, as shells have them.
const (
	Failed        = 125 // for another reason
	NotExecutable = 126
	NotFound      = 127
)

// Variables returns a variable of the child's environment, and whether it is there.
type Variables func(name string) (value string, ok bool)

// Find returns the absolute path of the program that name stands for: in the
// child's PATH, or, where the name has a slash, relative to the child's folder dir.
// Unlike a shell, and like os/exec, it takes nothing from a relative folder in
// PATH. With an error it returns the exit status.
func Find(name, dir string, env Variables) (path string, status int, err error) {
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", Failed, keyturn.E(keyturn.Invalid, "no folder "+dir+" to run the command in", "").Because(err)
		}
	}
	none := keyturn.E(keyturn.NotFound, "command not found: "+name, "")
	if name == "" || strings.Contains(name, "\x00") {
		return "", NotFound, none
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
			return "", NotFound, none.Because(err)
		}
		return "", NotExecutable, keyturn.E(keyturn.Invalid, "cannot execute "+name, "is it a program, and are you allowed to run it?").Because(err)
	}

	path, ok := env("PATH")
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
		return "", NotExecutable, keyturn.E(keyturn.Invalid, "cannot execute "+name, "there is a file of that name in PATH that cannot be run").Because(denied)
	}
	return "", NotFound, none
}
