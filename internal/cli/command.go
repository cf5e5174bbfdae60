package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// command is one run of one command: the flags that all commands share, the way to the
// Service and back, and how errors are told and end the program.
type command struct {
	*Program
	shared
	Name  string             // below "keyturn", once it is known: "audit list"
	Mount string             // that it is about, where no reference says so
	With  func(*session.How) // adds to How what one command needs; nil for nothing
	args  []string
	ctx   context.Context // ends with a signal
	// operation names what the command does, where it was made of a platform's list.
	operation string
}

// OperationOf is the annotation of a command that names its operation.
const OperationOf = "operation"

// shared are the flags that every command has.
type shared struct {
	output  string
	config  string
	reason  string
	wait    string
	Yes     bool
	Timeout time.Duration
	verbose bool
}

func outputOf(args []string, def string) string {
	out := def
	for i, a := range args {
		switch {
		case a == "--":
			return out
		case (a == "-o" || a == "--output") && i+1 < len(args):
			out = args[i+1]
		case strings.HasPrefix(a, "--output="):
			out = strings.TrimPrefix(a, "--output=")
		case strings.HasPrefix(a, "-o="):
			out = strings.TrimPrefix(a, "-o=")
		case strings.HasPrefix(a, "-ojson"):
			out = "json"
		}
	}
	return out
}

// JSON reports whether the answer is one JSON document.
func (c *command) JSON() bool { return c.output == "json" }

// pathOf is a command's name below "keyturn": "audit list".
func pathOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyturn"), " ")
}

// SharedFlags adds the flags that every command has to the root of the tree.
func (c *command) SharedFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&c.output, "output", "o", "", "`text|json`: for people, or one JSON document")
	f.StringVar(&c.config, "config", "", "the operator's configuration `FILE` (KEYTURN_CONFIG)")
	f.StringVar(&c.reason, "reason", "", "`TEXT` that is recorded with the operation")
	f.StringVar(&c.wait, "wait", "", "wait for an approval, for so long (`DUR`)")
	f.Lookup("wait").NoOptDefVal = "1h"
	f.BoolVar(&c.Yes, "yes", false, "do not ask before what cannot be undone")
	f.DurationVar(&c.Timeout, "timeout", 0, "give up after so long (`DUR`)")
	f.BoolVar(&c.Plain, "no-color", false, "no colours (NO_COLOR)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "show causes of errors")
}

// Expect settles the form of the output before the flags are parsed, so that a
// wrong flag is answered in kind.
func (c *command) Expect(args []string) {
	c.args, c.output = args, outputOf(args, c.Env("KEYTURN_OUTPUT"))
}

// allowPipe adds the flag of commands that write values to standard output. It
// says what is meant; whether it may be is the rules' to say: people may by
// default, agents and services by rule or approval only.
func allowPipe(cmd *cobra.Command) {
	cmd.Flags().Bool("allow-pipe", false, "write to a pipe or file too (people: always so; agents and services: by rule only)")
}

// Begin settles the shared flags of every command.
func (c *command) Begin(cmd *cobra.Command) error {
	c.Name, c.operation = pathOf(cmd), cmd.Annotations[OperationOf]
	empty := noneEmpty(cmd) // before the environment fills in
	if c.output == "" {
		c.output = c.Env("KEYTURN_OUTPUT")
	}
	switch c.output {
	case "":
		c.output = "text"
	case "text", "json":
	default:
		bad := c.output
		c.output = "text"
		return keyturn.E(keyturn.Invalid, "unknown output '"+keyturn.Clean(bad)+"'", "there are text and json")
	}
	if empty != nil {
		return empty
	}
	if c.config == "" {
		c.config = c.Env("KEYTURN_CONFIG")
	}
	if c.Env("NO_COLOR") != "" || c.Env("TERM") == "dumb" {
		c.Plain = true
	}
	if c.wait != "" {
		if d, err := time.ParseDuration(c.wait); err != nil || d <= 0 {
			return keyturn.E(keyturn.Invalid, "--wait takes a duration such as 10m", "--wait alone waits for an hour")
		}
	}
	if c.Timeout < 0 {
		return keyturn.E(keyturn.Invalid, "--timeout takes a duration such as 30s", "leave it out for no limit")
	}
	return nil
}

// Do runs f with an open session and this command's context. What it leaves to
// be recorded is written when it ends.
func (c *command) Do(cmd *cobra.Command, f func(ctx context.Context, s *session.Session) error) error {
	_, err := c.DoAndKeep(cmd, func(ctx context.Context, s *session.Session) (bool, error) { return false, f(ctx, s) })
	return err
}

// DoAndKeep is Do of an f that may have the session stay open, for the caller to
// close: then that is returned. It is nil in every other case, and where f failed.
func (c *command) DoAndKeep(cmd *cobra.Command, f func(ctx context.Context, s *session.Session) (keep bool, err error)) (*session.Session, error) {
	ctx := c.Calling(cmd.Context())
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	return c.Program.Do(ctx, c.How(), f)
}

// Calling is a context in which operations say where they come from, and why.
func (c *command) Calling(ctx context.Context) context.Context {
	return keyturn.WithCall(ctx, keyturn.Call{Door: "cli", Reason: c.reason})
}

// How says which store and configuration this run is about.
func (c *command) How() session.How {
	h := session.How{Config: c.config, Desk: &c.Terminal, Quiet: c.JSON()}
	if c.wait != "" {
		h.Wait, _ = time.ParseDuration(c.wait) // checked in Begin
	}
	if c.With != nil {
		c.With(&h)
	}
	return h
}

// MayWrite refuses a file in keyturn's own folder. See session.Facts.
func (c *command) MayWrite(path string) error {
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	return facts.MayWrite(path)
}
