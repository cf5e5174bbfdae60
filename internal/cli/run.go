package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/runner"
	"github.com/keyturn/keyturn/internal/session"
)

type runOptions struct {
	env, envFrom, files []string
	report              string
	runner.Options
}

// runCommand returns the command 'keyturn run'.
func runCommand(c *command) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARG]...",
		Short: "Run a command with secrets that it gets and nobody sees",
		Long: `Run a command with secrets in its environment or in files, and its output
redacted. Its exit status is passed on; keyturn's own failures before the start
exit with 125, a command that cannot be executed with 126, none found with 127.

Of two that give the same variable the first of these wins: --env, --env-file,
the project's keyturn.yaml, --env-from, and what is inherited. Inherited
variables whose whole value is a kt:// reference are resolved too.

  --env-file     references in the file are resolved; its other values are passed
                 on as they are, and are not redacted
  --file         the file is readable by you only, and is removed when the command
                 ends; there must be none before
  --optional     a variable or file that may be missing; it is left out then
  --no-redact    for people only, and recorded

What a platform makes anew for each asking (such as vault/database/creds/ROLE) is
taken once for all its fields, renewed while the command runs, as is the login that
took it, and revoked when it has ended; see 'keyturn lease'.

An agent or a service sees the output when the command has ended, unless a rule says
output: stream or status. Where a value is too short, or too easy to guess, the output
is withheld from who may not see the value, and of the exit status only passes whether
it is 0.

All references that fail are told at once, and the command is not started.

What an --env-file asks for has to be trusted once: see 'keyturn trust'. A secret
becomes a variable that changes how programs run (PATH, LD_PRELOAD) by --env
alone. No command gets KEYTURN_PASSPHRASE_FILE. That of an agent or a service gets
of its caller's variables only what is harmless and what a rule names under env.`,
		Example: `  keyturn run -- npm start
  keyturn run --env 'PGPASSWORD=local/myapp#password' -- psql -h db
  keyturn run --env-from local/myapp,prefix=APP_ -- ./server
  keyturn run --env-file .env --file 'tls.key=local/myapp#tls.key' -- ./server`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case dash < 0 && len(args) > 0:
				return usage("the command stands behind --: keyturn run -- " + keyturn.Quote(args[0]))
			case dash > 0:
				return usage("'" + args[0] + "' stands before --, where only flags do")
			case len(args) == 0 || args[0] == "":
				return usage("no command was given: write it behind --")
			}
			o.Command = args
			return run(c, cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.env, "env", "e", nil, "give a secret as a variable (`NAME=REF`)")
	f.StringArrayVar(&o.envFrom, "env-from", nil, "give all fields of a secret as variables (`REF[,prefix=P]`)")
	f.StringArrayVar(&o.EnvFiles, "env-file", nil, "read variables from a .env `FILE`")
	f.StringArrayVar(&o.files, "file", nil, "give a secret as a file (`PATH=REF`)")
	f.StringArrayVar(&o.Optional, "optional", nil, "the variable or file `NAME` may be missing")
	f.BoolVar(&o.Plain, "no-redact", false, "leave the output as it is (people only)")
	f.BoolVar(&o.Trust, "trust-project", false, "trust the project's file and each --env-file first, as 'keyturn trust' does")
	f.StringVar(&o.report, "report", "", "write what happened as JSON to `FILE`")
	return cmd
}

