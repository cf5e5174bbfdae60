// Package guarded says onto which files nothing is written that a caller names. It goes by
// where a file is and by what it holds, so that no variable of the caller's environment
// decides what is guarded.
package guarded

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/durable"
)

// MayWrite refuses, with Invalid, whatever links and other names lead there:
//
//   - a file in home, which is keyturn's own folder, and any in a folder of another store;
//   - one that holds a root key, a store, an operator's configuration, or the records that
//     a log is sent on to;
//   - one of operators, which need not exist, and the file of an operator's configuration in
//     the usual place of any user.
//
// path is absolute; home may be "".
func MayWrite(path, home string, operators []string) error {
	shown := "'" + keyturn.Clean(path) + "'"
	refuse := func(why string) error { return keyturn.E(keyturn.Invalid, shown+" is "+why, "name a file elsewhere") }
	const operatorsFile = "a file of the operator's: the configuration, or what it names"
	if home != "" && durable.Within(path, home) {
		return refuse("in keyturn's own folder, with the store")
	}
	for _, file := range operators {
		if durable.Onto(path, file) {
			return refuse(operatorsFile)
		}
	}
	names, _ := durable.Names(path)
	for _, name := range names {
		folder, file := filepath.Dir(name), filepath.Base(name)
		real, err := filepath.EvalSymlinks(folder)
		if err != nil {
			real = folder
		}
		if usual(folder, file) || usual(real, file) {
			return refuse(operatorsFile)
		}
		for dir := real; ; dir = filepath.Dir(dir) {
			if holdsStore(dir) {
				return refuse("in keyturn's own folder, with a store")
			}
			if filepath.Dir(dir) == dir {
				break
			}
		}
	}
	switch text := begin(path, config.MaxFile+1); {
	case rootKey(text) || store(text):
		return refuse("a file of a keyturn store")
	case bytes.HasPrefix(text, []byte(`{"seq":`)) && bytes.Contains(text[:min(len(text), 128)], []byte(`,"leaf":"`)):
		return refuse(operatorsFile + ", to which the log is sent on")
	case config.IsOperators(text):
		return refuse(operatorsFile)
	}
	return nil
}

// usual reports whether a file is an operator's in the usual place of a user or of the
// system.
func usual(folder, file string) bool {
	above := filepath.Dir(folder)
	if !strings.EqualFold(file, config.FileName) || !strings.EqualFold(filepath.Base(folder), "keyturn") {
		return false
	}
	switch strings.ToLower(filepath.Base(above)) {
	case ".config", "application support", "roaming":
		return true
	}
	return strings.EqualFold(above, config.SystemFolder())
}

// holdsStore reports whether a store or its root key is in a folder.
func holdsStore(dir string) bool {
	return store(begin(filepath.Join(dir, "keyturn.db"), sqliteHeader)) || rootKey(begin(filepath.Join(dir, "root.key"), 64))
}

// store reports whether a file begins as a store: a file of SQLite with our mark.
func store(text []byte) bool {
	return len(text) >= sqliteHeader && bytes.HasPrefix(text, []byte("SQLite format 3\x00")) && string(text[68:72]) == "ktrn"
}

const sqliteHeader = 100

// rootKey reports whether a file begins as a root key, plain or sealed.
func rootKey(text []byte) bool {
	return bytes.HasPrefix(text, []byte("keyturn root key v")) || bytes.HasPrefix(text, []byte("keyturn sealed root key v"))
}

// begin returns the first bytes of a regular file; nil where it cannot be read.
func begin(path string, most int64) []byte {
	f, _, err := durable.OpenRegular(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, most))
	return text
}
