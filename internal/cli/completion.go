package cli

import (
	"bytes"

	"github.com/spf13/cobra"

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
			_, err = c.Out.Write(b.Bytes())
			return err
		},
	}
}
