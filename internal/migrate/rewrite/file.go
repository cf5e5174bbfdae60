// Package rewrite replaces the texts of files safely: it is what a migration does to the
// disk. At any time, also after a crash, a file has either the old text or the new one,
// whole, and nobody can read the new text meanwhile who could not read the old one. The
// package never waits for a pipe and never reads a device.
package rewrite

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/durable"
)

// Source is a file as it was on the disk when it was opened.
type Source struct {
	Named string // as the caller named it
	Path  string // absolute, links followed
	Link  bool   // Named is a link, or in a folder that is one
	Data  []byte
	Info  fs.FileInfo // nil if there is no such file
}

// There reports whether the file exists.
func (s Source) There() bool { return s.Info != nil }

// Open reads the file at abs, which its caller names named. A file that does not exist
// is no error: its Info is nil, and its Path is in its folder with links followed.
func Open(named, abs string) (Source, error) {
	s := Source{Named: named}
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
		s.Path = filepath.Join(folder, filepath.Base(abs))
		return s, nil
	}
	if err != nil {
		return s, unreadable(shown, err)
	}
	s.Path, s.Link = path, path != abs
	data, info, err := ReadRegular(path)
	switch {
	case info != nil && info.IsDir():
		return s, keyturn.E(keyturn.Invalid, shown+" is a folder", "name the files in it")
	case errors.Is(err, durable.ErrIrregular):
		return s, keyturn.E(keyturn.Invalid, shown+" is a pipe or a device, and no file", "name a file")
	case errors.Is(err, durable.ErrLarge):
		return s, keyturn.E(keyturn.Invalid, shown+" is too large", "a file may have 4 MiB")
	case err != nil:
		return s, unreadable(shown, err)
	}
	s.Data, s.Info = data, info
	return s, nil
}

// ReadRegular reads a regular file of at most document.MaxSize bytes. It returns
// durable.ErrIrregular for a link, a folder, a pipe or a device, which it does not open.
func ReadRegular(path string) (data []byte, info fs.FileInfo, err error) {
	if info, err = os.Lstat(path); err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, durable.ErrIrregular
	}
	f, info, err := durable.OpenRegular(path, os.O_RDONLY|notFollowed)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, document.MaxSize+1)); err == nil && len(data) > document.MaxSize {
		return nil, info, durable.ErrLarge
	}
	return data, info, err
}

func unreadable(shown string, err error) error {
	return keyturn.E(keyturn.Invalid, shown+" cannot be read", "check that it exists and that you may read it").Because(err)
}

// Replaceable is Conflict where the file must not be replaced: it is read-only, has a
// second name, or belongs to somebody else.
func (s Source) Replaceable() error {
	shown := "'" + keyturn.Clean(s.Named) + "'"
	if s.There() {
		if s.Info.Mode().Perm()&0o200 == 0 {
			return keyturn.E(keyturn.Conflict, shown+" is read-only", "if it is to be rewritten: chmod u+w "+keyturn.Quote(s.Path))
		}
		if links(s.Info) > 1 {
			return keyturn.E(keyturn.Conflict, shown+" has another name (a hard link), which would keep the values",
				"remove the other name, or make this one a file of its own: cp F F.new && mv F.new F")
		}
		if !ownable(s.Info, filepath.Dir(s.Path)) {
			return keyturn.E(keyturn.Conflict, shown+" belongs to another user or group, and would be yours when it is rewritten",
				"let its owner migrate it, or make it a file of your own: cp F F.new && mv F.new F")
		}
	}
	return nil
}

// Writable checks that a file can be created in the folder of this one. It leaves
// nothing behind.
func (s Source) Writable() error {
	if err := mayCreate(filepath.Dir(s.Path)); err != nil {
		return cannotWrite(s.Path, err)
	}
	return nil
}

func cannotWrite(path string, err error) *keyturn.Error {
	return keyturn.E(keyturn.Unavailable, "'"+keyturn.Clean(path)+"' cannot be written", "check that you may write in its folder, and that there is space").Because(err)
}

// Change is the change of one file from one text to another.
type Change struct {
	Path   string
	Before []byte
	Had    bool // the file exists before
	After  []byte
	Has    bool        // the file exists afterwards
	Mode   fs.FileMode // widest mode of the file afterwards
	Temp   string      // name of the temporary file beside it
}

// private is the mode of a temporary file.
const private fs.FileMode = 0o600

