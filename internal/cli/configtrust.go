package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// configTrustCommand returns the command 'keyturn config trust'.
func configTrustCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "trust",
		Short: "Have agents and services judged by the configuration as it is now",
		Long: `Show what has changed in the operator's configuration, and have agents and
services judged by it as it is now. They are judged by one file, which the store
has pinned by path and content: the first that a person used with the store, or the
last that a person trusted. After a change they may do nothing until this was said.
Comments and layout do not count as a change.

The environment in which their commands are found and run (HOME, PATH, USER,
LOGNAME, SHELL) is taken anew from yours.

Your keyturn passphrase is asked for where you have one, else a yes; --yes says it
beforehand. Agents and services cannot trust.`,
		Example: `  keyturn config trust
  keyturn config trust --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.With = func(h *session.How) { h.Trusting, h.Yes = true, c.Yes }
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return trustConfig(ctx, c, s) })
		},
	}
}

func trustConfig(ctx context.Context, c *command, s *session.Session) error {
	res, done, err := session.TrustConfig(ctx, s)
	if err != nil {
		return err
	}
	if c.JSON() {
		return c.Answer(s.Pin.Now, res)
	}
	path := keyturn.Clean(s.Pin.Now.Path)
	switch {
	case path == "" && !done:
		return c.Line("there is no configuration to trust: agents and services may do nothing")
	case path == "":
		return c.Line("no configuration is trusted any more: agents and services may do nothing")
	case !done:
		return c.Line("%s is trusted already", path)
	}
	return c.Line("trusted: agents and services are judged by %s", path)
}
