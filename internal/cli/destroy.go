package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

type destroyOptions struct {
	ref      keyturn.Ref
	versions []string // nil: all, and the secret with them
}

// destroyCommand returns the command 'keyturn destroy'.
func destroyCommand(c *command) *cobra.Command {
	var o destroyOptions
	var r reference
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
			if o.ref, err = r.parse(args[0]); err != nil {
				return err
			}
			hint := "it takes whole versions"
			if v := o.ref.Version(); v != "" {
				hint = "name versions with --versions " + keyturn.Quote(keyturn.Clean(v))
			}
			if o.ref, err = r.whole(args[0], "destroy", hint); err != nil {
				return err
			}
			if !c.Yes && (c.JSON() || !c.Possible()) {
				return needsYes(c, o)
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return destroySecret(ctx, c, s, o) })
		},
	}
	cmd.Flags().StringSliceVar(&o.versions, "versions", nil, "only these `VERSIONS`, with commas between them")
	return r.refused(cmd)
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

func needsYes(c *command, o destroyOptions) error {
	again := "keyturn destroy " + keyturn.Quote(o.ref.Short())
	if len(o.versions) > 0 {
		again += " --versions " + keyturn.Quote(strings.Join(cleanAll(o.versions), ","))
	}
	return keyturn.E(keyturn.Invalid, "this destroys "+o.what()+" for ever, and there is nobody to ask",
		"say it: "+again+" --yes\nwhat can be undone: keyturn delete "+keyturn.Quote(o.ref.Short())).About(o.ref)
}

func destroySecret(ctx context.Context, c *command, s *session.Session, o destroyOptions) error {
	if !c.Yes {
		if err := sureToDestroy(ctx, c, s, o); err != nil {
			return err
		}
	}
	op := keyturn.DestroySecret{Ref: o.ref, Versions: o.versions}
	res, err := session.Ask[*keyturn.Changed](ctx, s, op)
	if err != nil {
		return err
	}
	return wrote(c, op, res, "destroyed "+o.what())
}

// sureToDestroy asks, naming exactly what goes. What does not exist is told before.
func sureToDestroy(ctx context.Context, c *command, s *session.Session, o destroyOptions) error {
	question := "Destroy " + o.what()
	if len(o.versions) == 0 {
		res, err := session.Ask[*keyturn.Versions](ctx, s, keyturn.ListVersions{Ref: o.ref})
		switch {
		case err != nil && keyturn.AsError(err).Code == keyturn.NotFound:
			return err
		case err == nil:
			question += fmt.Sprintf(" (%d)", len(res.Versions))
		}
	}
	yes, err := c.Confirm(ctx, question+", for ever?")
	if err != nil {
		return err
	}
	if !yes {
		return session.SaidNo()
	}
	return nil
}
