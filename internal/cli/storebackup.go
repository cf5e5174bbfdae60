package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

func storeBackupCommand(c *command) *cobra.Command {
	var op keyturn.BackupStore
	var keyFiles []string
	var passphrase string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Write the whole store into one encrypted file",
		Long: `Write the whole store, with its log and its root key, into one file that only the
recipients can open: public keys of age (age1…) or SSH (ssh-ed25519 …), so that no
secret is at hand where backups are made. The store is verified on the way; others
go on using it meanwhile. A file that is there already is replaced only with
--yes, or if you say so at a terminal.

Whoever has a recipient's private key and the file can read every value. Keep the
key where a fire or a thief at this machine does not get it, and try now and then
whether it still opens a backup: 'keyturn store restore FILE --check'.`,
		Example: `  keyturn store backup --to keyturn.age --recipient age189c98tdas4w38ja78llsd6eamych4ej24sfvr99m3zzmytk2g5ss40nfd2
  keyturn store backup --to keyturn2.age --recipients-file recipients.txt
  keyturn store backup --to keyturn3.age --passphrase-file passphrase.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range keyFiles {
				keys, err := recipientsOf(c, name)
				if err != nil {
					return err
				}
				op.Recipients = append(op.Recipients, keys...)
			}
			op.Passphrase = op.Passphrase || passphrase != ""
			switch {
			case op.To == "":
				return usage("--to says which file to write")
			case op.Passphrase && len(op.Recipients) > 0:
				return usage("a backup is for recipients or for a passphrase, not for both")
			case !op.Passphrase && len(op.Recipients) == 0:
				return keyturn.E(keyturn.Invalid, "nobody could open this backup: no recipient was given",
					"say --recipient age1… ('age-keygen' makes a key), --recipients-file FILE, or --passphrase")
			}
			if err := publicKeys(op.Recipients); err != nil {
				return err
			}
			op.To = session.Whole(c.Dir, op.To)
			if err := overwrite(cmd.Context(), c, &op); err != nil {
				return err
			}
			c.With = func(h *session.How) { h.BackupPassphrase = passphrase }
			return do(c, cmd, func(ctx context.Context, s *session.Session) error { return backup(ctx, c, s, op) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&op.To, "to", "", "write it to `FILE`")
	f.StringArrayVar(&op.Recipients, "recipient", nil, "a public `KEY` of who can open it: age1… or ssh-ed25519 …; several times for several")
	f.StringArrayVar(&keyFiles, "recipients-file", nil, "a `FILE` with one public key on each line")
	f.BoolVar(&op.Passphrase, "passphrase", false, "whoever knows a passphrase can open it; it is asked for twice")
	f.StringVar(&passphrase, "passphrase-file", "", "read that passphrase from `FILE`, which only you can read")
	return cmd
}

// recipientsOf reads public keys, one on each line, with comments that begin
// with '#'.
func recipientsOf(c *command, path string) ([]string, error) {
	text, err := c.Input(path)
	if err != nil {
		return nil, err
	}
	var keys []string
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			keys = append(keys, l)
		}
	}
	if len(keys) == 0 {
		return nil, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' holds no public key", "write one on each line: age1… or ssh-ed25519 …")
	}
	return keys, nil
}

// publicKeys refuses what does not look like a public key before anything is
// recorded: it may be a private one, given by mistake.
func publicKeys(keys []string) error {
	for i, k := range keys {
		if !strings.HasPrefix(k, "age1") && !strings.HasPrefix(k, "ssh-") {
			return keyturn.E(keyturn.Invalid, fmt.Sprintf("recipient %d is not a public key for a backup", i+1),
				"write one that begins with age1, ssh-ed25519 or ssh-rsa, never a private key")
		}
	}
	return nil
}

// overwrite settles whether a file that is there may be replaced.
func overwrite(ctx context.Context, c *command, op *keyturn.BackupStore) error {
	fi, err := os.Lstat(op.To)
	if err != nil {
		return nil // what is wrong with the path shows when it is written
	}
	if !fi.Mode().IsRegular() {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(op.To)+"' is not a file", "name a file that is not there yet")
	}
	if !c.Yes && (c.JSON() || !c.Possible()) {
		return keyturn.E(keyturn.Conflict, "there is a file already: '"+keyturn.Clean(op.To)+"'", "name another one, or say --yes to replace it")
	}
	if err := sure(ctx, c, "Replace '"+keyturn.Clean(op.To)+"'?", ""); err != nil {
		return err
	}
	op.Overwrite = true
	return nil
}

func backup(ctx context.Context, c *command, s *session.Session, op keyturn.BackupStore) error {
	res, err := session.Ask[*keyturn.BackedUp](ctx, s, op)
	if err != nil {
		return err
	}
	done := "wrote " + keyturn.Clean(res.Path)
	if c.JSON() {
		doc, err := answer.Of(op, res, answer.About{Store: s.Store})
		if err != nil {
			return err
		}
		return term.Done(done, c.Print(doc))
	}
	who := "for whoever knows its passphrase"
	if n := len(op.Recipients); n == 1 {
		who = "for 1 recipient"
	} else if n > 1 {
		who = fmt.Sprintf("for %d recipients", n)
	}
	if err := c.Line("backed up the store  %s", c.Dim("→ "+keyturn.Clean(res.Path))); err != nil {
		return term.Done(done, err)
	}
	return term.Done(done, c.Line("verified, %d records of the log, %s; 'keyturn store restore FILE --check' tries whether your key opens it", res.Log.Size, who))
}
