package launch

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helper is the test binary as a child of a driver.
func helper(string) {
	n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var core syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_CORE, &core)
	fmt.Println(n, err, core)
}

func TestHardenSelf(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"env", helperVar + "=dumpable", exe}
	plain, hard := drive(t, driver{Args: args}), drive(t, driver{Args: args, Harden: true})
	if plain.run(t) != 0 || hard.run(t) != 0 || plain.out.String() != hard.out.String() || !strings.HasPrefix(hard.out.String(), "1 ") {
		t.Errorf("the child differs: %q, %q %s", plain.out.String(), hard.out.String(), hard.err.String())
	}

	// Ourselves: the files in /proc are root's, which only a plain user can see,
	// so ask the kernel.
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0) }()
	if err := HardenSelf(); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); n != 0 || err != nil {
		t.Errorf("dumpable is %d, %v", n, err)
	}
}

// Killed without a chance, we take the child with us.
func TestChildEndsWithUs(t *testing.T) {
	p := drive(t, driver{Args: sh(`trap "echo told; exit" TERM; echo ready; while :; do sleep 0.05; done`), Plain: true})
	next := startLines(t, p)
	next()
	_ = p.Process.Signal(syscall.SIGKILL)
	if l := next(); l != "told" {
		t.Errorf("the child says %q", l)
	}
	wait(t, p.Cmd)
}
