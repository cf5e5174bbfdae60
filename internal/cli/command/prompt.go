package command

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

	"golang.org/x/term"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// Prompt asks the person at the terminal. Questions go to standard error, so that
// standard output stays clean; answers come from standard input, which must be a
// terminal.
type Prompt struct {
	in, out *os.File
}

// Prompt asks at the terminal that the program was started at.
func (p *Program) Prompt() Prompt { return Prompt{in: p.In, out: p.Err} }

// Possible reports whether there is a person to ask.
func (q Prompt) Possible() bool {
	return q.in != nil && q.out != nil && term.IsTerminal(int(q.in.Fd())) && term.IsTerminal(int(q.out.Fd()))
}

// Secret asks for a line without echo. An interrupt puts the terminal back as it
// was and ends the command.
func (q Prompt) Secret(ctx context.Context, question string) (keyturn.Value, error) {
	fd := int(q.in.Fd())
	before, err := term.MakeRaw(fd) // before the question: what is typed at it is not echoed
	if err != nil {
		return keyturn.Value{}, session.NoTerminal("to ask for " + question)
	}
	fmt.Fprintf(q.out, "%s: ", keyturn.Clean(question))
	return wait(ctx, q, func() { _ = term.Restore(fd, before) }, func() (keyturn.Value, error) {
		b, err := readUnseen(q.in)
		_ = term.Restore(fd, before)
		fmt.Fprintln(q.out)
		if err != nil {
			return keyturn.Value{}, err
		}
		v := keyturn.NewValue(b)
		clear(b)
		return v, nil
	})
}

// readUnseen reads a line from a raw terminal, with the keys that a terminal has
// for it: term.ReadPassword takes no Ctrl-D on an empty line, and no more than
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

// Line asks for a line with echo.
func (q Prompt) Line(ctx context.Context, question string) (string, error) {
	fmt.Fprintf(q.out, "%s ", question)
	return wait(ctx, q, func() {}, func() (string, error) {
		// A byte at a time: nothing that is typed ahead is taken from the next
		// question.
		var line []byte
		var b [1]byte
		for {
			n, err := q.in.Read(b[:])
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
func (q Prompt) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := q.Line(ctx, question+" [y/N]")
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", nil
}

// Say tells the person something, on the stream of the questions.
func (q Prompt) Say(format string, args ...any) { fmt.Fprintf(q.out, format+"\n", args...) }

// wait runs read, and gives up on an interrupt after putting the terminal back.
func wait[T any](ctx context.Context, q Prompt, restore func(), read func() (T, error)) (T, error) {
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
	fmt.Fprintln(q.out)
	var none T
	if ctx.Err() == context.DeadlineExceeded {
		return none, ctx.Err()
	}
	return none, ErrInterrupted
}
