//go:build unix

package launch

import (
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// detach gives the child a session without a terminal, so that it cannot go
// round the filter by way of /dev/tty. What the terminal would send it, Ctrl-C
// for one, is for us to pass on then.
func (w *wiring) detach(c *Command) {
	w.attr.Setsid, w.detached = true, true
	if isTerminal(c.Stdin) {
		w.readOnly(c.Stdin)
	}
}

// readOnly gives the child one of our terminals for reading.
func (w *wiring) readOnly(stdin *os.File) {
	if again := readOnly(stdin); again != stdin {
		w.child[0] = again
		w.own = append(w.own, again)
	}
}

// takeStop also takes SIGTSTP, where we can give it its default action back
// when we want to stop.
func (s *signals) takeStop() {
	if stopsByDefault() {
		signal.Notify(s.c, syscall.SIGTSTP)
	}
}

// leads reports whether the child leads a process group of its own. Nobody can
// take a leader of a session out of its group.
func (p *process) leads() bool { return p.tty != nil || p.detached }

// signalGroup sends s to the child's group.
func (p *process) signalGroup(s syscall.Signal) {
	select {
	case <-p.exited: // the number may be another's by now
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// suspendDetached stops a child without terminal and us, as Ctrl-Z does to a job
// of a shell, and returns when we go on. The child's group is orphaned and would
// not stop for SIGTSTP.
func (p *process) suspendDetached() {
	p.signalGroup(syscall.SIGSTOP)
	stopSelf()
	p.signalGroup(syscall.SIGCONT)
}

// closeOnExec keeps descriptors that we have inherited beside the three streams
// from the child, which could write to them past the filter. Those that we open
// ourselves are so already.
func closeOnExec() {
	if closeRange() {
		return
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "darwin" { // others list the first three only
		for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
					unix.CloseOnExec(fd)
				}
			}
			return
		}
	}
	end := 1 << 16
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && uint64(limit.Max) < uint64(end) {
		end = int(limit.Max) // not the present one, which may have been lowered since
	}
	for fd := 3; fd < end; fd++ {
		unix.CloseOnExec(fd)
	}
}
