// Package alive reports whether a process still runs. A process that has something to
// clean up, such as a lease, keeps a file of its own locked; the system releases the
// lock when the process ends, in whatever way.
package alive

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/filelock"
)

// Holders are the processes that keep a file in a folder. It is safe for concurrent
// use, and the folder for any number of processes.
type Holders struct {
	dir string

	mu   sync.Mutex
	name string
	file *os.File // locked; nil while this process holds nothing
}

// In returns the holders of a folder, which is made when it is needed.
func In(dir string) *Holders { return &Holders{dir: dir} }

// Hold makes this process known until Release, or until it ends, and returns its
// name there: the same each time. Unavailable where the folder cannot be written, or
// the system has no such locks.
func (h *Holders) Hold() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file != nil {
		return h.name, nil
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return "", cannotHold(h.dir, err)
	}
	for range 100 {
		name := strings.ToLower(rand.Text())
		f, err := os.OpenFile(filepath.Join(h.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return "", cannotHold(h.dir, err)
		}
		held, err := filelock.Try(f)
		if err != nil {
			_ = f.Close()
			return "", cannotHold(h.dir, err)
		}
		// Another process may have taken the new file for a dead one's.
		if at, statErr := os.Stat(f.Name()); held && statErr == nil {
			if is, err := f.Stat(); err == nil && os.SameFile(at, is) {
				h.name, h.file = name, f
				return name, nil
			}
		}
		_ = f.Close()
	}
	return "", cannotHold(h.dir, errors.New("the file is taken away each time"))
}

func cannotHold(dir string, err error) error {
	return keyturn.E(keyturn.Unavailable, "what a killed process leaves behind could not be found again: no file can be locked in "+keyturn.Clean(dir), "is the folder yours, and is there room on the disk? 'keyturn doctor' tells").Because(err)
}

// Sweep removes what dead processes have left.
func (h *Holders) Sweep() {
	files, _ := os.ReadDir(h.dir) // in vain: they stay
	for _, f := range files {
		h.Holds(f.Name())
	}
}

// Holds reports whether the process of that name lives. Where that cannot be told it
// says yes. What a dead one has left is removed.
func (h *Holders) Holds(name string) bool {
	h.mu.Lock()
	own := h.file != nil && h.name == name
	h.mu.Unlock()
	if own {
		return true
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return false // no name of ours
	}
	f, _, err := durable.OpenRegular(filepath.Join(h.dir, name), os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		return true
	}
	free, err := filelock.Try(f)
	if free && err == nil {
		_ = os.Remove(f.Name())
	}
	_ = f.Close()
	return !free || err != nil
}

// Release ends what Hold began.
func (h *Holders) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return
	}
	_ = os.Remove(h.file.Name())
	_ = h.file.Close()
	_ = os.Remove(h.file.Name()) // where an open file cannot be removed
	h.file = nil
}
