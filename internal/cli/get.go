package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

type getOptions struct {
	reference
	reveal bool
	copy   string // how long
	ref    keyturn.Ref
}

// getCommand returns the command 'keyturn get'.
func getCommand(c *command) *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use:   "get REF",
		Short: "Tell what is known of a secret; with --reveal, show it",
		Long: `Tell what is known of a secret: its fields by name, its version, times and
labels. No value is shown.

With --reveal one field's exact bytes are printed (a newline is added only on a
terminal), or with -o json all fields. A program that needs a value is better
started with 'keyturn run', which shows it to nobody.

With --copy one field is put on the clipboard for 30 seconds (--copy=1m: a
minute) or until Ctrl-C, by wl-copy, xclip, xsel, pbcopy or clip.exe, else by the
terminal. Then it is taken off, unless the clipboard holds something else by then.
It takes a person at a terminal. What is on a clipboard every program of the
desktop can read, and some keep it: turn off the history of your clipboard.`,
		Example: `  keyturn get local/myapp
  keyturn get local/myapp --version 1
  keyturn get 'local/myapp#password' --reveal
  keyturn get local/myapp --field password --reveal
  keyturn get local/myapp --field password --copy`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.ref, err = o.parse(args[0]); err != nil {
				return err
			}
			if o.copy != "" && o.reveal {
				return usage("--copy and --reveal are two ways to get a value: say one")
			}
			if o.copy != "" {
				return copyField(c, cmd, o)
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
				if o.reveal {
					return revealSecret(ctx, c, s, o)
				}
				return getSecret(ctx, c, s, o)
			})
		},
	}
	o.flags(cmd, true, true)
	cmd.Flags().BoolVarP(&o.reveal, "reveal", "r", false, "print the value")
	cmd.Flags().StringVar(&o.copy, "copy", "", "put the value on the clipboard, for 30s or so long (`DUR`)")
	cmd.Flags().Lookup("copy").NoOptDefVal = "30s"
	allowPipe(cmd)
	return cmd
}

func getSecret(ctx context.Context, c *command, s *session.Session, o getOptions) error {
	res, err := session.Ask[*keyturn.Described](ctx, s, keyturn.GetSecret{Ref: o.ref})
	if err != nil {
		return err
	}
	info := res.Secret
	if f := o.ref.Field(); f != "" && info.Fields != nil && !slices.Contains(info.Fields, f) {
		return keyturn.E(keyturn.NotFound, "no field '"+keyturn.Clean(f)+"' in "+o.ref.Secret().Short(),
			"its fields are "+strings.Join(cleanAll(info.Fields), ", ")).About(o.ref)
	}
	if c.JSON() {
		return c.Answer(keyturn.GetSecret{Ref: o.ref}, res)
	}
	if err := printSecret(c, info); err != nil {
		return err
	}
	if c.OnTerminal() {
		return nextSteps(c, info, o.ref)
	}
	return nil
}

// printSecret prints what is known of a version, for people.
func printSecret(c *command, info keyturn.Info) error {
	rows := [][]string{{"version", keyturn.Clean(info.Version)}, {"created", describe.When(info.Created)}}
	if info.State != keyturn.Live {
		rows = append(rows, []string{"state", string(info.State)})
	}
	if info.Versions > 1 {
		rows = append(rows, []string{"versions", strconv.Itoa(info.Versions) + " (keyturn history " + keyturn.Quote(info.Ref.Short()) + ")"})
	}
	var fields []string
	for _, f := range info.Fields {
		name := keyturn.Clean(f)
		if slices.Contains(info.Public, f) {
			name += " (public)"
		}
		fields = append(fields, name)
	}
	if info.Fields != nil {
		rows = append(rows, []string{"fields", strings.Join(fields, ", ")})
	}
	if len(info.Labels) > 0 {
		rows = append(rows, []string{"labels", keyValues(info.Labels)})
	}
	if !info.Expires.IsZero() {
		rows = append(rows, []string{"expires", describe.When(info.Expires)})
	}
	if !info.Ends.IsZero() {
		rows = append(rows, []string{"ends", describe.When(info.Ends) + " (its platform deletes it then)"})
	}
	if err := c.Line("%s", c.Bold(keyturn.Clean(info.Ref.Short()))); err != nil {
		return err
	}
	return c.Table(nil, rows)
}

// nextSteps ends with what one would do next, ready to paste.
func nextSteps(c *command, info keyturn.Info, ref keyturn.Ref) error {
	if ref.Field() == "" && len(info.Fields) > 0 {
		if full, err := ref.WithField(info.Fields[0]); err == nil {
			ref = full
		}
	}
	q := keyturn.Quote(ref.Short())
	name := strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, ref.Field()))
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "VALUE"
	}
	rows := [][]string{
		{c.Dim("use it"), "keyturn run --env " + name + "=" + q + " -- COMMAND"},
		{c.Dim("copy it"), "keyturn get " + q + " --copy"},
		{c.Dim("show it"), "keyturn get " + q + " --reveal"},
	}
	// What a terminal would not show as it is cannot be pasted either.
	rows = slices.DeleteFunc(rows, func(row []string) bool { return keyturn.Clean(row[1]) != row[1] })
	if len(rows) == 0 {
		return nil
	}
	if err := c.Line(""); err != nil {
		return err
	}
	return c.Table(nil, rows)
}

func revealSecret(ctx context.Context, c *command, s *session.Session, o getOptions) error {
	op := keyturn.RevealSecret{Ref: o.ref}
	res, err := session.Ask[*keyturn.Revealed](ctx, s, op)
	if err != nil {
		return err
	}
	values := res.Secret.Values
	if c.JSON() {
		return c.AnswerRevealed(op, res, values)
	}
	field, err := oneField(o.ref, values, "--reveal", "\nor take all: keyturn get "+keyturn.Quote(o.ref.Short())+" --reveal -o json")
	if err != nil {
		return err
	}
	out := values[field].Reveal()
	if err := c.Write(out); err != nil {
		return err
	}
	if c.OnTerminal() && (len(out) == 0 || out[len(out)-1] != '\n') {
		return c.Line("")
	}
	return nil
}

// oneField is the field that ref means: the one it names, or the only one there is.
// flag is what a person says to name one, and more what else they can do.
func oneField(ref keyturn.Ref, values map[string]keyturn.Value, flag, more string) (string, error) {
	if ref.Field() != "" {
		return ref.Field(), nil
	}
	names := sortedKeys(values)
	if len(names) == 1 {
		return names[0], nil
	}
	if len(names) == 0 {
		return "", keyturn.E(keyturn.NotFound, ref.Short()+" has no fields", "put one: keyturn put "+keyturn.Quote(ref.Short())+" FIELD").About(ref)
	}
	full, err := ref.WithField(names[0])
	if err != nil {
		return "", err
	}
	return "", keyturn.E(keyturn.Invalid, ref.Short()+" has "+strconv.Itoa(len(names))+" fields: "+strings.Join(cleanAll(names), ", "),
		"name one: keyturn get "+keyturn.Quote(full.Short())+" "+flag+more).About(ref)
}
