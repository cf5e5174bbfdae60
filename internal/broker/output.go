package broker

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/leak"
)

// What comes back from a command must not tell an agent or a service about a value that it
// may only use. So it is decided here, and not by the caller: when output is shown at all
// (settleOutput), and that nothing which the caller wrote holds such a value (refuseHeld).

// settleOutput decides what the caller gets of the output of a command that is given out,
// and reserves compares where the command gets values that may be guesses at one another.
// People get it as it comes.
func (b *Broker) settleOutput(ctx context.Context, c *call, out *keyturn.Delivery) error {
	if out.Output = keyturn.OutputStream; c.actor.Kind == keyturn.Person {
		return nil
	}
	for _, child := range c.children {
		if _, ok := child.op.(keyturn.UseSecret); !ok {
			continue
		}
		says := child.verdict.Output
		switch {
		case says == "":
			says = keyturn.OutputEnd
		case says == keyturn.OutputStream && c.actor.Kind == keyturn.ServiceKind:
			says = keyturn.OutputLines
		}
		out.Output = out.Output.Stricter(says)
	}
	if c.approval != "" {
		out.Output = out.Output.Stricter(keyturn.OutputEnd)
	}
	if out.Output == keyturn.OutputStatus {
		out.Why = "the rule says so\nwho keeps the operator's configuration can change output: status there"
		return nil
	}
	var chosen, secret, apart []keyturn.Delivered
	for _, d := range slices.Concat(out.Env, out.Files) {
		switch {
		case d.Public:
		case d.Chosen && !d.Open:
			apart = append(apart, d)
			fallthrough
		case d.Chosen:
			chosen = append(chosen, d)
		case !d.Open:
			secret = append(secret, d)
		}
	}
	if len(chosen) > 0 && len(secret) > 0 {
		out.Output = keyturn.OutputStatus
		out.Why = "it gets " + nameOf(chosen[0]) + ", which you may have chosen, beside " + nameOf(secret[0]) + ", which you may not see: what it shows of both could tell whether one is a guess at the other" +
			"\nrun it without one of the two; or a person writes the first anew, or has it generated"
		return nil
	}
	if len(apart) == 0 || !slices.ContainsFunc(chosen, func(d keyturn.Delivered) bool { return d.Ref != apart[0].Ref }) {
		return nil
	}
	var refs []keyturn.Ref
	for _, d := range apart {
		refs = append(refs, d.Ref.Secret())
	}
	err := b.journal.Compares.Reserve(ctx, c.id, c.actor.Principal(), refs)
	if errors.Is(err, keyturn.Denied) {
		out.Output = keyturn.OutputStatus
		e := keyturn.AsError(err)
		out.Why = "two of its values may be guesses at one another, and " + e.Message + "\n" + e.Hint
		return nil
	}
	out.Reserved = err == nil
	return err
}

// nameOf returns what the caller may know a delivered value by.
func nameOf(d keyturn.Delivered) string {
	if d.Label != "" {
		return d.Label
	}
	return "the value of " + keyturn.Clean(d.Name)
}

// chosen reports whether the caller may have chosen the value of a field: where an agent or
// a service gave it, or, where that is not known, where the caller may write the secret. A
// person may have written whatever a person wrote.
func (b *Broker) chosen(c *call, ref keyturn.Ref, field string, s keyturn.Secret) bool {
	given, known := s.Given[field]
	if given || known && c.actor.Kind != keyturn.Person {
		return given
	}
	return b.may(c.actor, keyturn.Write, ref)
}

// chosenGiven is Info.Given of what the caller copies: an agent or a service gives what it
// may have chosen where the platform does not tell who gave it.
func (b *Broker) chosenGiven(c *call, ref keyturn.Ref, s keyturn.Secret) map[string]bool {
	if c.actor.Kind == keyturn.Person {
		return s.Given
	}
	given := map[string]bool{}
	maps.Copy(given, s.Given)
	for f := range s.Values {
		if b.chosen(c, ref, f, s) {
			given[f] = true
		}
	}
	return given
}

