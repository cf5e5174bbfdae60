// Package oversee holds the commands that watch over the others: approvals, the
// log, the rules and the configuration.
package oversee

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

// Approve returns the command 'keyturn approve'.
func Approve(c *command.Command) *cobra.Command {
	var op keyturn.ApproveRequest
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Say yes to what an agent or somebody else asks for",
		Long: `Say yes to a request: for exactly the operation that is shown, by exactly that
caller, once, within the hour. Without ID the open requests are listed.

It takes your keyturn passphrase at a terminal, which no program of yours knows;
the first time it is set. With --remember a rule is added to the operator's
configuration, the narrowest that lets the same through from now on.`,
		Example: `  keyturn approve
  keyturn approve k3m9x2ab
  keyturn approve k3m9x2ab --remember`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if op.Remember {
					return command.Usage("--remember needs the ID of a request")
				}
				c.Name = "approve list"
				return c.Do(cmd, func(ctx context.Context, s *command.Session) error { return listRequests(ctx, c, s) })
			}
			op.ID = strings.ToLower(strings.TrimSpace(args[0]))
			return c.Do(cmd, func(ctx context.Context, s *command.Session) error { return approve(ctx, c, s, op) })
		},
	}
	cmd.Flags().BoolVar(&op.Remember, "remember", false, "write a rule, so that it need not be asked again")
	return cmd
}

func requestOf(r keyturn.Request) command.RequestDoc {
	d := command.RequestDoc{ApprovalDoc: *command.ApprovalOf(&r.Approval), Caller: r.Actor, Operation: r.Op.Kind(), Summary: sentence(r.Op), Refs: []string{},
		Created: command.Stamp(r.Created), Reason: keyturn.Clean(r.Reason), Needs: r.Needs, Given: r.Given}
	for _, ref := range r.Op.Refs() {
		d.Refs = append(d.Refs, ref.String())
	}
	if run, ok := r.Op.(keyturn.RunCommand); ok {
		d.Command = run.Command
	}
	return d
}

func listRequests(ctx context.Context, c *command.Command, s *command.Session) error {
	res, err := command.Ask[*keyturn.Requests](ctx, c, s, keyturn.ListRequests{})
	if err != nil {
		return err
	}
	if c.JSON() {
		doc := command.Success(keyturn.ListRequests{}.Kind(), res.Receipt)
		list := []command.RequestDoc{}
		for _, r := range res.Requests {
			list = append(list, requestOf(r))
		}
		doc.Requests = &list
		return c.Print(doc)
	}
	if len(res.Requests) == 0 {
		return c.Line("no request is open")
	}
	for _, r := range res.Requests {
		state := ""
		if r.Given >= r.Needs {
			state = ", approved and not used yet"
		} else if r.Needs > 1 {
			state = fmt.Sprintf(", %d of %d approvals", r.Given, r.Needs)
		}
		if err := c.Line("%s   %s   %s, %s ago%s", c.Bold(r.ID), r.Fingerprint, keyturn.Clean(r.Actor.Principal()), age(time.Since(r.Created)), state); err != nil {
			return err
		}
		if err := c.Line("  %s", short(sentence(r.Op))); err != nil {
			return err
		}
		if r.Reason != "" {
			if err := c.Line("  (they say: %s)", keyturn.Clean(r.Reason)); err != nil {
				return err
			}
		}
	}
	return nil
}

// approve shows one request in full, on standard error where the passphrase is
// asked for too, and says yes.
func approve(ctx context.Context, c *command.Command, s *command.Session, op keyturn.ApproveRequest) error {
	if s.Actor.Kind == keyturn.Person { // the door tells the others
		res, err := keyturn.Do[*keyturn.Requests](ctx, s.Service, keyturn.ListRequests{})
		if err != nil {
			return err
		}
		for _, r := range res.Requests {
			if r.ID == op.ID {
				showRequest(c, r)
			}
		}
	}
	res, err := command.Ask[*keyturn.Approved](ctx, c, s, op)
	if err != nil {
		return err
	}
	if c.JSON() {
		doc := command.Success(op.Kind(), res.Receipt)
		d := requestOf(res.Request)
		doc.Request, doc.Rule = &d, res.Rule
		return c.Print(doc)
	}
	if res.Request.Given < res.Request.Needs {
		return c.Line("approved; %d of %d approvals are given", res.Request.Given, res.Request.Needs)
	}
	if res.Rule != "" {
		return c.Line("approved, now and from now on: the rule is at %s", keyturn.Clean(res.Rule))
	}
	return c.Line("approved once: the same command by the same caller now goes through, until %s", res.Request.Expires.Local().Format("15:04"))
}

