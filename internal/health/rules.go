package health

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// Configuration is what the configuration files say. Its texts are as they stand in the
// files: a door that shows them to a person cleans them.
type Configuration struct {
	Entries []config.Entry // of the operator's file, then of the project's
	Notices []string       // of rules that cannot do what was meant, and of a file that could not be checked
}

// ConfigurationOf reads the entries of the configuration, and looks for mistakes in it.
func ConfigurationOf(f session.Facts) Configuration {
	out := Configuration{Entries: append(f.Operator.Entries(), f.Project.Entries()...)}
	for _, w := range f.Rules.Lint(f.Mounts) {
		n := w.Where.String() + ": " + w.Message
		if w.Hint != "" {
			n += " (" + w.Hint + ")"
		}
		out.Notices = append(out.Notices, n)
	}
	if f.Operator != nil && f.Operator.Unchecked != "" {
		out.Notices = append(out.Notices, f.Operator.Unchecked)
	}
	return out
}

// Document is the configuration as JSON.
func (x Configuration) Document() answer.Document {
	list := []answer.Setting{}
	for _, e := range x.Entries {
		list = append(list, answer.Setting(e))
	}
	return answer.Document{Operation: "check-config", Status: "success", Settings: &list, Notices: x.Notices}
}

// Everyone, as the caller of a Question, stands for each kind of caller in turn.
const Everyone = "everyone"

// Question asks the rules whether a caller may do something.
type Question struct {
	who      string
	requests []rules.Request // one, or one for each kind of caller
}

// NewQuestion returns a question about a caller, a verb and a reference as people write
// them. run is a command that the value would be used for, to a reference that it would be
// copied to; both may be empty. NewQuestion returns Invalid for words that it does not know.
func NewQuestion(who, verb, ref string, run []string, to string) (Question, error) {
	callers := []string{who}
	if who == Everyone {
		callers = []string{"user:*", "agents", "services"}
	}
	var actors []keyturn.Actor
	for _, w := range callers {
		actor, err := actorOf(w)
		if err != nil {
			return Question{}, err
		}
		actors = append(actors, actor)
	}
	if !keyturn.Verb(verb).Valid() {
		var all []string
		for _, v := range keyturn.Verbs() {
			all = append(all, string(v))
		}
		return Question{}, keyturn.E(keyturn.Invalid, "no verb '"+keyturn.Clean(verb)+"'", "there are "+strings.Join(all, ", "))
	}
	about, err := keyturn.ParseRef(ref)
	if err != nil {
		return Question{}, err
	}
	sink, err := sinkOf(keyturn.Verb(verb), run, to)
	if err != nil {
		return Question{}, err
	}
	q := Question{who: who}
	for _, a := range actors {
		q.requests = append(q.requests, rules.Request{Actor: a, Verb: keyturn.Verb(verb), Path: about.Path(), Sink: sink})
	}
	return q, nil
}

// In is q about a command that is started in the folder dir.
func (q Question) In(dir string) Question {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	q.requests = slices.Clone(q.requests)
	for i := range q.requests {
		if len(q.requests[i].Sink.Run) > 0 {
			q.requests[i].Sink.Dir = dir
		}
	}
	return q
}

// sinkOf is where a value would go.
func sinkOf(verb keyturn.Verb, run []string, to string) (rules.Sink, error) {
	if to == "" {
		return rules.Sink{Run: run}, nil
	}
	ref, err := keyturn.ParseRef(to)
	if err != nil {
		return rules.Sink{}, err
	}
	if verb != keyturn.Use || len(run) > 0 {
		return rules.Sink{}, keyturn.E(keyturn.Invalid, "--to is about a value that is used by copying it: use, without a command", "see 'keyturn rules explain --help'")
	}
	return rules.Sink{Mount: ref.Mount(), To: ref.Path()}, nil
}

// actorOf is the actor that a principal names: "user:anna", "agents".
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

// Answers returns what the rules say, and why: one decision, or one for each kind of
// caller. Its texts come from the configuration: a door that shows them to a person cleans
// them.
func (q Question) Answers(set *rules.Set) []answer.Decision {
	var out []answer.Decision
	for _, r := range q.requests {
		d, lines := set.Decide(r), set.Explain(r)
		if r.Sink.To != "" {
			if opens, yes := set.Launders(r.Actor, r.Path, r.Sink.To, false); yes {
				d.Effect = rules.Deny
				lines = append(lines, "deny, without an approval: "+opens.Why)
			}
		}
		out = append(out, answer.Decision{Who: q.who, Verb: string(r.Verb), Path: r.Path, Effect: d.Effect.String(), Rule: d.Where(), Because: lines})
	}
	return out
}
