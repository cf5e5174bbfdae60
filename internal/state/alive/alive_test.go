package alive_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/state/alive"
)

// TestMain is also a process that holds, until it is killed or its input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ALIVE_TEST_DIR"); dir != "" {
		name, err := alive.In(dir).Hold()
		fmt.Println(name, err)
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "holders")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ALIVE_TEST_DIR="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var name, problem string
	if fmt.Sscan(line, &name, &problem); err != nil || problem != "<nil>" {
		t.Fatalf("%q, %v", line, err)
	}
	here := alive.In(dir)
	if !here.Holds(name) {
		t.Error("a process that lives is said to be dead")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if here.Holds(name) {
		t.Error("a process that was killed is said to live")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestHold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "holders")
	a, b := alive.In(dir), alive.In(dir)
	name, err := a.Hold()
	again, _ := a.Hold()
	if err != nil || name == "" || name != again {
		t.Fatalf("%q, %q, %v", name, again, err)
	}
	if !a.Holds(name) || !b.Holds(name) {
		t.Error("this process is said to be dead")
	}
	for _, other := range []string{"", ".", "..", "nosuchprocess", "../holders/" + name} {
		if b.Holds(other) {
			t.Errorf("%q is said to live", other)
		}
	}
	if !b.Holds(name) {
		t.Error("looking for others ended this one")
	}
	a.Release()
	a.Release()
	if b.Holds(name) {
		t.Error("it is said to hold what it let go")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Hold(); err == nil {
		t.Error("a folder that cannot be made")
	}
}

// Those who begin and those who look at the same time: nobody who lives is said to
// be dead.
func TestMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "holders")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				h := alive.In(dir)
				name, err := h.Hold()
				if err != nil {
					t.Error(err)
					continue
				}
				if !alive.In(dir).Holds(name) {
					t.Error("a holder is said to be dead")
				}
				h.Release()
			}
		})
		wg.Go(func() {
			for range 50 {
				entries, _ := os.ReadDir(dir)
				for _, e := range entries {
					alive.In(dir).Holds(e.Name())
				}
			}
		})
	}
	wg.Wait()
}

// What killed processes have left goes, and nothing of those who live.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "holders")
	h := alive.In(dir)
	h.Sweep() // there is no folder
	name, err := h.Hold()
	if err != nil {
		t.Fatal(err)
	}
	for _, dead := range []string{"adeadone", "another"} {
		if err := os.WriteFile(filepath.Join(dir, dead), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alive.In(dir).Sweep()
	h.Sweep()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != name || !alive.In(dir).Holds(name) {
		t.Errorf("%v, %v", left, err)
	}
}