// Apply makes the change, durably. At any time the file has the one text or the other.
// The new text is for the owner only until it is in its place; then the file gets its
// mode, or a narrower one if the file that it replaces had that. Apply does nothing if
// the change was made before. It is Conflict if the file holds anything else. Other
// errors leave the file as it was, or with the new text for its owner only.
func (ch Change) Apply() (err error) {
	Settle(ch.Path, ch.Temp, ch.Mode)
	defer func() { _ = os.Remove(ch.Temp) }()
	done, info, err := ch.look()
	if err != nil || done {
		return err
	}
	if ch.Has {
		err = ch.replace(info)
	} else if err = os.Remove(ch.Path); err != nil {
		err = cannotWrite(ch.Path, err)
	}
	if err != nil {
		return err
	}
	if err := durable.SyncFolder(filepath.Dir(ch.Path)); err != nil {
		return cannotWrite(ch.Path, err)
	}
	if done, _, err = ch.look(); err == nil && !done {
		err = changed(ch.Path)
	}
	return err
}

// replace puts a file with the new text in the place of the old one. was describes the
// old file; nil if there is none.
func (ch Change) replace(was fs.FileInfo) error {
	mode := ch.Mode
	if was != nil {
		mode &= was.Mode().Perm()
	}
	temp, err := ch.write(was)
	if err == nil && mode != private {
		err = writeNew(ch.Temp+modeEnd, Octal(mode))
	}
	if err != nil {
		_ = os.Remove(ch.Temp + modeEnd)
		return cannotWrite(ch.Path, err)
	}
	done, _, err := ch.look()
	if err == nil && !done {
		if err = os.Rename(ch.Temp, ch.Path); err != nil {
			err = cannotWrite(ch.Path, err)
		}
	}
	if err != nil || done {
		_ = os.Remove(ch.Temp + modeEnd)
		return err
	}
	if err := setMode(ch.Path, temp, mode); err != nil {
		return cannotWrite(ch.Path, err) // whoever goes on settles it
	}
	_ = os.Remove(ch.Temp + modeEnd)
	return nil
}

// modeEnd ends the name of a file beside a temporary file. It records the mode that the
// temporary file gets once it is in its place.
const modeEnd = "-mode"

// Settle removes what a crash left of a change of the file at path. If only the mode of
// the file was still to be set, Settle sets it, but none wider than most.
func Settle(path, temp string, most fs.FileMode) {
	_ = os.Remove(temp)
	text, _, err := ReadRegular(temp + modeEnd)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm() == private {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 8, 32); err == nil && setMode(path, info, fs.FileMode(n).Perm()&most) != nil {
			return
		}
	}
	_ = os.Remove(temp + modeEnd)
}

// look reports whether the change was made. It is Conflict if the file has neither the
// old text nor the new one.
func (ch Change) look() (done bool, info fs.FileInfo, err error) {
	now, info, err := ReadRegular(ch.Path)
	there := err == nil
	switch {
	case errors.Is(err, durable.ErrIrregular), errors.Is(err, durable.ErrLarge):
		return false, nil, changed(ch.Path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, nil, cannotWrite(ch.Path, err)
	case there == ch.Has && (!there || bytes.Equal(now, ch.After)):
		return true, info, nil
	case there == ch.Had && (!there || bytes.Equal(now, ch.Before)):
		return false, info, nil
	}
	return false, nil, changed(ch.Path)
}

func changed(path string) *keyturn.Error {
	return keyturn.E(keyturn.Conflict, "'"+keyturn.Clean(path)+"' was changed meanwhile, and is left as it is", "look at it")
}

// write makes the temporary file, complete and durable, readable for its owner only.
func (ch Change) write(was fs.FileInfo) (info fs.FileInfo, err error) {
	f, err := os.OpenFile(ch.Temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, private)
	if err != nil {
		return nil, err
	}
	if err = f.Chmod(private); err == nil && was != nil { // whatever the umask says
		err = durable.KeepOwner(f, was)
	}
	if err == nil {
		_, err = f.Write(ch.After)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		info, err = f.Stat()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return info, err
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, private)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// TempName is the name of the temporary file for the file at path in one migration. It
// is always the same, so that Settle finds what a crash left behind.
func TempName(path, id string, n int) string {
	return filepath.Join(filepath.Dir(path), ".keyturn-migrate-"+id+"-"+strconv.Itoa(n))
}

// Octal returns permissions as the journal keeps them: "0644".
func Octal(mode fs.FileMode) string { return "0" + strconv.FormatUint(uint64(mode.Perm()), 8) }

// InGit reports whether a file is in a working tree of git, whose history may hold its
// old text.
func InGit(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}
