package launch

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/keyturn/keyturn"
)

// HardenSelf switches off core dumps of this process and its tracing by other
// processes of the same user (root excepted). Call it at the start of main. The
// child of [Run] is as it would be without keyturn.
//
// It returns an Unsupported error where the system has no such thing.
func HardenSelf() error {
	// Not RLIMIT_CORE, which the child would inherit: exec resets this one.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return keyturn.E(keyturn.Unsupported, "core dumps and tracing could not be switched off", "").Because(err)
	}
	return nil
}

// withCoreDumps starts a child by way of start with the limits that we had.
func withCoreDumps(start func() error) error { return start() }

// procAttr makes the system end the child when we are killed with no chance to
// do it.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
