package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

func helpCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]...", DisableFlagsInUseLine: true,
		Short:   "Explain a command",
		Long:    "Explain a command: how it is used, its flags, and examples. It is text, also with -o json.",
		Example: "  keyturn help\n  keyturn help put",
		RunE: func(cmd *cobra.Command, args []string) error {
			about := cmd.Root()
			for _, word := range args {
				i := slices.IndexFunc(about.Commands(), func(s *cobra.Command) bool { return s.Name() == word || s.HasAlias(word) })
				if i < 0 {
					return unknown(about, word)
				}
				about = about.Commands()[i]
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			about, _, err := cmd.Root().Find(args)
			var names []string
			if err == nil {
				for _, sub := range about.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
