package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
)

func init() { operations["destroy"] = keyturn.DestroySecret{}.Kind() }

type destroyOptions struct {
	ref      keyturn.Ref
	versions []string // nil: all, and the secret with them
}

func destroyCommand(c *command) *cobra.Command {
	var o destroyOptions
	cmd := &cobra.Command{
		Use:   "destroy REF",
		Short: "Delete a secret, or versions of it, for ever",
		Long: `Delete a secret with all its versions and all that is known of it, or only the
versions that --versions names, for ever. It asks on a terminal, and needs --yes
elsewhere. 'keyturn delete' can be undone.`,
		Example: `  keyturn destroy local/myapp --versions 1 --yes
  keyturn destroy local/myapp --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.ref, err = keyturn.ParseRef(args[0]); err != nil {
				return err
			}
			hint := "it takes whole versions"
			if v := o.ref.Version(); v != "" {
				hint = "name versions with --versions " + keyturn.Quote(keyturn.Clean(v))
			}
			if o.ref, err = whole(args[0], "destroy", hint); err != nil {
				return err
			}
			// A choice that came out empty must never take the whole secret.
			if cmd.Flags().Changed("versions") && (len(o.versions) == 0 || slices.Contains(o.versions, "")) {
				return keyturn.E(keyturn.Invalid, "--versions names no version, or an empty one",
					"write --versions 1,2, or leave it out to destroy the whole secret").About(o.ref)
			}
			if !c.yes && (c.json() || !c.prompt().Possible()) {
				return c.needsYes(o)
			}
			return c.do(cmd, func(ctx context.Context, s *Session) error { return c.destroySecret(ctx, s, o) })
		},
	}
	cmd.Flags().StringSliceVar(&o.versions, "versions", nil, "only these `VERSIONS`, with commas between them")
	return cmd
}

// what says exactly what goes.
func (o destroyOptions) what() string {
	name := keyturn.Clean(o.ref.Short())
	switch len(o.versions) {
	case 0:
		return name + " with all its versions"
	case 1:
		return "version " + keyturn.Clean(o.versions[0]) + " of " + name
	}
	return "versions " + strings.Join(cleanAll(o.versions), ", ") + " of " + name
}

func (c *command) needsYes(o destroyOptions) error {
	again := "keyturn destroy " + keyturn.Quote(o.ref.Short())
	if len(o.versions) > 0 {
		again += " --versions " + keyturn.Quote(strings.Join(cleanAll(o.versions), ","))
	}
	return keyturn.E(keyturn.Invalid, "this destroys "+o.what()+" for ever, and there is nobody to ask",
		"say it: "+again+" --yes\nwhat can be undone: keyturn delete "+keyturn.Quote(o.ref.Short())).About(o.ref)
}

func (c *command) destroySecret(ctx context.Context, s *Session, o destroyOptions) error {
	if !c.yes {
		if err := c.sure(ctx, s, o); err != nil {
			return err
		}
	}
	res, err := ask[*keyturn.Changed](ctx, c, s, keyturn.DestroySecret{Ref: o.ref, Versions: o.versions})
	if err != nil {
		return err
	}
	if c.json() {
		doc := changeDoc(res, keyturn.DestroySecret{}.Kind())
		if len(o.versions) > 0 { // the secret itself is still there
			doc.Secret.State = ""
			doc.Secrets = &[]secretDoc{}
			for _, v := range o.versions {
				*doc.Secrets = append(*doc.Secrets, secretDoc{Ref: doc.Secret.Ref, Version: versionOf(v), State: string(keyturn.Destroyed)})
			}
		}
		return c.print(doc)
	}
	return c.wrote(res, keyturn.DestroySecret{}.Kind(), "destroyed "+o.what())
}

// sure asks, naming exactly what goes. What does not exist is told before.
func (c *command) sure(ctx context.Context, s *Session, o destroyOptions) error {
	question := "Destroy " + o.what()
	if len(o.versions) == 0 {
		res, err := ask[*keyturn.Versions](ctx, c, s, keyturn.ListVersions{Ref: o.ref})
		switch {
		case err != nil && keyturn.AsError(err).Code == keyturn.NotFound:
			return err
		case err == nil:
			question += fmt.Sprintf(" (%d)", len(res.Versions))
		}
	}
	yes, err := c.prompt().Confirm(ctx, question+", for ever?")
	if err != nil {
		return err
	}
	if !yes {
		return errInterrupted
	}
	return nil
}
