package secret

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

type getOptions struct {
	reference
	reveal bool
	ref    keyturn.Ref
}

// Get returns the command 'keyturn get'.
func Get(c *command.Command) *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use:   "get REF",
		Short: "Tell what is known of a secret; with --reveal, show it",
		Long: `Tell what is known of a secret: its fields by name, its version, times and
labels. No value is shown.

With --reveal one field's exact bytes are printed (a newline is added only on a
terminal), or with -o json all fields. A program that needs a value is better
started with 'keyturn run', which shows it to nobody.`,
		Example: `  keyturn get local/myapp
  keyturn get local/myapp --version 1
  keyturn get 'local/myapp#password' --reveal
  keyturn get local/myapp --field password --reveal`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.ref, err = o.parse(args[0]); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *command.Session) error {
				if o.reveal {
					return revealSecret(ctx, c, s, o)
				}
				return getSecret(ctx, c, s, o)
			})
		},
	}
	o.flags(cmd, true, true)
	cmd.Flags().BoolVarP(&o.reveal, "reveal", "r", false, "print the value")
	command.AllowPipe(cmd)
	return cmd
}

func getSecret(ctx context.Context, c *command.Command, s *command.Session, o getOptions) error {
	res, err := command.Ask[*keyturn.Described](ctx, c, s, keyturn.GetSecret{Ref: o.ref})
	if err != nil {
		return err
	}
	info := res.Secret
	if f := o.ref.Field(); f != "" && info.Fields != nil && !slices.Contains(info.Fields, f) {
		return keyturn.E(keyturn.NotFound, "no field '"+keyturn.Clean(f)+"' in "+o.ref.Secret().Short(),
			"its fields are "+strings.Join(cleanAll(info.Fields), ", ")).About(o.ref)
	}
	if c.JSON() {
		doc := command.Success(keyturn.GetSecret{}.Kind(), res.Receipt)
		d := command.InfoDoc(info)
		doc.Secret = &d
		return c.Print(doc)
	}
	if err := describe(c, info); err != nil {
		return err
	}
	if c.OnTerminal() {
		return nextSteps(c, info, o.ref)
	}
	return nil
}

// describe prints what is known of a version, for people.
func describe(c *command.Command, info keyturn.Info) error {
	rows := [][]string{{"version", keyturn.Clean(info.Version)}, {"created", command.When(info.Created)}}
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
		rows = append(rows, []string{"expires", command.When(info.Expires)})
	}
	if err := c.Line("%s", c.Bold(keyturn.Clean(info.Ref.Short()))); err != nil {
		return err
	}
	return c.Table(nil, rows)
}

// nextSteps ends with what one would do next, ready to paste.
func nextSteps(c *command.Command, info keyturn.Info, ref keyturn.Ref) error {
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
		{c.Dim("show it"), "keyturn get " + q + " --reveal"},
		{c.Dim("change it"), "keyturn put " + keyturn.Quote(ref.Secret().Short()) + " " + keyturn.Quote(ref.Field()) + " --merge"},
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

func revealSecret(ctx context.Context, c *command.Command, s *command.Session, o getOptions) error {
	res, err := command.Ask[*keyturn.Revealed](ctx, c, s, keyturn.RevealSecret{Ref: o.ref})
	if err != nil {
		return err
	}
	values := res.Secret.Values
	if c.JSON() {
		doc := command.Success(keyturn.GetSecret{}.Kind(), res.Receipt)
		d := command.InfoDoc(res.Secret.Info)
		d.Values = map[string]any{}
		for f, v := range values {
			d.Values[f] = command.ValueDoc(v)
		}
		doc.Secret = &d
		return c.Print(doc)
	}
	field := o.ref.Field()
	if field == "" {
		names := command.SortedKeys(values)
		if len(names) != 1 {
			full, err := o.ref.WithField(names[0])
			if err != nil {
				return err
			}
			return keyturn.E(keyturn.Invalid, o.ref.Short()+" has "+strconv.Itoa(len(names))+" fields: "+strings.Join(cleanAll(names), ", "),
				"name one: keyturn get "+keyturn.Quote(full.Short())+" --reveal\nor take all: keyturn get "+keyturn.Quote(o.ref.Short())+" --reveal -o json").About(o.ref)
		}
		field = names[0]
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
