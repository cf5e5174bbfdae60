package access

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

// Logout returns the command 'keyturn logout'.
func Logout(c *command.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "logout MOUNT",
		Short: "Revoke and forget what login got",
		Long: `Revoke the token of 'keyturn login' at its server, with all that was made by it,
and forget it. Where the server cannot be asked the token is forgotten all the
same; the exit status then is that of the failure, and the message says until
when the token works for whoever else may have it.

A token in VAULT_TOKEN or ~/.vault-token is not keyturn's, and stays.`,
		Example: `  keyturn logout vault`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			mount, err := mountOf(args[0], "logout")
			if err != nil {
				return err
			}
			c.Mount = mount
			return c.Do(cmd, func(ctx context.Context, s *command.Session) error {
				return logout(ctx, c, s, keyturn.Logout{Mount: mount})
			})
		},
	}
}

func logout(ctx context.Context, c *command.Command, s *command.Session, op keyturn.Logout) error {
	res, err := command.Ask[*keyturn.LoggedOut](ctx, c, s, op)
	if err != nil {
		return err
	}
	var end error
	if !res.Revoked {
		end = command.ExitStatus(res.Err.Code.Exit())
	}
	notice := ""
	if res.Instead != "" {
		notice = "the mount now uses the token of " + res.Instead
	}
	if c.JSON() {
		doc := command.Success(op.Kind(), res.Receipt)
		doc.Target = res.Target
		doc.Login = &command.LoginDoc{Identity: res.Identity, Revoked: &res.Revoked}
		if !res.Revoked {
			doc.Status, doc.Errors = "partial", []command.ErrorDoc{c.ErrorDoc(res.Err)}
			doc.Login.Expires = command.Stamp(res.Expires)
		}
		if notice != "" {
			doc.Notices = []string{notice}
		}
		return command.Done("the login was forgotten", first(c.Print(doc), end))
	}
	did := "logged out of"
	if !res.Revoked {
		did = "forgot the login to"
	}
	if err := c.Line("%s %s, as %s", did, keyturn.Clean(res.Target), res.Identity); err != nil {
		return err
	}
	if !res.Revoked {
		c.Say("its token was not revoked: %s", keyturn.Clean(res.Err.Message))
		if res.Expires.IsZero() {
			c.Say("  it works for whoever has it until somebody revokes it")
		} else {
			c.Say("  it works for whoever has it until %s", command.When(res.Expires))
		}
	}
	if notice != "" {
		c.Say("note: %s", notice)
	}
	return end
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
