package oversee

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/parse"
	"github.com/keyturn/keyturn/internal/session"
)

// Audit returns the command 'keyturn audit'.
func Audit(c *command.Command) *cobra.Command {
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

// statuses are what can have come of an operation. unfinished is one without an
// outcome: cut short, or still under way.
var statuses = []string{"success", "error", "interrupted", "denied", "pending", unfinished}

const (
	unfinished = "unfinished"
	recent     = 50 // operations that a terminal is shown
)

func auditListCommand(c *command.Command) *cobra.Command {
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
	f.StringVar(&o.status, "status", "", "only with this `STATUS`: "+strings.Join(statuses, ", "))
	f.IntVar(&o.limit, "limit", 0, "only the newest `N`; 0: all")
	return cmd
}

// complete checks the filters. What is about whole operations (until, status,
// limit) is applied here and not by the door, which filters single records.
func (o *auditOptions) complete(now time.Time) (err error) {
	if o.op != "" && !slices.ContainsFunc(keyturn.Kinds(), func(k keyturn.Op) bool { return k.Kind() == o.op }) {
		var all []string
		for _, k := range keyturn.Kinds() {
			all = append(all, k.Kind())
		}
		return keyturn.E(keyturn.Invalid, "there is no operation '"+keyturn.Clean(o.op)+"'", "there are "+strings.Join(all, ", "))
	}
	if o.status != "" && !slices.Contains(statuses, o.status) {
		return keyturn.E(keyturn.Invalid, "there is no status '"+keyturn.Clean(o.status)+"'", "there are "+strings.Join(statuses, ", "))
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

// deed is one operation as the log tells it.
type deed struct {
	began   keyturn.Record // its intent, or its refusal
	outcome *keyturn.Record
	place   [2]int // of both, among the records
}

func (d *deed) status() string {
	switch {
	case d.began.Phase == keyturn.Refusal:
		return d.began.Status
	case d.outcome == nil:
		return unfinished
	}
	return d.outcome.Status
}

// gather joins records to operations, in the order in which those began. An
// outcome whose intent was not asked for is left out, and so is self, the
// operation that asks.
func (o auditOptions) gather(records iter.Seq2[keyturn.Record, error], self string) ([]*deed, error) {
	var deeds []*deed
	open := map[string]*deed{}
	n, full := 0, 2*o.limit+1000
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		n++
		switch {
		case r.ID == self:
		case r.Phase == keyturn.Outcome:
			if d := open[r.ID]; d != nil {
				d.outcome, d.place[1] = &r, n
				delete(open, r.ID)
			}
		default:
			d := &deed{began: r, place: [2]int{n}}
			deeds = append(deeds, d)
			if r.Phase == keyturn.Intent {
				open[r.ID] = d
			}
		}
		if o.limit > 0 && len(deeds) > full {
			deeds = o.newest(deeds, func(d *deed) bool { return open[d.began.ID] == d })
			full = 2*len(deeds) + 1000
		}
	}
	return o.newest(deeds, func(*deed) bool { return false }), nil
}

// newest drops what cannot be among those shown any more: settled operations
// that no filter wants, and all that is older than enough of those wanted.
// Whether one that is open will be wanted is not known yet.
func (o auditOptions) newest(deeds []*deed, open func(*deed) bool) []*deed {
	var keep []*deed
	wanted := 0
	for i := len(deeds) - 1; i >= 0 && (o.limit == 0 || wanted < o.limit); i-- {
		d := deeds[i]
		switch {
		case open(d):
			keep = append(keep, d)
		case (o.end.IsZero() || d.began.Time.Before(o.end)) && (o.status == "" || d.status() == o.status):
			keep = append(keep, d)
			wanted++
		}
	}
	slices.Reverse(keep)
	return keep
}

// inOrder are the records of deeds as they stand in the log.
func inOrder(deeds []*deed) []keyturn.Record {
	type at struct {
		place int
		keyturn.Record
	}
	var all []at
	for _, d := range deeds {
		all = append(all, at{d.place[0], d.began})
		if d.outcome != nil {
			all = append(all, at{d.place[1], *d.outcome})
		}
	}
	slices.SortFunc(all, func(a, b at) int { return a.place - b.place })
	out := make([]keyturn.Record, 0, len(all))
	for _, r := range all {
		out = append(out, r.Record)
	}
	return out
}

func listRecords(ctx context.Context, c *command.Command, s *session.Session, o auditOptions) error {
	res, err := session.Ask[*keyturn.Records](ctx, s, o.filter)
	if err != nil {
		return err
	}
	deeds, err := o.gather(res.Records, res.AuditID)
	if err != nil {
		return err
	}
	notice := ""
	if res.Pruned != nil && *res.Pruned > 0 {
		notice = fmt.Sprintf("%d older records are pruned: only their hashes are kept", *res.Pruned)
	}
	if c.JSON() {
		doc := answer.Success(keyturn.ListRecords{}.Kind(), res.Receipt)
		list := inOrder(deeds)
		doc.Records = &list
		if notice != "" {
			doc.Notices = []string{notice}
		}
		return c.Print(doc)
	}
	if notice != "" {
		c.Say("%s", notice)
	}
	rows := [][]string{}
	for _, d := range deeds {
		rows = append(rows, d.row())
	}
	if len(rows) == 0 {
		if c.OnTerminal() {
			c.Say("no operation is like that")
		}
		return nil
	}
	return c.Columns([]string{"TIME", "WHO", "OPERATION", "ABOUT", "STATUS", "BY"}, rows)
}

// row is one line of the table: time, who, operation, what it is about, what
// came of it, and which rule or approval decided.
func (d *deed) row() []string {
	r := d.began
	who, kind, about := "-", "-", "-"
	if r.Actor != nil {
		who = keyturn.Clean(r.Actor.Principal())
	}
	if op, err := keyturn.DecodeOp(r.Op); err == nil {
		kind, about = op.Kind(), subject(op)
	}
	status := d.status()
	if last := d.last(); last.Code != "" && last.Status == "error" {
		status += " (" + string(last.Code) + ")"
		if last.Unknown {
			status += ", outcome unknown"
		}
	}
	by := keyturn.Clean(r.Rule)
	if r.Approval != "" {
		by = "approval " + keyturn.Clean(r.Approval)
		if r.Phase == keyturn.Refusal {
			by = "request " + keyturn.Clean(r.Approval)
		}
	}
	if by == "" {
		by = "-"
	}
	return []string{command.When(r.Time), who, kind, about, status, by}
}

func (d *deed) last() keyturn.Record {
	if d.outcome != nil {
		return *d.outcome
	}
	return d.began
}

// subject says what an operation is about, in a few words.
func subject(op keyturn.Op) string {
	const most = 3
	switch op := op.(type) {
	case keyturn.ListSecrets:
		return keyturn.Clean(strings.TrimPrefix(op.Under.String(), keyturn.Scheme))
	case keyturn.ApproveRequest:
		return keyturn.Clean(op.ID)
	case keyturn.TrustProject:
		return keyturn.Clean(op.Path)
	case keyturn.PlatformAction:
		return keyturn.Clean(op.Path())
	case keyturn.Login:
		return keyturn.Clean(op.Mount)
	case keyturn.Logout:
		return keyturn.Clean(op.Mount)
	}
	var names []string
	for i, ref := range op.Refs() {
		if i == most {
			names = append(names, "and "+strconv.Itoa(len(op.Refs())-most)+" more")
			break
		}
		names = append(names, keyturn.Clean(ref.Short()))
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, " ")
}
