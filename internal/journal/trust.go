package journal

import "context"

const (
	projectKind = "project"
	configKind  = "config"
)

// Trust keeps what people have accepted once: the references that a project's file may
// ask for. Which operator's file counts for agents and services, Machines keeps; Trust has
// the paths of those that an earlier keyturn knew by their paths alone.
type Trust struct {
	projects table[pin]      // by the path of the project's file: see trustfiles.go
	configs  table[struct{}] // by the path of the operator's file
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
