// Package cli is the command line: it turns words into operations, hands them to
// the one door, and shows what comes back. One file per command; its script
// tests are in testdata/script.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

// Program is the command line with everything it needs from outside. Package app
// fills it in.
type Program struct {
	Version string
	In      *os.File
	Out     *os.File
	Err     *os.File
	Environ []string
	Dir     string // the folder it was started in
	// Open opens the store and the door for one command.
	Open func(ctx context.Context, how How) (*Session, error)
	// Create makes a new store. It is an operation before there is a door.
	Create func(ctx context.Context, how How, rootKey string) (Created, error)
	// Facts tells about configuration and caller without opening the store.
	Facts func(how How) (Facts, error)
}

// How tells which store and configuration a command is about.
type How struct {
	Config string // of --config; "" for the usual places
	Home   string // "" for the usual place; set by quickstart, which reads no configuration
	Demo   bool   // the caller counts as a person: everything is made up and thrown away
	Prompt Prompt // asks the person
}

// command is one run of one command.
type command struct {
	*Program
	shared
	name string // for JSON's operation, until it is known better
}

// shared are the flags that every command has.
type shared struct {
	output  string
	config  string
	reason  string
	wait    string
	yes     bool
	timeout time.Duration
	noColor bool
	verbose bool
}

// errInterrupted ends a command at a prompt or by a signal: exit status 130.
var errInterrupted = errors.New("interrupted")

// exitStatus ends a command with a status of its own, without a message: that of
// a child under run, or of a difference.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Run runs one command line and returns the exit status (docs/exit-codes.md).
func (p *Program) Run(args []string) int {
	c := &command{Program: p, name: "run-keyturn"}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	// Known before the flags are parsed, so that a wrong flag is answered in kind.
	c.output = outputOf(args, p.env("KEYTURN_OUTPUT"))
	ctx, stop := untilInterrupted()
	defer stop()
	err := root.ExecuteContext(ctx)
	return c.end(ctx, err)
}

// untilInterrupted returns a context that ends with a signal that asks the program
// to end. One that it was started to ignore (in the background of a script, under
// nohup) stays ignored, also for a command under run.
func untilInterrupted() (context.Context, context.CancelFunc) {
	var list []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 { // to Notify none means all
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), list...)
}

// end tells an error and returns its exit status.
func (c *command) end(ctx context.Context, err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(c.Err, "keyturn: interrupted; nothing further was done")
		return 130
	}
	e := c.explain(err)
	c.tellError(e)
	if e.Op == runKind || c.name == "run" {
		return 125 // before the child has started
	}
	return e.Code.Exit()
}

// explain turns what cobra and the standard library say into an Error.
func (c *command) explain(err error) *keyturn.Error {
	var e *keyturn.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return keyturn.E(keyturn.Unavailable, "it took longer than --timeout allows", "give it more time").Because(err)
	case errors.As(err, new(usageError)):
		return keyturn.E(keyturn.Invalid, keyturn.Clean(err.Error()), "see 'keyturn "+c.path()+"--help'")
	case errors.Is(err, syscall.EPIPE):
		return keyturn.E(keyturn.Unavailable, "the output could not be written: its reader has gone", "").Because(err)
	}
	return keyturn.AsError(err)
}

func (c *command) path() string { return strings.TrimPrefix(c.name+" ", "run-keyturn ") }

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func usage(message string) error { return usageError{errors.New(message)} }

