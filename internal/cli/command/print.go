package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// OnTerminal reports whether a person reads standard output.
func (c *Command) OnTerminal() bool { return term.IsTerminal(int(c.Out.Fd())) }

// Say tells a person something beside the answer, on standard error.
func (c *Command) Say(format string, args ...any) {
	fmt.Fprintf(c.Err, format+"\n", args...)
}

// Line writes a line of the answer, on standard output.
func (c *Command) Line(format string, args ...any) error {
	return c.Write(fmt.Appendf(nil, format+"\n", args...))
}

// Write writes bytes of the answer, on standard output.
func (c *Command) Write(b []byte) error {
	_, err := c.Output().Write(b)
	return err
}

// Output is standard output, whose errors are told as what they are.
func (c *Command) Output() io.Writer { return output{c.Out} }

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

// Plain reports whether no terminal is to show colours, nor bold or reverse.
func (c *Command) Plain() bool { return c.noColor || c.Env("TERM") == "dumb" }

// style wraps s for a terminal that shows colours.
func (c *Command) style(code, s string) string {
	if c.Plain() || !c.OnTerminal() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bold marks s for a terminal that shows it.
func (c *Command) Bold(s string) string { return c.style("1", s) }

// Dim makes s recede on a terminal that shows it.
func (c *Command) Dim(s string) string { return c.style("2", s) }

// Table writes rows in columns.
func (c *Command) Table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(c.Output(), 0, 4, 3, ' ', 0)
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
func (c *Command) Columns(head []string, rows [][]string) error {
	if c.OnTerminal() {
		return c.Table(head, rows)
	}
	for _, r := range rows {
		if err := c.Line("%s", strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return nil
}

// Answer prints the JSON document of an operation that was done. Where it was done in part,
// the command ends with the exit status of what was not.
func (c *Command) Answer(op keyturn.Op, res keyturn.Result) error {
	doc, err := answer.Of(op, res, answer.About{Verbose: c.verbose})
	if err != nil {
		return err
	}
	return c.PrintAnswer(doc)
}

// PrintAnswer prints a document as Answer does.
func (c *Command) PrintAnswer(doc answer.Document) error {
	if err := c.Print(doc); err != nil {
		return err
	}
	if code := doc.Code(); code != "" {
		return ExitStatus(code.Exit())
	}
	return nil
}

// Print writes doc as the one JSON document on standard output.
func (c *Command) Print(doc any) error {
	b, err := answer.Encode(doc)
	if err != nil {
		return err
	}
	return c.Write(b)
}

// revealed is a secret with its values, which no document of package answer holds.
type revealed struct {
	answer.Secret
	Values map[string]any `json:"values,omitempty"`
}

// AnswerRevealed is Answer with the values of the secret: each a string, or
// {"base64": "…"} where the value is not text.
func (c *Command) AnswerRevealed(op keyturn.Op, res keyturn.Result, values map[string]keyturn.Value) error {
	doc, err := answer.Of(op, res, answer.About{Verbose: c.verbose})
	if err != nil {
		return err
	}
	r := revealed{Secret: *doc.Secret, Values: map[string]any{}}
	for field, v := range values {
		b := v.Reveal()
		if utf8.Valid(b) {
			r.Values[field] = string(b)
		} else {
			r.Values[field] = map[string][]byte{"base64": b} // encoding/json writes bytes in base64
		}
	}
	return c.Print(answer.Show(doc, &r, doc.Wrapped))
}

// Verbose reports whether causes of errors are shown.
func (c *Command) Verbose() bool { return c.verbose }

// SortedKeys are the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
