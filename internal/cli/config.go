package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/health"
)

// configCommand returns the command 'keyturn config'.
func configCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:     "config",
		Short:   "Check the configuration, and trust it",
		Example: "  keyturn config check\n  keyturn config trust",
	}
	group.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Tell whether the configuration is right, and what each file adds",
		Long: `Read the operator's configuration and the project's keyturn.yaml, tell what each
adds and at which line, and warn of rules that cannot do what was meant.`,
		Example: `  keyturn config check
  keyturn config check -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return checkConfig(c) },
	})
	group.AddCommand(configTrustCommand(c))
	return group
}

func checkConfig(c *command) error {
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	found := health.ConfigurationOf(facts)
	if c.JSON() {
		return c.Print(found.Document())
	}
	return configText(c, facts.Operator == nil, found)
}

func configText(c *command, defaults bool, found health.Configuration) error {
	file := ""
	for _, e := range found.Entries {
		if e.File != file {
			file = e.File
			if err := c.Line("%s", c.Bold(keyturn.Clean(file))); err != nil {
				return err
			}
		}
		if err := c.Line("  %4s  %s = %s", strconv.Itoa(e.Line), keyturn.Clean(e.Key), keyturn.Clean(e.Value)); err != nil {
			return err
		}
	}
	if defaults {
		if err := c.Line("no operator's configuration: people may do everything here, agents and services nothing"); err != nil {
			return err
		}
	}
	for _, n := range found.Notices {
		if err := c.Line("warning: %s", keyturn.Clean(n)); err != nil {
			return err
		}
	}
	if len(found.Notices) == 0 {
		return c.Line("the configuration is right")
	}
	return nil
}
