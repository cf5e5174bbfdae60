package cli

import (
	"runtime"

	"github.com/spf13/cobra"
)

func init() { operations["version"] = "show-version" }

func versionCommand(c *command) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell which keyturn this is",
		Example: "  keyturn version\n  keyturn version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := &versionDoc{Version: c.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			if c.json() {
				return c.print(answer{Operation: "show-version", Status: "success", Version: v})
			}
			return c.line("keyturn %s (%s, %s)", v.Version, v.System, v.Go)
		},
	}
}
