package cli

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn"
)

func completionCommand(c *command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell",
		Long: `Print a script that teaches a shell to complete keyturn's commands, flags and
the names of secrets: bash, zsh, fish or powershell.

  bash         add to ~/.bashrc:       eval "$(keyturn completion bash)"
  zsh          add to ~/.zshrc, after compinit:
               eval "$(keyturn completion zsh)"
  fish         keyturn completion fish >~/.config/fish/completions/keyturn.fish
  powershell   add to $PROFILE:
               keyturn completion powershell | Out-String | Invoke-Expression

Names are completed folder by folder, fields after a #. That is a listing like
any other: you see what you may list, no value is read, and it is on record. A
store that is locked completes nothing, and asks nothing.`,
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
				b.WriteString(bashWords)
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

// bashWords lets the script of cobra do without the package bash-completion, whose
// function it asks for the words of the line. Bash breaks words at = and : too,
// and a reference behind NAME= is one.
const bashWords = `
__keyturn_init_completion()
{
    COMPREPLY=()
    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    local i word blanks rest="${COMP_LINE}"
    words=()
    cword=0
    for i in "${!COMP_WORDS[@]}"; do
        word="${COMP_WORDS[i]}"
        blanks="${rest%%[![:blank:]]*}"
        rest="${rest#"${blanks}"}"
        rest="${rest#"${word}"}"
        if [[ ${#words[@]} -gt 0 && -z ${blanks} && -n ${word} ]]; then
            words[${#words[@]}-1]+="${word}"
        else
            words+=("${word}")
        fi
        if [[ ${i} -eq ${COMP_CWORD} ]]; then
            cword=$((${#words[@]} - 1))
        fi
    done
    cur="${words[cword]}"
    prev=""
    if [[ ${cword} -gt 0 ]]; then
        prev="${words[cword-1]}"
    fi
}
`

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
