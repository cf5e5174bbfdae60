package launch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
)

// secretFiles are the files that a run has made and must remove.
type secretFiles struct {
	made []*secretFile
	err  error
}

type secretFile struct {
	path string   // absolute: the current folder may change
	f    *os.File // kept open, to overwrite what we wrote and not what came after
}

// writeFiles makes the files. It returns those made also with an error.
func writeFiles(files []File) (*secretFiles, error) {
	s := new(secretFiles)
	for _, f := range files {
		path, err := filepath.Abs(f.Path)
		if err != nil {
			return s, fileError(f.Path, err)
		}
		// O_EXCL refuses symbolic links too, dangling ones included.
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return s, fileError(f.Path, err)
		}
		s.made = append(s.made, &secretFile{path, out})
		if !windows {
			if err := out.Chmod(0o600); err != nil { // whatever the umask
				return s, fileError(f.Path, err)
			}
		}
		if _, err := out.Write(f.Value.Reveal()); err != nil {
			return s, fileError(f.Path, err)
		}
	}
	return s, nil
}

func fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return keyturn.E(keyturn.Conflict, "there is a file at "+path+" already", "choose a path where nothing is; keyturn removes the file afterwards").Because(err)
	case errors.Is(err, fs.ErrNotExist):
		return keyturn.E(keyturn.Invalid, "no folder for the file "+path, "make the folder first").Because(err)
	case errors.Is(err, fs.ErrPermission):
		return keyturn.E(keyturn.Invalid, "not allowed to make the file "+path, "choose a folder of your own").Because(err)
	}
	return keyturn.E(keyturn.Unavailable, "could not write the file "+path, "").Because(err)
}

// remove overwrites and removes what was made. It may be called again, and then
// returns the same error.
func (s *secretFiles) remove() error {
	for _, f := range s.made {
		f.overwrite()
		// What is there now may be a file that the child put in its place, which
		// holds the same secret or a younger one.
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) && s.err == nil {
			s.err = keyturn.E(keyturn.Unavailable, "could not remove "+f.path+", which holds a secret", "remove it by hand").Because(err)
		}
	}
	s.made = nil
	return s.err
}

// overwrite fills the file with zeros, as well as it can: file systems that
// write elsewhere (copy-on-write, flash) keep the old blocks for a while.
func (f *secretFile) overwrite() {
	defer func() { _ = f.f.Close() }()
	info, err := f.f.Stat()
	if err != nil {
		return
	}
	const most = 16 << 20 // the child may have made it huge
	zeros := make([]byte, 32<<10)
	for off, end := int64(0), min(info.Size(), most); off < end; {
		n, err := f.f.WriteAt(zeros[:min(end-off, int64(len(zeros)))], off)
		if err != nil {
			return
		}
		off += int64(n)
	}
	_ = f.f.Sync()
	_ = f.f.Truncate(0)
}

// CheckFile reports that Run would not make a file at path, with the error of Run.
// It is for asking before a secret is read.
func CheckFile(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fileError(path, fs.ErrExist)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fileError(path, fs.ErrNotExist)
	}
	return nil
}
