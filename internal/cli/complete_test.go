package cli_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/cli"
)

// TestCompletedCommands: a command that takes references completes them; one that
// is renamed, or comes to take some, shows here.
func TestCompletedCommands(t *testing.T) {
	count := 0
	walk(t, func(cmd *cobra.Command, path string) {
		takes := strings.Contains(cmd.Use, "REF") || strings.Contains(cmd.Use, "SRC") || strings.Contains(cmd.Use, "PREFIX")
		switch {
		case takes && cmd.ValidArgsFunction == nil:
			t.Errorf("%s takes references and completes none: see arguments in complete.go", path)
		case cmd.ValidArgsFunction != nil:
			count++
		}
	})
	for path := range cli.Arguments {
		cmd, rest, err := tree().Find(strings.Fields(path))
		if err != nil || len(rest) > 0 || cmd == nil {
			t.Errorf("complete.go speaks of %q, which is no command", path)
		}
	}
	for path, flags := range cli.FlagWords {
		cmd, _, err := tree().Find(strings.Fields(path))
		for name := range flags {
			if err != nil || cmd.Flags().Lookup(name) == nil {
				t.Errorf("complete.go speaks of %s --%s, which there is not", path, name)
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d commands complete references", count)
	}
}
