package journal

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn"
)

const (
	projectKind = "project"
	configKind  = "config"
)

// Trust keeps what people have accepted once: the references that a project's file may
// ask for, and the operator's files that agents and services are judged by.
type Trust struct {
	projects table[pin]      // by the path of the project's file
	configs  table[struct{}] // by the path of the operator's file
}

// pin is the references that a person accepted in a project's file.
type pin struct {
	Path   string            `json:"path"`
	Pinned []keyturn.Binding `json:"pinned"`
}

// Pinned returns the references that a person has accepted in a project's file, and
// whether anybody has.
func (t Trust) Pinned(ctx context.Context, path string) (set []keyturn.Binding, known bool, err error) {
	have, err := t.projects.get(ctx, path)
	if errors.Is(err, keyturn.NotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return have.Pinned, true, nil
}

// Pin trusts a project's file with these references, durably, and returns those
// before, and whether there were any.
func (t Trust) Pin(ctx context.Context, path string, set []keyturn.Binding) (before []keyturn.Binding, known bool, err error) {
	if before, known, err = t.Pinned(ctx, path); err != nil && !errors.Is(err, keyturn.Corrupt) {
		return nil, false, err
	}
	return before, known, t.projects.put(ctx, path, pin{Path: path, Pinned: set})
}

// UseConfig makes an operator's file known, durably.
func (t Trust) UseConfig(ctx context.Context, path string) error {
	return t.configs.put(ctx, path, struct{}{})
}

// KnowsConfig reports whether a person has used an operator's file.
func (t Trust) KnowsConfig(ctx context.Context, path string) (bool, error) {
	return t.configs.has(ctx, path)
}
