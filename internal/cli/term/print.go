// Package term speaks with a person at a terminal: it prints answers and notes, asks
// questions, and lets the person choose one name of many.
package term

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"

	xterm "golang.org/x/term"

	"github.com/keyturn/keyturn"
)

// Terminal is the three streams of a program, and the person who may sit at them.
// Questions and what is said beside the answer go to Err, so that Out stays clean;
// answers to questions come from In, which must be a terminal. It is for one
// goroutine.
type Terminal struct {
	In    *os.File
	Out   *os.File
	Err   *os.File
	Plain bool // no colours, nor bold or reverse
}

// OnTerminal reports whether a person reads standard output.
func (t *Terminal) OnTerminal() bool { return xterm.IsTerminal(int(t.Out.Fd())) }

// Typing reports whether standard input is a terminal, where a person types.
func (t *Terminal) Typing() bool { return xterm.IsTerminal(int(t.In.Fd())) }

// Say tells a person something beside the answer, on standard error.
func (t *Terminal) Say(format string, args ...any) {
	fmt.Fprintf(t.Err, format+"\n", args...)
}

// Line writes a line of the answer, on standard output.
func (t *Terminal) Line(format string, args ...any) error {
	return t.Write(fmt.Appendf(nil, format+"\n", args...))
}

// Write writes bytes of the answer, on standard output.
func (t *Terminal) Write(b []byte) error {
	_, err := t.Output().Write(b)
	return err
}

// Output is standard output, whose errors are told as what they are.
func (t *Terminal) Output() io.Writer { return output{t.Out} }

type output struct{ io.Writer }

func (o output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil {
		err = unwritten("standard output cannot be written", err)
	}
	return n, err
}

// outputError is the cause of the error of an answer that could not be written.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

func unwritten(message string, err error) *keyturn.Error {
	hint := "look at the space on the disk, and at what standard output leads to"
	if errors.Is(err, syscall.EPIPE) {
		hint = "its reader has gone"
	}
	return keyturn.E(keyturn.Unavailable, message, hint).Because(outputError{err})
}

// Done makes the error of an answer that could not be written tell that the change
// it is about was made: done is "local/a version 3". Other errors stay as they are.
func Done(done string, err error) error {
	var o outputError
	if errors.As(err, &o) {
		return unwritten("the change was made: "+done+", but standard output cannot be written", o.error)
	}
	return err
}

// style wraps s for a terminal that shows colours.
func (t *Terminal) style(code, s string) string {
	if t.Plain || !t.OnTerminal() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold marks s for a terminal that shows it.
func (t *Terminal) Bold(s string) string { return t.style("1", s) }

// Dim makes s recede on a terminal that shows it.
func (t *Terminal) Dim(s string) string { return t.style("2", s) }

// Table writes rows in columns.
func (t *Terminal) Table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(t.Output(), 0, 4, 3, ' ', 0)
	if len(head) > 0 {
		fmt.Fprintln(w, strings.Join(head, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// Columns writes rows for a person in columns under a heading, and for a pipe
// with tabs between them, to be cut and searched.
func (t *Terminal) Columns(head []string, rows [][]string) error {
	if t.OnTerminal() {
		return t.Table(head, rows)
	}
	for _, r := range rows {
		if err := t.Line("%s", strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return nil
}
