//go:build linux || darwin

package launch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// aside prepares a driver, the job of a shell, that has a terminal but on none of
// its streams.
func aside(t *testing.T, script string, d driver) (s *screen, out *bytes.Buffer) {
	t.Helper()
	s, out = newScreen(t, d), new(bytes.Buffer)
	s.Stdin, s.Stdout = strings.NewReader(""), out
	s.shell(strings.ReplaceAll(script, "keyturn", "keyturn 2>/dev/null")) // bash manages jobs on its standard error
	return s, out
}

// What the child writes to the terminal itself goes round the filter.
func TestNoWayToTheTerminal(t *testing.T) {
	script := `if { echo "leak $SECRET" >/dev/tty; } 2>/dev/null; then echo open; else echo shut; fi; cat; exit 5`
	s, out := aside(t, "keyturn; exit $?", driver{Args: sh(script)})
	s.start()
	s.ends(5)
	if out.String() != "shut\n" {
		t.Errorf("%q", out.String())
	}

	// The test itself: without a filter the terminal is there.
	s, out = aside(t, "keyturn; exit $?", driver{Plain: true, Args: sh(script)})
	s.start()
	s.expect("leak " + canary)
	if code := wait(t, s.Cmd); code != 5 || out.String() != "open\n" {
		t.Errorf("without a filter: %d %q", code, out.String())
	}
	s.mu.Lock()
	s.seen.Reset()
	s.mu.Unlock()

	// Nor where there are no PTYs.
	s = newScreen(t, driver{NoPTY: true, Args: sh(script + `; echo "$SECRET" >&0`)})
	s.Stdout = new(bytes.Buffer)
	s.start()
	s.press("\x04")
	s.ends(5)
}

// The signals of the terminal's keys come to us alone and are passed on, once;
// also to what the child has started.
//
// No child says that it is ready before it has started all that it starts: dash, the
// sh of many systems, catches SIGINT, and drops one that comes while it starts a
// program (its handler returns at once while a vfork is under way, in the parent
// too). A key pressed then is lost without keyturn just the same.
func TestKeysWithoutTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	count := `n=0; trap 'n=$((n+1))' INT QUIT; sleep 1 & echo ready >"$READY"; while kill -0 $! 2>/dev/null; do wait $!; done; exit $n`
	for _, test := range []struct {
		script, keys string
		want         int
	}{
		{count, "\x03", 1},
		{count, "\x1c", 1},
		{`sh -c 'echo ready >"$READY"; exec sleep 300'; exit 3`, "\x03", 130},
		{`ulimit -c 0; echo ready >"$READY"; exec sleep 300`, "\x1c", 131},
	} {
		s, _ := aside(t, "keyturn; exit $?", driver{Args: sh(test.script)})
		ready := filepath.Join(t.TempDir(), "ready")
		s.Env = append(s.Env, "READY="+ready)
		s.start()
		s.until("the child", func() bool { _, err := os.Stat(ready); return err == nil })
		s.press(test.keys)
		s.ends(test.want)
	}
}

