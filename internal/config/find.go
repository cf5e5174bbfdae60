package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyturn/keyturn"
)

// FileName is the name of both files.
const FileName = "keyturn.yaml"

// Locations says where an operator's file may be. An empty field is left out.
type Locations struct {
	Explicit string // what --config or $KEYTURN_CONFIG names; it must exist
	User     string // the user's configuration folder, as os.UserConfigDir gives it
	System   string // the system's, as SystemFolder gives it
}

// SystemFolder returns the folder for the configuration of the whole machine.
func SystemFolder() string {
	switch runtime.GOOS {
	case "windows":
		return `C:\ProgramData`
	case "darwin", "ios":
		return "/Library/Application Support"
	}
	return "/etc"
}

// SystemFile returns the path of the system's operator's file, which need not exist.
func SystemFile() string { return inFolder(SystemFolder()) }

// Find returns the path of the operator's file: the explicit one, the user's or
// the system's, the first that exists; "" if there is none. An explicit file that
// does not exist is Invalid; one that cannot be looked at is an error, and not a
// reason to take the next.
func (l Locations) Find() (string, error) {
	if l.Explicit != "" {
		path, err := filepath.Abs(l.Explicit)
		if err != nil {
			return "", unreadable(l.Explicit, err)
		}
		ok, err := exists(path)
		if err == nil && !ok {
			err = file(path).errAt(0, "there is no such file", "check --config and KEYTURN_CONFIG")
		}
		return path, err
	}
	for _, folder := range []string{l.User, l.System} {
		if folder == "" {
			continue
		}
		path := inFolder(folder)
		if ok, err := exists(path); ok || err != nil {
			return path, err
		}
	}
	return "", nil
}

// Files lists all places where an operator's file would be read, absolute.
func (l Locations) Files() []string {
	var out []string
	if path, err := filepath.Abs(l.Explicit); l.Explicit != "" && err == nil {
		out = append(out, path)
	}
	for _, folder := range []string{l.User, l.System} {
		if folder != "" {
			out = append(out, inFolder(folder))
		}
	}
	return out
}

// Target returns the file that Remember should write to: the one that Find
// returns, else the explicit or the user's, which it then makes.
func (l Locations) Target() (string, error) {
	path, err := l.Find()
	switch {
	case path != "" && (err == nil || l.Explicit != "" && errors.Is(err, keyturn.Invalid)):
		return path, nil
	case err != nil:
		return "", err
	case l.User == "":
		return "", keyturn.E(keyturn.Invalid, "there is no folder for the configuration", "say where it is with --config FILE")
	}
	return inFolder(l.User), nil
}

func inFolder(folder string) string { return filepath.Join(folder, "keyturn", FileName) }

// LoadOperator reads the operator's file; nil without an error where there is
// none. The file must be a regular one that belongs to the caller or to root and
// that nobody else can write to, in a folder that not everybody can change; else
// it is Invalid, with the command that mends it as hint. It may be a symbolic
// link: what it leads to is checked. On Windows, and where owners are not known,
// Operator.Unchecked says that nothing was checked.
func LoadOperator(l Locations) (*Operator, error) {
	path, err := l.Find()
	if err != nil || path == "" {
		return nil, err
	}
	data, _, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	o, err := ParseOperator(path, data)
	if err != nil {
		return nil, err
	}
	o.Text, o.Unchecked = string(data), unchecked
	return o, nil
}

// IsOperators reports whether a text is an operator's configuration that says anything.
func IsOperators(text []byte) bool {
	if len(text) > MaxFile || !bytes.Contains(text, []byte("rules")) && !bytes.Contains(text, []byte("mounts")) && !bytes.Contains(text, []byte("groups")) &&
		!bytes.Contains(text, []byte("reveal")) && !bytes.Contains(text, []byte("audit")) && !bytes.Contains(text, []byte("notify")) {
		return false
	}
	o, err := ParseOperator(FileName, text)
	return err == nil && o.Digest() != (&Operator{}).Digest()
}

// FindProject looks for a project's file in start and the folders above it, and
// returns its path; "" if there is none. The search ends at home, so that a file
// beside the homes of others does not count, or at the root. The operator's own
// file is never taken for a project's.
func FindProject(start, home, operator string) (string, error) {
	folder, err := filepath.Abs(start)
	if err != nil {
		return "", unreadable(start, err)
	}
	own, _ := os.Stat(operator) // none is as good as unknown: then nothing is the same
	if home != "" {
		home = filepath.Clean(home)
	}
	for {
		path := filepath.Join(folder, FileName)
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Mode().IsRegular() && !(own != nil && os.SameFile(own, info)):
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", unreadable(path, err)
		}
		up := filepath.Dir(folder)
		if folder == home || up == folder {
			return "", nil
		}
		folder = up
	}
}

// LoadProject reads the project's file that FindProject finds; nil without an
// error where there is none. It may be a symbolic link, and belong to anyone: it
// decides nothing, and its references are used only once a person trusts them.
func LoadProject(start, home, operator string) (*Project, error) {
	path, err := FindProject(start, home, operator)
	if err != nil || path == "" {
		return nil, err
	}
	data, _, err := read(path)
	if err != nil {
		return nil, err
	}
	return ParseProject(path, data)
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, unreadable(path, err)
}
