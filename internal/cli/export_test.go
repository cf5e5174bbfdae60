package cli

import (
	"github.com/spf13/cobra"
)

// Tree returns the tree of commands, for tests of the whole of it.
func Tree(p *Program) *cobra.Command {
	return root(&command{Program: p})
}

// Arguments and FlagWords are what is completed, by command.
var Arguments, FlagWords = arguments, flagWords
