//go:build linux || darwin

package launch

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// screen is a terminal with a driver on it, and a person who types and reads.
type screen struct {
	t *testing.T
	*exec.Cmd
	master *os.File
	slave  *os.File
	before unix.Termios

	mu   sync.Mutex
	seen bytes.Buffer
}

func noPTYs() {
	openPTY = func() (*os.File, *os.File, error) { return nil, nil, unix.ENOSPC }
}

// newScreen prepares a driver that leads a session on a new terminal. Streams
// that the test sets before start stay; the others are the terminal.
func newScreen(t *testing.T, d driver) *screen {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("this test needs a PTY and the system gives none: ", err)
	}
	master = pollable(master)
	t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, Cmd: exec.Command(exe), master: master, slave: slave}
	s.Env = d.environ()
	s.WaitDelay = guard
	s.before = s.modes()
	s.size(33, 99)
	return s
}

func (s *screen) size(rows, cols uint16) {
	s.t.Helper()
	err := control(s.master, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// shell makes the driver a job of a shell on the terminal; $KEYTURN runs it.
func (s *screen) shell(script string) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		s.t.Skip("this test needs bash for its job control")
	}
	s.Env = append(s.Env, "KEYTURN="+s.Path)
	s.Path, s.Args = bash, []string{"bash", "-c", "set -m\n" + strings.ReplaceAll(script, "keyturn", `"$KEYTURN"`)}
}

func (s *screen) modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.slave.Fd()), getModes)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

func (s *screen) start() {
	s.t.Helper()
	ctty := -1
	if s.Stderr == nil {
		s.Stderr, ctty = s.slave, 2
	}
	if s.Stdout == nil {
		s.Stdout, ctty = s.slave, 1
	}
	if s.Stdin == nil {
		s.Stdin, ctty = s.slave, 0
	}
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: ctty}
	if err := s.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := s.master.Read(buf)
			s.mu.Lock()
			s.seen.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// until waits until the condition holds.
func (s *screen) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(guard); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waiting for %s; on the screen: %q", what, s.text())
		}
	}
}

func (s *screen) expect(want string) {
	s.t.Helper()
	s.until(fmt.Sprintf("%q", want), func() bool { return strings.Contains(s.text(), want) })
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the end, wants the exit status, and the terminal as it was.
func (s *screen) ends(want int) {
	s.t.Helper()
	code := wait(s.t, s.Cmd)
	if code != want {
		s.t.Errorf("exit status %d, want %d; on the screen: %q", code, want, s.text())
	}
	if now := s.modes(); !reflect.DeepEqual(now, s.before) {
		s.t.Errorf("the terminal is not as it was:\n%+v\n%+v", s.before, now)
	}
	if strings.Contains(s.text(), canary) {
		s.t.Errorf("the value is on the screen: %q", s.text())
	}
}

const ttys = `for i in 0 1 2; do [ -t $i ] && printf "tty$i " || printf "no$i "; done; echo`

func TestChildSeesTerminal(t *testing.T) {
	s := newScreen(t, driver{Args: sh(ttys + `; stty size; printf "\033[31mred $SECRET\033[0m "; echo "to tty $SECRET" >/dev/tty; echo "to err $SECRET" >&2; exit 5`)})
	s.start()
	s.ends(5)
	s.expect("tty0 tty1 tty2 \r\n33 99\r\n\x1b[31mred [redacted]")
	s.expect("to tty [redacted]\r\n")
	s.expect("to err [redacted]\r\n")
}

func TestEverythingIsPassedOn(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`seq 1 30000; printf end`)})
	s.start()
	s.ends(0)
	s.expect("29999\r\n30000\r\nend")
}

