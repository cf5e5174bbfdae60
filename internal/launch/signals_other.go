//go:build !unix

package launch

import (
	"os"
	"os/signal"
	"syscall"
)

// brokenPipe is what a write fails with when the reader has gone:
// ERROR_NO_DATA of Windows.
const brokenPipe = syscall.Errno(232)

func ends(s os.Signal) bool { return s == os.Interrupt || s == syscall.SIGTERM }

// signals takes Ctrl-C and the closing of the console from the program. The
// system gives them to every process of the console, so to the child too, and
// nothing is passed on.
type signals struct{ c chan os.Signal }

func listen() *signals {
	s := &signals{c: make(chan os.Signal, 4)}
	signal.Notify(s.c, os.Interrupt, syscall.SIGTERM)
	return s
}

func (s *signals) stop() { signal.Stop(s.c) }

func (s *signals) pending() syscall.Signal {
	select {
	case sig := <-s.c:
		n, _ := sig.(syscall.Signal)
		return n
	default:
		return 0
	}
}

func (p *process) deliver(os.Signal) {}

// terminate and kill both end the child: there is no way to ask.
func (p *process) terminate() { p.kill() }

func (p *process) kill() { _ = p.cmd.Process.Kill() }

func (p *process) suspend() {}
