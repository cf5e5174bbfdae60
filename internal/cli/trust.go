package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// trustCommand returns the command 'keyturn trust'.
func trustCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "trust [DIR]",
		Short: "Trust what a project's keyturn.yaml asks for",
		Long: `Show which secrets a project's keyturn.yaml asks for, and trust exactly that
set. 'keyturn run' uses the file only then; where it comes to ask for something
else it has to be trusted anew. Comments, and what only narrows, do not count.

Without DIR it is the file of this folder or the nearest above it. Agents cannot
trust.`,
		Example: `  keyturn trust
  keyturn trust ~/src/shop --yes`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return trust(ctx, c, s, args) })
		},
	}
}

func trust(ctx context.Context, c *command, s *session.Session, args []string) error {
	project, folder := s.Project, c.Dir
	if len(args) == 1 {
		folder = c.Abs(args[0])
		operator := ""
		if s.Operator != nil {
			operator = s.Operator.File
		}
		var err error
		if project, err = config.LoadProject(folder, c.Env("HOME"), operator); err != nil {
			return err
		}
	}
	if project == nil {
		return keyturn.E(keyturn.NotFound, "no "+config.FileName+" in "+keyturn.Clean(folder)+" or above it", "'keyturn init --project' makes one")
	}
	op := session.TrustOf(project)
	now, err := session.Ask[*keyturn.Trusted](ctx, s, keyturn.ShowTrust{Path: op.Path})
	if err != nil {
		return err
	}
	change := !now.Known && len(op.Pinned) > 0 || len(config.Diff(now.Before, op.Pinned)) > 0
	if change {
		if err := confirmTrust(ctx, c, op, now); err != nil {
			return err
		}
		res, err := session.Ask[*keyturn.Trusted](ctx, s, op)
		if err != nil {
			return err
		}
		now.Receipt = res.Receipt
	}
	if c.JSON() {
		return c.Answer(op, now)
	}
	if !now.Known && !change {
		return c.Line("%s asks for no secrets: there is nothing to trust", keyturn.Clean(op.Path))
	}
	if !change {
		return c.Line("%s is trusted already", keyturn.Clean(op.Path))
	}
	return c.Line("trusted: %s in %s", counted(len(op.Pinned), "secret"), keyturn.Clean(filepath.Base(filepath.Dir(op.Path))+"/"+config.FileName))
}

// confirmTrust shows what is asked for, and asks. What is shown comes from a file
// that may be anybody's.
func confirmTrust(ctx context.Context, c *command, op keyturn.TrustProject, now *keyturn.Trusted) error {
	lines := []string{keyturn.Clean(op.Path) + " asks for"}
	for _, b := range op.Pinned {
		lines = append(lines, "  "+keyturn.Clean(b.Name)+" = "+describe.Marked(b.Ref))
	}
	if len(op.Pinned) == 0 {
		lines = append(lines, "  no secrets")
	}
	if now.Known {
		lines = append(lines, "since you trusted it, this changed:")
		for _, l := range config.Diff(now.Before, op.Pinned) {
			lines = append(lines, "  "+l)
		}
	}
	if c.Yes {
		for _, l := range lines {
			c.Say("%s", l)
		}
		return nil
	}
	if !c.Possible() {
		for _, l := range lines {
			c.Say("%s", l)
		}
		e := keyturn.E(keyturn.Denied, "there is no terminal to ask at", "say --yes if you have looked at it")
		e.By = "person"
		return e
	}
	if err := session.Show(ctx, &c.Terminal, lines); err != nil {
		return err
	}
	yes, err := c.Confirm(ctx, "Trust it?")
	if err != nil {
		return err
	}
	if !yes {
		e := keyturn.E(keyturn.Denied, "it is not trusted: you said no", "")
		e.By = "person"
		return e
	}
	return nil
}