// showRequest shows all that is approved. The canonical form at the end is what
// the fingerprint is of; nothing of it is left out.
func showRequest(c *command.Command, r keyturn.Request) {
	who := r.Actor.Principal()
	if r.Actor.For != "" {
		who += ", for " + r.Actor.For
	}
	if r.Actor.Detail != "" {
		who += " (" + r.Actor.Detail + ")"
	}
	c.Say("request %s   fingerprint %s", r.ID, r.Fingerprint)
	c.Say("  who       %s", keyturn.Clean(who))
	c.Say("  wants to  %s", sentence(r.Op))
	for _, l := range details(r.Op) {
		c.Say("            %s", l)
	}
	c.Say("  asked     %s ago; it runs out at %s", age(time.Since(r.Created)), r.Expires.Local().Format("15:04"))
	if r.Needs > 1 {
		c.Say("  needs     %d approvals, %d are given", r.Needs, r.Given)
	}
	if r.Reason != "" {
		c.Say("  they say  %s   (their own words: nobody checked them)", keyturn.Clean(r.Reason))
	}
	if form, err := keyturn.EncodeOp(r.Op); err == nil {
		c.Say("  exactly   %s", keyturn.Clean(string(form)))
	}
}

// sentence says in words what an operation would do: a verb, what to, and with
// what. It is safe to show.
func sentence(op keyturn.Op) string {
	refs := make([]string, 0, len(op.Refs()))
	for _, r := range op.Refs() {
		refs = append(refs, keyturn.Clean(r.Short()))
	}
	what := strings.Join(refs, ", ")
	switch op := op.(type) {
	case keyturn.RunCommand:
		s := "run `" + commandLine(op.Command) + "`"
		if what != "" {
			s += " with " + what
		}
		if op.Plain {
			s += ", its output not redacted"
		}
		return s
	case keyturn.RenderTemplate:
		out := "standard output, and see it"
		if op.Out != "" {
			out = keyturn.Clean(op.Out)
		}
		return "put " + what + " into " + out
	case keyturn.RevealSecret:
		return "see the value of " + what
	case keyturn.GetSecret:
		return "see what is known of " + what
	case keyturn.ListVersions:
		return "see the versions of " + what
	case keyturn.PutSecret:
		return "write a new version of " + what
	case keyturn.RollbackSecret:
		return "make an earlier version of " + what + " current"
	case keyturn.DeleteSecret:
		return "delete " + what
	case keyturn.RestoreSecret:
		return "restore " + what
	case keyturn.DestroySecret:
		if len(op.Versions) > 0 {
			return "destroy versions " + keyturn.Clean(strings.Join(op.Versions, ", ")) + " of " + what + " for ever"
		}
		return "destroy " + what + " for ever, with all its versions"
	}
	if what == "" {
		return strings.ReplaceAll(op.Kind(), "-", " ")
	}
	return strings.ReplaceAll(op.Kind(), "-", " ") + " " + what
}

// details are the lines below a sentence: where each value would go.
func details(op keyturn.Op) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, keyturn.Clean(fmt.Sprintf(format, args...))) }
	switch op := op.(type) {
	case keyturn.RunCommand:
		for _, b := range op.Env {
			add("variable %s = %s", b.Name, b.Ref.Short())
		}
		for _, s := range op.From {
			add("variables %s… = all fields of %s", s.Prefix, s.Ref.Short())
		}
		for _, b := range op.Files {
			add("file %s = %s", b.Name, b.Ref.Short())
		}
		if op.Project != "" {
			add("project %s", op.Project)
		}
	case keyturn.RenderTemplate:
		add("template %s", op.Template)
	case keyturn.PutSecret:
		if op.Candidate != "" {
			add("with values that are sealed already")
		}
		for _, g := range op.Generate {
			add("field %s is generated", g.Field)
		}
		if op.Mode == keyturn.Replace {
			add("fields that it does not name go")
		}
		if len(op.Public) > 0 {
			add("declared not to be secret: %s", strings.Join(op.Public, ", "))
		}
	}
	return out
}

// short is s cut to what a list has room for.
func short(s string) string {
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return s
}

func commandLine(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = keyturn.Clean(keyturn.Quote(a))
	}
	return strings.Join(out, " ")
}

// age is a duration as a person says it.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}
