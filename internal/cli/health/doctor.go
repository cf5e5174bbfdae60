// Package health holds the command that looks for what is wrong, and says what to
// do about it.
package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/session"
)

// Doctor returns the command 'keyturn doctor'. protects says what a place of the
// root key protects from, a line for each.
func Doctor(c *command.Command, protects func(kind string) []string) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say what to do",
		Long: `Look at everything that keyturn rests on, and say of each thing whether it is ok,
to be looked at (warn) or broken (bad), and what to do: the configuration, who
you are taken for, the store with its root key, files and disk, each mount, the
project here, work that was cut short, secrets that expire, and your shell.

It changes nothing. With warnings only the exit status is 0; with something bad
it is that of the first of internal, corrupt, sealed, expired, denied,
unavailable, conflict, not_found that occurs (docs/exit-codes.md). 'keyturn
status' is the short form.`,
		Example: `  keyturn doctor
  keyturn doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{c: c, protects: protects}
			if err := d.examine(cmd); err != nil {
				return err
			}
			if err := d.tell(); err != nil {
				return err
			}
			if len(d.failed) > 0 {
				return command.ExitStatus(keyturn.Join("", d.failed...).Code.Exit())
			}
			return nil
		},
	}
}

// doctor collects what it finds.
type doctor struct {
	c        *command.Command
	protects func(kind string) []string
	actor    keyturn.Actor
	checks   []answer.Check
	failed   []*keyturn.Error
	receipt  keyturn.Receipt
}

// The states of a check.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateBad  = "bad"
)

func (d *doctor) add(check, state, message, next string) {
	d.checks = append(d.checks, answer.Check{Check: check, State: state, Message: keyturn.CleanLines(message), Next: keyturn.CleanLines(next)})
}

func (d *doctor) ok(check, format string, args ...any) {
	d.add(check, stateOK, fmt.Sprintf(format, args...), "")
}

func (d *doctor) warn(check, next, format string, args ...any) {
	d.add(check, stateWarn, fmt.Sprintf(format, args...), next)
}

func (d *doctor) bad(check string, err error) {
	e := d.c.Explain(err)
	next := e.Hint
	if next == "" {
		next = "see 'keyturn help', and say -v for the cause"
	}
	d.add(check, stateBad, e.Message, next)
	d.checks[len(d.checks)-1].Code = e.Code
	d.failed = append(d.failed, e)
}

// examine goes from what is needed first to what rests on it. Its own error is an
// interrupt: what is found wrong is no error here.
func (d *doctor) examine(cmd *cobra.Command) error {
	c, ctx := d.c, cmd.Context()
	in, err := c.Inspect(ctx, c.How())
	if err != nil {
		return err
	}
	facts, err := c.Facts(c.How())
	d.actor = facts.Actor
	if err == nil {
		d.configuration(facts)
		d.caller(facts)
	} else {
		d.bad("configuration", err)
	}
	d.store(in)
	d.files(in)
	d.disk(in)
	d.memory(in)
	if err == nil && in.Err == nil {
		opened := false
		err := c.Do(cmd, func(ctx context.Context, s *session.Session) error {
			opened = true
			d.ok("root key", "%s, and it opens the store", keyPlace(s.Store))
			return d.inside(ctx, s)
		})
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil && !opened:
			d.bad(opening(err), err)
		case err != nil:
			d.bad("store", err)
		}
	}
	if in.Err == nil {
		d.protection(in)
	}
	d.completion()
	return ctx.Err()
}

// opening is what is to blame where the store does not open.
func opening(err error) string {
	switch code(err) {
	case keyturn.Denied: // an agent may not choose its configuration
		return "configuration"
	case keyturn.Conflict: // a mount is not what the project expects
		return "project"
	}
	return "root key"
}

// inside looks at what only an open store shows.
func (d *doctor) inside(ctx context.Context, s *session.Session) error {
	mounts, err := d.mounts(ctx, s)
	if err != nil {
		return err
	}
	d.clock(ctx, s)
	d.project(ctx, s)
	d.unfinished(ctx, s)
	d.expiring(ctx, s, mounts)
	return ctx.Err()
}

// tell shows what was found, for people or as JSON.
func (d *doctor) tell() error {
	if d.c.JSON() {
		doc := answer.Success("check-health", d.receipt)
		if len(d.failed) > 0 {
			doc.Status = "partial"
			for _, e := range d.failed {
				doc.Errors = append(doc.Errors, answer.ErrorOf(e, d.c.Verbose()))
			}
		}
		doc.Checks = &d.checks
		if d.actor.Kind != "" {
			doc.Caller = &d.actor
		}
		return d.c.Print(doc)
	}
	warnings := 0
	for _, x := range d.checks {
		mark := fmt.Sprintf("%-5s", x.State)
		if x.State != stateOK {
			mark = d.c.Bold(mark)
		}
		if x.State == stateWarn {
			warnings++
		}
		lines := strings.Split(x.Message, "\n")
		if err := d.c.Line("%s %-13s %s", mark, x.Check, lines[0]); err != nil {
			return err
		}
		for _, l := range lines[1:] {
			if err := d.c.Line("%20s%s", "", l); err != nil {
				return err
			}
		}
		for l := range strings.SplitSeq(x.Next, "\n") {
			if l == "" {
				continue
			}
			if err := d.c.Line("%20s→ %s", "", l); err != nil {
				return err
			}
		}
	}
	switch bad := len(d.failed); {
	case bad > 0:
		return d.c.Line("\n%d bad, %d to be looked at", bad, warnings)
	case warnings > 0:
		return d.c.Line("\nnothing bad, %d to be looked at", warnings)
	}
	return d.c.Line("\nall is well")
}

// code is the code of an error, "" for none.
func code(err error) keyturn.Code {
	var e *keyturn.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
