package move

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
)

// source is a file as it is on the disk.
type source struct {
	named string // as the caller named it
	path  string // absolute, links followed
	link  bool   // named is a link, or below one
	data  []byte
	info  fs.FileInfo // nil: there is no such file
}

func (s source) there() bool { return s.info != nil }

// openSource reads a file. One that is not there is not an error here: its info is
// nil, and its path that in its folder with links followed.
func openSource(named, abs string) (source, error) {
	s := source{named: named}
	shown := "'" + keyturn.Clean(named) + "'"
	path, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(abs); err == nil {
			return s, keyturn.E(keyturn.Invalid, shown+" is a link that leads nowhere", "make the file it leads to, or remove it")
		}
		folder, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err != nil {
			return s, keyturn.E(keyturn.Invalid, "there is no folder for "+shown, "check the path").Because(err)
		}
		s.path = filepath.Join(folder, filepath.Base(abs))
		return s, nil
	}
	if err != nil {
		return s, unreadable(shown, err)
	}
	s.path, s.link = path, path != abs
	info, err := os.Stat(path)
	if err != nil {
		return s, unreadable(shown, err)
	}
	switch {
	case info.IsDir():
		return s, keyturn.E(keyturn.Invalid, shown+" is a folder", "name the files in it")
	case !info.Mode().IsRegular():
		return s, keyturn.E(keyturn.Invalid, shown+" is a pipe or a device, and no file", "name a file")
	case info.Size() > document.MaxSize:
		return s, keyturn.E(keyturn.Invalid, shown+" is too large", "a file may have 4 MiB")
	}
	if s.data, err = os.ReadFile(path); err != nil {
		return s, unreadable(shown, err)
	}
	s.info = info
	return s, nil
}

func unreadable(shown string, err error) error {
	return keyturn.E(keyturn.Invalid, shown+" cannot be read", "check that it exists and that you may read it").Because(err)
}

// replaceable refuses a file that must not be replaced.
func (s source) replaceable() error {
	shown := "'" + keyturn.Clean(s.named) + "'"
	if s.there() {
		if s.info.Mode().Perm()&0o200 == 0 {
			return keyturn.E(keyturn.Conflict, shown+" is read-only", "if it is to be rewritten: chmod u+w "+keyturn.Quote(s.path))
		}
		if links(s.info) > 1 {
			return keyturn.E(keyturn.Conflict, shown+" has another name (a hard link), which would keep the values",
				"remove the other name, or make this one a file of its own: cp F F.new && mv F.new F")
		}
	}
	return nil
}

// writable tries whether a file can be made beside this one, before anything is
// stored; it leaves nothing behind.
func (s source) writable() error {
	probe := filepath.Join(filepath.Dir(s.path), ".keyturn-migrate-probe")
	_ = os.Remove(probe)
	f, err := os.OpenFile(probe, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return cannotWrite(s.path, err)
	}
	_ = f.Close()
	if err := os.Remove(probe); err != nil {
		return cannotWrite(s.path, err)
	}
	return nil
}

func cannotWrite(path string, err error) *keyturn.Error {
	return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(path)+"' cannot be written", "check that you may write in its folder, and that there is space").Because(err)
}

// change is one file on its way from one text to another.
type change struct {
	path   string
	before []byte
	had    bool // there is a file before
	after  []byte
	has    bool        // there is one afterwards
	mode   fs.FileMode // of the file afterwards
	temp   string      // name of the temporary file beside it
}

// apply makes the change: the file is there with the one text or the other at any
// time, and durable on return. It has nothing to do where it was made before. It
// is Conflict where the file holds anything else; its other errors leave the file
// as it was.
func (ch change) apply() (err error) {
	defer func() { _ = os.Remove(ch.temp) }() // also one that a crash left behind
	_ = os.Remove(ch.temp)
	done, info, err := ch.look()
	if err != nil || done {
		return err
	}
	if ch.has {
		if err := ch.write(info); err != nil {
			return cannotWrite(ch.path, err)
		}
		if done, _, err = ch.look(); err != nil || done {
			return err
		}
		err = os.Rename(ch.temp, ch.path)
	} else {
		err = os.Remove(ch.path)
	}
	if err != nil {
		return cannotWrite(ch.path, err)
	}
	if err := syncFolder(filepath.Dir(ch.path)); err != nil {
		return cannotWrite(ch.path, err)
	}
	if done, _, err = ch.look(); err == nil && !done {
		err = changed(ch.path)
	}
	return err
}

// look reports whether the file is as it is to be; it is Conflict where it is
// neither that nor as it was.
func (ch change) look() (done bool, info fs.FileInfo, err error) {
	now, err := os.ReadFile(ch.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, nil, cannotWrite(ch.path, err)
	}
	there := err == nil
	if there {
		if info, err = os.Lstat(ch.path); err != nil || !info.Mode().IsRegular() {
			return false, nil, changed(ch.path)
		}
	}
	switch {
	case there == ch.has && (!there || bytes.Equal(now, ch.after)):
		return true, info, nil
	case there == ch.had && (!there || bytes.Equal(now, ch.before)):
		return false, info, nil
	}
	return false, nil, changed(ch.path)
}

func changed(path string) *keyturn.Error {
	return keyturn.E(keyturn.Conflict, "'"+keyturn.Clean(path)+"' was changed meanwhile, and is left as it is", "look at it")
}

// write makes the temporary file, complete and durable.
func (ch change) write(was fs.FileInfo) error {
	f, err := os.OpenFile(ch.temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if was != nil {
		err = keepOwner(f, was)
	}
	if err == nil {
		_, err = f.Write(ch.after)
	}
	if err == nil {
		err = f.Chmod(ch.mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// tempName is the temporary file beside path that belongs to one migration, so
// that whoever goes on with it finds what a crash left behind.
func tempName(path, id string, n int) string {
	return filepath.Join(filepath.Dir(path), ".keyturn-migrate-"+id+"-"+strconv.Itoa(n))
}

// inGit reports whether a file lies in a working tree of git, whose history may
// hold what it held.
func inGit(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}
