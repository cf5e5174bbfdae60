//go:build !unix

package launch

import (
	"os"
	"syscall"

	"github.com/keyturn/keyturn"
)

// HardenSelf switches off core dumps of this process, which this system has
// none of: it returns an Unsupported error.
func HardenSelf() error {
	return keyturn.E(keyturn.Unsupported, "this system has no switch against dumps and tracing", "")
}

func withCoreDumps(start func() error) error { return start() }

func procAttr() *syscall.SysProcAttr { return nil }

// sameFile cannot tell pipes and consoles apart here.
func sameFile(a, b *os.File) bool { return a != nil && a == b }
