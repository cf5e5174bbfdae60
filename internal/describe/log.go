package describe

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Unfinished is the status of an operation that has an intent and no outcome: it was cut
// short, or is still under way.
const Unfinished = "unfinished"

// Statuses are the statuses that an operation of the audit log can have.
var Statuses = []string{"success", "error", "interrupted", "denied", "pending", Unfinished}

// Logged is one operation as the audit log tells it.
type Logged struct {
	Began   keyturn.Record  // its intent, or its refusal
	Outcome *keyturn.Record // nil where there is none
	place   [2]int          // of both, among the records that Gather was given
}

// Status returns one of Statuses.
func (l *Logged) Status() string {
	switch {
	case l.Began.Phase == keyturn.Refusal:
		return l.Began.Status
	case l.Outcome == nil:
		return Unfinished
	}
	return l.Outcome.Status
}

// LogFilter chooses whole operations. What is about single records, keyturn.ListRecords
// chooses.
type LogFilter struct {
	Status string    // one of Statuses; "": any
	Until  time.Time // operations that began before it; zero: all
	Limit  int       // the newest so many; 0: all
}

// Gather joins records to operations, in the order in which the operations began. It
// leaves out outcomes whose intent is not among the records, and the operation self, which
// is the one that asks.
func (f LogFilter) Gather(records iter.Seq2[keyturn.Record, error], self string) ([]*Logged, error) {
	var all []*Logged
	open := map[string]*Logged{}
	n, full := 0, 2*f.Limit+1000
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		n++
		switch {
		case r.ID == self:
		case r.Phase == keyturn.Outcome:
			if l := open[r.ID]; l != nil {
				l.Outcome, l.place[1] = &r, n
				delete(open, r.ID)
			}
		default:
			l := &Logged{Began: r, place: [2]int{n}}
			all = append(all, l)
			if r.Phase == keyturn.Intent {
				open[r.ID] = l
			}
		}
		if f.Limit > 0 && len(all) > full {
			all = f.newest(all, func(l *Logged) bool { return open[l.Began.ID] == l })
			full = 2*len(all) + 1000
		}
	}
	return f.newest(all, func(*Logged) bool { return false }), nil
}

// newest drops operations that cannot be among the answer any more: settled ones that the
// filter does not choose, and all that are older than enough chosen ones. Operations that
// are open stay, since their status is not known yet.
func (f LogFilter) newest(all []*Logged, open func(*Logged) bool) []*Logged {
	var keep []*Logged
	chosen := 0
	for i := len(all) - 1; i >= 0 && (f.Limit == 0 || chosen < f.Limit); i-- {
		l := all[i]
		switch {
		case open(l):
			keep = append(keep, l)
		case (f.Until.IsZero() || l.Began.Time.Before(f.Until)) && (f.Status == "" || l.Status() == f.Status):
			keep = append(keep, l)
			chosen++
		}
	}
	slices.Reverse(keep)
	return keep
}

// RecordsOf returns the records of operations in the order in which they stand in the log.
func RecordsOf(operations []*Logged) []keyturn.Record {
	type at struct {
		place int
		keyturn.Record
	}
	var all []at
	for _, l := range operations {
		all = append(all, at{l.place[0], l.Began})
		if l.Outcome != nil {
			all = append(all, at{l.place[1], *l.Outcome})
		}
	}
	slices.SortFunc(all, func(a, b at) int { return a.place - b.place })
	out := make([]keyturn.Record, 0, len(all))
	for _, r := range all {
		out = append(out, r.Record)
	}
	return out
}

// LogRow is an operation of the log in words. All of them are clean; "-" stands for none.
type LogRow struct {
	Time, Who, Operation, About, Status string
	By                                  string // the rule, approval or request that decided
}

// Row describes an operation of the log in one row.
func (l *Logged) Row() LogRow {
	r := l.Began
	row := LogRow{Time: When(r.Time), Who: "-", Operation: "-", About: "-", Status: l.Status(), By: keyturn.Clean(r.Rule)}
	if r.Actor != nil {
		row.Who = keyturn.Clean(r.Actor.Principal())
	}
	if op, err := keyturn.DecodeOp(r.Op); err == nil {
		row.Operation, row.About = op.Kind(), subject(op)
	}
	last := r
	if l.Outcome != nil {
		last = *l.Outcome
	}
	if last.Code != "" && last.Status == "error" {
		row.Status += " (" + string(last.Code) + ")"
		if last.Unknown {
			row.Status += ", outcome unknown"
		}
	}
	if r.Count > 1 {
		row.Status += ", with " + strconv.Itoa(r.Count-1) + " more refusals"
	}
	if r.Approval != "" {
		row.By = "approval " + keyturn.Clean(r.Approval)
		if r.Phase == keyturn.Refusal {
			row.By = "request " + keyturn.Clean(r.Approval)
		}
	}
	if row.By == "" {
		row.By = "-"
	}
	return row
}

// subject names what an operation is about, in a few words; of many references, the first
// three and how many more there are.
func subject(op keyturn.Op) string {
	const most = 3
	switch op := op.(type) {
	case keyturn.ListSecrets:
		return keyturn.Clean(strings.TrimPrefix(op.Under.String(), keyturn.Scheme))
	case keyturn.ApproveRequest:
		return keyturn.Clean(op.ID)
	case keyturn.TrustProject:
		return keyturn.Clean(op.Path)
	case keyturn.UseConfig:
		if op.Path != "" {
			return keyturn.Clean(op.Path)
		}
	case keyturn.AdoptStore:
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