func TestResize(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done`)})
	s.start()
	s.expect("ready")
	s.size(44, 111)
	s.expect("44 111")
	s.ends(0)
}

func TestKeys(t *testing.T) {
	for _, test := range []struct {
		name, script, keys string
		want               int
	}{
		{"Ctrl-C", `echo ready; exec sleep 300`, "\x03", 128 + 2},
		{"Ctrl-C caught", `trap "exit 9" INT; echo ready; while :; do sleep 0.05; done`, "\x03", 9},
		{"Ctrl-\\", `ulimit -c 0; echo ready; exec sleep 300`, "\x1c", 128 + 3},
		{"Ctrl-D", `echo ready; cat; exit 8`, "\x04", 8},
		{"a line", `echo ready; read x; [ "$x" = hello ] && exit 7`, "hellp\x7fo\r", 7},
		{"raw", `stty raw -echo; printf "ready "; x=$(dd bs=1 count=1 2>/dev/null); stty sane; [ "$x" = $(printf "\003") ] && exit 6`, "\x03", 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScreen(t, driver{Args: sh(test.script)})
			s.start()
			s.expect("ready")
			s.press(test.keys)
			s.ends(test.want)
		})
	}
}

// What the child's terminal echoes goes through the filter too.
func TestEchoIsRedacted(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo ready; read x; echo "read $x"`)})
	s.start()
	s.expect("ready")
	s.press(canary + "\r")
	s.expect("read [redacted]")
	s.ends(0)
}

