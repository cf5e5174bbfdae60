package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// approveCommand returns the command 'keyturn approve'.
func approveCommand(c *command) *cobra.Command {
	var op keyturn.ApproveRequest
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Say yes to what an agent or somebody else asks for",
		Long: `Say yes to a request: for exactly the operation that is shown, by exactly that
caller, once, within the hour. Without ID the open requests are listed.

It takes your keyturn passphrase at a terminal, which no program of yours knows;
the first time it is set. With --remember a rule is added to the operator's
configuration, the narrowest that lets the same through from now on; it is shown
first.`,
		Example: `  keyturn approve
  keyturn approve k3m9x2ab
  keyturn approve k3m9x2ab --remember`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if op.Remember {
					return usage("--remember needs the ID of a request")
				}
				c.Name = "approve list"
				return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return listRequests(ctx, c, s) })
			}
			op.ID = strings.ToLower(strings.TrimSpace(args[0]))
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return approve(ctx, c, s, op) })
		},
	}
	cmd.Flags().BoolVar(&op.Remember, "remember", false, "write a rule, so that it need not be asked again")
	return cmd
}

func listRequests(ctx context.Context, c *command, s *session.Session) error {
	res, err := session.Ask[*keyturn.Requests](ctx, s, keyturn.ListRequests{})
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(keyturn.ListRequests{}, res)
	}
	if len(res.Requests) == 0 {
		return c.Line("no request is open")
	}
	for _, r := range res.Requests {
		e := describe.EntryOf(r)
		state := e.Asked
		if e.State != "" {
			state += ", " + e.State
		}
		if err := c.Line("%s   %s   %s, %s", c.Bold(e.ID), e.Fingerprint, e.Caller, state); err != nil {
			return err
		}
		for _, l := range e.Lines() {
			if err := c.Line("%s", l); err != nil {
				return err
			}
		}
	}
	return nil
}

// approve approves one request. It is shown in full on standard error, where the
// passphrase is asked for too.
func approve(ctx context.Context, c *command, s *session.Session, op keyturn.ApproveRequest) error {
	res, err := session.Approve(ctx, s, op)
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(op, res)
	}
	if res.Request.Given < res.Request.Needs {
		return c.Line("approved; %d of %d approvals are given", res.Request.Given, res.Request.Needs)
	}
	if res.Rule != "" {
		return c.Line("approved, now and from now on: the rule is at %s", keyturn.Clean(res.Rule))
	}
	return c.Line("approved once: the same command by the same caller now goes through, until %s", res.Request.Expires.Local().Format("15:04"))
}
