package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

func storeUnlockCommand(c *command) *cobra.Command {
	limit := 8 * time.Hour
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Ask for the store's passphrase once, for some hours",
		Long: `Ask for the passphrase of a store that one protects, and keep its root key in the
system's keychain for a while, so that no command asks again: those of programs
that you run among them. 'keyturn store lock' ends that.

Where there is no keychain each command asks at a terminal; elsewhere the file
that KEYTURN_PASSPHRASE_FILE names is read, which only you may be able to read.`,
		Example: `  keyturn store unlock
  keyturn store unlock --for 30m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			op := keyturn.UnlockStore{Seconds: int64(limit / time.Second)}
			if op.Seconds < 1 || limit > 30*24*time.Hour {
				return keyturn.E(keyturn.Invalid, "--for takes a time of up to 30 days", "say --for 8h")
			}
			c.With = func(h *session.How) { h.Anew = true }
			return do(c, cmd, func(ctx context.Context, s *session.Session) error {
				res, err := session.Ask[*keyturn.Unlocked](ctx, s, op)
				if err != nil {
					return err
				}
				if c.JSON() {
					doc, err := answer.Of(op, res, answer.About{Store: s.Store})
					if err != nil {
						return err
					}
					return c.Print(doc)
				}
				return c.Line("unlocked until %s; 'keyturn store lock' ends that", describe.When(res.Until))
			})
		},
	}
	cmd.Flags().DurationVar(&limit, "for", limit, "for how long (`DUR`)")
	return cmd
}

func storeLockCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Forget what unlock kept: the passphrase is asked for again",
		Long: `Forget what 'keyturn store unlock' kept in the keychain. Commands that already run
go on with what they have.`,
		Example: "  keyturn store lock",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.With = func(h *session.How) { h.Silent = true }
			op := keyturn.LockStore{}
			var at *session.Session
			var res *keyturn.Unlocked
			err := do(c, cmd, func(ctx context.Context, s *session.Session) (err error) {
				at = s
				res, err = session.Ask[*keyturn.Unlocked](ctx, s, op)
				return err
			})
			already := err != nil && keyturn.AsError(err).Code == keyturn.Sealed
			if err != nil && !already {
				return err
			}
			if c.JSON() {
				if already {
					return c.Print(answer.OfStore(op.Kind(), ""))
				}
				doc, err := answer.Of(op, res, answer.About{Store: at.Store})
				if err != nil {
					return err
				}
				return c.Print(doc)
			}
			if already {
				return c.Line("the store is locked already")
			}
			return c.Line("locked")
		},
	}
}
