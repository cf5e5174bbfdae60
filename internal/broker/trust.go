package broker

import (
	"context"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/variable"
)

// trusted refuses an operation that takes references from a file which no person has
// accepted, and a command that would get variables of its caller which nothing lets pass.
func (b *Broker) trusted(ctx context.Context, c *call) error {
	person := c.actor.Kind == keyturn.Person
	switch op := c.op.(type) {
	case keyturn.RunCommand:
		if op.Project != "" {
			if err := b.fileTrusted(ctx, c.actor, keyturn.AskedFile{Path: op.Project, Asks: op.Pinned}, "keyturn trust"); err != nil {
				return err
			}
		}
		for _, f := range op.EnvFiles {
			var err error
			if person && len(f.Asks)+len(f.Steers) == 0 {
				continue // a file that asks for nothing needs no trust
			} else if person {
				err = b.fileTrusted(ctx, c.actor, f, "keyturn trust "+keyturn.Quote(f.Path))
			} else {
				err = b.linesKept(ctx, f) // of references the rules decide
			}
			if err != nil {
				return err
			}
		}
		if !person {
			return b.passes(c, op)
		}
	case keyturn.RenderTemplate:
		if person && op.Found != "" {
			return b.fileTrusted(ctx, c.actor, op.Asks(), "keyturn trust "+keyturn.Quote(op.Found))
		}
	}
	return nil
}

// fileTrusted refuses a file that asks for something else than a person has accepted, and
// says what. What a file asks for is what the caller says; the caller could also name it
// without the file. It is all that is in the file, also where the caller uses another in
// the place of one.
func (b *Broker) fileTrusted(ctx context.Context, actor keyturn.Actor, f keyturn.AskedFile, command string) error {
	have, known, err := b.journal.Trust.File(ctx, f.Path)
	if err != nil || known && slices.Equal(have.Asks, f.Asks) && slices.Equal(have.Steers, f.Steers) {
		return err
	}
	what := "secrets"
	if len(f.Asks) == 0 {
		what = "variables that decide how programs run, or where secrets go"
	}
	message := keyturn.Clean(f.Path) + " asks for " + what + " and is not trusted yet"
	if known {
		message = keyturn.Clean(f.Path) + " asks for other " + what + " than those you trusted"
	}
	if actor.Kind != keyturn.Person {
		have = keyturn.AskedFile{} // what the file asked for before is not theirs to know
	}
	asks := keyturn.Asked{Path: f.Path}
	asks.Added, asks.Removed = difference(have.Asks, f.Asks)
	asks.SteersAdded, asks.SteersRemoved = difference(have.Steers, f.Steers)
	e := keyturn.E(keyturn.Denied, message, strings.Join(asks.Lines(), "\n")+
		"\nlook at it, then say: "+command+"   (in CI: --trust-project)").With(keyturn.Untrusted)
	e.Asks = &asks
	e.By = "person"
	return e
}

// difference returns what was added and taken away.
func difference[T comparable](old, now []T) (added, removed []T) {
	for _, x := range now {
		if !slices.Contains(old, x) {
			added = append(added, x)
		}
	}
	for _, x := range old {
		if !slices.Contains(now, x) {
			removed = append(removed, x)
		}
	}
	return added, removed
}

// linesKept refuses plain variables of a file that were not there when a person trusted it.
func (b *Broker) linesKept(ctx context.Context, f keyturn.AskedFile) error {
	if len(f.Kept) == 0 {
		return nil
	}
	have, _, err := b.journal.Trust.File(ctx, f.Path)
	if err != nil {
		return err
	}
	if new, _ := difference(have.Kept, f.Kept); len(new) > 0 {
		return notPassing(new)
	}
	return nil
}

// passes refuses variables that nothing lets pass to the command of an agent or a service:
// neither their names alone, nor the rules of all its secrets. Under an approval
// that the rules ask for it is the names alone.
func (b *Broker) passes(c *call, op keyturn.RunCommand) error {
	var env rules.Environment
	if c.verdict.Effect == rules.Allow || c.mixed {
		env = b.Rules.Environment(b.uses(c))
	}
	var none []string
	for _, name := range op.Pass {
		if !variable.Base(name) && !env.Pass(name) {
			none = append(none, name)
		}
	}
	if len(none) > 0 {
		return notPassing(none)
	}
	return nil
}

func notPassing(names []string) error {
	e := keyturn.E(keyturn.Denied, "nothing lets these variables pass to the command: "+strings.Join(names, ", "), "leave them out, or have a rule name them under env")
	e.By = "rule"
	return e
}

// uses are the questions that the rules answer about the secrets of a command.
func (b *Broker) uses(c *call) []rules.Request {
	var out []rules.Request
	for _, ref := range c.op.Refs() {
		out = append(out, rules.Request{Actor: c.actor, Verb: keyturn.Use, Path: ref.Path(), Sink: sinkOf(c), Remote: b.Remote})
	}
	return out
}