// refuseHeld refuses, as an alarm, an agent or a service that wrote one of values, which it
// may not see, into its operation: as an argument, a name, a reason. Only values and parts
// that nobody guesses are sought, so that the refusal confirms no guess.
func (b *Broker) refuseHeld(ctx context.Context, c *call, values []keyturn.Delivered) error {
	if c.actor.Kind == keyturn.Person {
		return nil
	}
	var needles []leak.Needle
	var unseen []keyturn.Delivered
	for _, d := range values {
		if !d.Public && !d.Open && !d.Chosen {
			unseen = append(unseen, d)
			needles = append(needles, leak.Needle{Value: d.Value.Reveal(), Strong: true, Open: leak.Open(d.Ref.Field(), d.Value.Reveal())})
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	m, _, err := leak.Compile(needles)
	if err != nil {
		return keyturn.E(keyturn.Invalid, "the values are too large for what you wrote to be searched for them", "give the command fewer of them, or smaller ones").Because(err)
	}
	defer m.Wipe()
	search := m.Search()
	for _, text := range append(textsOf(c.form), c.from.Reason) {
		_, _ = search.Write([]byte(text))
		search.Next()
	}
	found := search.Found()
	if len(found) == 0 {
		return nil
	}
	var refs []keyturn.Ref
	for _, i := range found {
		refs = append(refs, unseen[i].Ref)
	}
	if err := b.alarm(ctx, c, refs); err != nil {
		return err
	}
	return heldBy(c.actor, unseen[found[0]])
}

// heldBy is the refusal of a caller who wrote the value d.
func heldBy(actor keyturn.Actor, d keyturn.Delivered) error {
	hint := "leave it out; a person should look at how it came there, and replace the value"
	if ref, err := keyturn.ParseRef(d.Label); err == nil && ref.Field() != "" && leak.Declarable(d.Ref.Field(), d.Value.Reveal()) {
		hint += "; or say that it is no secret: " + ref.Publish()
	}
	e := keyturn.E(keyturn.Denied, "what "+actor.Principal()+" wrote holds "+nameOf(d)+", which it may not see: nothing was done", hint).With(keyturn.Held)
	e.By = "rule"
	return e
}

// alarm counts a held value as all the compares of its secret for the day.
func (b *Broker) alarm(ctx context.Context, c *call, refs []keyturn.Ref) error {
	return b.journal.Compares.Charge(context.WithoutCancel(ctx), c.actor.Principal(), refs, journal.MaxCompares)
}

// endCommand counts what came of the secrets of a command that the caller began here: once,
// and of no other secret than those that it got. NotFound for anything else.
func (b *Broker) endCommand(ctx context.Context, c *call, op keyturn.EndCommand) (_ keyturn.Result, err error) {
	run, ok := b.begun.end(op.ID, c.actor.Principal(), op.Held)
	if !ok {
		return nil, keyturn.E(keyturn.NotFound, "no such command of "+c.actor.Principal()+" is under way", "")
	}
	defer func() {
		if err != nil {
			b.begun.add(op.ID, run)
		}
	}()
	if len(op.Held) > 0 {
		if err := b.alarm(ctx, c, op.Held); err != nil {
			return nil, err
		}
	}
	if !op.Met {
		if err := b.journal.Compares.GiveBack(ctx, op.ID, c.actor.Principal()); err != nil {
			return nil, err
		}
	}
	return &keyturn.Ended{Receipt: c.receipt(nil)}, nil
}

// maxBegun is how many commands and templates are remembered until their EndCommand. Most
// have nothing to tell, so that none comes. Of one that is forgotten, the compares that
// were reserved stay spent.
const maxBegun = 10_000

// begun are the commands and templates of agents and services that got values from this
// broker, by the id of their operation. It is safe for concurrent use.
type begun struct {
	mu   sync.Mutex
	runs map[string]begunRun
	ids  []string // of runs and of some that have ended, oldest first
}

// begunRun says who got values, and of which secrets.
type begunRun struct {
	caller  string
	secrets []keyturn.Ref
}

// begin remembers that the caller of c got values.
func (b *Broker) begin(c *call, values []keyturn.Delivered) {
	if c.actor.Kind == keyturn.Person {
		return
	}
	run := begunRun{caller: c.actor.Principal()}
	for _, d := range values {
		run.secrets = append(run.secrets, d.Ref.Secret())
	}
	b.begun.add(c.id, run)
}

func (g *begun) add(id string, run begunRun) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ids) == maxBegun {
		delete(g.runs, g.ids[0])
		g.ids = g.ids[1:]
	}
	g.runs[id], g.ids = run, append(g.ids, id)
}

// end forgets the run with this id and returns it, where it is the caller's and has the
// secrets of held.
func (g *begun) end(id, caller string, held []keyturn.Ref) (begunRun, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	run, ok := g.runs[id]
	if !ok || run.caller != caller || slices.ContainsFunc(held, func(r keyturn.Ref) bool { return !slices.Contains(run.secrets, r.Secret()) }) {
		return begunRun{}, false
	}
	delete(g.runs, id)
	return run, true
}

// textsOf returns all texts of a canonical form: names, arguments, paths.
func textsOf(form []byte) (texts []string) {
	var doc any
	if json.Unmarshal(form, &doc) != nil {
		return []string{string(form)}
	}
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for name, child := range node {
				texts = append(texts, name)
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		case string:
			texts = append(texts, node)
		}
	}
	walk(doc)
	return texts
}
