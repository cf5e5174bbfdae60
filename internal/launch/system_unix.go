//go:build unix && !linux

package launch

import (
	"sync"
	"syscall"

	"github.com/keyturn/keyturn"
)

var core struct {
	sync.Mutex
	lowered bool
	before  syscall.Rlimit
}

// HardenSelf switches off core dumps of this process. Call it at the start of
// main. The child of [Run] has the limit that we had.
//
// It returns an Unsupported error where the system has no such thing.
func HardenSelf() error {
	core.Lock()
	defer core.Unlock()
	if core.lowered {
		return nil
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &core.before); err != nil {
		return unhardened(err)
	}
	none := core.before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &none); err != nil {
		return unhardened(err)
	}
	core.lowered = true
	return nil
}

func unhardened(err error) error {
	return keyturn.E(keyturn.Unsupported, "core dumps could not be switched off", "").Because(err)
}

// withCoreDumps starts a child by way of start with the limits that we had: for
// that moment they are ours again.
func withCoreDumps(start func() error) error {
	core.Lock()
	defer core.Unlock()
	if core.lowered {
		none := core.before
		none.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &core.before)
		defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &none) }()
	}
	return start()
}

func procAttr() *syscall.SysProcAttr { return new(syscall.SysProcAttr) }
