package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
)

// exitStatus ends a command with a status of its own, without a message: that of
// a child under run, or of a difference.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// End tells an error and returns its exit status.
func (c *command) End(ctx context.Context, err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, term.ErrInterrupted), errors.Is(err, context.Canceled) && ctx.Err() != nil:
		if e := c.Explain(err); e.Unknown {
			c.TellError(e) // a change was under way
		} else {
			fmt.Fprintln(c.Err, "keyturn: interrupted; nothing further was done")
		}
		return 130
	}
	e := c.Explain(err)
	c.TellError(e)
	if e.Op == runKind || c.Name == "run" {
		return 125 // before the child has started
	}
	return e.Code.Exit()
}

// Explain turns what cobra and the standard library say into an Error.
func (c *command) Explain(err error) *keyturn.Error {
	var e *keyturn.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return keyturn.E(keyturn.Unavailable, "it took longer than --timeout allows", "give it more time").Because(err)
	case errors.As(err, new(usageError)):
		return keyturn.E(keyturn.Invalid, keyturn.Clean(err.Error()), "see '"+strings.TrimSuffix("keyturn "+c.Name, " ")+" --help'")
	}
	return keyturn.AsError(err)
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// usage is the error of a command line that cannot be meant.
func usage(message string) error { return usageError{errors.New(message)} }

// TellError shows an error in kind: one JSON document on standard output, or a
// message and its hint on standard error.
func (c *command) TellError(e *keyturn.Error) {
	// A command has one name for what it does, whichever of its operations failed.
	op := operations[c.Name]
	if op == "" {
		op = c.operation
	}
	if op == "" {
		op = e.Op
	}
	if op == "" {
		op = unnamed
	}
	if c.JSON() {
		doc := answer.OfError(op, e, c.Verbose())
		if doc.Mount == "" {
			doc.Mount = c.Mount
		}
		if doc.Mount != "" {
			doc.Platform = c.platformOf(doc.Mount)
		}
		if c.Print(doc) == nil {
			return
		}
	}
	each, code := e.Each, func(x *keyturn.Error) string {
		if c.Name == "run" { // whose exit status does not tell it
			return string(x.Code) + ": "
		}
		return ""
	}
	if len(each) == 0 {
		each = []*keyturn.Error{e}
	} else {
		c.Say("keyturn: %s%s", code(e), keyturn.CleanLines(e.Message))
	}
	for _, x := range each {
		message := x.Message
		if path := x.Ref.Path(); len(each) > 1 && !strings.Contains(message, path) {
			message += " (" + x.Ref.Short() + ")" // which of them
		}
		c.Say("keyturn: %s%s", code(x), keyturn.CleanLines(message))
		for l := range strings.SplitSeq(x.Hint, "\n") {
			if l != "" {
				c.Say("  %s", keyturn.Clean(l))
			}
		}
		if x.Unknown {
			c.Say("  whether it happened is not known")
		}
		if c.verbose && x.Err != nil {
			c.Say("  cause: %s", keyturn.CleanLines(x.Err.Error()))
		}
	}
}

// platformOf is the platform of a mount: of the operator's configuration, or of one
// that is there without any, whose name is its platform's. "" for no such mount.
func (c *command) platformOf(mount string) string {
	if mount == "local" {
		return mount
	}
	facts, err := c.Facts(c.How())
	if err != nil || !slices.Contains(facts.Mounts, mount) {
		return ""
	}
	if m, ok := facts.Operator.Mount(mount); ok {
		return m.Platform
	}
	return mount
}
