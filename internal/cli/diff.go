package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
)

// differs is the exit status of 'diff --exit-code' where something does.
const differs = 13

// diffCommand returns the command 'keyturn diff'.
func diffCommand(c *command) *cobra.Command {
	var op keyturn.DiffSecrets
	var status bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Tell which fields of two secrets are the same, without showing any",
		Long: `Tell which fields of two secrets, of two versions, or of two single fields hold
the same bytes, which differ, and which only one of them has. No value is shown.

With --exit-code the exit status is 13 where anything differs. Agents and services
may compare a secret ten times in a day, all of them together, since to compare
often enough is to guess.`,
		Example: `  keyturn diff local/myapp local/myapp-test
  keyturn diff 'local/myapp?version=1' 'local/myapp?version=2' -o json
  keyturn diff 'local/myapp#password' 'local/worker#DB_PASSWORD' --exit-code`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if op.A, err = keyturn.ParseRef(args[0]); err != nil {
				return err
			}
			if op.B, err = keyturn.ParseRef(args[1]); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return diffSecrets(ctx, c, s, op, status) })
		},
	}
	cmd.Flags().BoolVar(&status, "exit-code", false, "exit with 13 where anything differs")
	return cmd
}

func diffSecrets(ctx context.Context, c *command, s *session.Session, op keyturn.DiffSecrets, status bool) error {
	res, err := session.Ask[*keyturn.Differences](ctx, s, op)
	if err != nil {
		return err
	}
	if err := shownDifferences(c, op, res); err != nil {
		return err
	}
	if status && !res.Same() {
		return exitStatus(differs)
	}
	return nil
}

func shownDifferences(c *command, op keyturn.DiffSecrets, res *keyturn.Differences) error {
	if c.JSON() {
		return c.Answer(op, res)
	}
	says := map[string]string{keyturn.Same: "same", keyturn.Different: "different",
		keyturn.OnlyA: "only in " + keyturn.Clean(op.A.Short()), keyturn.OnlyB: "only in " + keyturn.Clean(op.B.Short())}
	rows := [][]string{}
	for _, f := range res.Fields {
		rows = append(rows, []string{keyturn.Clean(f.Field), says[f.Is]})
	}
	return c.Columns([]string{"FIELD", "IS"}, rows)
}
