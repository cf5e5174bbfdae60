//go:build !unix

package program

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const defaultPath = ""

func hasDir(name string) bool { return strings.ContainsAny(name, `/\:`) }

// executable returns path, or path with one of the endings of programs (the
// child's PATHEXT), whichever is a file.
func executable(path string, env Variables) (string, error) {
	exts, ok := env("PATHEXT")
	if !ok || exts == "" {
		exts = ".COM;.EXE;.BAT;.CMD"
	}
	names := make([]string, 0, 5)
	for _, ext := range strings.Split(exts, ";") {
		if ext == "" {
			continue
		}
		if strings.EqualFold(filepath.Ext(path), ext) {
			names = append([]string{path}, names...)
		}
		names = append(names, path+ext)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			return name, nil
		}
	}
	return "", &fs.PathError{Op: "exec", Path: path, Err: fs.ErrNotExist}
}
