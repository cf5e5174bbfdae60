package cli

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

type listOptions struct {
	under   keyturn.Prefix // zero: the mounts
	shallow bool
	filter  parse.Filter
	pick    bool
}

// listCommand returns the command 'keyturn list'.
func listCommand(c *command) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list [PREFIX]",
		Aliases: []string{"ls"},
		Short:   "List the secrets below a prefix, or the mounts",
		Long: `List the secrets at and below a prefix of whole path segments: local/my/ holds
local/my/app, but not local/myapp. Without a prefix, list the mounts. You see
what you may list, and no value is read.

A pipe gets one reference on each line, and nothing else. With --shallow the
platform is asked for one level, where it can list one. A prefix with nothing in
it is not_found; a folder that your token may not list is told beside the rest,
and ends in denied.

--match takes the whole name below the mount: * and ? stay within a segment, **
stands for any number of segments. Several filters must all hold. With --shallow
and a filter, a folder is listed where something in it passes.

With --pick you choose one on the screen: type some of its letters, move with the
arrows or Ctrl-N and Ctrl-P, take it with Enter, leave with Esc or Ctrl-C. A
terminal then shows what is known of it ('keyturn get'), a pipe gets its
reference: keyturn run --env PASSWORD="$(keyturn list local/ --pick)" -- …`,
		Example: `  keyturn list
  keyturn list local/
  keyturn list local/ --shallow
  keyturn list local/ --match '**/db' --label team=web
  keyturn list local/ --older-than 90d
  keyturn list local/ --expiring 30d -o json
  keyturn list --pick`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			keep, err := o.filter.Test(time.Now())
			if err != nil {
				return err
			}
			if o.pick && o.shallow {
				return usage("--pick chooses a secret, and --shallow shows folders: say one")
			}
			if o.pick && len(args) == 0 {
				return pickSecret(c, cmd, o, keep)
			}
			if len(args) == 0 {
				if keep != nil || o.shallow {
					return usage("a filter needs a prefix: keyturn list local/ …")
				}
				return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return listMounts(ctx, c, s) })
			}
			if o.under, err = keyturn.ParsePrefix(args[0]); err != nil {
				return err
			}
			if o.pick {
				return pickSecret(c, cmd, o, keep)
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return listSecrets(ctx, c, s, o, keep) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.shallow, "shallow", false, "stop at the next segment, and show what is deeper as folders")
	f.StringVar(&o.filter.Match, "match", "", "only names that match the pattern `GLOB`")
	f.StringArrayVar(&o.filter.Labels, "label", nil, "only those with this label, `KEY=VALUE`")
	f.StringVar(&o.filter.OlderThan, "older-than", "", "only those whose newest version is older than `AGE` (90d)")
	f.StringVar(&o.filter.Expiring, "expiring", "", "only those that expire within `AGE` (30d), have expired, or are deleted by their platform within it")
	f.BoolVar(&o.pick, "pick", false, "choose one on the screen")
	return cmd
}

func listMounts(ctx context.Context, c *command, s *session.Session) error {
	res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{})
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(keyturn.ListMounts{}, res)
	}
	rows := [][]string{}
	for _, m := range res.Mounts {
		rows = append(rows, []string{m.Mount, m.Platform, keyturn.Clean(m.Target)})
	}
	if len(rows) == 0 && c.OnTerminal() {
		c.Say("there is no mount in which you may do anything")
	}
	return c.Columns([]string{"MOUNT", "PLATFORM", "TARGET"}, rows)
}

func listSecrets(ctx context.Context, c *command, s *session.Session, o listOptions, keep func(keyturn.Info) bool) error {
	op := keyturn.ListSecrets{Under: o.under, Shallow: o.shallow && keep == nil, Names: o.names(c)}
	res, err := session.Ask[*keyturn.Listing](ctx, s, op)
	if err != nil {
		return err
	}
	if keep != nil {
		res.Secrets = filtered(res.Secrets, keep)
		if o.shallow {
			res.Secrets = keyturn.Fold(o.under, res.Secrets)
		}
	}
	if c.JSON() {
		return noPattern(o.under, c.Answer(op, res))
	}
	return noPattern(o.under, listText(c, o.under, res.Secrets))
}