// run runs the command, and tells of it in the report. The error is a
// command.ExitStatus once the command has ended, or could not be executed.
func run(c *command, cmd *cobra.Command, o runOptions) error {
	begun := time.Now()
	facts, err := c.Facts(c.How())
	if err != nil {
		return failureOf(c, err)
	}
	if o.report != "" { // while nothing has happened yet
		if err := facts.CanReplace(c.Abs(o.report)); err != nil {
			return failureOf(c, err)
		}
	}
	for _, s := range o.env {
		o.Env = append(o.Env, binding(s))
	}
	for _, s := range o.files {
		o.Files = append(o.Files, binding(s))
	}
	for _, s := range o.envFrom {
		o.EnvFrom = append(o.EnvFrom, source(s))
	}
	r := &runner.Runner{Facts: facts, Desk: &c.Terminal, Environ: c.Environ, Dir: c.Dir, Read: c.Input}
	plan, err := r.Plan(o.Options)
	if err == nil {
		err = start(c, cmd, plan, o.report, begun)
	}
	failure := failureOf(c, err)
	if o.report != "" {
		if reportErr := report(c, facts, o.report, plan, failure); reportErr != nil {
			// What the command did is done: its status stays.
			c.Say("keyturn: the report was not written: %s", keyturn.CleanLines(reportErr.Error()))
		}
	}
	status := plan.Status
	switch {
	case err == nil:
		return exitStatus(status.Code)
	case failure == nil: // interrupted
		return err
	case status.Started:
		// Standard output is the command's: this is for standard error.
		c.Say("keyturn: %s: %s", failure.Code, keyturn.CleanLines(failure.Message))
		if failure.Hint != "" {
			c.Say("  %s", keyturn.CleanLines(failure.Hint))
		}
		return exitStatus(status.Code)
	case status.Code != 0: // not executable, not found, interrupted
		c.TellError(failure)
		return exitStatus(status.Code)
	}
	return failure
}

// start fetches the values and runs the command. However long the command runs, the
// store is closed meanwhile and holds no lock and no key; only where there are leases, or an
// agent or a service calls, it stays open, which keeps no other process from anything.
func start(c *command, cmd *cobra.Command, plan *runner.Plan, report string, begun time.Time) error {
	var open *session.Session
	if plan.Asks() {
		var err error
		if open, err = c.DoAndKeep(cmd, func(ctx context.Context, s *session.Session) (bool, error) {
			if report != "" { // which file the store has pinned is known now
				if err := s.CanReplace(c.Abs(report)); err != nil {
					return false, err
				}
			}
			err := plan.Fetch(ctx, s)
			return plan.NeedsSession(), err
		}); err != nil {
			return err
		}
	}
	if open != nil {
		defer func() {
			if err := open.Close(); err != nil {
				c.Say("keyturn: %s", keyturn.CleanLines(keyturn.AsError(err).Message))
			}
		}()
	}
	var deadline time.Time
	if c.Timeout > 0 {
		deadline = begun.Add(c.Timeout)
	}
	return plan.Run(c.Calling(cmd.Context()), open, runner.Streams{Stdin: c.In, Stdout: c.Out, Stderr: c.Err}, deadline)
}

// binding reads NAME=REF and PATH=REF. Without a "=" the name is empty, which Plan
// refuses.
func binding(s string) runner.Binding {
	name, ref, ok := strings.Cut(s, "=")
	if !ok {
		return runner.Binding{}
	}
	return runner.Binding{Name: name, Ref: ref}
}

// source reads REF[,prefix=P].
func source(s string) runner.Source {
	if i := strings.LastIndex(s, ",prefix="); i >= 0 {
		return runner.Source{Ref: s[:i], Prefix: s[i+len(",prefix="):]}
	}
	return runner.Source{Ref: s}
}

// failureOf is err as an Error of this operation; nil where nobody has to be told more:
// there is none, or the run was interrupted before it had changed anything.
func failureOf(c *command, err error) *keyturn.Error {
	if err == nil || errors.Is(err, context.Canceled) && !keyturn.AsError(err).Unknown {
		return nil
	}
	e := *c.Explain(err)
	e.Op = keyturn.RunCommand{}.Kind()
	return &e
}

// report writes the JSON document of --report; to a pipe too.
func report(c *command, facts session.Facts, path string, plan *runner.Plan, failure *keyturn.Error) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(plan.Report(failure, c.Verbose())); err != nil {
		return keyturn.E(keyturn.Internal, "the report has no JSON form", "").Because(err)
	}
	_, err := facts.Replace(c.Abs(path), b.Bytes())
	return err
}
