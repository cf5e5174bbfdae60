package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// rollbackCommand returns the command 'keyturn rollback'.
func rollbackCommand(c *command) *cobra.Command {
	var to string
	var r reference
	cmd := &cobra.Command{
		Use:   "rollback REF",
		Short: "Make an earlier version of a secret current again",
		Long: `Make an earlier version of a secret current again: the one before the current
one, or the one that --to names. Its values are written as a new version, so
nothing is lost; on AWS a stage is moved instead. The way back is printed.`,
		Example: `  keyturn put local/myapp --generate password
  keyturn rollback local/myapp
  keyturn rollback local/myapp --to 1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := r.whole(args[0], "rollback", "name the version with --to")
			if err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return rollback(ctx, c, s, ref, to) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the `VERSION` to go back to, in the platform's own word")
	return r.refused(cmd)
}

func rollback(ctx context.Context, c *command, s *session.Session, ref keyturn.Ref, to string) error {
	op := keyturn.RollbackSecret{Ref: ref, To: to}
	res, err := session.Ask[*keyturn.Changed](ctx, s, op)
	if err != nil {
		return err
	}
	back := "keyturn rollback " + keyturn.Quote(ref.Short()) + " --to " + keyturn.Quote(keyturn.Clean(res.Before))
	if res.Before == "" { // the newest version was deleted
		back = "keyturn delete " + keyturn.Quote(ref.Short())
	}
	said := "rolled back " + c.Bold(keyturn.Clean(ref.Short())) + ", now at version " + keyturn.Clean(res.Secret.Version)
	return wrote(c, op, res, said, "go back with: "+back)
}
