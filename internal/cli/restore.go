package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

func init() { operations["restore"] = keyturn.RestoreSecret{}.Kind() }

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
			return c.do(cmd, func(ctx context.Context, s *Session) error { return c.restoreSecret(ctx, s, ref) })
		},
	}
	r.flags(cmd, true, false)
	return cmd
}

func (c *command) restoreSecret(ctx context.Context, s *Session, ref keyturn.Ref) error {
	res, err := ask[*keyturn.Changed](ctx, c, s, keyturn.RestoreSecret{Ref: ref})
	if err != nil {
		return err
	}
	return c.wrote(res, keyturn.RestoreSecret{}.Kind(), "restored "+c.named(res.Secret))
}
