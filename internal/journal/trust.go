package journal

import "context"

const (
	projectKind = "project"
	configKind  = "config"
)

// Trust keeps what people have accepted once: the references that a project's file may
// ask for, and the operator's files that agents and services are judged by.
type Trust struct {
	projects table[pin]      // by the path of the project's file: see trustfiles.go
	configs  table[struct{}] // by the path of the operator's file
}

// UseConfig makes an operator's file known, durably.
func (t Trust) UseConfig(ctx context.Context, path string) error {
	return t.configs.put(ctx, path, struct{}{})
}

// KnowsConfig reports whether a person has used an operator's file.
func (t Trust) KnowsConfig(ctx context.Context, path string) (bool, error) {
	return t.configs.has(ctx, path)
}
