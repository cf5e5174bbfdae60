package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

// historyCommand returns the command 'keyturn history'.
func historyCommand(c *command) *cobra.Command {
	var r reference
	return r.refused(&cobra.Command{
		Use:   "history REF",
		Short: "List the versions of a secret, newest first",
		Long: `List the versions of a secret, newest first: when each was made, what became of
it, its fields by name, and its labels. No value is read.`,
		Example: `  keyturn history local/myapp
  keyturn history local/myapp -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := r.whole(args[0], "history", "it lists all versions, of the whole secret")
			if err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return history(ctx, c, s, ref) })
		},
	})
}

// whole reads a reference of a command that is about a whole secret.
func (r *reference) whole(arg, does, hint string) (keyturn.Ref, error) {
	ref, err := r.parse(arg)
	if err != nil {
		return ref, err
	}
	what := ""
	switch {
	case ref.Version() != "":
		what = "version"
	case ref.Field() != "":
		what = "field"
	default:
		return ref, nil
	}
	return ref, keyturn.E(keyturn.Invalid, does+" takes no "+what, hint+"; write "+keyturn.Quote(ref.Secret().Short())).About(ref)
}

func history(ctx context.Context, c *command, s *session.Session, ref keyturn.Ref) error {
	res, err := session.Ask[*keyturn.Versions](ctx, s, keyturn.ListVersions{Ref: ref})
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(keyturn.ListVersions{Ref: ref}, res)
	}
	rows := [][]string{}
	for _, v := range res.Versions {
		rows = append(rows, []string{keyturn.Clean(v.Version), describe.When(v.Created), standingOf(v), fieldList(v), versionNotes(v)})
	}
	return c.Columns([]string{"VERSION", "CREATED", "STATE", "FIELDS", "LABELS"}, rows)
}

// standingOf is a version's state, or that it is the one in use.
func standingOf(v keyturn.Info) string {
	if v.Current {
		return "current"
	}
	return string(v.State)
}

// fieldList names the fields of a version; "-" where that would need its value.
func fieldList(v keyturn.Info) string {
	if len(v.Fields) == 0 {
		return "-"
	}
	var out []string
	for _, f := range v.Fields {
		name := keyturn.Clean(f)
		if slices.Contains(v.Public, f) {
			name += " (public)"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

func versionNotes(v keyturn.Info) string {
	notes := keyValues(v.Labels)
	if !v.Expires.IsZero() {
		notes = strings.TrimPrefix(notes+", expires "+describe.When(v.Expires), ", ")
	}
	if !v.Ends.IsZero() {
		notes = strings.TrimPrefix(notes+", ends "+describe.When(v.Ends), ", ")
	}
	if notes == "" {
		return "-"
	}
	return notes
}
