// Package health holds the command 'keyturn doctor'.
package health

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/health"
	"github.com/keyturn/keyturn/internal/session"
)

// Doctor returns the command 'keyturn doctor'.
func Doctor(c *command.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say what to do",
		Long: `Look at everything that keyturn rests on, and say of each thing whether it is ok,
to be looked at (warn) or broken (bad), and what to do: the configuration, who
you are taken for, the store with its root key, files and disk, each mount, the
project here, work that was cut short, secrets that expire, and your shell.

It changes nothing. With warnings only the exit status is 0; with something bad
it is that of the first of internal, corrupt, sealed, expired, denied,
unavailable, conflict, not_found that occurs (docs/exit-codes.md). 'keyturn
status' is the short form.`,
		Example: `  keyturn doctor
  keyturn doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := health.Check(cmd.Context(), health.Door{
				Program: &c.Program.Program,
				How:     c.How(),
				Do:      func(f func(context.Context, *session.Session) error) error { return c.Do(cmd, f) },
				Explain: c.Explain,
			})
			if err != nil {
				return err
			}
			completion(c, report)
			if err := tell(c, report); err != nil {
				return err
			}
			if bad := report.Err(); bad != nil {
				return command.ExitStatus(bad.Code.Exit())
			}
			return nil
		},
	}
}

// tell prints a report, for people or as JSON.
func tell(c *command.Command, report *health.Report) error {
	if c.JSON() {
		return c.Print(report.Document(c.Verbose()))
	}
	for _, x := range report.Findings {
		mark := fmt.Sprintf("%-5s", x.State)
		if x.State != health.OK {
			mark = c.Bold(mark)
		}
		lines := strings.Split(x.Message, "\n")
		if err := c.Line("%s %-13s %s", mark, x.Check, lines[0]); err != nil {
			return err
		}
		for _, l := range lines[1:] {
			if err := c.Line("%20s%s", "", l); err != nil {
				return err
			}
		}
		for l := range strings.SplitSeq(x.Next, "\n") {
			if l == "" {
				continue
			}
			if err := c.Line("%20s→ %s", "", l); err != nil {
				return err
			}
		}
	}
	switch bad, warnings := report.Count(health.Bad), report.Count(health.Warn); {
	case bad > 0:
		return c.Line("\n%d bad, %d to be looked at", bad, warnings)
	case warnings > 0:
		return c.Line("\nnothing bad, %d to be looked at", warnings)
	}
	return c.Line("\nall is well")
}
