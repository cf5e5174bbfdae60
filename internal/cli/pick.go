package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/session"
)

// pickSecret lets a person choose one of the listed secrets. On a terminal they see
// what is known of it; a pipe gets its reference. The store stays open meanwhile:
// whoever gave a passphrase for it is not asked twice.
func pickSecret(c *command, cmd *cobra.Command, o listOptions, keep func(keyturn.Info) bool) error {
	if !c.Possible() {
		e := keyturn.E(keyturn.Denied, "there is no terminal to choose at", "name the secret, or narrow the list with --match")
		e.By = "person"
		return e
	}
	if c.Env("TERM") == "dumb" {
		return keyturn.E(keyturn.Unsupported, "this terminal cannot be drawn on (TERM=dumb)", "narrow the list with --match")
	}
	return c.Do(cmd, func(ctx context.Context, s *session.Session) error {
		found, err := pickable(ctx, c, s, o, keep)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return keyturn.E(keyturn.NotFound, "there is no secret to choose from", "'keyturn list' shows the mounts")
		}
		p := term.Picker{In: c.In, Out: c.Err, Title: "secret", Plain: c.Plain}
		for _, r := range found {
			p.Items = append(p.Items, r.Short())
		}
		i, err := p.Pick(ctx)
		if err != nil {
			return err
		}
		if !c.OnTerminal() && !c.JSON() {
			return c.Line("%s", keyturn.Clean(found[i].Short()))
		}
		return getSecret(ctx, c, s, getOptions{ref: found[i]})
	})
}

// pickable lists what can be chosen: below the prefix, or in every mount.
func pickable(ctx context.Context, c *command, s *session.Session, o listOptions, keep func(keyturn.Info) bool) ([]keyturn.Ref, error) {
	under := []keyturn.Prefix{o.under}
	if o.under.IsZero() {
		res, err := session.Ask[*keyturn.Mounts](ctx, s, keyturn.ListMounts{})
		if err != nil {
			return nil, err
		}
		under = nil
		for _, m := range res.Mounts {
			p, err := keyturn.ParsePrefix(m.Mount)
			if err != nil {
				return nil, err
			}
			under = append(under, p)
		}
	}
	var found []keyturn.Ref
	for _, p := range under {
		res, err := session.Ask[*keyturn.Listing](ctx, s, keyturn.ListSecrets{Under: p})
		if err != nil {
			return nil, err
		}
		for info, err := range res.Secrets {
			if err != nil && !info.IsFolder() { // a folder that may not be listed has nothing to choose
				return nil, err
			}
			if !info.Ref.IsZero() && info.State == keyturn.Live && (keep == nil || keep(info)) {
				found = append(found, info.Ref)
			}
		}
	}
	return found, nil
}
