package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// restoreCommand returns the command 'keyturn restore'.
func restoreCommand(c *command) *cobra.Command {
	var r reference
	cmd := &cobra.Command{
		Use:   "restore REF",
		Short: "Undo a delete",
		Long: `Undo a delete: of the newest version, or of the one that is named where the
platform can restore a single version (local, Vault).`,
		Example: `  keyturn delete local/myapp
  keyturn restore local/myapp`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := r.parse(args[0])
			if err != nil {
				return err
			}
			if ref.Field() != "" {
				bare, _ := ref.WithField("")
				return keyturn.E(keyturn.Invalid, "restore takes no field", "it restores whole versions; write "+keyturn.Quote(bare.Short())).About(ref)
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return restoreSecret(ctx, c, s, ref) })
		},
	}
	r.flags(cmd, true, false)
	return cmd
}

func restoreSecret(ctx context.Context, c *command, s *session.Session, ref keyturn.Ref) error {
	op := keyturn.RestoreSecret{Ref: ref}
	res, err := session.Ask[*keyturn.Changed](ctx, s, op)
	if err != nil {
		return err
	}
	return wrote(c, op, res, "restored "+namedVersion(c, res.Secret))
}
