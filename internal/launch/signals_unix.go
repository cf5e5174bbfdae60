//go:build unix

package launch

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// brokenPipe is what a write fails with when the reader has gone.
const brokenPipe = syscall.EPIPE

// taken are the signals that go on to the child, and those that concern its
// terminal. SIGTSTP is not among them: once taken, Go cannot give it its
// default action back, and we need that to stop (but see takeStop).
var taken = []os.Signal{
	syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP,
	syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGCONT, syscall.SIGWINCH,
}

// ends reports whether s is one that asks a program to end.
func ends(s os.Signal) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP:
		return true
	}
	return false
}

// signals takes signals from the program, so that none ends it before files
// are removed and the terminal is restored.
type signals struct {
	c    chan os.Signal
	pipe chan os.Signal
}

func listen() *signals {
	s := &signals{c: make(chan os.Signal, 16), pipe: make(chan os.Signal, 1)}
	for _, sig := range taken {
		if !signal.Ignored(sig) { // it stays ignored, for the child too (nohup)
			signal.Notify(s.c, sig)
		}
	}
	// So that a write to a closed standard output fails, instead of ending us.
	signal.Notify(s.pipe, syscall.SIGPIPE)
	return s
}

func (s *signals) stop() {
	signal.Stop(s.c)
	signal.Stop(s.pipe)
}

// pending returns a signal that has come and asks to end, or 0.
func (s *signals) pending() syscall.Signal {
	for {
		select {
		case sig := <-s.c:
			if n, ok := sig.(syscall.Signal); ok && ends(sig) {
				return n
			}
		default:
			return 0
		}
	}
}

// deliver passes on a signal that we were sent.
func (p *process) deliver(s os.Signal) {
	sig, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	switch sig {
	case syscall.SIGWINCH:
		p.tty.resize()
	case syscall.SIGCONT:
		p.resume()
	case syscall.SIGINT, syscall.SIGQUIT:
		switch {
		case p.tty != nil: // as the terminal would do it
			_ = syscall.Kill(-p.tty.group(), sig)
		case p.detached: // here too
			p.signalGroup(sig)
		case !inForeground():
			_ = p.cmd.Process.Signal(sig)
		}
		// In the foreground without a filter the child is in our process group, and
		// Ctrl-C has reached it. A second one makes many programs give up their
		// orderly end. The price: kill -INT of keyturn alone is not passed on.
	case syscall.SIGTSTP: // taken only when the child is detached
		p.suspendDetached()
	case syscall.SIGTERM, syscall.SIGHUP:
		// Who ends a job sends them to its whole group, which ours is not part of.
		if p.detached {
			p.signalGroup(sig)
			return
		}
		_ = p.cmd.Process.Signal(sig)
	default:
		_ = p.cmd.Process.Signal(sig)
	}
}

// inForeground reports whether we have a terminal and its keys send signals to
// our process group.
func inForeground() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// terminate asks the child to end; its whole process group, if that is not ours.
func (p *process) terminate() { p.signalAll(syscall.SIGTERM) }

// kill ends the child.
func (p *process) kill() { p.signalAll(syscall.SIGKILL) }

func (p *process) signalAll(sig syscall.Signal) {
	if p.leads() {
		p.signalGroup(sig)
		p.signalGroup(syscall.SIGCONT)
		return
	}
	_ = p.cmd.Process.Signal(sig)
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may be stopped
}

// suspend stops the child and then our process group, as Ctrl-Z does to a job of
// a shell, and returns when we go on.
//
// The child leads a session whose parent is outside of it, an orphaned process
// group, to which the system does not deliver SIGTSTP; hence SIGSTOP.
func (p *process) suspend() {
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, syscall.SIGCONT)
	defer signal.Stop(cont)

	_ = syscall.Kill(-p.tty.group(), syscall.SIGSTOP)
	p.tty.release()
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-cont:
	case <-time.After(500 * time.Millisecond): // nobody could wake us: not stopped
	}
	p.resume()
}

// resume puts things right after we were stopped.
func (p *process) resume() {
	if p.detached {
		p.signalGroup(syscall.SIGCONT)
	}
	if p.tty == nil {
		return
	}
	p.tty.reattach()
	_ = syscall.Kill(-p.tty.group(), syscall.SIGCONT)
}