// noPattern is the error of a listing, which says of a prefix that looks like a
// pattern that it is none.
func noPattern(under keyturn.Prefix, err error) error {
	if !errors.Is(err, keyturn.NotFound) || !strings.ContainsAny(under.Path(), "*?[") {
		return err
	}
	e := *keyturn.AsError(err)
	e.Hint = "a prefix is no pattern; write keyturn list " + under.Mount() + "/ --match " + keyturn.Quote(keyturn.Clean(under.Path()))
	return &e
}

// names reports whether nothing but names is asked for: by a pipe, and by no filter.
func (o listOptions) names(c *command) bool {
	return !c.OnTerminal() && !c.JSON() && o.filter.OnlyNames()
}

// filtered yields what passes keep, and the error that ends a listing.
func filtered(list iter.Seq2[keyturn.Info, error], keep func(keyturn.Info) bool) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range list {
			if (err != nil || keep(info)) && !yield(info, err) {
				return
			}
		}
	}
}

// batch is how many rows of a long table are shown at a time.
const batch = 200

func listText(c *command, under keyturn.Prefix, found iter.Seq2[keyturn.Info, error]) error {
	tty, now := c.OnTerminal(), time.Now()
	head, rows, total, unnamed := []string{"NAME", "VERSION", "CREATED", "LABELS"}, [][]string{}, 0, false
	var failed []*keyturn.Error
	show := func() error {
		err := c.Columns(head, rows)
		head, rows = nil, rows[:0]
		return err
	}
	for info, err := range found {
		if err != nil && info.IsFolder() {
			failed = append(failed, keyturn.AsError(err))
			continue
		}
		if err != nil {
			_ = show()
			return err
		}
		var row []string
		if p, ok := answer.FolderOf(under, info); ok {
			row = []string{keyturn.Clean(strings.TrimPrefix(p.String(), keyturn.Scheme)), "", "", ""}
		} else if info.Ref.IsZero() {
			unnamed = true
			continue
		} else {
			row = []string{keyturn.Clean(info.Ref.Short()), keyturn.Clean(info.Version), describe.When(info.Created), remarks(info, now)}
		}
		if !tty {
			row = row[:1]
		}
		total++
		if rows = append(rows, row); len(rows) == batch {
			if err := show(); err != nil {
				return err
			}
		}
	}
	if len(rows) > 0 {
		if err := show(); err != nil {
			return err
		}
	}
	if unnamed {
		c.Say("note: %s", answer.Unnamed)
	}
	if total == 0 && failed == nil && tty {
		c.Say("nothing below %s", keyturn.Clean(strings.TrimPrefix(under.String(), keyturn.Scheme)))
	}
	for _, e := range failed {
		c.TellError(e)
	}
	if e := keyturn.Join("", failed...); e != nil {
		return exitStatus(e.Code.Exit())
	}
	return nil
}

// remarks are the labels of a version, after what needs attention.
func remarks(info keyturn.Info, now time.Time) string {
	var out []string
	if info.State != keyturn.Live {
		out = append(out, string(info.State))
	}
	if !info.Expires.IsZero() {
		word := "expires "
		if info.Expires.Before(now) {
			word = "expired "
		}
		out = append(out, word+info.Expires.Local().Format(time.DateOnly))
	}
	if !info.Ends.IsZero() {
		out = append(out, "ends "+info.Ends.Local().Format(time.DateOnly))
	}
	if len(info.Labels) > 0 {
		out = append(out, keyValues(info.Labels))
	}
	return strings.Join(out, ", ")
}
