package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

type copyOptions struct {
	op             keyturn.CopySecret
	merge, replace bool
}

// copyCommand returns the command 'keyturn copy'.
func copyCommand(c *command) *cobra.Command {
	var o copyOptions
	cmd := &cobra.Command{
		Use:     "copy SRC DST",
		Aliases: []string{"cp"},
		Short:   "Copy a secret to another name or mount, unseen",
		Long: `Copy a secret to another name or mount, unseen: its fields byte for byte, its
labels, its public marks and when it should be replaced. SRC may name a version.
With a field on both sides only that field is copied, and the other fields of DST
stay. Earlier versions and the history stay at SRC.

What the mount of DST cannot keep is told before a value is read: it asks on a
terminal, and fails with conflict elsewhere; --yes lets it be left behind. If
fields of DST would vanish it asks as well: --merge keeps them, --replace lets
them go.

A copy after which somebody could see the value who may not see it at SRC is
refused, unless a rule or an approval says so.`,
		Example: `  keyturn copy local/myapp local/myapp-test
  keyturn copy 'local/myapp?version=1' local/old --if-version none
  keyturn copy 'local/myapp#password' 'local/worker#DB_PASSWORD' --verify`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.op.From, err = keyturn.ParseRef(args[0]); err != nil {
				return err
			}
			if o.op.To, err = keyturn.ParseRef(args[1]); err != nil {
				return err
			}
			switch {
			case o.merge && o.replace:
				return usage("--merge and --replace exclude each other")
			case o.merge:
				o.op.Mode = keyturn.Merge
			case o.replace:
				o.op.Mode = keyturn.Replace
			}
			o.op.Lossy = c.Yes
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return copySecret(ctx, c, s, o.op) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.op.IfVersion, "if-version", "", "only if `VERSION` of DST is current; none: only if there is no such secret")
	f.BoolVar(&o.merge, "merge", false, "keep the fields of DST that SRC does not have")
	f.BoolVar(&o.replace, "replace", false, "let go of the fields of DST that SRC does not have")
	f.BoolVar(&o.op.Verify, "verify", false, "read it back and compare")
	return cmd
}

func copySecret(ctx context.Context, c *command, s *session.Session, op keyturn.CopySecret) error {
	if s.Actor.Kind == keyturn.Person && c.Possible() && !c.JSON() {
		staysBehind(ctx, c, s, op)
	}
	res, err := session.Ask[*keyturn.Copied](ctx, s, op)
	for err != nil && c.Possible() && !c.JSON() {
		e := keyturn.AsError(err)
		switch {
		case e.Reason == keyturn.WouldVanish && op.Mode == "":
			if op.Mode, err = c.WhichMode(ctx, e); err != nil {
				return err
			}
		case e.Reason == keyturn.WouldLose && !op.Lossy:
			c.Say("%s", keyturn.CleanLines(e.Message))
			yes, err := c.Confirm(ctx, "Copy the rest?")
			if err != nil {
				return err
			}
			if !yes {
				return session.SaidNo()
			}
			op.Lossy = true
		default:
			return err
		}
		res, err = session.Ask[*keyturn.Copied](ctx, s, op)
	}
	if err != nil {
		return err
	}
	return copied(c, op, res)
}

// staysBehind says before a copy that it is of one version, where there are more.
func staysBehind(ctx context.Context, c *command, s *session.Session, op keyturn.CopySecret) {
	res, err := keyturn.Do[*keyturn.Described](ctx, s.Service, keyturn.GetSecret{Ref: op.From.Secret()})
	if err == nil && res.Secret.Versions > 1 { // an error is told by the copy itself
		c.Say("one of %d versions is copied; the others and their history stay at %s", res.Secret.Versions, keyturn.Clean(op.From.Secret().Short()))
	}
}

func copied(c *command, op keyturn.CopySecret, res *keyturn.Copied) error {
	to := keyturn.Clean(op.To.Short())
	said := "changed "
	if res.Created {
		said = "created "
	}
	said += c.Bold(to) + " version " + keyturn.Clean(res.To.Version) + " from " + keyturn.Clean(op.From.Short())
	if op.From.Version() == "" {
		said += ", its version " + keyturn.Clean(res.From.Version)
	}
	if c.JSON() {
		return term.Done(said, c.Answer(op, res))
	}
	lines := []string{said + "  " + c.Dim("→ "+answer.Target(res.Receipt, res.Target))}
	for _, l := range res.Left {
		lines = append(lines, "left behind: "+keyturn.Clean(l))
	}
	if res.Verified {
		lines = append(lines, "it reads back the same")
	}
	name := keyturn.Quote(op.To.Secret().Short())
	switch {
	case res.Before != "":
		lines = append(lines, "go back with: keyturn rollback "+name+" --to "+keyturn.Quote(keyturn.Clean(res.Before)))
	default:
		lines = append(lines, "take it back with: keyturn delete "+name)
	}
	for _, l := range lines {
		if err := c.Line("%s", l); err != nil {
			return term.Done(said, err)
		}
	}
	return nil
}
