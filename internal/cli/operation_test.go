package cli_test

import (
	"context"
	"errors"
	"testing"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/cli"
	"github.com/keyturn/keyturn/internal/cli/term"
)

// TestEveryOperation: every command that does something has a name for it in the
// JSON of its errors.
func TestEveryOperation(t *testing.T) {
	walk(t, func(cmd *cobra.Command, path string) {
		if !cmd.HasSubCommands() && !cli.NamesOperation(path) && cmd.Annotations[cli.OperationOf] == "" {
			t.Errorf("%s has no operation in command/operations.go", path)
		}
	})
}

// TestInterrupted: a prompt that was interrupted counts as cancelled for whoever
// records what came of an operation, and as itself for the exit status.
func TestInterrupted(t *testing.T) {
	if err := term.ErrInterrupted; !errors.Is(err, context.Canceled) || !errors.Is(err, term.ErrInterrupted) {
		t.Error("an interrupt does not count as cancelled")
	}
	if errors.Is(context.Canceled, term.ErrInterrupted) {
		t.Error("every cancellation counts as an interrupt")
	}
}
