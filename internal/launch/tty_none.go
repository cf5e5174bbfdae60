//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package launch

import (
	"errors"
	"os"
	"time"
)

// terminal is never made on this system.
type terminal struct{}

func (w *wiring) openTerminal(*Command, [3]bool) error {
	return errors.New("this system has none")
}

// readOnly returns f: there is no way to open it once more.
func readOnly(f *os.File) *os.File { return f }

func (*terminal) start(int)                    {}
func (*terminal) watch(func([]byte) bool) bool { return false }
func (*terminal) hangup()                      {}
func (*terminal) close()                       {}
func (*terminal) ticks() <-chan time.Time      { return nil }
func (*terminal) suspends() <-chan struct{}    { return nil }
func (*terminal) attend()                      {}
func (*terminal) resize()                      {}
func (*terminal) group() int                   { return 0 }
func (*terminal) release()                     {}
func (*terminal) reattach()                    {}
