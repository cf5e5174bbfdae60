package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// logoutCommand returns the command 'keyturn logout'.
func logoutCommand(c *command) *cobra.Command {
	var op keyturn.Logout
	cmd := &cobra.Command{
		Use:   "logout MOUNT",
		Short: "Revoke and forget what login got",
		Long: `Revoke the token of 'keyturn login' at its server, with all that was made by it,
and forget it. Where the server cannot be asked the token is forgotten all the
same; the exit status then is that of the failure, and the message says until
when the token works for whoever else may have it.

Of a token that you brought (--method token) it asks first on a terminal, and needs
--yes elsewhere: you may use it in other places, too. --keep revokes nothing, and
only forgets.

An agent or a service needs a person's yes to log a person out.

A token in VAULT_TOKEN or ~/.vault-token is not keyturn's, and stays.`,
		Example: `  keyturn logout vault
  keyturn logout vault --keep`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if op.Mount, err = mountOf(args[0], "logout"); err != nil {
				return err
			}
			c.Mount, op.Given = op.Mount, c.Yes && !op.Keep
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				return logout(ctx, c, s, op)
			})
		},
	}
	cmd.Flags().BoolVar(&op.Keep, "keep", false, "forget the token, and do not revoke it")
	return cmd
}

func logout(ctx context.Context, c *command, s *session.Session, op keyturn.Logout) error {
	res, err := session.Ask[*keyturn.LoggedOut](ctx, s, op)
	if keyturn.ReasonOf(err) == keyturn.GivenToken && !op.Given && s.Actor.Kind == keyturn.Person && !c.JSON() && c.Possible() {
		yes, askErr := c.Confirm(ctx, keyturn.Clean(keyturn.AsError(err).Message)+". Revoke it, with all that was made by it?")
		if askErr != nil {
			return askErr
		}
		if !yes {
			return session.SaidNo()
		}
		op.Given = true
		res, err = session.Ask[*keyturn.LoggedOut](ctx, s, op)
	}
	if err != nil {
		return err
	}
	doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose()})
	if err != nil {
		return err
	}
	if c.JSON() {
		return term.Done("the login was forgotten", c.PrintAnswer(doc))
	}
	did, became := "logged out of", "; its token is revoked"
	if !res.Revoked {
		did, became = "forgot the login to", ""
	}
	if err := c.Line("%s %s, as %s%s", did, keyturn.Clean(res.Target), res.Identity, became); err != nil {
		return err
	}
	if !res.Revoked {
		why := "that was not asked for"
		if res.Err != nil {
			why = keyturn.Clean(res.Err.Message)
		}
		c.Say("its token was not revoked: %s", why)
		if res.Expires.IsZero() {
			c.Say("  it works for whoever has it until somebody revokes it")
		} else {
			c.Say("  it works for whoever has it until %s", describe.When(res.Expires))
		}
	}
	for _, n := range doc.Notices {
		c.Say("note: %s", n)
	}
	if code := doc.Code(); code != "" {
		return exitStatus(code.Exit())
	}
	return nil
}
