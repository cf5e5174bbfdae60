package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// onTerminal plays a person at a terminal: onterminal DIALOG COMMAND [ARG...]
// runs a command on a terminal of its own and goes through the lines of the
// dialog: "> TEXT" waits until the terminal shows it, "< TEXT" types a line,
// "* TEXT" types a line once the terminal no longer echoes, "^D" ends such input, "^C" interrupts, "= KEYS"
// types keys, written with Go's escapes, and no newline, "! COMMAND" runs something
// beside it. The
// transcript goes to standard output; the exit status is the command's, or 99
// where the dialog did not go as written, or the command goes on a minute after it.
func onTerminal() {
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 160})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			mu.Lock()
			seen.Write(buf[:n])
			mu.Unlock()
			if err != nil { // EIO: nobody has the other end any more
				return
			}
		}
	}()
	at := 0
	shows := func(text string) bool {
		mu.Lock()
		defer mu.Unlock()
		i := strings.Index(seen.String()[at:], text)
		if i >= 0 {
			at += i + len(text)
		}
		return i >= 0
	}
	silent := func() bool {
		t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		return err == nil && t.Lflag&unix.ECHO == 0
	}
	failed := ""
	for line := range strings.Lines(string(script)) {
		what, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		ok := true
		switch what {
		case "":
		case ">":
			ok = within(func() bool { return shows(text) })
		case "<":
			_, _ = tty.WriteString(text + "\n")
		case "*":
			if ok = within(silent); ok {
				_, _ = tty.WriteString(text + "\n")
			}
		case "^D": // once the terminal no longer echoes
			if ok = within(silent); ok {
				_, _ = tty.WriteString("\x04")
			}
		case "^C":
			_, _ = tty.WriteString("\x03")
		case "!":
			ok = exec.Command("sh", "-c", text).Run() == nil
		case "=":
			var keys string
			if keys, err = strconv.Unquote(`"` + text + `"`); err == nil {
				_, err = tty.WriteString(keys)
			}
			ok = err == nil
		default:
			ok = false
		}
		if !ok {
			failed = line
			_ = cmd.Process.Kill()
			break
		}
	}
	// Who waits for more than the dialog has would wait for ever.
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !late.Stop() && failed == "" {
		failed = "the end\n"
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
	}
	mu.Lock()
	fmt.Print(strings.ReplaceAll(seen.String(), "\r\n", "\n"))
	var exit *exec.ExitError
	switch {
	case failed != "":
		fmt.Fprintf(os.Stderr, "the dialog stopped at: %s", failed)
		os.Exit(99)
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		os.Exit(99)
	}
	os.Exit(0)
}

func within(done func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}
