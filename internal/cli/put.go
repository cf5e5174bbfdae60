package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

type putOptions struct {
	ref       keyturn.Ref
	words     []string
	fromJSON  string
	fromEnv   string
	generate  []string
	ifVersion string
	labels    []string
	expires   string
	public    []string
	merge     bool
	replace   bool
	trim      bool
	reader    string
	policyOut string
}

// putCommand returns the command 'keyturn put'.
func putCommand(c *command) *cobra.Command {
	var o putOptions
	var readers []string // one; a second is refused, where the last would win unseen
	var r reference
	cmd := &cobra.Command{
		Use:   "put REF [FIELD=VALUE | FIELD=@FILE | FIELD=- | FIELD]...",
		Short: "Make a new version of a secret",
		Long: `Make a new version of a secret.

  FIELD          asks for the value without echo; with no field at all, for 'value'
  FIELD=-        takes it from standard input, byte for byte
  FIELD=@FILE    takes it from a file, byte for byte
  FIELD=VALUE    takes it literally, where others can see it; \@ and \- begin a
                 literal @ and -

A put makes a whole version. If fields of the current version would vanish it
asks, or fails with conflict where there is nobody to ask: --merge keeps them,
--replace lets them go.

--label names all labels; with --merge it adds or changes one (KEY=VALUE) or takes one
away (KEY-), and with no field beside it the values stay as they are. Where labels
belong to the secret and not to a version, as in Vault, that makes no new version.

--reader lets a principal of the platform read the secret, as 'keyturn vault policy
grant' does: by the least policy, which --policy-out keeps in a file. That it can be
done is checked before anything is written.`,
		Example: `  keyturn put local/myapp password
  keyturn put local/myapp --generate password:40 user=app
  keyturn put local/myapp tls.key=@server.key --merge
  printf %s "$TOKEN" | keyturn put local/ci token=-
  keyturn put local/myapp --merge --label team=web --label tier-
  keyturn put local/web --from-env .env
  keyturn put local/new --generate password --if-version none
  keyturn put vault/secret/myapp/config --generate password --reader vault:approle/myapp --policy-out policy.hcl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.ref, err = r.parse(args[0]); err != nil {
				return err
			}
			if f := o.ref.Field(); f != "" {
				return keyturn.E(keyturn.Invalid, "put takes a whole secret, with its fields behind it",
					"write keyturn put "+keyturn.Quote(o.ref.Secret().Short())+" "+keyturn.Quote(keyturn.Clean(f))).About(o.ref)
			}
			if o.ref.Version() != "" {
				return keyturn.E(keyturn.Invalid, "a put makes a new version: the reference cannot name one",
					"leave the version out; --if-version says which one must be current").About(o.ref)
			}
			if len(readers) > 0 {
				o.reader = readers[0]
			}
			switch {
			case len(readers) > 1:
				return usage("--reader is given twice: it takes one")
			case o.merge && o.replace:
				return usage("--merge and --replace exclude each other")
			case o.fromJSON != "" && o.fromEnv != "":
				return usage("--from-json and --from-env exclude each other")
			case o.policyOut != "" && o.reader == "":
				return usage("--policy-out keeps the policy that --reader makes: say --reader PRINCIPAL")
			}
			if o.policyOut != "" {
				if err := c.MayWrite(c.Abs(o.policyOut)); err != nil {
					return err
				}
			}
			o.words = args[1:]
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return putSecret(ctx, c, s, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fromJSON, "from-json", "", "take all fields from a JSON object in `FILE`, or - for standard input")
	f.StringVar(&o.fromEnv, "from-env", "", "take all fields from a .env `FILE`, or - for standard input")
	f.StringArrayVar(&o.generate, "generate", nil, "make a random value: `FIELD[:LENGTH[:CHARSET]]` or FIELD:uuid")
	f.StringVar(&o.ifVersion, "if-version", "", "only if `VERSION` is current; none: only if there is no such secret")
	f.StringArrayVar(&o.labels, "label", nil, "a label, `KEY=VALUE`; with --merge beside those that are there, and KEY- takes one away")
	f.StringVar(&o.expires, "expires", "", "the `DATE` by which it should be replaced (2026-12-31, or 90d)")
	f.StringArrayVar(&o.public, "public", nil, "a `FIELD` that is not secret: shown, and not redacted (people only)")
	f.BoolVar(&o.merge, "merge", false, "keep the fields of the current version that are not named")
	f.BoolVar(&o.replace, "replace", false, "let go of the fields that are not named")
	f.StringArrayVar(&readers, "reader", nil, "let a `PRINCIPAL` of the platform read it: vault:approle/NAME")
	f.StringVar(&o.policyOut, "policy-out", "", "keep the text of the policy that --reader makes in a `FILE`")
	f.BoolVar(&o.trim, "trim", false, "drop one newline at the end of what comes from a pipe or file")
	return r.refused(cmd)
}

func putSecret(ctx context.Context, c *command, s *session.Session, o putOptions) error {
	op, err := o.operation()
	if err != nil {
		return err
	}
	values, err := collect(ctx, c, o)
	if err != nil {
		return err
	}
	if err := publicNamed(op, values); err != nil {
		return err
	}
	if !op.Expires.IsZero() && op.Expires.Before(time.Now()) {
		c.Say("note: the date of --expires has passed already")
	}
	res, err := session.Put(ctx, s, op, values)
	if op.Mode == "" && keyturn.ReasonOf(err) == keyturn.WouldVanish && c.Possible() && !c.JSON() {
		if op.Mode, err = c.WhichMode(ctx, keyturn.AsError(err)); err != nil {
			return err
		}
		res, err = session.Put(ctx, s, op, values)
	}
	if err != nil {
		return err
	}
	said := "changed "
	if res.Created {
		said = "created "
	}
	said += namedVersion(c, res.Secret)
	if o.reader != "" {
		return o.granted(c, op, res, said)
	}
	return wrote(c, op, res, said)
}

// granted prints the answer of a put with a reader: what is stored is told also where
// the reader may not read it.
func (o putOptions) granted(c *command, op keyturn.PutSecret, res *keyturn.Changed, said string) error {
	failed, but := res.Failed, keyturn.Clean(o.reader)+" may not read it: "
	var artifacts []string
	if res.Granted != nil && res.Granted.Policy != nil && o.policyOut != "" {
		if err := c.Keep(c.Abs(o.policyOut), []byte(res.Granted.Policy.Text)); err != nil {
			res.Failed, failed, but = keyturn.AsError(err), keyturn.AsError(err), ""
		} else {
			artifacts = []string{o.policyOut}
		}
	}
	if c.JSON() {
		doc, err := answer.Of(op, res, answer.About{Verbose: c.Verbose()})
		if err != nil {
			return err
		}
		doc.Artifacts = artifacts
		return term.Done(said, c.PrintAnswer(doc))
	}
	var next []string
	if res.Granted != nil {
		for _, n := range res.Granted.Notices {
			c.Say("note: %s", keyturn.Clean(n))
		}
		next = append(next, keyturn.Clean(res.Granted.Says))
	}
	for _, a := range artifacts {
		next = append(next, "kept in "+keyturn.Clean(a))
	}
	if err := wrote(c, op, res, said, next...); err != nil {
		return err
	}
	if failed == nil {
		return nil
	}
	c.Say("but %s%s", but, keyturn.Clean(failed.Message))
	if failed.Hint != "" {
		c.Say("  %s", keyturn.Clean(failed.Hint))
	}
	return exitStatus(failed.Code.Exit())
}

// operation is the put without its values.
func (o putOptions) operation() (keyturn.PutSecret, error) {
	op := keyturn.PutSecret{Ref: o.ref, IfVersion: o.ifVersion, Public: o.public, Reader: o.reader}
	switch {
	case o.merge:
		op.Mode = keyturn.Merge
	case o.replace:
		op.Mode = keyturn.Replace
	}
	for i, g := range o.generate {
		gen, err := parse.Generate(g, i+1)
		if err != nil {
			return op, err
		}
		op.Generate = append(op.Generate, gen)
	}
	var err error
	if op.Labels, op.Unlabel, err = parse.Labels(o.labels, o.merge); err != nil {
		return op, err
	}
	op.Expires, err = parse.Expiry(o.expires, time.Now())
	return op, err
}

// WhichMode asks a person what is to become of the fields that would vanish, and
// returns keyturn.Merge or keyturn.Replace; an error where they stop.
func (c *command) WhichMode(ctx context.Context, e *keyturn.Error) (string, error) {
	c.Say("%s", keyturn.CleanLines(e.Message))
	for {
		answer, err := c.Ask(ctx, "Keep them (m, merge), let them go (r, replace), or stop (s)?")
		if err != nil {
			return "", err
		}
		switch strings.ToLower(answer) {
		case "m", "merge":
			return keyturn.Merge, nil
		case "r", "replace":
			return keyturn.Replace, nil
		case "s", "stop", "":
			return "", session.SaidNo()
		}
	}
}
