package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

func storeRestoreCommand(c *command) *cobra.Command {
	var o session.RestoreOptions
	var passphrase, newPassphrase string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the store, or only verify it",
		Long: `Restore a store from a backup, into the usual folder or the one that KEYTURN_HOME
names. All of it is verified first: that nothing is missing or changed, that its
keys open it, every record of its log. It gets a new root key, and the next
record of its log says that it was restored, and from what.

The new root key is kept as the old one was, or better: --key says otherwise.
Requests and approvals of then, and what was said yes to in projects and
configurations, are dropped: they may have been used or taken back since.

Where the same store is there already it says by how many records of the log the
backup is older, and stops. --replace moves that store's files into a folder
beside it (nothing is deleted) and writes into the restored log what was replaced;
it asks on a terminal, and needs --yes elsewhere. Another store is never replaced.
A store that went on from an older backup takes --forked, too.

With --check the backup is verified and nothing is installed. Whoever knows your
public key can make a backup for it: the key of the log, which --check shows, says
whose it is. --vkey and --checkpoint hold it against what you know.`,
		Example: `  keyturn store restore keyturn.age --identity key.txt --check
  KEYTURN_HOME=$HOME/restored keyturn store restore keyturn.age --identity key.txt --key file`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File, o.Passphrase = args[0], o.Passphrase || passphrase != ""
			if err := checkKind(o.RootKey); err != nil {
				return err
			}
			if len(o.Identities) == 0 && !o.Passphrase {
				return usage("--identity names the file of the private key that opens the backup; or say --passphrase")
			}
			if o.Forked && !o.Replace {
				return usage("--forked goes with --replace")
			}
			if o.Check && (o.Replace || o.RootKey != "") {
				return usage("--check installs nothing: leave out --replace and --key")
			}
			o.Confirm = func(ctx context.Context, question string) error {
				return sure(ctx, c, question, "keyturn store restore … --replace")
			}
			c.With = func(h *session.How) { h.BackupPassphrase, h.NewPassphrase = passphrase, newPassphrase }
			return restore(cmd.Context(), c, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Identities, "identity", nil, "a `FILE` with a private key that opens it: of age, or of SSH; several times for several")
	f.BoolVar(&o.Passphrase, "passphrase", false, "it was made with a passphrase, which is asked for")
	f.StringVar(&passphrase, "passphrase-file", "", "read that passphrase from `FILE`, which only you can read")
	keyFlag(cmd, &o.RootKey, "keep the new root key in the `keychain|file`, or under a passphrase")
	f.StringVar(&newPassphrase, "new-passphrase-file", "", "with --key passphrase: read the new one from `FILE`")
	f.BoolVar(&o.Check, "check", false, "verify it, and install nothing")
	f.StringVar(&o.Key, "vkey", "", "refuse it unless its log has this verifier `KEY`: then it is of the store that you mean")
	f.StringVar(&o.Checkpoint, "checkpoint", "", "refuse it unless its log goes on from the signed checkpoint in `FILE`")
	f.BoolVar(&o.Forked, "forked", false, "with --replace: also where both logs went different ways")
	f.BoolVar(&o.Replace, "replace", false, "move the same store's files aside, if it is there")
	return cmd
}

func restore(ctx context.Context, c *command, o session.RestoreOptions) error {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	res, err := c.Restore(ctx, c.How(), o)
	if err != nil {
		return err
	}
	if o.Check {
		return checked(c, o, res)
	}
	done := "restored " + keyturn.Clean(res.Path)
	if c.JSON() {
		return term.Done(done, c.Print(answer.RestoredStore(o, res)))
	}
	lines := []string{
		"restored the store of " + describe.When(res.Made) + "  " + c.Dim("→ local "+keyturn.Clean(res.Path)),
		"its new root key is in " + keyturn.Clean(res.KeyAt),
	}
	if res.Aside != "" {
		lines = append(lines, "the store that was there is now in "+keyturn.Clean(res.Aside)+"; the log tells of it")
	}
	if res.Forgotten > 0 {
		lines = append(lines, fmt.Sprintf("%d requests, approvals and yeses to projects or configurations of then hold no longer: say yes again where it is asked for", res.Forgotten))
	}
	for _, l := range lines {
		if err := c.Line("%s", l); err != nil {
			return term.Done(done, err)
		}
	}
	return nil
}

func checked(c *command, o session.RestoreOptions, res session.Restored) error {
	if c.JSON() {
		return c.Print(answer.RestoredStore(o, res))
	}
	if err := c.Line("the backup is whole: store %s as of %s, made by keyturn %s", keyturn.Clean(res.ID), describe.When(res.Made), keyturn.Clean(res.Writer)); err != nil {
		return err
	}
	if err := c.Line("%d records of the log, verified; head %s", res.Log.Size, keyturn.Clean(res.Log.Root)); err != nil {
		return err
	}
	return c.Line("the key of its log is %s", keyturn.Clean(res.VerifierKey))
}
