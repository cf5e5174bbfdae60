package oversee

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/rules"
)

type explainOptions struct {
	who, verb, ref string
	run            []string
	to             string
}

// Rules returns the command 'keyturn rules'.
func Rules(c *command.Command) *cobra.Command {
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
used for; --to is a secret that it would be copied to.`,
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

func explainRules(c *command.Command, o explainOptions) error {
	kinds := []string{o.who}
	if o.who == "everyone" {
		if c.JSON() {
			return keyturn.E(keyturn.Invalid, "one answer is about one kind of caller", "ask for user:NAME, agents and services in turn")
		}
		kinds = []string{"user:*", "agents", "services"}
	}
	var actors []keyturn.Actor
	for _, who := range kinds {
		actor, err := actorOf(who)
		if err != nil {
			return err
		}
		actors = append(actors, actor)
	}
	verb := keyturn.Verb(o.verb)
	if !verb.Valid() {
		var all []string
		for _, v := range keyturn.Verbs() {
			all = append(all, string(v))
		}
		return keyturn.E(keyturn.Invalid, "no verb '"+keyturn.Clean(o.verb)+"'", "there are "+strings.Join(all, ", "))
	}
	ref, err := keyturn.ParseRef(o.ref)
	if err != nil {
		return err
	}
	sink, err := o.sink(verb)
	if err != nil {
		return err
	}
	facts, err := c.Facts(c.How())
	if err != nil {
		return err
	}
	for i, actor := range actors {
		q := rules.Request{Actor: actor, Verb: verb, Path: ref.Path(), Sink: sink}
		d, lines := facts.Rules.Decide(q), facts.Rules.Explain(q)
		if sink.To != "" {
			if opens, yes := facts.Rules.Launders(actor, q.Path, sink.To, false); yes {
				d.Effect = rules.Deny
				lines = append(lines, "deny, without an approval: "+opens.Why)
			}
		}
		if c.JSON() {
			return c.Print(answer.Document{Operation: "explain-rules", Status: "success",
				Decision: &answer.Decision{Who: o.who, Verb: o.verb, Path: ref.Path(), Effect: d.Effect.String(), Rule: d.Where(), Because: lines}})
		}
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

// sink is where a value would go.
func (o explainOptions) sink(verb keyturn.Verb) (rules.Sink, error) {
	if o.to == "" {
		return rules.Sink{Run: o.run}, nil
	}
	to, err := keyturn.ParseRef(o.to)
	if err != nil {
		return rules.Sink{}, err
	}
	if verb != keyturn.Use || len(o.run) > 0 {
		return rules.Sink{}, command.Usage("--to is about a value that is used by copying it: use, without a command")
	}
	return rules.Sink{Mount: to.Mount(), To: to.Path()}, nil
}

// actorOf is an actor that a principal names, for a question about rules.
func actorOf(who string) (keyturn.Actor, error) {
	kind, name, ok := strings.Cut(who, ":")
	if !ok {
		name = "*"
	}
	kinds := map[string]keyturn.ActorKind{"user": keyturn.Person, "agent": keyturn.Agent, "service": keyturn.ServiceKind}
	if !ok {
		kinds = map[string]keyturn.ActorKind{"agents": keyturn.Agent, "services": keyturn.ServiceKind}
	}
	k, known := kinds[kind]
	if !known || name == "" {
		return keyturn.Actor{}, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(who)+"' is nobody that rules know",
			"write user:NAME, agent:NAME, service:NAME, agents, services or everyone; for a group one of its members")
	}
	return keyturn.Actor{Kind: k, Name: name, Proof: "asked about"}, nil
}
