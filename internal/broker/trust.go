package broker

import (
	"context"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
)

// projectTrusted refuses a command whose project asks for references that no person has
// accepted. Which references are the project's is what the caller says; the caller could
// also name them without the project. The accepted references are those in the
// project's file, also where the caller uses another in the place of one.
func (b *Broker) projectTrusted(ctx context.Context, actor keyturn.Actor, op keyturn.RunCommand) error {
	if op.Project == "" {
		return nil
	}
	have, known, err := b.journal.Trust.Pinned(ctx, op.Project)
	if err != nil || known && slices.Equal(have, op.Pinned) {
		return err
	}
	message := keyturn.Clean(op.Project) + " asks for secrets and is not trusted yet"
	if known {
		message = keyturn.Clean(op.Project) + " asks for other secrets than those you trusted"
	}
	if actor.Kind != keyturn.Person {
		have = nil // what the file asked for before is not theirs to know
	}
	asks := difference(have, op.Pinned)
	e := keyturn.E(keyturn.Denied, message, strings.Join(asks.Lines(), "\n")+
		"\nlook at it, then say: keyturn trust   (in CI: --trust-project)").With(keyturn.Untrusted)
	e.Asks = &asks
	e.By = "person"
	return e
}

// difference returns the references that were added and taken away.
func difference(old, now []keyturn.Binding) (d keyturn.Asked) {
	for _, p := range now {
		if !slices.Contains(old, p) {
			d.Added = append(d.Added, p)
		}
	}
	for _, p := range old {
		if !slices.Contains(now, p) {
			d.Removed = append(d.Removed, p)
		}
	}
	return d
}

// trustProject accepts the references of a project's file.
func (b *Broker) trustProject(ctx context.Context, c *call, op keyturn.TrustProject) (keyturn.Result, error) {
	before, known, err := b.journal.Trust.Pin(ctx, op.Path, op.Pinned)
	return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: before}, err
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
	if !same && (standing || have.Config != nil) || op.Env != nil && have.Env != nil && !slices.Equal(op.Env, have.Env) {
		if err := b.sure(ctx, c.actor, op); err != nil {
			return nil, err
		}
	}
	err = b.journal.Machines.Change(ctx, func(now *journal.Machine) error {
		if !samePin(now.Config, have.Config) && !samePin(now.Config, pin) {
			return keyturn.E(keyturn.Conflict, "another command has changed which configuration is trusted", "look again: keyturn config trust")
		}
		now.Config = pin
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
