// Package trust keeps what people have said yes to once: the references that a
// project's file may ask for, and the operator's files that agents and services
// are judged by.
package trust

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Item returns one row; NotFound where there is none or it has expired.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
	// UpdateItem replaces one row in one durable transaction.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

const (
	projectKind = "project"
	configKind  = "config"
)

// Kinds are of the items that what people said yes to is kept as.
func Kinds() []string { return []string{projectKind, configKind} }

type pin struct {
	Path   string            `json:"path"`
	Pinned []keyturn.Binding `json:"pinned"`
}

// Project refuses op where its project asks for references that no person has
// said yes to. Which of a command's references are the project's is for the
// caller to say, who could as well name them without the project: what is pinned
// is what the file asks for, also where the caller put another in its place.
func Project(ctx context.Context, items Items, actor keyturn.Actor, op keyturn.RunCommand) error {
	if op.Project == "" {
		return nil
	}
	have, known, err := Pinned(ctx, items, op.Project)
	if err != nil || known && slices.Equal(have, op.Pinned) {
		return err
	}
	message := keyturn.Clean(op.Project) + " asks for secrets and is not trusted yet"
	if known {
		message = keyturn.Clean(op.Project) + " asks for other secrets than those you trusted"
	}
	if actor.Kind != keyturn.Person {
		have = nil // what the file asked for once is nothing for them to know
	}
	e := keyturn.E(keyturn.Denied, message, strings.Join(difference(have, op.Pinned), "\n")+
		"\nlook at it, then say: keyturn trust   (in CI: --trust-project)")
	e.By = "person"
	return e
}

// Pinned is the set that a person trusts in a project's file, and whether there
// is one.
func Pinned(ctx context.Context, items Items, path string) (set []keyturn.Binding, known bool, err error) {
	it, err := items.Item(ctx, projectKind, path)
	if errors.Is(err, keyturn.NotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var have pin
	if err := json.Unmarshal(it.Body, &have); err != nil {
		return nil, false, keyturn.E(keyturn.Corrupt, "the trust in a project cannot be read", "").Because(err)
	}
	return have.Pinned, true, nil
}

// Pin trusts a project's file with a set, durably, and returns the set before.
func Pin(ctx context.Context, items Items, path string, set []keyturn.Binding) (before []keyturn.Binding, known bool, err error) {
	if before, known, err = Pinned(ctx, items, path); err != nil && !errors.Is(err, keyturn.Corrupt) {
		return nil, false, err
	}
	body, err := json.Marshal(pin{Path: path, Pinned: set})
	if err != nil {
		return nil, false, keyturn.E(keyturn.Internal, "a pin has no form", "").Because(err)
	}
	err = items.UpdateItem(ctx, projectKind, path, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: path, Body: body}, nil
	})
	return before, known, err
}

// difference lists what was added and taken away, a line each.
func difference(old, now []keyturn.Binding) []string {
	var lines []string
	for _, p := range now {
		if !slices.Contains(old, p) {
			lines = append(lines, "+ "+p.Name+" = "+p.Ref.Short())
		}
	}
	for _, p := range old {
		if !slices.Contains(now, p) {
			lines = append(lines, "- "+p.Name+" = "+p.Ref.Short())
		}
	}
	return lines
}

// UseConfig makes an operator's file known, durably.
func UseConfig(ctx context.Context, items Items, path string) error {
	return items.UpdateItem(ctx, configKind, path, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: path, Body: []byte("{}")}, nil
	})
}

// KnowsConfig reports whether a person has used an operator's file.
func KnowsConfig(ctx context.Context, items Items, path string) (bool, error) {
	_, err := items.Item(ctx, configKind, path)
	if errors.Is(err, keyturn.NotFound) {
		return false, nil
	}
	return err == nil, err
}
