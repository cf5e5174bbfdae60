package cli

import (
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/health"
)

type explainOptions struct {
	who, verb, ref string
	run            []string
	to             string
}

// rulesCommand returns the command 'keyturn rules'.
func rulesCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:     "rules",
		Short:   "Explain who may do what",
		Example: "  keyturn rules explain agents use local/myapp",
	}
	var o explainOptions
	explain := &cobra.Command{
		Use:   "explain WHO VERB REF [-- COMMAND...]",
		Short: "Tell whether somebody may do something, and which rule says so",
		Long: `Tell whether somebody may do something, and which rule of which file says so.

WHO is user:NAME, agent:NAME, service:NAME, or agents or services for any of
them, or everyone for each kind of caller in turn. VERB is one of list, describe, use, reveal, write, delete, destroy,
rotate, lease, administer, approve. A command behind -- is what a value would be
used for, started in this folder; --to is a secret that it would be copied to.`,
		Example: `  keyturn rules explain user:anna reveal local/myapp
  keyturn rules explain agent:claude-code use 'local/myapp#password' -- npm test
  keyturn rules explain agents use local/myapp --to local/test`,
		Args: cobra.MinimumNArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			o.who, o.verb, o.ref, o.run = args[0], args[1], args[2], args[3:]
			return explainRules(c, o)
		},
	}
	explain.Flags().StringVar(&o.to, "to", "", "a `REF` that the value would be copied to")
	group.AddCommand(explain)
	return group
}

func explainRules(c *command, o explainOptions) error {
	if o.who == health.Everyone && c.JSON() {
		return keyturn.E(keyturn.Invalid, "one answer is about one kind of caller", "ask for user:NAME, agents and services in turn")
	}
	q, err := health.NewQuestion(o.who, o.verb, o.ref, o.run, o.to)
	if err != nil {
		return err
	}
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	for i, d := range q.In(c.Dir).Answers(facts.Rules) {
		if c.JSON() {
			return c.Print(answer.Document{Operation: "explain-rules", Status: "success", Decision: &d})
		}
		lines := d.Because
		if i > 0 {
			lines = append([]string{""}, lines...)
		}
		for _, l := range lines {
			if err := c.Line("%s", keyturn.Clean(l)); err != nil {
				return err
			}
		}
	}
	return nil
}
