// Package use holds the commands that hand values on to programs and files, unseen:
// run, render, and trust in what a project asks for.
package use

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/leak"
	"github.com/keyturn/keyturn/internal/session"
)

type runOptions struct {
	env, envFrom, envFile, file, optional []string
	plain                                 bool // --no-redact
	trust                                 bool
	report                                string
	args                                  []string
}

// Run returns the command 'keyturn run'.
func Run(c *command.Command) *cobra.Command {
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

All references that fail are told at once, and the command is not started. It
does not get KEYTURN_PASSPHRASE_FILE, and that of an agent or a service no plain
variables that change how programs run, such as LD_PRELOAD or NODE_OPTIONS.`,
		Example: `  keyturn run -- npm start
  keyturn run --env 'PGPASSWORD=local/myapp#password' -- psql -h db
  keyturn run --env-from local/myapp,prefix=APP_ -- ./server
  keyturn run --env-file .env --file 'tls.key=local/myapp#tls.key' -- ./server`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case dash < 0 && len(args) > 0:
				return command.Usage("the command stands behind --: keyturn run -- " + keyturn.Quote(args[0]))
			case dash > 0:
				return command.Usage("'" + args[0] + "' stands before --, where only flags do")
			case len(args) == 0 || args[0] == "":
				return command.Usage("no command was given: write it behind --")
			}
			o.args = args
			return run(c, cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.env, "env", "e", nil, "give a secret as a variable (`NAME=REF`)")
	f.StringArrayVar(&o.envFrom, "env-from", nil, "give all fields of a secret as variables (`REF[,prefix=P]`)")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from a .env `FILE`")
	f.StringArrayVar(&o.file, "file", nil, "give a secret as a file (`PATH=REF`)")
	f.StringArrayVar(&o.optional, "optional", nil, "the variable or file `NAME` may be missing")
	f.BoolVar(&o.plain, "no-redact", false, "leave the output as it is (people only)")
	f.BoolVar(&o.trust, "trust-project", false, "trust the project's file first, as 'keyturn trust' does")
	f.StringVar(&o.report, "report", "", "write what happened as JSON to `FILE`")
	return cmd
}

// running is one run, as far as it got. The report is made of it.
type running struct {
	runOptions
	begun    time.Time
	plan     runPlan
	actor    keyturn.Actor
	delivery *keyturn.Delivery // nil: no secret was asked for
	leases   leases
	output   string // "redacted", "plain", "withheld"; "" without secrets
	status   launch.Status
}

// run does everything, and tells of it in the report. The error is
// a command.ExitStatus once the command has ended, or could not be executed.
func run(c *command.Command, cmd *cobra.Command, o runOptions) error {
	r := &running{runOptions: o, begun: time.Now()}
	if o.report != "" { // while nothing has happened yet
		if err := checkWritable(c, c.Abs(o.report)); err != nil {
			return failureOf(c, err)
		}
	}
	err := prepare(c, cmd, r)
	defer r.leases.end()
	if err == nil {
		r.leases.begin()
		err = start(c, cmd, r)
	}
	r.leases.end() // before anything is told of the command's own end
	failure := failureOf(c, err)
	if o.report != "" {
		if reportErr := report(c, r, failure); reportErr != nil {
			// What the command did is done: its status stays.
			c.Say("keyturn: the report was not written: %s", keyturn.CleanLines(reportErr.Error()))
		}
	}
	switch {
	case err == nil:
		return command.ExitStatus(r.status.Code)
	case failure == nil: // interrupted
		return err
	case r.status.Started:
		// Standard output is the command's: this is for standard error.
		c.Say("keyturn: %s: %s", failure.Code, keyturn.CleanLines(failure.Message))
		if failure.Hint != "" {
			c.Say("  %s", keyturn.CleanLines(failure.Hint))
		}
		return command.ExitStatus(r.status.Code)
	case r.status.Code != 0: // not executable, not found, interrupted
		c.TellError(failure)
		return command.ExitStatus(r.status.Code)
	}
	return failure
}

// failureOf is err as an Error of this operation; nil where nobody has to be
// told more.
func failureOf(c *command.Command, err error) *keyturn.Error {
	if err == nil || interrupted(err) {
		return nil
	}
	e := *c.Explain(err)
	e.Op = keyturn.RunCommand{}.Kind()
	return &e
}

// prepare fetches the values. When it returns the store is closed: however long
// the command runs, it holds no lock and no key. Only where there are leases it stays
// open, which keep other processes from nothing.
func prepare(c *command.Command, cmd *cobra.Command, r *running) error {
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	r.actor = facts.Actor
	if r.plan, err = planRun(c, r.runOptions, facts); err != nil {
		return err
	}
	for _, n := range r.plan.notices {
		c.Say("note: %s", n)
	}
	if r.status, err = r.plan.resolve(c, r.actor); err != nil {
		return err
	}
	if len(r.plan.op.Refs()) == 0 {
		if r.trust && facts.Project != nil {
			c.Say("note: the project's file asks for no secret; there is nothing to trust")
		}
		c.Say("note: no secret was asked for; the command runs as it would without keyturn")
		return nil
	}
	s, err := c.DoAndKeep(cmd, func(ctx context.Context, s *session.Session) (bool, error) {
		r.delivery, err = fetch(ctx, c, s, r)
		return err == nil && len(r.delivery.Leases) > 0, r.plan.placed(err)
	})
	if err != nil {
		return err
	}
	r.leases = leases{c: c, session: s, ctx: context.WithoutCancel(c.Calling(cmd.Context())), all: r.delivery.Leases}
	for _, n := range r.expiring(time.Now()) {
		c.Say("note: %s", n)
	}
	return nil
}

// expiring names the secrets of this run that have passed their day, or soon will.
func (r *running) expiring(now time.Time) (notices []string) {
	if r.delivery == nil {
		return nil
	}
	for _, d := range slices.Concat(r.delivery.Env, r.delivery.Files) {
		n := health.ExpiryNotice(d.Ref, d.Expires, now)
		if n != "" && d.Label != "" && !slices.Contains(notices, n) {
			notices = append(notices, n)
		}
	}
	return notices
}

// fetch asks for the values, and for a person's trust in the project where that
// is missing.
func fetch(ctx context.Context, c *command.Command, s *session.Session, r *running) (*keyturn.Delivery, error) {
	op := r.plan.op
	trust := keyturn.TrustProject{Path: op.Project, Pinned: op.Pinned}
	if r.trust && op.Project != "" {
		if _, err := session.Ask[*keyturn.Trusted](ctx, s, trust); err != nil {
			return nil, err
		}
	}
	d, err := session.Ask[*keyturn.Delivery](ctx, s, op)
	if !untrusted(err) || s.Actor.Kind != keyturn.Person || c.JSON() || !c.Prompt().Possible() {
		return d, err
	}
	e := keyturn.AsError(err)
	c.Say("%s", keyturn.Clean(e.Message))
	for _, l := range differenceIn(e) {
		c.Say("  %s", keyturn.Clean(l))
	}
	yes, askErr := c.Prompt().Confirm(ctx, "Trust it, and go on?")
	if askErr != nil {
		return nil, askErr
	}
	if !yes {
		return nil, err
	}
	if _, err := session.Ask[*keyturn.Trusted](ctx, s, trust); err != nil {
		return nil, err
	}
	return session.Ask[*keyturn.Delivery](ctx, s, op)
}

// start runs the command and waits for it. Signals are the command's: the
// program's own handling of them only ends what comes before.
func start(c *command.Command, cmd *cobra.Command, r *running) (err error) {
	if cmd.Context().Err() != nil {
		return command.ErrInterrupted
	}
	l := launch.Command{Args: r.args, Inherit: r.plan.inherit, Env: r.plan.variables(r.delivery),
		Stdin: c.In, Stdout: c.Out, Stderr: c.Err,
		Tell: func(m string) { c.Say("note: %s", keyturn.Clean(m)) }}
	if r.delivery != nil {
		l.Env = variableNames(c, l.Env)
		for _, f := range r.delivery.Files {
			l.Files = append(l.Files, launch.File{Path: f.Name, Value: f.Value})
		}
		matcher, err := redact(c, r, &l)
		if err != nil {
			return err
		}
		if matcher != nil {
			defer func() {
				if err == nil { // else a writer may still be in use
					matcher.Wipe()
				}
			}()
		}
	}
	ctx := context.WithoutCancel(cmd.Context())
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.begun.Add(c.Timeout))
		defer cancel()
	}
	l.Program = r.plan.op.Program   // no other one, whatever has changed since it was asked about
	if cmd.Context().Err() != nil { // a signal while everything was made ready
		return command.ErrInterrupted
	}
	r.status, err = launch.Run(ctx, l)
	return err
}

// variableNames leaves out what no variable can be called, and tells.
func variableNames(c *command.Command, env []launch.EnvVar) []launch.EnvVar {
	out := env[:0]
	for _, v := range env {
		if !launch.ValidName(v.Name) {
			c.Say("note: '%s' cannot be the name of a variable and is left out; give it one with --env NAME=REF", keyturn.Clean(v.Name))
			continue
		}
		out = append(out, v)
	}
	return out
}

// redact puts the redactor before the command's output. What cannot be redacted
// is told; of an agent's command nothing is shown then.
func redact(c *command.Command, r *running, l *launch.Command) (*leak.Matcher, error) {
	if r.plain {
		r.output = "plain"
		return nil, nil
	}
	var needles []leak.Needle
	var hidden []keyturn.Delivered
	for _, list := range [][]keyturn.Delivered{r.delivery.Env, r.delivery.Files} {
		for _, d := range list {
			if !d.Public {
				needles = append(needles, leak.Needle{Value: d.Value.Reveal(), Label: d.Label})
				hidden = append(hidden, d)
			}
		}
	}
	if len(needles) == 0 {
		return nil, nil
	}
	matcher, skipped, err := leak.Compile(needles)
	if err != nil {
		return nil, tooLarge(r, hidden).Because(err)
	}
	r.output = "redacted"
	l.Filter = func(dst io.Writer) io.WriteCloser { return matcher.Writer(dst, leak.Options{}) }
	told := map[string]bool{}
	var fixes []string
	for _, s := range skipped {
		d := hidden[s.Index]
		name := r.plan.nameOf(d)
		if told[name] {
			continue
		}
		told[name] = true
		if r.actor.Kind != keyturn.Agent {
			c.Say("note: the value of %s is %s to be redacted", keyturn.Clean(name), s.Reason)
			continue
		}
		r.output = "withheld"
		c.Say("keyturn: the output of this command is withheld: the value of %s is %s to be redacted", keyturn.Clean(name), s.Reason)
		fixes = append(fixes, publish(name))
	}
	if r.output == "withheld" {
		c.Say("  a person can store a longer value, or say that it is no secret:")
		for _, f := range fixes {
			c.Say("  %s", keyturn.Clean(f))
		}
		l.Filter = func(io.Writer) io.WriteCloser { return nowhere{} }
	}
	return matcher, nil
}

// publish is the command by which a person declares a field to be no secret. Where
// whoever asks may not know the field's name, they are told how a person finds it.
func publish(name string) string {
	ref, err := keyturn.ParseRef(name)
	if err != nil || ref.Field() == "" {
		name = keyturn.Quote(name)
		return "keyturn put " + name + " FIELD --public FIELD --merge   (the names of the fields: keyturn get " + name + ")"
	}
	field := keyturn.Quote(ref.Field())
	return "keyturn put " + keyturn.Quote(ref.Secret().Short()) + " " + field + " --public " + field + " --merge"
}

// tooLarge names the largest of the values that cannot be redacted.
func tooLarge(r *running, hidden []keyturn.Delivered) *keyturn.Error {
	largest := slices.MaxFunc(hidden, func(a, b keyturn.Delivered) int { return cmp.Compare(a.Value.Len(), b.Value.Len()) })
	hint := "give the command fewer of them, or smaller ones"
	if r.actor.Kind == keyturn.Person {
		hint += "; people may say --no-redact"
	}
	return keyturn.E(keyturn.Invalid, fmt.Sprintf("the values are too large for the output to be redacted: the largest, of %s, has %d bytes; together some 128 KiB can be",
		keyturn.Clean(r.plan.nameOf(largest)), largest.Value.Len()), hint)
}

// nowhere takes everything and shows nothing.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// report writes the JSON document of --report. Its status tells how keyturn
// fared; how the command did is in command.exit.
func report(c *command.Command, r *running, failure *keyturn.Error) error {
	doc := answer.Document{Operation: keyturn.RunCommand{}.Kind(), Status: "success", Caller: &r.actor}
	doc.Command = &answer.Command{Started: r.status.Started, Signal: int(r.status.Signal), Output: r.output}
	if r.actor.Kind == "" {
		doc.Caller = nil
	}
	if r.status.Started {
		doc.Command.Exit = &r.status.Code
	}
	if refs := r.plan.op.Refs(); len(refs) > 0 {
		list := []answer.Secret{}
		for _, ref := range refs {
			list = append(list, answer.Secret{Ref: ref.String()})
		}
		doc.Secrets = &list
	}
	if r.delivery != nil {
		doc.AuditID, doc.Command.Missing = r.delivery.AuditID, r.delivery.Missing
		if len(r.delivery.Leases) > 0 {
			doc.Leases = answer.LeasesOf(r.delivery.Leases)
		}
		doc.Notices = r.expiring(time.Now())
	}
	if failure != nil {
		doc.Status, doc.AuditID, doc.Approval = "error", failure.AuditID, answer.ApprovalOf(failure.Approval)
		if failure.Code == keyturn.Pending {
			doc.Status = "pending"
		}
		d := answer.ErrorOf(failure, c.Verbose())
		doc.Error = &d
		for _, each := range failure.Each {
			doc.Errors = append(doc.Errors, answer.ErrorOf(each, c.Verbose()))
		}
	} else if !r.status.Started {
		doc.Status = "error"
		doc.Error = &answer.Error{Code: keyturn.Unavailable, Message: "interrupted before the command started"}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return keyturn.E(keyturn.Internal, "the report has no JSON form", "").Because(err)
	}
	_, err := replaceFile(c, c.Abs(r.report), b.Bytes()) // a pipe too
	return err
}

// untrusted reports whether a run was refused because nobody trusts the
// project's file: the one refusal that 'keyturn trust' answers.
func untrusted(err error) bool {
	if err == nil {
		return false
	}
	e := keyturn.AsError(err)
	return e.Code == keyturn.Denied && e.Approval == nil && strings.Contains(e.Hint, "keyturn trust")
}

// differenceIn are the lines of such a refusal that name references.
func differenceIn(e *keyturn.Error) []string {
	var out []string
	for l := range strings.SplitSeq(e.Hint, "\n") {
		if strings.HasPrefix(l, "+ ") || strings.HasPrefix(l, "- ") {
			out = append(out, l)
		}
	}
	return out
}

// interrupted reports whether somebody ended it before it had changed anything.
func interrupted(err error) bool {
	return (errors.Is(err, command.ErrInterrupted) || errors.Is(err, context.Canceled)) && !keyturn.AsError(err).Unknown
}
