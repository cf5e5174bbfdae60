// Package command is what every command is made of: one run with its flags that
// all share, the way to the door and back, what is printed for people and as
// JSON, questions at a terminal, and how errors are told and end the program.
package command

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

// Program is what a command needs from outside. Package app fills it in, as a
// cli.Program, which runs whole command lines.
type Program struct {
	Version string
	In      *os.File
	Out     *os.File
	Err     *os.File
	Environ []string
	Dir     string // the folder it was started in
	// Actions lists what platforms can do that no other one can.
	Actions []keyturn.Administration
	// Open opens the store and the door for one command.
	Open func(ctx context.Context, how How) (*Session, error)
	// Create makes a new store. It is an operation before there is a door.
	Create func(ctx context.Context, how How, rootKey string) (Created, error)
	// Restore puts a backup in the place of a store, for which there is no door yet.
	Restore func(ctx context.Context, how How, o RestoreOptions) (Restored, error)
	// Peek tells of the store without opening it.
	Peek func(ctx context.Context, how How) (StoreFacts, error)
	// Facts tells about configuration and caller without opening the store.
	Facts func(how How) (Facts, error)
	// Inspect looks at the store and its surroundings without opening it.
	Inspect func(ctx context.Context, how How) (Inspection, error)
}

// How tells which store and configuration a command is about.
type How struct {
	Config string // of --config; "" for the usual places
	Home   string // "" for the usual place; set by quickstart, which reads no configuration
	Demo   bool   // the caller counts as a person: everything is made up and thrown away
	Prompt Prompt // asks the person

	Login Login // of a login

	// Of commands about the store as a whole.

	Anew             bool                  // the passphrase is asked for even where the store is unlocked
	Silent           bool                  // nobody is asked for it
	NewPassphrase    string                // file that holds the passphrase to be set; "": asked for
	BackupPassphrase string                // file that holds the passphrase of a backup; "": asked for
	Progress         func(done, total int) // of long work; nil: nobody looks
}

// Login says where a login finds what is secret of it.
type Login struct {
	Given     func() (keyturn.Value, error) // from a pipe, where the command line names one; else nil
	Variable  string                        // that holds a signed token; "" for the usual one
	Audience  string                        // of a signed token that is fetched; "" for the usual one
	NoBrowser bool                          // a login page's address is shown and nothing is opened
}

// Command is one run of one command.
type Command struct {
	*Program
	shared
	Name  string     // below "keyturn", once it is known: "audit list"
	Mount string     // that it is about, where no reference says so
	With  func(*How) // adds to How what one command needs; nil for nothing
	args  []string
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
	noColor bool
	verbose bool
}

// Env returns a variable of the program's environment; the last one counts.
func (p *Program) Env(name string) string {
	for i := len(p.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(p.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
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
func (c *Command) JSON() bool { return c.output == "json" }

// PathOf is a command's name below "keyturn": "audit list".
func PathOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyturn"), " ")
}

// SharedFlags adds the flags that every command has to the root of the tree.
func (c *Command) SharedFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&c.output, "output", "o", "", "`text|json`: for people, or one JSON document")
	f.StringVar(&c.config, "config", "", "the operator's configuration `FILE` (KEYTURN_CONFIG)")
	f.StringVar(&c.reason, "reason", "", "`TEXT` that is recorded with the operation")
	f.StringVar(&c.wait, "wait", "", "wait for an approval, for so long (`DUR`)")
	f.Lookup("wait").NoOptDefVal = "1h"
	f.BoolVar(&c.Yes, "yes", false, "do not ask before what cannot be undone")
	f.DurationVar(&c.Timeout, "timeout", 0, "give up after so long (`DUR`)")
	f.BoolVar(&c.noColor, "no-color", false, "no colours (NO_COLOR)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "show causes of errors")
}

// Expect settles the form of the output before the flags are parsed, so that a
// wrong flag is answered in kind.
func (c *Command) Expect(args []string) {
	c.args, c.output = args, outputOf(args, c.Env("KEYTURN_OUTPUT"))
}

// AllowPipe adds the flag of commands that write values to standard output. It
// says what is meant; whether it may be is the rules' to say: people may by
// default, agents and services by rule or approval only.
func AllowPipe(cmd *cobra.Command) {
	cmd.Flags().Bool("allow-pipe", false, "write to a pipe or file too (people: always so; agents and services: by rule only)")
}

// Begin settles the shared flags of every command.
func (c *Command) Begin(cmd *cobra.Command) error {
	c.Name, c.operation = PathOf(cmd), cmd.Annotations[OperationOf]
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
	if c.Env("NO_COLOR") != "" {
		c.noColor = true
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
func (c *Command) Do(cmd *cobra.Command, f func(ctx context.Context, s *Session) error) error {
	_, err := c.DoAndKeep(cmd, func(ctx context.Context, s *Session) (bool, error) { return false, f(ctx, s) })
	return err
}

// DoAndKeep is Do of an f that may have the session stay open, for the caller to
// close: then that is returned. It is nil in every other case, and where f failed.
func (c *Command) DoAndKeep(cmd *cobra.Command, f func(ctx context.Context, s *Session) (keep bool, err error)) (*Session, error) {
	ctx := c.Calling(cmd.Context())
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	s, err := c.Open(ctx, c.How())
	if err != nil {
		return nil, err
	}
	for _, t := range s.Tidy(ctx) {
		c.Say("keyturn: %s", keyturn.Clean(t))
	}
	keep, err := f(ctx, s)
	if keep && err == nil {
		return s, nil
	}
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return nil, err
}

// Calling is a context in which operations say where they come from, and why.
func (c *Command) Calling(ctx context.Context) context.Context {
	return keyturn.WithCall(ctx, keyturn.Call{Door: "cli", Reason: c.reason})
}

// How tells which store and configuration this run is about.
func (c *Command) How() How {
	h := How{Config: c.config, Prompt: c.Prompt()}
	if c.With != nil {
		c.With(&h)
	}
	return h
}

// Ask does op through the door, and with --wait once more each time that an
// approval may have come.
func Ask[R keyturn.Result](ctx context.Context, c *Command, s *Session, op keyturn.Op) (R, error) {
	res, err := keyturn.Do[R](ctx, s.Service, op)
	if err == nil || c.wait == "" {
		return res, err
	}
	limit, _ := time.ParseDuration(c.wait) // checked in Begin
	end := time.Now().Add(limit)
	// Each time is a refusal that goes into the audit log: not too often.
	for pause := 5 * time.Second; err != nil && time.Now().Before(end); pause = 15 * time.Second {
		e := keyturn.AsError(err)
		if e.Approval == nil {
			return res, err
		}
		if pause == 5*time.Second {
			c.Say("waiting for an approval: keyturn approve %s   (%s)", e.Approval.ID, e.Approval.Fingerprint)
		}
		select {
		case <-ctx.Done():
			return res, ctx.Err()
		case <-time.After(min(pause, time.Until(end))):
		}
		res, err = keyturn.Do[R](ctx, s.Service, op)
	}
	return res, err
}
