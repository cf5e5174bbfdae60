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
// ask for. Which operator's file counts for agents and services, Machines keeps; Trust has
// the paths of those that an earlier keyturn knew by their paths alone.
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

// FormerConfigs returns the paths of the operator's files that an earlier keyturn knew. They
// count until a person uses the store: then one file is pinned, and these are dropped.
func (t Trust) FormerConfigs(ctx context.Context) (paths []string, err error) {
	all, err := t.configs.all(ctx)
	for _, r := range all {
		paths = append(paths, r.id)
	}
	return paths, err
}

// DropFormerConfigs drops what FormerConfigs returns.
func (t Trust) DropFormerConfigs(ctx context.Context) error {
	paths, err := t.FormerConfigs(ctx)
	for _, p := range paths {
		if err == nil {
			err = t.configs.drop(ctx, p)
		}
	}
	return err
}
