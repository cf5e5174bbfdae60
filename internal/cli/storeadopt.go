package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// storeAdoptCommand returns the command 'keyturn store adopt'.
func storeAdoptCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "adopt",
		Short: "Say that the store may be in the folder where it is now",
		Long: `The store knows its folder. Where it is found in another one, somebody has moved it
or made a copy, whose approvals and budgets the log of the first does not tell: then
agents and services may do nothing, and people are asked. Adopt says yes for good:
from now on the store belongs to the folder that it is in. A folder that was renamed
or mounted elsewhere on the same disk is known again without being asked.

It is for people only, and recorded.`,
		Example: `  keyturn store adopt
  keyturn store adopt --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.With = func(h *session.How) { h.Adopting = true }
			return do(c, cmd, func(ctx context.Context, s *session.Session) error { return adopt(ctx, c, s) })
		},
	}
}

func adopt(ctx context.Context, c *command, s *session.Session) error {
	if s.Moved != nil && s.Actor.Kind == keyturn.Person {
		c.Say("%s", keyturn.Clean(s.Moved.Message))
		if err := sure(ctx, c, "Adopt it there? Then it must be the only one", "keyturn store adopt"); err != nil {
			return err
		}
	}
	res, err := session.Ask[*keyturn.Adopted](ctx, s, s.Adopt)
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(s.Adopt, res)
	}
	return c.Line("the store belongs to %s", keyturn.Clean(res.Path))
}
