package cli

import (
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/cli/command"
)

// Tree returns the tree of commands, for tests of the whole of it.
func Tree(p *Program) *cobra.Command {
	return root(&command.Command{Program: (*command.Program)(p)})
}

// Arguments and FlagWords are what is completed, by command.
var Arguments, FlagWords = arguments, flagWords
