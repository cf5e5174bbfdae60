package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/session"
)

func statusCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how each mount is, and who you are to keyturn",
		Long: `Tell how each mount is: whether it answers, as whom you are known there, and
whether it is sealed; where the local store and its root key are, and what that
protects from; and who keyturn takes you for.`,
		Example: `  keyturn status
  keyturn status -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := c.Do(cmd, func(ctx context.Context, s *session.Session) error { return status(ctx, c, s) })
			if e := keyturn.AsError(err); e != nil && e.Code == keyturn.Sealed {
				return locked(cmd.Context(), c, e)
			}
			return err
		},
	}
}

// locked prints what can be known of a store that does not open because of e.
func locked(ctx context.Context, c *command, e *keyturn.Error) error {
	facts, err := c.Peek(ctx, c.How())
	if err != nil {
		return e
	}
	if c.JSON() {
		if err := c.Print(health.LockedStatus(facts, e, c.Verbose())); err != nil {
			return err
		}
		return exitStatus(e.Code.Exit())
	}
	if err := c.Line("store     %s\nroot key  %s  (%s)", keyturn.Clean(facts.Path), keyturn.Clean(facts.KeyAt), keyturn.Clean(facts.RootKey)); err != nil {
		return err
	}
	return e
}

func status(ctx context.Context, c *command, s *session.Session) error {
	t, err := health.StatusOf(ctx, s)
	if err != nil {
		return err
	}
	if c.JSON() {
		if err := c.Print(t.Document(c.Verbose())); err != nil {
			return err
		}
	} else {
		if err := statusText(c, t); err != nil {
			return err
		}
		if t.Expiring != "" {
			c.Say("note: %s", t.Expiring)
		}
	}
	if failed := t.Err(); failed != nil {
		return exitStatus(failed.Code.Exit())
	}
	return nil
}

func statusText(c *command, t *health.Status) error {
	rows := [][]string{}
	for _, m := range t.Mounts {
		rows = append(rows, []string{m.Mount, m.Platform, health.MountState(m.Health), keyturn.Clean(m.Target)})
	}
	if err := c.Table([]string{"MOUNT", "PLATFORM", "STATE", "TARGET"}, rows); err != nil {
		return err
	}
	lines := []string{"", "store     " + keyturn.Clean(t.Store.Path), "root key  " + keyturn.Clean(t.Store.KeyAt)}
	for _, p := range t.KeyNotes() {
		lines = append(lines, "          "+p)
	}
	actor := t.Facts.Actor
	lines = append(lines, "you are   "+keyturn.Clean(actor.Principal())+"  ("+health.FoundBy(actor)+")")
	for _, n := range health.Standing(actor) {
		lines = append(lines, "          "+n)
	}
	if t.Dynamic {
		lines = append(lines, "          "+health.Preloadable)
	}
	files := health.RuleFiles(t.Facts)
	if len(files) == 0 {
		files = append(files, "no file; the defaults hold")
	}
	lines = append(lines, "rules     "+strings.Join(files, ", "))
	return c.Line("%s", strings.Join(lines, "\n"))
}
