package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

func quickstartCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "quickstart",
		Short: "See it work, in a temporary folder",
		Long: `See it work: a store is made in a temporary folder, a made-up .env is
migrated into it, a program runs with these secrets, and the log tells of it. No store and no
keychain of yours is touched, no configuration is read, and the folder is removed
at the end.

Whoever calls counts as a person there, since everything is made up: what agents
may do in your own store is not shown by it.`,
		Example: "  keyturn quickstart",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return quickstart(cmd.Context(), c) },
	}
}

// step is one command of the demonstration.
type step struct {
	says string
	line string   // as one would type it
	args []string // as it is run; nil shows the sample file
	// check looks at the output; "" is well.
	check func(output string) (wrong string)
}

// demo is a keyturn of its own in a temporary folder.
type demo struct {
	*command
	dir, env string   // the folder, and the sample .env in it
	values   []string // of the sample
	steps    []answer.Step
}

func quickstart(ctx context.Context, c *command) (err error) {
	dir, err := os.MkdirTemp("", "keyturn-quickstart-*") // 0700
	if err != nil {
		return keyturn.E(keyturn.Unavailable, "no temporary folder can be made", "look at TMPDIR").Because(err)
	}
	defer func() {
		if rmErr := os.RemoveAll(dir); err == nil && rmErr != nil {
			err = keyturn.E(keyturn.Unavailable, "the temporary folder "+keyturn.Clean(dir)+" cannot be removed", "remove it by hand; it holds made-up values only").Because(rmErr)
		}
	}()
	d := &demo{command: c, dir: dir, env: filepath.Join(dir, ".env")}
	if err := d.sample(); err != nil {
		return err
	}
	for _, s := range d.script() {
		if ctx.Err() != nil {
			return term.ErrInterrupted
		}
		if err := d.play(s); err != nil {
			if ctx.Err() != nil {
				return term.ErrInterrupted
			}
			return err
		}
	}
	next := []string{"keyturn init", "keyturn migrate .env --to local/myapp", "keyturn run --env-file .env -- COMMAND"}
	if c.JSON() {
		return c.Print(answer.Document{Operation: "quickstart", Platform: "local", Mount: "local", Status: "success", Steps: d.steps, Next: next})
	}
	if err := c.Line("%s", c.Bold("That was it: nothing is left of it. Next, with secrets of your own:")); err != nil {
		return err
	}
	for _, n := range next {
		if err := c.Line("  %s", n); err != nil {
			return err
		}
	}
	return nil
}

// sample writes a .env with values that nobody else has, so that it can be told
// whether one is shown.
func (d *demo) sample() error {
	var b [12]byte
	for range 2 {
		_, _ = rand.Read(b[:]) // never fails
		d.values = append(d.values, hex.EncodeToString(b[:]))
	}
	d.values[1] = "sk_made_up_" + d.values[1]
	text := "DATABASE_PASSWORD=" + d.values[0] + "\nSTRIPE_KEY=" + d.values[1] + "\n"
	if err := os.WriteFile(d.env, []byte(text), 0o600); err != nil {
		return keyturn.E(keyturn.Unavailable, "the sample cannot be written", "look at TMPDIR").Because(err)
	}
	return nil
}

func (d *demo) script() []step {
	none := func(string) string { return "" }
	child, base64 := []string{"sh", "-c", `echo "connecting with $DATABASE_PASSWORD"`}, []string{"sh", "-c", `printf %s "$STRIPE_KEY" | base64`}
	if runtime.GOOS == "windows" {
		child, base64 = []string{"cmd", "/c", "echo connecting with %DATABASE_PASSWORD%"}, []string{"cmd", "/c", "echo key=%STRIPE_KEY%"}
	}
	run := func(says string, command []string) step {
		line := "keyturn run --env-file .env -- "
		for i, a := range command {
			if i == len(command)-1 {
				line += "'" + a + "'"
			} else {
				line += a + " "
			}
		}
		return step{says, line, append([]string{"run", "--env-file", d.env, "--"}, command...), d.redacted}
	}
	return []step{
		{"A store, encrypted, its key in a file beside it:", "keyturn init --key file", []string{"init", "--key", "file"}, none},
		{"A file as every project has one (these values are made up):", "cat .env", nil, none},
		{"Its secrets move into the store:", "keyturn migrate .env --to local/shop", []string{"migrate", ".env", "--to", "local/shop"}, d.silent},
		{"References are left, which anybody may read:", "cat .env", nil, d.silent},
		run("A program gets them, and its output does not show them:", child),
		run("Not in disguise either:", base64),
		{"Every use is on record:", "keyturn audit list", []string{"audit", "list"}, d.silent},
		{"And the record is whole:", "keyturn audit verify", []string{"audit", "verify"}, d.silent},
	}
}

func (d *demo) silent(output string) string {
	for _, v := range d.values {
		if strings.Contains(output, v) {
			return "a value was shown"
		}
	}
	return ""
}

func (d *demo) redacted(output string) string {
	if !strings.Contains(output, "[redacted") {
		return "the output does not look redacted"
	}
	return d.silent(output)
}

// play runs one step and shows it.
func (d *demo) play(s step) error {
	if !d.JSON() {
		if err := d.Line("%s\n%s", s.says, d.Bold("$ "+s.line)); err != nil {
			return err
		}
	}
	done := answer.Step{Says: s.says, Command: s.line}
	var err error
	if s.args == nil {
		var text []byte
		text, err = os.ReadFile(d.env)
		done.Output = string(text)
	} else {
		done.Output, done.Exit, err = d.call(s.args)
	}
	if err != nil {
		return keyturn.E(keyturn.Unavailable, "the step '"+s.line+"' could not be run", "look at TMPDIR").Because(err)
	}
	done.Output = strings.ReplaceAll(done.Output, d.dir, "…")
	wrong := s.check(done.Output)
	if !d.JSON() && (wrong == "" || done.Exit != 0) {
		if err := d.Line("%s", indented(done.Output)); err != nil {
			return err
		}
	}
	d.steps = append(d.steps, done)
	switch {
	case done.Exit != 0:
		return keyturn.E(keyturn.Internal, fmt.Sprintf("the step '%s' ended with %d", s.line, done.Exit), "please report it with this output")
	case wrong != "":
		return keyturn.E(keyturn.Internal, "the step '"+s.line+"' went wrong: "+wrong, "please report it")
	}
	return nil
}

// call runs one command line in this process, on the temporary store, and returns
// what it wrote.
func (d *demo) call(args []string) (output string, exit int, err error) {
	out, err := os.CreateTemp(d.dir, "output-*")
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = out.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = null.Close() }()

	p := Program(*d.Program)
	p.In, p.Out, p.Err, p.Dir = null, out, out, d.dir
	p.Environ = nil
	for _, kv := range d.Environ {
		if name, value, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "KEYTURN_") && !strings.HasPrefix(value, keyturn.Scheme) {
			p.Environ = append(p.Environ, kv)
		}
	}
	here := func(how session.How) session.How {
		how.Home, how.Demo, how.Config = filepath.Join(d.dir, "store"), true, ""
		return how
	}
	p.Open = func(ctx context.Context, how session.How) (*session.Session, error) { return d.Open(ctx, here(how)) }
	p.Create = func(ctx context.Context, how session.How, key string) (session.Created, error) {
		return d.Create(ctx, here(how), key)
	}
	p.Facts = func(how session.How) (session.Facts, error) { return d.Facts(here(how)) }
	exit = p.Run(args)
	text, err := os.ReadFile(out.Name())
	return string(bytes.TrimRight(text, "\n")), exit, err
}

func indented(s string) string {
	if s == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}
