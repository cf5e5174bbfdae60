package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

func init() { operations["get"] = keyturn.GetSecret{}.Kind() }

type getOptions struct {
	reference
	reveal bool
	ref    keyturn.Ref
}

func getCommand(c *command) *cobra.Command {
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
			return c.do(cmd, func(ctx context.Context, s *Session) error {
				if o.reveal {
					return c.revealSecret(ctx, s, o)
				}
				return c.getSecret(ctx, s, o)
			})
		},
	}
	o.flags(cmd, true, true)
	cmd.Flags().BoolVarP(&o.reveal, "reveal", "r", false, "print the value")
	allowPipe(cmd)
	return cmd
}

func (c *command) getSecret(ctx context.Context, s *Session, o getOptions) error {
	res, err := ask[*keyturn.Described](ctx, c, s, keyturn.GetSecret{Ref: o.ref})
	if err != nil {
		return err
	}
	info := res.Secret
	if f := o.ref.Field(); f != "" && info.Fields != nil && !slices.Contains(info.Fields, f) {
		return keyturn.E(keyturn.NotFound, "no field '"+keyturn.Clean(f)+"' in "+o.ref.Secret().Short(),
			"its fields are "+strings.Join(cleanAll(info.Fields), ", ")).About(o.ref)
	}
	if c.json() {
		doc := success(keyturn.GetSecret{}.Kind(), res.Receipt)
		d := infoDoc(info)
		doc.Secret = &d
		return c.print(doc)
	}
	if err := c.describe(info); err != nil {
		return err
	}
	if c.onTerminal() {
		return c.nextSteps(info, o.ref)
	}
	return nil
}

// describe prints what is known of a version, for people.
func (c *command) describe(info keyturn.Info) error {
	rows := [][]string{{"version", keyturn.Clean(info.Version)}, {"created", when(info.Created)}}
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
		rows = append(rows, []string{"expires", when(info.Expires)})
	}
	if err := c.line("%s", c.bold(keyturn.Clean(info.Ref.Short()))); err != nil {
		return err
	}
	return c.table(nil, rows)
}

// nextSteps ends with what one would do next, ready to paste.
func (c *command) nextSteps(info keyturn.Info, ref keyturn.Ref) error {
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
	if err := c.line(""); err != nil {
		return err
	}
	return c.table(nil, [][]string{
		{c.dim("use it"), "keyturn run --env " + name + "=" + q + " -- COMMAND"},
		{c.dim("show it"), "keyturn get " + q + " --reveal"},
		{c.dim("change it"), "keyturn put " + keyturn.Quote(ref.Secret().Short()) + " " + keyturn.Quote(ref.Field()) + " --merge"},
	})
}

func (c *command) revealSecret(ctx context.Context, s *Session, o getOptions) error {
	res, err := ask[*keyturn.Revealed](ctx, c, s, keyturn.RevealSecret{Ref: o.ref})
	if err != nil {
		return err
	}
	values := res.Secret.Values
	if c.json() {
		doc := success(keyturn.GetSecret{}.Kind(), res.Receipt)
		d := infoDoc(res.Secret.Info)
		d.Values = map[string]any{}
		for f, v := range values {
			d.Values[f] = valueDoc(v)
		}
		doc.Secret = &d
		return c.print(doc)
	}
	field := o.ref.Field()
	if field == "" {
		names := sortedKeys(values)
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
	if _, err := c.Out.Write(out); err != nil {
		return err
	}
	if c.onTerminal() && (len(out) == 0 || out[len(out)-1] != '\n') {
		return c.line("")
	}
	return nil
}
