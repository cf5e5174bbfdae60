package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

func storeRekeyCommand(c *command) *cobra.Command {
	var op keyturn.RekeyStore
	var file string
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Replace all keys of the store, or how its root key is kept",
		Long: `Replace the store's root key, its master key and the keys of all values. Others go on
using the store meanwhile. With --key the root key is kept in another way from
then on; of a store that a passphrase protects, this changes the passphrase. It
asks on a terminal, and needs --yes elsewhere.

It can be cut short at any moment: the store stays whole, 'keyturn status' says
that a change is unfinished, and the same command goes on with it. Backups made
before stay what they are, with the keys of then. The key that signs the audit
log's checkpoints stays, so that older checkpoints hold: whoever has an old root
key and an old copy of the store has that key. Then begin a new store.

A new passphrase is taken from --new-passphrase-file, else from the file that
KEYTURN_PASSPHRASE_FILE names, else asked for twice.`,
		Example: `  keyturn store rekey --yes
  keyturn store rekey --key passphrase --new-passphrase-file passphrase.txt --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkKind(op.RootKey); err != nil {
				return err
			}
			again := "keyturn store rekey"
			if op.RootKey != "" {
				again += " --key " + op.RootKey
			}
			if facts, err := c.Facts(c.How()); err != nil {
				return err
			} else if facts.Actor.Kind != keyturn.Person {
				c.Yes = true // nobody is asked: it is refused, and that is on record
			}
			if err := sure(cmd.Context(), c, "Replace all keys of the local store?", again); err != nil {
				return err
			}
			p := &progress{c: c, what: "rows with new keys"}
			c.With = func(h *session.How) { h.NewPassphrase, h.Progress = file, p.onTerminal() }
			return do(c, cmd, func(ctx context.Context, s *session.Session) error { return rekey(ctx, c, s, op, p) })
		},
	}
	keyFlag(cmd, &op.RootKey, "keep the new root key in the `keychain|file`, or under a passphrase")
	cmd.Flags().StringVar(&file, "new-passphrase-file", "", "read the new passphrase from `FILE`, which only you can read")
	return cmd
}

func rekey(ctx context.Context, c *command, s *session.Session, op keyturn.RekeyStore, p *progress) error {
	res, err := session.Ask[*keyturn.Rekeyed](ctx, s, op)
	p.end()
	if err != nil {
		if e := keyturn.AsError(err); e.Hint == "" {
			e.Hint = "'keyturn status' tells whether a change is unfinished; the same command goes on with it"
		}
		return err
	}
	const done = "all keys of the store were replaced"
	if c.JSON() {
		doc, err := answer.Of(op, res, answer.About{Store: s.Store})
		if err != nil {
			return err
		}
		return term.Done(done, c.Print(doc))
	}
	told := "replaced all keys"
	if res.Resumed {
		told = "finished the change of keys that was cut short"
	}
	if err := c.Line("%s  %s", told, c.Dim("→ local "+keyturn.Clean(s.Store.Path))); err != nil {
		return term.Done(done, err)
	}
	return term.Done(done, c.Line("the root key is in %s; backups made before have the keys of then", keyturn.Clean(res.KeyAt)))
}
