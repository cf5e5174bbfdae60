package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

// auditCommand returns the command 'keyturn audit'.
func auditCommand(c *command) *cobra.Command {
	group := &cobra.Command{
		Use:   "audit",
		Short: "Show and check the log of every operation",
		Long: `Show and check the log of every operation: who asked for what, which rule or
approval let it through or not, and what came of it. No value is in it.

The log is a Merkle tree. Keep a checkpoint of it where nobody of this machine
can write: with it anybody can show, also far from here and from an exported file
alone, that up to then nothing was changed, removed or added.`,
		Example: `  keyturn audit list --since 24h
  keyturn audit checkpoint --out checkpoint.txt
  keyturn audit export --out audit.jsonl
  keyturn audit verify audit.jsonl --checkpoint checkpoint.txt`,
	}
	group.AddCommand(auditListCommand(c), auditVerifyCommand(c), auditExportCommand(c), auditCheckpointCommand(c), auditPruneCommand(c))
	return group
}

type auditOptions struct {
	who, op, ref, since, until, status string

	limit  int
	filter keyturn.ListRecords
	end    time.Time // operations that began before it; zero: all
}

// recent is how many operations a terminal is shown.
const recent = 50

func auditListCommand(c *command) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what was asked for, by whom, and what came of it",
		Long: `List what was asked for, by whom, and what came of it, oldest first: one line for
each operation. A terminal is shown the newest 50, a pipe and -o json get all;
--limit changes that. With -o json come the records themselves, as the log keeps
them: an intent and an outcome for each operation, or one refusal. This command
is recorded too, but does not list itself.`,
		Example: `  keyturn audit list
  keyturn audit list --ref local/myapp --since 24h
  keyturn audit list --who agent:claude-code --status denied
  keyturn audit list --op reveal-secret --since 2026-01-01 --limit 0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("limit") && c.OnTerminal() && !c.JSON() {
				o.limit = recent
			}
			if err := o.complete(time.Now()); err != nil {
				return err
			}
			return c.Do(cmd, func(ctx context.Context, s *session.Session) error { return listRecords(ctx, c, s, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.who, "who", "", "only what `WHO` asked for: user:anna, agent:claude-code, service:ci")
	f.StringVar(&o.op, "op", "", "only operations of one `KIND`, such as reveal-secret")
	f.StringVar(&o.ref, "ref", "", "only what is about secrets at or below `PREFIX`")
	f.StringVar(&o.since, "since", "", "only since `TIME`: 24h, 2026-01-31 (here), or 2026-01-31T12:00:00Z")
	f.StringVar(&o.until, "until", "", "only until `TIME`; a date is taken with its whole day")
	f.StringVar(&o.status, "status", "", "only with this `STATUS`: "+strings.Join(describe.Statuses, ", "))
	f.IntVar(&o.limit, "limit", 0, "only the newest `N`; 0: all")
	return cmd
}

// complete checks the filters and completes them. Those about whole operations (until,
// status, limit) are for describe.LogFilter: broker filters single records.
func (o *auditOptions) complete(now time.Time) (err error) {
	if o.op != "" && !slices.ContainsFunc(keyturn.Kinds(), func(k keyturn.Op) bool { return k.Kind() == o.op }) {
		var all []string
		for _, k := range keyturn.Kinds() {
			all = append(all, k.Kind())
		}
		return keyturn.E(keyturn.Invalid, "there is no operation '"+keyturn.Clean(o.op)+"'", "there are "+strings.Join(all, ", "))
	}
	if o.status != "" && !slices.Contains(describe.Statuses, o.status) {
		return keyturn.E(keyturn.Invalid, "there is no status '"+keyturn.Clean(o.status)+"'", "there are "+strings.Join(describe.Statuses, ", "))
	}
	if o.who != "" && !strings.Contains(o.who, ":") {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.who)+"' is nobody", "write user:"+keyturn.Clean(o.who)+", agent:NAME or service:NAME")
	}
	if o.limit < 0 {
		return keyturn.E(keyturn.Invalid, "--limit takes a number from 0", "0 is for all")
	}
	o.filter = keyturn.ListRecords{Who: o.who, Op: o.op}
	if o.ref != "" {
		if o.filter.Under, err = keyturn.ParsePrefix(o.ref); err != nil {
			return err
		}
	}
	if o.filter.Since, err = parse.Moment(o.since, now, false); err != nil {
		return err
	}
	o.end, err = parse.Moment(o.until, now, true)
	return err
}

func listRecords(ctx context.Context, c *command, s *session.Session, o auditOptions) error {
	res, err := session.Ask[*keyturn.Records](ctx, s, o.filter)
	if err != nil {
		return err
	}
	operations, err := describe.LogFilter{Status: o.status, Until: o.end, Limit: o.limit}.Gather(res.Records, res.AuditID)
	if err != nil {
		return err
	}
	res.Records = func(yield func(keyturn.Record, error) bool) {
		for _, r := range describe.RecordsOf(operations) {
			if !yield(r, nil) {
				return
			}
		}
	}
	if c.JSON() {
		return c.Answer(o.filter, res)
	}
	if n := answer.PrunedNotice(res); n != "" {
		c.Say("%s", n)
	}
	rows := [][]string{}
	for _, l := range operations {
		r := l.Row()
		rows = append(rows, []string{r.Time, r.Who, r.Operation, r.About, r.Status, r.By})
	}
	if len(rows) == 0 {
		if c.OnTerminal() {
			c.Say("no operation is like that")
		}
		return nil
	}
	return c.Columns([]string{"TIME", "WHO", "OPERATION", "ABOUT", "STATUS", "BY"}, rows)
}
