package launch

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is the system's struct sigaction, of which we need to know no more than
// that zeros are the default action, and that the first word of the usual
// layouts is 1 for an ignored signal.
type action [8]uint64

func sigaction(sig unix.Signal, set, get *action) error {
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 8, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// stopsByDefault reports whether SIGTSTP is not ignored, and we can stop by it.
// Package signal does not know what was ignored before us for this one.
func stopsByDefault() bool {
	var now action
	return sigaction(unix.SIGTSTP, nil, &now) == nil && *(*uintptr)(unsafe.Pointer(&now)) != 1
}

// stopSelf stops this process with SIGTSTP and returns when it goes on; at once
// where nobody could wake it, as the system knows best. Package signal never
// gives the signal its default action back.
func stopSelf() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, before action
	if sigaction(unix.SIGTSTP, &none, &before) != nil {
		return
	}
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	_ = sigaction(unix.SIGTSTP, &before, nil)
}

// closeRange does what closeOnExec is for, from Linux 5.11 on.
func closeRange() bool {
	return unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) == nil
}