func TestTerminalIsRestored(t *testing.T) {
	for name, do := range map[string]func(s *screen){
		"SIGTERM": func(s *screen) { _ = s.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(s *screen) { _ = s.Process.Signal(syscall.SIGHUP) },
		"SIGINT":  func(s *screen) { _ = s.Process.Signal(syscall.SIGINT) },
	} {
		file := filepath.Join(t.TempDir(), "f")
		s := newScreen(t, driver{File: file, Args: sh(`echo ready; exec sleep 300`)})
		s.start()
		s.expect("ready")
		s.until("raw mode", func() bool { m := s.modes(); return m.Lflag&unix.ICANON == 0 })
		do(s)
		s.ends(map[string]int{"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130}[name])
		gone(t, file)
	}
	// A child that leaves its terminal raw, a start that fails, a filter that panics.
	s := newScreen(t, driver{Args: sh(`stty raw -echo`)})
	s.start()
	s.ends(0)
	s = newScreen(t, driver{Args: []string{"no-such-command-here"}})
	s.start()
	s.ends(127)
	s = newScreen(t, driver{Args: sh(`echo "$SECRET"; exec sleep 300`), Break: "panic"})
	s.start()
	s.ends(128 + int(syscall.SIGHUP)) // its terminal is gone
	s = newScreen(t, driver{Args: sh("exec sleep 300"), Deadline: 200 * time.Millisecond})
	s.start()
	s.ends(143)
}

func TestTerminalGoes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	s := newScreen(t, driver{File: file, Args: sh(`trap 'touch "` + dir + `/hup"; exit 1' HUP; echo ready; while :; do sleep 0.05; done`)})
	s.start()
	s.expect("ready")
	_ = s.slave.Close()
	_ = s.master.Close()
	wait(t, s.Cmd)
	gone(t, file)
	if _, err := os.Stat(filepath.Join(dir, "hup")); err != nil {
		t.Error("the child did not hear that its terminal has gone")
	}
}

func TestRedirected(t *testing.T) {
	t.Run("stderr", func(t *testing.T) {
		s := newScreen(t, driver{Args: sh(ttys + `; echo "err $SECRET" >&2; echo "out $SECRET"`)})
		var buf bytes.Buffer
		s.Stderr = &buf
		s.start()
		s.ends(0)
		s.expect("tty0 tty1 no2 \r\nout [redacted]\r\n")
		if buf.String() != "err [redacted]\n" {
			t.Errorf("stderr: %q", buf.String())
		}
	})
	t.Run("stdin", func(t *testing.T) { // echo x | keyturn run -- cat
		s := newScreen(t, driver{Args: sh(ttys + `; cat`)})
		s.Stdin = strings.NewReader("from the pipe\n")
		s.start()
		s.ends(0)
		s.expect("no0 tty1 tty2 \r\nfrom the pipe\r\n")
	})
	t.Run("stdout", func(t *testing.T) { // keyturn run -- … | cat
		s := newScreen(t, driver{Args: sh(ttys + `; read x; echo "read $x $SECRET"; echo "err $SECRET" >&2`)})
		var buf bytes.Buffer
		s.Stdout = &buf
		s.start()
		s.press("a line\r")
		s.ends(0)
		if buf.String() != "tty0 no1 tty2 \nread a line [redacted]\n" {
			t.Errorf("stdout: %q", buf.String())
		}
		s.expect("err [redacted]\r")
	})
	t.Run("both outputs", func(t *testing.T) {
		s := newScreen(t, driver{Args: sh(ttys + `; echo "tty $SECRET" >/dev/tty; cat`)})
		var out, err bytes.Buffer
		s.Stdout, s.Stderr = &out, &err
		s.start()
		s.expect("tty [redacted]\r")
		s.press("x\r\x04")
		s.ends(0)
		if out.String() != "tty0 no1 no2 \nx\n" || err.Len() > 0 {
			t.Errorf("stdout: %q, stderr: %q", out.String(), err.String())
		}
	})
	t.Run("all", func(t *testing.T) {
		s := newScreen(t, driver{Args: sh(ttys)})
		var out bytes.Buffer
		s.Stdin, s.Stdout, s.Stderr = strings.NewReader(""), &out, &out
		s.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		s.ends(0)
		if out.String() != "no0 no1 no2 \n" {
			t.Errorf("%q", out.String())
		}
	})
}

// In a pipeline the terminal stays with the others, until the child asks for it
// as a password prompt does.
func TestPromptInPipeline(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	for _, redirect := range []string{"stdin", "stdout"} {
		s := newScreen(t, driver{Args: sh(`sleep 0.3; exec 3</dev/tty; stty -echo <&3; printf "password:" >/dev/tty; read x <&3; stty echo <&3; echo "got $x" >/dev/tty; sleep 0.3; printf ready >/dev/tty; while [ ! -e "$DONE" ]; do sleep 0.05; done`)})
		done := filepath.Join(t.TempDir(), "done")
		s.Env = append(s.Env, "DONE="+done)
		if redirect == "stdin" {
			s.Stdin = strings.NewReader("")
		} else {
			s.Stdout = io.Discard
		}
		s.start()
		s.expect("password:")
		s.until("raw mode", func() bool { m := s.modes(); return m.Lflag&unix.ICANON == 0 })
		s.press("pass\r")
		s.expect("got pass")
		s.until("the terminal's own modes", func() bool { return reflect.DeepEqual(s.modes(), s.before) })
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.ends(0)
		if strings.Count(s.text(), "pass\r") != 1 {
			t.Errorf("%s: the password was echoed: %q", redirect, s.text())
		}
	}
}

// With the terminal in its own modes Ctrl-C comes as a signal.
func TestInterruptInPipeline(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo ready >&2; exec sleep 300`)})
	s.Stdout = io.Discard
	s.start()
	s.expect("ready")
	s.press("\x03")
	s.ends(130)
}

// A plain run shares the terminal, and gets Ctrl-C once.
func TestPlainInterrupt(t *testing.T) {
	s := newScreen(t, driver{Plain: true, Args: sh(ttys + `; n=0; trap 'n=$((n+1))' INT; echo ready; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; exit $n`)})
	s.start()
	s.expect("tty0 tty1 tty2")
	s.expect("ready")
	s.press("\x03")
	s.ends(1)
}

func TestChildClosesItsTerminal(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`exec </dev/null >/dev/null 2>&1; sleep 0.3; echo still here >/dev/tty; exit 4`)})
	s.start()
	s.expect("still here")
	s.ends(4)
}

func TestLeftBehindOnTerminal(t *testing.T) {
	s := newScreen(t, driver{Linger: 50 * time.Millisecond, Args: sh(`(trap "" HUP; exec sleep 300) & echo "pid $!."; exit 2`)})
	s.start()
	s.ends(2)
	_, pid, _ := strings.Cut(s.text(), "pid ")
	pid, _, _ = strings.Cut(pid, ".")
	_ = exec.Command("kill", "-9", pid).Run()
}

func TestSuspend(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo ready; read x; echo "read $x"; exit 3`)})
	s.shell(`keyturn
		echo "suspended $?"; stty -a | grep -q -- -icanon && echo raw || echo cooked
		fg >/dev/null; echo "end $?"`)
	s.start()
	s.expect("ready")
	s.press("\x1a")
	s.expect("suspended 148")
	s.expect("cooked")
	s.until("raw mode", func() bool { m := s.modes(); return m.Lflag&unix.ICANON == 0 })
	s.press("again\r")
	s.expect("read again")
	s.expect("end 3")
	s.ends(0)
}