// trustProject accepts what a project's file asks for.
func (b *Broker) trustProject(ctx context.Context, c *call, op keyturn.TrustProject) (keyturn.Result, error) {
	before, known, err := b.journal.Trust.PinFile(ctx, keyturn.AskedFile{Path: op.Path, Asks: op.Pinned, Steers: op.Steers, Kept: op.Kept})
	return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: before.Asks, Steers: before.Steers, Kept: before.Kept}, err
}

// showTrust tells what was accepted in a project's file.
func (b *Broker) showTrust(ctx context.Context, c *call, op keyturn.ShowTrust) (keyturn.Result, error) {
	have, known, err := b.journal.Trust.File(ctx, op.Path)
	return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: have.Asks, Steers: have.Steers, Kept: have.Kept}, err
}

// KeepLines remembers the texts of the plain variables that TrustProject has named as kept.
// Only digests are kept. It is Denied for whoever is no person, and Conflict for a variable
// that the yes to the file did not name: that yes is what the record has.
func (b *Broker) KeepLines(ctx context.Context, path string, lines map[string]keyturn.Value) error {
	actor, err := b.WhoIs(ctx)
	if err == nil {
		err = rules.OnlyPeople(actor, keyturn.TrustProject{Path: path})
	}
	if err != nil {
		return err
	}
	return b.journal.Trust.KeepLines(ctx, path, lines)
}

// SameLines returns the names of those plain variables of a file that are as they were
// when a person trusted it.
func (b *Broker) SameLines(ctx context.Context, path string, lines map[string]keyturn.Value) ([]string, error) {
	return b.journal.Trust.SameLines(ctx, path, lines)
}

// proven marks the context of an operation that a person has proven already.
type proven struct{}

// useConfig pins the operator's file, or that there is none. Where agents and services are
// judged by a file already, or the environment of the person changes, the person proves the
// yes: by the passphrase where one is set.
func (b *Broker) useConfig(ctx context.Context, c *call, op keyturn.UseConfig) (keyturn.Result, error) {
	pin, standing, err := &journal.ConfigPin{Path: op.Path, Digest: op.Digest}, false, error(nil)
	if b.PinOf != nil {
		if pin, standing, err = b.PinOf(op); err != nil {
			return nil, err
		}
	}
	have, err := b.journal.Machines.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Trusted{Receipt: c.receipt(nil), Known: have.Config != nil}
	same := samePin(have.Config, pin)
	if !same && (standing || have.Config != nil || have.Settled) || op.Env != nil && have.Env != nil && !slices.Equal(op.Env, have.Env) {
		if err := b.sure(ctx, c.actor, op); err != nil {
			return nil, err
		}
	}
	err = b.journal.Machines.Change(ctx, func(now *journal.Machine) error {
		if !samePin(now.Config, have.Config) && !samePin(now.Config, pin) {
			return keyturn.E(keyturn.Conflict, "another command has changed which configuration is trusted", "look again: keyturn config trust")
		}
		now.Config, now.Settled = pin, true
		if op.Env != nil {
			now.Env = op.Env
		}
		return nil
	})
	if err == nil {
		err = b.journal.Trust.DropFormerConfigs(ctx)
	}
	return out, err
}

func samePin(a, b *journal.ConfigPin) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// sure has the person prove the yes to UseConfig: by the passphrase, or by a plain yes where
// none is set.
func (b *Broker) sure(ctx context.Context, actor keyturn.Actor, op keyturn.UseConfig) error {
	if ctx.Value(proven{}) != nil {
		return nil
	}
	known, err := b.journal.Passphrases.Known(ctx, actor)
	if err != nil {
		return err
	}
	what := "have agents and services judged by " + keyturn.Clean(op.Path)
	if op.Path == "" {
		what = "have no configuration, so that agents and services may do nothing"
	}
	if known {
		return b.prove(ctx, actor, "to "+what)
	}
	if b.Confirm == nil {
		e := keyturn.E(keyturn.Denied, "there is nobody to ask", "a person has to do this in a terminal: keyturn config trust")
		e.By = "person"
		return e
	}
	return b.Confirm(ctx, strings.ToUpper(what[:1])+what[1:]+"?")
}

// repin pins the operator's file again after a rule was remembered in it, for which the
// person has just given the passphrase. It does nothing where the file was not the pinned
// one before.
func (b *Broker) repin(ctx context.Context) error {
	if b.Repin == nil {
		return nil
	}
	op, yes := b.Repin()
	if !yes {
		return nil
	}
	_, err := b.Do(context.WithValue(ctx, proven{}, true), op)
	return err
}