// env returns a variable of the program's environment; the last one counts.
func (p *Program) env(name string) string {
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

func (c *command) json() bool { return c.output == "json" }

// root builds the tree of commands.
func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keyturn",
		Short: "Secrets for people and agents, used without being seen",
		Long: `keyturn keeps and uses an organisation's secrets without showing them.

A secret is named MOUNT/NAME, one of its fields MOUNT/NAME#FIELD. The mount
'local' is an encrypted store of keyturn's own and is always there.`,
		Example: `  keyturn quickstart
  keyturn put local/myapp password
  keyturn run --env 'PASSWORD=local/myapp#password' -- npm start`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.begin(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVarP(&c.output, "output", "o", "", "`text|json`: for people, or one JSON document")
	f.StringVar(&c.config, "config", "", "the operator's configuration `FILE` (KEYTURN_CONFIG)")
	f.StringVar(&c.reason, "reason", "", "`TEXT` that is recorded with the operation")
	f.StringVar(&c.wait, "wait", "", "wait for an approval, for so long (`DUR`)")
	f.Lookup("wait").NoOptDefVal = "1h"
	f.BoolVar(&c.yes, "yes", false, "do not ask before what cannot be undone")
	f.DurationVar(&c.timeout, "timeout", 0, "give up after so long (`DUR`)")
	f.BoolVar(&c.noColor, "no-color", false, "no colours (NO_COLOR)")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "show causes of errors")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		c.name = commandPath(cmd)
		return usageError{err}
	})
	root.CompletionOptions.DisableDefaultCmd = true
	cobra.EnableCommandSorting = false // the list of commands is in the order of use
	for _, add := range commands {
		root.AddCommand(add(c))
	}
	eachCommand(root, func(cmd *cobra.Command) {
		cmd.DisableFlagsInUseLine = true
		if args := cmd.Args; args != nil {
			cmd.Args = func(cmd *cobra.Command, list []string) error {
				if err := args(cmd, list); err != nil {
					c.name = commandPath(cmd)
					return usageError{err}
				}
				return nil
			}
		}
		if cmd.RunE == nil && cmd.HasSubCommands() { // a group: say what there is
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.group(cmd, args) }
		}
	})
	return root
}

// commands holds one constructor for each command, in the order of the help.
var commands = []func(*command) *cobra.Command{
	quickstartCommand, initCommand, statusCommand, putCommand, getCommand,
	runCommand, renderCommand, trustCommand, approveCommand,
	listCommand, historyCommand, rollbackCommand, deleteCommand, restoreCommand, destroyCommand, auditCommand,
	rulesCommand, configCommand, completionCommand, versionCommand,
}

func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, f)
	}
}

// group answers a command that only has sub-commands.
func (c *command) group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	c.name = commandPath(cmd)
	e := keyturn.E(keyturn.Invalid, "unknown command '"+keyturn.Clean(args[0])+"'", "see '"+cmd.CommandPath()+" --help'")
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		e.Hint = "did you mean '" + cmd.CommandPath() + " " + near[0] + "'?"
	}
	return e
}

func commandPath(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyturn"), " ")
}

// begin settles the shared flags of every command.
func (c *command) begin(cmd *cobra.Command) error {
	c.name = commandPath(cmd)
	if c.output == "" {
		c.output = c.env("KEYTURN_OUTPUT")
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
	if c.config == "" {
		c.config = c.env("KEYTURN_CONFIG")
	}
	if c.env("NO_COLOR") != "" {
		c.noColor = true
	}
	if c.wait != "" {
		if d, err := time.ParseDuration(c.wait); err != nil || d <= 0 {
			return keyturn.E(keyturn.Invalid, "--wait takes a duration such as 10m", "")
		}
	}
	if c.timeout < 0 {
		return keyturn.E(keyturn.Invalid, "--timeout takes a duration such as 30s", "")
	}
	return nil
}

// do runs f with an open session and this command's context. What it leaves to
// be recorded is written when it ends.
func (c *command) do(cmd *cobra.Command, f func(ctx context.Context, s *Session) error) error {
	ctx := keyturn.WithCall(cmd.Context(), keyturn.Call{Door: "cli", Reason: c.reason})
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	s, err := c.Open(ctx, c.how())
	if err != nil {
		return err
	}
	err = f(ctx, s)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (c *command) how() How { return How{Config: c.config, Prompt: c.prompt()} }

// ask does op through the door, and with --wait once more each time that an
// approval may have come.
func ask[R keyturn.Result](ctx context.Context, c *command, s *Session, op keyturn.Op) (R, error) {
	res, err := keyturn.Do[R](ctx, s.Service, op)
	if err == nil || c.wait == "" {
		return res, err
	}
	limit, _ := time.ParseDuration(c.wait) // checked in begin
	end := time.Now().Add(limit)
	for pause := time.Second; err != nil && time.Now().Before(end); pause = min(2*pause, 10*time.Second) {
		e := keyturn.AsError(err)
		if e.Approval == nil {
			return res, err
		}
		if pause == time.Second {
			c.say("waiting for an approval: keyturn approve %s   (%s)", e.Approval.ID, e.Approval.Fingerprint)
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
