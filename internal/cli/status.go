package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/session"
)

// expiryLimit is how long the command may look for secrets that expire.
const expiryLimit = time.Second

func statusCommand(c *command.Command) *cobra.Command {
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

// locked tells what can be known of a store that cannot be opened.
func locked(ctx context.Context, c *command.Command, e *keyturn.Error) error {
	facts, err := c.Peek(ctx, c.How())
	if err != nil {
		return e
	}
	if c.JSON() {
		told := answer.ErrorOf(e, c.Verbose())
		doc := answer.Document{Operation: "check-status", Status: "error", Store: storeOf(facts), Error: &told}
		if err := c.Print(doc); err != nil {
			return err
		}
		return command.ExitStatus(e.Code.Exit())
	}
	if err := c.Line("store     %s\nroot key  %s  (%s)", keyturn.Clean(facts.Path), keyturn.Clean(facts.KeyAt), keyturn.Clean(facts.RootKey)); err != nil {
		return err
	}
	return e
}

func status(ctx context.Context, c *command.Command, s *session.Session) error {
	res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{Probe: true})
	if err != nil {
		return err
	}
	keys, err := s.StoreState(ctx)
	if err != nil {
		return err
	}
	var failed []*keyturn.Error
	for _, m := range res.Mounts {
		if m.Health != nil && m.Health.Err != nil {
			failed = append(failed, m.Health.Err)
		}
	}
	var local []string // a listing elsewhere is not worth a notice
	for _, m := range res.Mounts {
		if m.Platform == "local" && m.Health != nil && m.Health.Err == nil {
			local = append(local, m.Mount)
		}
	}
	expiring := command.Expiring(ctx, s, local, expiryLimit)
	if c.JSON() {
		doc := answer.Success("check-status", res.Receipt)
		list := []answer.Mount{}
		for _, m := range res.Mounts {
			list = append(list, answer.MountOf(m, c.Verbose()))
		}
		doc.Mounts, doc.Store, doc.Caller, doc.Notices = &list, storeOf(s.Store), &s.Actor, standing(s.Actor)
		doc.Store.Unlocked, doc.Store.Unfinished, doc.Store.Copies = answer.Stamp(keys.Unlocked), keys.Unfinished, keys.Copies
		if expiring != "" {
			doc.Notices = append(doc.Notices, expiring)
		}
		if len(failed) > 0 {
			doc.Status = "partial"
			for _, e := range failed {
				doc.Errors = append(doc.Errors, answer.ErrorOf(e, c.Verbose()))
			}
		}
		if err := c.Print(doc); err != nil {
			return err
		}
	} else {
		if err := statusText(c, s, keys, res.Mounts); err != nil {
			return err
		}
		if expiring != "" {
			c.Say("note: %s", expiring)
		}
	}
	if len(failed) > 0 {
		return command.ExitStatus(keyturn.Join("", failed...).Code.Exit())
	}
	return nil
}

func statusText(c *command.Command, s *session.Session, keys session.StoreState, mounts []keyturn.MountInfo) error {
	rows := [][]string{}
	for _, m := range mounts {
		rows = append(rows, []string{m.Mount, m.Platform, healthOf(m.Health), keyturn.Clean(m.Target)})
	}
	if err := c.Table([]string{"MOUNT", "PLATFORM", "STATE", "TARGET"}, rows); err != nil {
		return err
	}
	lines := []string{"", "store     " + keyturn.Clean(s.Store.Path), "root key  " + keyturn.Clean(s.Store.KeyAt)}
	for _, p := range keyLines(s.Store.RootKey, keys) {
		lines = append(lines, "          "+p)
	}
	lines = append(lines, "you are   "+keyturn.Clean(s.Actor.Principal())+"  ("+found(s.Actor)+")")
	for _, n := range standing(s.Actor) {
		lines = append(lines, "          "+n)
	}
	files := []string{}
	if s.Operator != nil {
		files = append(files, keyturn.Clean(s.Operator.File))
	}
	if s.Project != nil {
		files = append(files, keyturn.Clean(s.Project.File)+" (project)")
	}
	if len(files) == 0 {
		files = append(files, "no file; the defaults hold")
	}
	lines = append(lines, "rules     "+strings.Join(files, ", "))
	return c.Line("%s", strings.Join(lines, "\n"))
}

// keyLines say how the root key is kept, and what is to be done about it.
func keyLines(kind string, keys session.StoreState) []string {
	lines := command.Protects(kind)
	if kind == "passphrase" {
		lock := "locked: each command needs the passphrase; 'keyturn store unlock' asks once"
		if !keys.Unlocked.IsZero() {
			lock = "unlocked until " + command.When(keys.Unlocked) + "; 'keyturn store lock' ends that"
		}
		lines = append([]string{lock}, lines...)
	}
	if keys.Unfinished {
		lines = append(lines, "a change of its keys is unfinished: 'keyturn store rekey' goes on with it")
	}
	for _, path := range keys.Copies {
		lines = append(lines, "an old copy of it is kept, with values that may have been destroyed since; delete it when you need it no more: "+keyturn.Clean(path))
	}
	return lines
}

func healthOf(h *keyturn.Health) string {
	switch {
	case h == nil:
		return "-"
	case h.Err != nil:
		return keyturn.Clean(h.Err.Message)
	case h.Sealed:
		return "sealed"
	case !h.Reachable:
		return "not reachable"
	}
	text := "ok"
	if as := command.As(h); as != "" {
		text += ", as " + as
	}
	if h.Detail != "" {
		text += ", " + keyturn.Clean(h.Detail)
	}
	if h.TLS != nil && h.TLS.Version != "none" {
		text += ", " + h.TLS.Version
	}
	if far := command.Apart(h); far != "" {
		text += ", " + far
	}
	return text
}

// found says how the caller was found out.
func found(a keyturn.Actor) string {
	s := "by " + a.Proof
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	if a.For != "" {
		s += ", for " + a.For
	}
	return keyturn.Clean(s)
}

// standing says what the present topology does and does not guard against
// (safety.md, I11): it is told, never implied.
func standing(a keyturn.Actor) []string {
	if a.Kind == keyturn.Person {
		return []string{"agents that run as you are told apart by marks: that guards against mistakes, not against an agent that means harm"}
	}
	return []string{"what rules allow is yours; 'keyturn rules explain " + a.Principal() + " VERB REF' tells"}
}
