package cli

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
)

func completionCommand(c *command.Command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell",
		Long: `Print a script that teaches a shell to complete keyturn's commands and flags:
bash, zsh, fish or powershell.`,
		Example: `  keyturn completion bash
  keyturn completion zsh`,
		ValidArgs: shells,
		Args:      cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			root := cmd.Root()
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			default:
				return keyturn.E(keyturn.Invalid, "no completion for '"+keyturn.Clean(args[0])+"'", "there are bash, zsh, fish and powershell")
			}
			if err != nil {
				return keyturn.E(keyturn.Internal, "the completion could not be made", "").Because(err)
			}
			return c.Write(b.Bytes())
		},
	}
}

// plainUsages takes out the quotes that mark a flag's argument for the help: a
// completion shows the description as it is.
func plainUsages(root *cobra.Command) {
	eachCommand(root, func(cmd *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
		}
	})
}

// oneOf completes a flag that takes one of some words.
func oneOf(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
