package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// storeCommand returns the command 'keyturn store'.
func storeCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:   "store",
		Short: "Look after the local store: its keys, backups, and lock",
		Long: `Look after the local store as a whole: change its keys, back it up and restore it,
unlock one that a passphrase protects, and say where it may be. All of it is for people only, and
recorded.`,
		Example: `  keyturn store backup --to today.age --recipients-file recipients.txt
  keyturn store restore today.age --identity key.txt --check`,
	}
	group.AddCommand(storeBackupCommand(c), storeRestoreCommand(c), storeRekeyCommand(c), storeUnlockCommand(c), storeLockCommand(c), storeAdoptCommand(c))
	return group
}

// do is Do for people. To others a store that is locked would only say that.
func do(c *command, cmd *cobra.Command, f func(ctx context.Context, s *session.Session) error) error {
	err := c.Do(cmd, f)
	if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Sealed {
		return err
	}
	facts, factsErr := c.Facts(c.How())
	if factsErr != nil || facts.Actor.Kind == keyturn.Person {
		return err
	}
	e := keyturn.E(keyturn.Denied, "only a person may look after the store, not "+facts.Actor.Principal(), "a person has to do it, at a terminal of their own").Because(err)
	e.By = "rule"
	return e
}

// keyFlag adds --key, which takes a kind of root key.
func keyFlag(cmd *cobra.Command, to *string, usage string) {
	cmd.Flags().StringVar(to, "key", "", usage)
	_ = cmd.RegisterFlagCompletionFunc("key", cobra.FixedCompletions([]cobra.Completion{"keychain", "file", "passphrase"}, cobra.ShellCompDirectiveNoFileComp))
}

// checkKind refuses what is no kind of root key.
func checkKind(kind string) error {
	switch kind {
	case "", "keychain", "file", "passphrase":
		return nil
	}
	return keyturn.E(keyturn.Invalid, "the root key can be kept in the keychain, in a file, or under a passphrase, not in '"+keyturn.Clean(kind)+"'", "say --key keychain, --key file or --key passphrase")
}

// sure asks before what cannot be undone, on a terminal; elsewhere --yes says it.
func sure(ctx context.Context, c *command, question, again string) error {
	if c.Yes {
		return nil
	}
	if c.JSON() || !c.Possible() {
		return keyturn.E(keyturn.Invalid, "this would ask first, and there is nobody to ask", "say it: "+again+" --yes")
	}
	yes, err := c.Confirm(ctx, question)
	if err == nil && !yes {
		err = session.SaidNo()
	}
	return err
}

// progress shows on a terminal how far something is, a few times a second.
type progress struct {
	c     *command
	what  string
	shown time.Time
	any   bool
}

func (p *progress) tell(done, total int) {
	if total == 0 || time.Since(p.shown) < 200*time.Millisecond && done < total {
		return
	}
	p.shown, p.any = time.Now(), true
	fmt.Fprintf(p.c.Err, "\r%s: %d of %d", p.what, done, total)
}

func (p *progress) end() {
	if p.any {
		p.any = false
		fmt.Fprintln(p.c.Err)
	}
}

// onTerminal is p's tell where a person looks; nil elsewhere.
func (p *progress) onTerminal() func(done, total int) {
	if !p.c.Possible() {
		return nil
	}
	return p.tell
}
