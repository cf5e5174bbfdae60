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
		return keyturn.Value{}, noTerminal("to ask for " + question)
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
			if len(line) > maxInput {
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

// Passphrase implements the broker's Prover.
func (q Prompt) Passphrase(ctx context.Context, about string, fresh bool) (keyturn.Value, error) {
	if !q.Possible() {
		return keyturn.Value{}, noTerminal("for a passphrase " + about)
	}
	if !fresh {
		return q.Secret(ctx, "Your keyturn passphrase, "+about)
	}
	fmt.Fprintln(q.out, "You have no keyturn passphrase yet. It proves that it is you, and not a program of")
	fmt.Fprintln(q.out, "yours, who says yes. It cannot be read back: remember it.")
	return q.Twice(ctx, "A new passphrase, "+about)
}

// StorePassphrase asks for the passphrase of the local store: for a new one, twice,
// where fresh is set. A try after the first tells that the last was wrong; once is
// how to be asked only once, told at the first.
func (q Prompt) StorePassphrase(ctx context.Context, fresh bool, try int, once string) (keyturn.Value, error) {
	if fresh {
		fmt.Fprintln(q.out, "The passphrase opens the local store. It cannot be read back, and without it there")
		fmt.Fprintln(q.out, "is no way into the store but a backup: keep it.")
		return q.Twice(ctx, "A new passphrase of the local store")
	}
	if try > 1 {
		fmt.Fprintln(q.out, "that is not the passphrase")
	} else if once != "" {
		fmt.Fprintln(q.out, "the local store is locked  ("+once+")")
	}
	return q.Secret(ctx, "Passphrase of the local store")
}

// Twice asks for something new without echo, twice: Invalid where the answers are
// not the same.
func (q Prompt) Twice(ctx context.Context, question string) (keyturn.Value, error) {
	first, err := q.Secret(ctx, question)
	if err != nil {
		return keyturn.Value{}, err
	}
	again, err := q.Secret(ctx, "The same once more")
	if err != nil {
		return keyturn.Value{}, err
	}
	if !first.Equal(again) {
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "the two passphrases are not the same", "nothing was done; try again")
	}
	return first, nil
}

func noTerminal(why string) error {
	e := keyturn.E(keyturn.Denied, "there is no terminal to ask at, "+keyturn.Clean(why), "a person has to do this in a terminal")
	e.By = "person"
	return e
}

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
