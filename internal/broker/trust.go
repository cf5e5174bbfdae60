package broker

import (
	"context"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
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

// KnowsConfig reports whether a person has used an operator's file.
func (b *Broker) KnowsConfig(ctx context.Context, path string) (bool, error) {
	return b.journal.Trust.KnowsConfig(ctx, path)
}
