package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// deleteCommand returns the command 'keyturn delete'.
func deleteCommand(c *command) *cobra.Command {
	var r reference
	return r.refused(&cobra.Command{
		Use:     "delete REF",
		Aliases: []string{"rm"},
		Short:   "Delete a secret so that it can be restored",
		Long: `Delete a secret so that it can be restored. What that means is the platform's:
on local and Vault the newest version is marked, and older ones can still be
read by number; AWS and Azure keep the secret for a time, and then it is gone.
'keyturn restore' undoes it, 'keyturn destroy' makes it final.`,
		Example: `  keyturn delete local/myapp`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := r.parse(args[0])
			if err == nil {
				hint := "it deletes the newest version of the whole secret"
				if v := ref.Version(); v != "" {
					hint = "one version goes for ever with: keyturn destroy " + keyturn.Quote(ref.Secret().Short()) + " --versions " + keyturn.Quote(keyturn.Clean(v)) + "\nto delete the newest one"
				}
				ref, err = r.whole(args[0], "delete", hint)
			}
			if err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return deleteSecret(ctx, c, s, ref) })
		},
	})
}

func deleteSecret(ctx context.Context, c *command, s *session.Session, ref keyturn.Ref) error {
	op := keyturn.DeleteSecret{Ref: ref}
	res, err := session.Ask[*keyturn.Changed](ctx, s, op)
	if err != nil {
		return err
	}
	back := "restore with: keyturn restore " + keyturn.Quote(ref.Short())
	if !res.Until.IsZero() {
		back += "   (until " + describe.When(res.Until) + ")"
	}
	return wrote(c, op, res, "deleted "+namedVersion(c, res.Secret), back)
}
