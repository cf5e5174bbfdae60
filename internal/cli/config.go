package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
)

func init() { operations["config check"] = "check-config" }

func configCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:     "config",
		Short:   "Check the configuration",
		Example: "  keyturn config check",
	}
	group.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Tell whether the configuration is right, and what each file adds",
		Long: `Read the operator's configuration and the project's keyturn.yaml, tell what each
adds and at which line, and warn of rules that cannot do what was meant.`,
		Example: `  keyturn config check
  keyturn config check -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.checkConfig() },
	})
	return group
}

type settingDoc struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	File  string `json:"file"`
	Line  int    `json:"line"`
}

func (c *command) checkConfig() error {
	facts, err := c.Facts(c.how())
	if err != nil {
		return err
	}
	entries := facts.Operator.Entries()
	entries = append(entries, facts.Project.Entries()...)
	var notices []string
	for _, w := range facts.Rules.Lint(facts.Mounts) {
		n := w.Where.String() + ": " + w.Message
		if w.Hint != "" {
			n += " (" + w.Hint + ")"
		}
		notices = append(notices, n)
	}
	if facts.Operator != nil && facts.Operator.Unchecked != "" {
		notices = append(notices, facts.Operator.Unchecked)
	}
	if c.json() {
		list := []settingDoc{}
		for _, e := range entries {
			list = append(list, settingDoc(e))
		}
		return c.print(answer{Operation: "check-config", Status: "success", Settings: &list, Notices: notices})
	}
	return c.configText(facts, entries, notices)
}

func (c *command) configText(facts Facts, entries []config.Entry, notices []string) error {
	file := ""
	for _, e := range entries {
		if e.File != file {
			file = e.File
			if err := c.line("%s", c.bold(keyturn.Clean(file))); err != nil {
				return err
			}
		}
		if err := c.line("  %4s  %s = %s", strconv.Itoa(e.Line), keyturn.Clean(e.Key), keyturn.Clean(e.Value)); err != nil {
			return err
		}
	}
	if facts.Operator == nil {
		if err := c.line("no operator's configuration: people may do everything here, agents and services nothing"); err != nil {
			return err
		}
	}
	for _, n := range notices {
		if err := c.line("warning: %s", keyturn.Clean(n)); err != nil {
			return err
		}
	}
	if len(notices) == 0 {
		return c.line("the configuration is right")
	}
	return nil
}
