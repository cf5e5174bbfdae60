package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/answer"
)

func versionCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell which keyturn this is",
		Example: "  keyturn version\n  keyturn version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := &answer.Version{Version: c.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			if c.JSON() {
				return c.Print(answer.Document{Operation: "show-version", Status: "success", Version: v})
			}
			return c.Line("keyturn %s (%s, %s)", v.Version, v.System, v.Go)
		},
	}
}
