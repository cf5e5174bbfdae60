// Package cli is the command line, one of keyturn's doors: it turns words and flags into
// operations, prints what comes back, and asks the person at the terminal. What a second
// door would need too stands below it: in session, answer, describe, runner, migrate,
// health and parse.
//
// There is one file for each command, named as the command; command.go has what every
// command is made of. The scripts in testdata/script run the commands as a user would.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

// Program is the command line with everything it needs from outside: what opens sessions,
// and the terminal. Package app fills it in.
type Program struct {
	session.Program
	term.Terminal
}

// Run runs one command line and returns the exit status (docs/exit-codes.md).
func (p *Program) Run(args []string) int {
	c := &command{Program: p}
	root := root(c)
	root.SetArgs(args)
	root.SetIn(p.In)
	out := &helpWriter{Writer: c.Output()}
	root.SetOut(out)
	root.SetErr(p.Err)
	c.Expect(args)
	ctx, stop := untilInterrupted()
	defer stop()
	c.ctx = ctx
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		plainUsages(root)
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.err
	}
	return c.End(ctx, err)
}

// helpWriter keeps the error of what cobra writes, which cobra passes over.
type helpWriter struct {
	io.Writer
	err error
}

func (w *helpWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// untilInterrupted returns a context that ends with a signal that asks the program
// to end; the next one kills it. One that it was started to ignore (in the background of a script, under
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
	ctx, stop := signal.NotifyContext(context.Background(), list...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// root builds the tree of commands.
func root(c *command) *cobra.Command {
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
		Version:           c.Version,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.Begin(cmd) },
	}
	c.SharedFlags(root)
	oneOf(root, "output", "text", "json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return c.WrongFlag(cmd, err)
	})
	root.SetVersionTemplate("keyturn {{.Version}}\n")
	root.SetHelpCommand(helpCommand(c))
	root.CompletionOptions.DisableDefaultCmd = true
	cobra.EnableCommandSorting = false // the list of commands is in the order of use
	for _, add := range commands() {
		root.AddCommand(add(c))
	}
	for _, list := range c.Actions {
		root.AddCommand(commandCommand(c, list))
	}
	completeWords(c, root)
	eachCommand(root, func(cmd *cobra.Command) {
		cmd.DisableFlagsInUseLine = true
		if args := cmd.Args; args != nil {
			cmd.Args = func(cmd *cobra.Command, list []string) error {
				if err := args(cmd, list); err != nil {
					return c.WrongArgs(cmd, list, err)
				}
				return nil
			}
		}
		if cmd.RunE == nil && cmd.HasSubCommands() { // a group: say what there is
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error { return group(c, cmd, args) }
		}
	})
	return root
}

// commands holds one constructor for each command, in the order of the help.
func commands() []func(*command) *cobra.Command {
	return []func(*command) *cobra.Command{
		quickstartCommand, initCommand, statusCommand, doctorCommand, loginCommand, logoutCommand, putCommand, getCommand,
		migrateCommand, runCommand, renderCommand, leaseCommand, trustCommand, approveCommand,
		listCommand, historyCommand, rollbackCommand, deleteCommand, restoreCommand, destroyCommand,
		copyCommand, diffCommand, storeCommand, auditCommand,
		rulesCommand, configCommand, completionCommand, versionCommand,
	}
}

func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, f)
	}
}

// group answers a command that only has sub-commands.
func group(c *command, cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	c.Name = pathOf(cmd)
	return unknown(cmd, args[0])
}

// unknown is the error of a word that names no command below cmd.
func unknown(cmd *cobra.Command, word string) error {
	e := keyturn.E(keyturn.Invalid, "unknown command '"+keyturn.Clean(word)+"'", "see '"+cmd.CommandPath()+" --help'")
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		e.Hint = "did you mean '" + cmd.CommandPath() + " " + near[0] + "'?"
	}
	return e
}
