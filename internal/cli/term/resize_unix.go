//go:build unix

package term

import (
	"os"
	"os/signal"
	"syscall"
)

// resizes tells each time that the terminal has another size.
func resizes() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	return c, func() { signal.Stop(c) }
}
