package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/runner"
	"github.com/keyturn/keyturn/internal/session"
)

type renderOptions struct {
	file, out string
	trust     bool
}

// renderCommand returns the command 'keyturn render'.
func renderCommand(c *command) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render FILE",
		Short: "Fill a template with secrets",
		Long: `Fill a template with secrets, to standard output or to a file that only you can
read.

In the template a secret is written {{ "kt://MOUNT/NAME#FIELD" }}, with filters
behind it as in {{ "kt://…" | json }}: json, url, base64, shell, yaml. Two braces
of the text itself are written {{ "{{" }}.

A file is replaced as a whole, or not at all; where a reference fails all that
fail are told and nothing is written. FILE can be - for standard input. An approval
is for this template with this text, and for this file.

Which secrets a file asks for has to be trusted once: see 'keyturn trust'.`,
		Example: `  keyturn render app.conf.tmpl --out app.conf
  keyturn render - <app.conf.tmpl | ssh host 'cat >app.conf'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = args[0]
			if o.out == "-" {
				o.out = ""
			}
			return render(c, cmd, o)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "", "write to `FILE`, for its owner only (0600); - is standard output")
	cmd.Flags().BoolVar(&o.trust, "trust-project", false, "trust the template first, as 'keyturn trust' does")
	allowPipe(cmd)
	return cmd
}

func render(c *command, cmd *cobra.Command, o renderOptions) error {
	if c.JSON() && o.out == "" {
		return keyturn.E(keyturn.Invalid, "with -o json standard output holds one document, and not the filled template", "say where it goes: --out FILE")
	}
	data, err := c.Input(o.file)
	if err != nil {
		return err
	}
	t, err := runner.ParseTemplate(c.Dir, o.file, data, o.trust)
	if err != nil {
		return err
	}
	if o.out != "" {
		facts, err := c.Facts(c.How())
		if err != nil {
			return err
		}
		if err := t.SendTo(facts, o.out); err != nil {
			return err
		}
	}
	if len(t.Op.Secrets) == 0 {
		c.Say("note: the template asks for no secret")
	} else if err := c.Do(cmd, func(ctx context.Context, s *session.Session) error { return t.Fetch(ctx, s) }); err != nil {
		return err
	}
	if o.out == "" {
		_, err := t.WriteTo(c.Out)
		return err
	}
	replaced, err := t.WriteFile()
	if err != nil {
		return err
	}
	return rendered(c, o, t, replaced)
}

func rendered(c *command, o renderOptions, t *runner.Template, replaced bool) error {
	if c.JSON() {
		return c.Print(t.Report())
	}
	verb := "wrote"
	if replaced {
		verb = "replaced"
	}
	return c.Line("%s %s with %s, for its owner only", verb, keyturn.Clean(o.out), counted(len(t.Op.Secrets), "secret"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
