package use

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/session"
)

type renderOptions struct {
	file, out string
}

// Render returns the command 'keyturn render'.
func Render(c *command.Command) *cobra.Command {
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
fail are told and nothing is written. FILE can be - for standard input.`,
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
	command.AllowPipe(cmd)
	return cmd
}

func render(c *command.Command, cmd *cobra.Command, o renderOptions) error {
	if c.JSON() && o.out == "" {
		return keyturn.E(keyturn.Invalid, "with -o json standard output holds one document, and not the filled template", "say where it goes: --out FILE")
	}
	data, err := c.Input(o.file)
	if err != nil {
		return err
	}
	t, err := document.ParseTemplate(o.file, data)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := checkTarget(c, o); err != nil {
			return err
		}
	}
	op := keyturn.RenderTemplate{Template: o.file, Out: o.out, Secrets: t.Refs()}
	res := &keyturn.Filling{}
	if len(op.Secrets) == 0 {
		c.Say("note: the template asks for no secret")
	} else if err := c.Do(cmd, func(ctx context.Context, s *session.Session) error {
		res, err = session.Ask[*keyturn.Filling](ctx, s, op)
		return err
	}); err != nil {
		return err
	}
	text, err := t.Render(func(r keyturn.Ref) (keyturn.Value, error) {
		v, ok := res.Values[r]
		if !ok {
			return v, keyturn.E(keyturn.Internal, "no value came for "+r.Short(), "").About(r)
		}
		return v, nil
	})
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err := c.Out.Write(text.Reveal())
		return err
	}
	replaced, err := replaceFile(c, c.Abs(o.out), text.Reveal())
	if err != nil {
		return err
	}
	return rendered(c, o, op, res, replaced)
}

func rendered(c *command.Command, o renderOptions, op keyturn.RenderTemplate, res *keyturn.Filling, replaced bool) error {
	if c.JSON() {
		doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose()})
		if err != nil {
			return err
		}
		doc.Artifacts = []string{c.Abs(o.out)}
		return c.Print(doc)
	}
	verb := "wrote"
	if replaced {
		verb = "replaced"
	}
	return c.Line("%s %s with %s, for its owner only", verb, keyturn.Clean(o.out), count(len(op.Secrets), "secret"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkTarget refuses a file that must not be written, before a value is read.
func checkTarget(c *command.Command, o renderOptions) error {
	out := c.Abs(o.out)
	info, err := os.Stat(out)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.out)+"' is a pipe or a device, and no file", "leave out --out to write to standard output")
	}
	if err := checkWritable(c, out); err != nil {
		return err
	}
	if info == nil || o.file == "-" {
		return nil
	}
	if from, err := os.Stat(c.Abs(o.file)); err == nil && os.SameFile(info, from) {
		return keyturn.E(keyturn.Invalid, "the template itself would be overwritten", "say another --out FILE")
	}
	return nil
}

// replaceable reports whether there is a file at path that replaceFile would
// replace, or something that it would write to as it is: a pipe, a device.
func replaceable(c *command.Command, path string) (there, through bool, err error) {
	if err := c.MayWrite(path); err != nil {
		return false, false, err
	}
	shown := "'" + keyturn.Clean(path) + "'"
	if info, err := os.Stat(path); err == nil {
		switch {
		case info.IsDir():
			return false, false, keyturn.E(keyturn.Invalid, shown+" is a folder", "name a file in it")
		case !info.Mode().IsRegular():
			return true, true, nil
		}
		there = true
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return false, false, keyturn.E(keyturn.Conflict, shown+" is a symbolic link", "name the file it leads to, or remove it")
	}
	return there, false, nil
}

// checkWritable tries whether replaceFile could write to path, and changes nothing.
func checkWritable(c *command.Command, path string) error {
	_, through, err := replaceable(c, path)
	if err != nil || through {
		return err
	}
	f, err := durable.Begin(path)
	if err != nil {
		return cannotWrite("'"+keyturn.Clean(path)+"'", err)
	}
	f.Drop()
	return nil
}

// replaceFile writes data to path, for the owner only: as a whole or not at all.
// What is no file (a pipe, a terminal) is written to as it is. It reports whether
// there was a file before. Errors hold no data.
func replaceFile(c *command.Command, path string, data []byte) (replaced bool, err error) {
	shown := "'" + keyturn.Clean(path) + "'"
	replaced, through, err := replaceable(c, path)
	switch {
	case err != nil:
		return false, err
	case through:
		return false, writeThrough(path, data)
	}
	err = durable.Replace(path, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
	if err != nil {
		return false, cannotWrite(shown, err)
	}
	return replaced, nil
}

func writeThrough(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(data)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return cannotWrite("'"+keyturn.Clean(path)+"'", err)
	}
	return nil
}

func cannotWrite(shown string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.Invalid, "there is no folder for "+shown, "make it first").Because(err)
	}
	return keyturn.E(keyturn.Unavailable, shown+" cannot be written", "check that you may write there, and that there is space").Because(err)
}