// SIGTSTP from outside stops us at once; we take the terminal again afterwards.
func TestSuspendedBySignal(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo ready; read x; exit 3`)})
	s.shell(`modes=$(stty -g)
		(sleep 0.5; kill -TSTP $(cat "$PIDS"); echo sent) & 
		sh -c 'echo $$ >"$PIDS"; exec "$KEYTURN"'
		stty $modes # as an interactive shell does by itself
		echo "suspended"
		fg %2 >/dev/null; echo "end $?"`)
	s.Env = append(s.Env, "PIDS="+filepath.Join(t.TempDir(), "pid"))
	s.start()
	s.expect("ready")
	s.expect("suspended")
	s.until("raw mode", func() bool { m := s.modes(); return m.Lflag&unix.ICANON == 0 })
	s.press("x\r")
	s.expect("end 3")
	s.ends(0)
}

// Jobs of a shell inside are suspended there, and we go on.
func TestSuspendInside(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("this test needs bash for its job control")
	}
	s := newScreen(t, driver{Args: []string{bash, "-c", `set -m; sh -c "echo ready; exec sleep 300"; echo "inner $?"; kill -9 %1; exit 6`}})
	s.start()
	s.expect("ready")
	s.press("\x1a")
	s.expect("inner 148")
	s.ends(6)
}

// With nobody who could wake us, Ctrl-Z must not stop the child for ever.
func TestSuspendWithoutShell(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo ready; read x; exit 3`)})
	s.start()
	s.expect("ready")
	s.press("\x1ax\r")
	s.ends(3)
}

func TestBackground(t *testing.T) {
	s := newScreen(t, driver{Args: sh(`echo "in the back $SECRET"; while [ ! -e "$DONE" ]; do sleep 0.05; done; read x; echo "read $x"; exit 3`)})
	done := filepath.Join(t.TempDir(), "done")
	s.Env = append(s.Env, "DONE="+done)
	s.shell(`keyturn & sleep 1; echo "jobs $(jobs -r | wc -l)"; read y; echo "mine $y"; fg >/dev/null; echo "end $?"`)
	s.start()
	s.expect("in the back [redacted]")
	s.expect("jobs 1")
	s.press("for the shell\r")
	s.expect("mine for the shell")
	s.until("raw mode", func() bool { m := s.modes(); return m.Lflag&unix.ICANON == 0 })
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.press("for the child\r")
	s.expect("read for the child")
	s.expect("end 3")
	s.ends(0)
}

// Without PTYs the child gets pipes, redacted all the same, and that is told.
func TestNoPTY(t *testing.T) {
	s := newScreen(t, driver{NoPTY: true, Args: sh(ttys + `; echo "out $SECRET"; echo "err $SECRET" >&2`)})
	s.start()
	s.ends(0)
	s.expect("told: no pseudo-terminal here (none could be opened): the command sees pipes")
	s.expect("tty0 no1 no2 \r\nout [redacted]\r\nerr [redacted]\r\n")
}
