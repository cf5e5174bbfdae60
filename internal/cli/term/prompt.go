package term

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode/utf8"

	xterm "golang.org/x/term"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// ErrInterrupted is the error of a question that a person left, with Ctrl-C for
// instance. It counts as context.Canceled: nothing failed.
var ErrInterrupted error = interrupted{}

type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }

func (interrupted) Is(target error) bool { return target == context.Canceled }

// Possible reports whether there is a person to ask.
func (t *Terminal) Possible() bool {
	return t.In != nil && t.Err != nil && xterm.IsTerminal(int(t.In.Fd())) && xterm.IsTerminal(int(t.Err.Fd()))
}

// Secret asks for a line without echo. An interrupt puts the terminal back as it
// was and ends the command.
func (t *Terminal) Secret(ctx context.Context, question string) (keyturn.Value, error) {
	fd := int(t.In.Fd())
	before, err := xterm.MakeRaw(fd) // before the question: what is typed at it is not echoed
	if err != nil {
		return keyturn.Value{}, session.NoTerminal("to ask for " + question)
	}
	fmt.Fprintf(t.Err, "%s: ", keyturn.Clean(question))
	return wait(ctx, t, func() { _ = xterm.Restore(fd, before) }, func() (keyturn.Value, error) {
		b, err := readUnseen(t.In)
		_ = xterm.Restore(fd, before)
		fmt.Fprintln(t.Err)
		if err != nil {
			return keyturn.Value{}, err
		}
		v := keyturn.NewValue(b)
		clear(b)
		return v, nil
	})
}

// readUnseen reads a line from a raw terminal, with the keys that a terminal has
// for it: xterm.ReadPassword takes no Ctrl-D on an empty line, and no more than
// 4095 bytes.
func readUnseen(r io.Reader) ([]byte, error) {
	const (
		interrupt, end, quit   = 0x03, 0x04, 0x1c
		erase, kill, word      = 0x7f, 0x15, 0x17
		start, stop, redo, bye = 0x11, 0x13, 0x12, 0x1a // no part of a line, and nothing to do here
	)
	line := make([]byte, 0, 4096)
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		if n == 0 {
			if err == nil {
				continue
			}
			clear(line)
			return nil, ErrInterrupted // the terminal has gone
		}
		switch b[0] {
		case '\r', '\n':
			return line, nil
		case interrupt, quit, end:
			if b[0] == end && len(line) > 0 {
				return line, nil
			}
			clear(line)
			return nil, ErrInterrupted
		case '\b', erase:
			_, size := utf8.DecodeLastRune(line)
			line = line[:len(line)-size]
		case kill:
			clear(line)
			line = line[:0]
		case word:
			n := bytes.LastIndexByte(bytes.TrimRight(line, " "), ' ') + 1
			clear(line[n:])
			line = line[:n]
		case start, stop, redo, bye:
		default:
			if len(line) > session.MaxInput {
				continue
			}
			if len(line) == cap(line) { // leave no copy behind
				more := append(make([]byte, 0, 2*cap(line)), line...)
				clear(line)
				line = more
			}
			line = append(line, b[0])
		}
	}
}

// Ask asks for a line with echo.
func (t *Terminal) Ask(ctx context.Context, question string) (string, error) {
	fmt.Fprintf(t.Err, "%s ", question)
	return wait(ctx, t, func() {}, func() (string, error) {
		// A byte at a time: nothing that is typed ahead is taken from the next
		// question.
		var line []byte
		var b [1]byte
		for {
			n, err := t.In.Read(b[:])
			if n == 1 && b[0] == '\n' {
				return strings.TrimSpace(string(line)), nil
			}
			if n == 1 && len(line) < 4096 {
				line = append(line, b[0])
			}
			if err != nil {
				return "", ErrInterrupted
			}
		}
	})
}

// Confirm asks a question that takes yes or no; no is the default.
func (t *Terminal) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := t.Ask(ctx, question+" [y/N]")
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", nil
}

// wait runs read, and gives up on an interrupt after putting the terminal back.
func wait[T any](ctx context.Context, t *Terminal, restore func(), read func() (T, error)) (T, error) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	type answer struct {
		v   T
		err error
	}
	got := make(chan answer, 1)
	go func() { // ends with the program: a read from a terminal cannot be cancelled
		v, err := read()
		got <- answer{v, err}
	}()
	select {
	case a := <-got:
		if ctx.Err() != nil {
			break
		}
		return a.v, a.err
	case <-interrupts:
	case <-ctx.Done():
	}
	restore()
	fmt.Fprintln(t.Err)
	var none T
	if ctx.Err() == context.DeadlineExceeded {
		return none, ctx.Err()
	}
	return none, ErrInterrupted
}