// One who ends our process group, or us, ends the child and what it started.
func TestGroupEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		p := drive(t, driver{Args: sh(`sleep 300 & echo $!; wait; exit 4`)})
		next := startLines(t, p)
		pid := next()
		_ = syscall.Kill(-p.Process.Pid, sig)
		code := wait(t, p.Cmd)
		if code != 128+int(sig) {
			t.Errorf("%v: %d", sig, code)
		}
		if sig == syscall.SIGINT { // which the background jobs of shells ignore
			_ = exec.Command("kill", "-9", pid).Run()
			continue
		}
		end := time.Now().Add(guard)
		for exec.Command("kill", "-0", pid).Run() == nil && !zombie(pid) {
			if time.Now().After(end) {
				t.Fatalf("%v: what the child started lives on", sig)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func zombie(pid string) bool {
	out, _ := exec.Command("ps", "-o", "stat=", "-p", pid).Output()
	return strings.HasPrefix(string(out), "Z")
}

// Ctrl-Z stops the child and us, fg continues both.
func TestSuspendWithoutTerminal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SIGTSTP is not passed on here (see the package comment)")
	}
	// A signal that was sent is taken when the child next runs: on a busy machine
	// that is a moment later. A shell whose vfork was stopped waits for it as D.
	s, out := aside(t, `keyturn; echo "suspended $?"
		i=0; while is=$(ps -o stat= -p $(cat "$READY")); i=$((i+1)); case $is in [TD]*) false;; *) [ $i -lt 100 ];; esac; do sleep 0.05; done; echo "$is"
		touch "$DONE"; fg >/dev/null; echo "end $?"`,
		driver{Args: sh(`echo $$ >"$READY"; while [ ! -e "$DONE" ]; do sleep 0.05; done; exit 3`)})
	dir := t.TempDir()
	ready, done := filepath.Join(dir, "ready"), filepath.Join(dir, "done")
	s.Env = append(s.Env, "READY="+ready, "DONE="+done)
	s.start()
	s.until("the child", func() bool { b, err := os.ReadFile(ready); return err == nil && len(b) > 0 })
	s.press("\x1a")
	s.ends(0)
	lines := strings.Fields(out.String())
	if len(lines) != 5 || lines[1] != "148" || strings.Trim(lines[2][:1], "TD") != "" || lines[4] != "3" {
		t.Errorf("%q", out.String())
	}
}

// With nobody who could wake us, we go on at once.
func TestSuspendWithoutTerminalOrShell(t *testing.T) {
	p := drive(t, driver{Args: sh(`echo ready; sleep 0.5; exit 3`)})
	startLines(t, p)()
	_ = p.Process.Signal(syscall.SIGTSTP)
	if code := wait(t, p.Cmd); code != 3 {
		t.Error(code)
	}
}

// Descriptors beside the three streams lead past the filter.
func TestFurtherDescriptors(t *testing.T) {
	script := sh(`if { echo "leak $SECRET" >&3; } 2>/dev/null; then echo open; else echo shut; fi; ls /dev/fd/ | sort -n | tail -n 1`)
	for _, plain := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := drive(t, driver{Plain: plain, Args: script})
		p.ExtraFiles = []*os.File{w, nil, w, w}
		if code := p.run(t); code != 0 {
			t.Error(code)
		}
		_ = w.Close()
		var got bytes.Buffer
		_, _ = got.ReadFrom(r)
		_ = r.Close()
		open, _, _ := strings.Cut(p.out.String(), "\n")
		if plain && (open != "open" || got.String() != "leak "+canary+"\n") || !plain && (open != "shut" || got.Len() > 0) {
			t.Errorf("plain %v: the child says %q, the descriptor %q", plain, open, got.String())
		}
	}

	// With a PTY too.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := newScreen(t, driver{Args: script})
	s.ExtraFiles = []*os.File{w}
	s.start()
	s.ends(0)
	s.expect("shut")
	_ = w.Close()
	var got bytes.Buffer
	_, _ = got.ReadFrom(r)
	_ = r.Close()
	if got.Len() > 0 {
		t.Errorf("with a PTY: %q", got.String())
	}
}

// With standard output in a file no pager wants the keys, and the child has the
// PTY to read from: no way to write to our terminal.
func TestStdinIsNoWayOut(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := newScreen(t, driver{Args: sh(ttys + `; echo "one $SECRET" >&0; echo "two $SECRET" >/dev/stdin; echo "three $SECRET" >/dev/tty; read x; echo "read $x"`)})
	s.Stdout = file
	s.start()
	s.expect("one [redacted]\r\n")
	s.expect("two [redacted]\r\n")
	s.expect("three [redacted]\r\n")
	s.press("a line\r")
	s.ends(0)
	if out, err := os.ReadFile(file.Name()); err != nil || string(out) != "tty0 no1 tty2 \nread a line\n" {
		t.Errorf("%q, %v", out, err)
	}

	if runtime.GOOS != "linux" {
		return
	}
	// In a pipeline the descriptor at least is for reading only.
	s = newScreen(t, driver{Args: sh(`echo "leak $SECRET" >&0; exit 4`)})
	s.Stdout = new(bytes.Buffer)
	s.start()
	s.ends(4)
}
