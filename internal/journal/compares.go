package journal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	compareKind = "compare"
	compareID   = "all" // one row, so that one transaction takes from all budgets
	// MaxCompares is how many fields of one secret may be compared within ComparesPer.
	MaxCompares = 10
	// MaxCallerCompares is how many fields one caller may compare within ComparesPer.
	MaxCallerCompares = 30
	// maxAllCompares is how many fields all callers together may compare: an agent
	// chooses its own name.
	maxAllCompares = 1000
	// ComparesPer is how long a compare counts.
	ComparesPer = 24 * time.Hour
)

// Compares bounds how many fields agents and services compare: of each secret all of
// them together, and each of them of all secrets. Without a bound they could guess a
// value by comparing it with one guess after another.
type Compares struct {
	rows table[[]spent]
	now  func() time.Time
}

// spent is one operation that compared fields.
type spent struct {
	ID      string    `json:"id,omitempty"` // of the operation, where the compare is reserved
	Time    time.Time `json:"time"`
	Caller  string    `json:"caller"`
	Secrets []string  `json:"secrets"`
	Fields  int       `json:"fields"`
}

// Take takes a compare of so many fields, at least one, from the budgets of caller and
// of each of secrets, durably, from all of them or from none. Callers at the same time
// never get more than there is. It is Denied where too little is left, and the hint
// says when there is enough.
func (c Compares) Take(ctx context.Context, caller string, secrets []keyturn.Ref, fields int) error {
	return c.take(ctx, c.one("", caller, secrets, fields))
}

// Reserve is Take of one field, for the operation with this id: GiveBack undoes it.
func (c Compares) Reserve(ctx context.Context, id, caller string, secrets []keyturn.Ref) error {
	return c.take(ctx, c.one(id, caller, secrets, 1))
}

// GiveBack gives back what was reserved by this caller for the operation with this id, if
// anything was.
func (c Compares) GiveBack(ctx context.Context, id, caller string) error {
	return c.rows.update(ctx, compareID, func(have *[]spent) (*[]spent, time.Time, error) {
		if have == nil || id == "" {
			return have, c.now().UTC().Add(ComparesPer), nil
		}
		kept := slices.DeleteFunc(slices.Clone(*have), func(s spent) bool { return s.ID == id && s.Caller == caller })
		if len(kept) == 0 {
			return nil, time.Time{}, nil
		}
		return &kept, c.now().UTC().Add(ComparesPer), nil
	})
}

// Charge takes so many fields whether there are as many left or not. What is spent already
// is not written down again.
func (c Compares) Charge(ctx context.Context, caller string, secrets []keyturn.Ref, fields int) error {
	one := c.one("", caller, secrets, fields)
	return c.rows.update(ctx, compareID, func(have *[]spent) (*[]spent, time.Time, error) {
		var before []spent
		if have != nil {
			before = *have
		}
		kept, last := counting(before, one.Time), spent{Fields: 1}
		for _, secret := range one.Secrets {
			if _, left := room(kept, last, MaxCompares, func(s spent) bool { return slices.Contains(s.Secrets, secret) }); left {
				charged := one
				charged.Secrets = []string{secret}
				kept = append(kept, charged)
			}
		}
		if len(kept) == 0 {
			return nil, time.Time{}, nil
		}
		return &kept, one.Time.Add(ComparesPer), nil
	})
}

func (c Compares) one(id, caller string, secrets []keyturn.Ref, fields int) spent {
	one := spent{ID: id, Time: c.now().UTC(), Caller: caller, Fields: max(1, fields)}
	for _, ref := range secrets {
		if s := ref.Path(); !slices.Contains(one.Secrets, s) {
			one.Secrets = append(one.Secrets, s)
		}
	}
	return one
}

func (c Compares) take(ctx context.Context, one spent) error {
	var refused error
	err := c.rows.update(ctx, compareID, func(have *[]spent) (*[]spent, time.Time, error) {
		var before, kept []spent
		if have != nil {
			before = *have
		}
		if kept, refused = spend(before, one); refused != nil && len(kept) == 0 {
			return nil, time.Time{}, nil
		}
		return &kept, one.Time.Add(ComparesPer), nil
	})
	return cmp.Or(err, refused)
}

// counting returns the operations that still count now, sorted by time. Later times are
// from a clock that has gone back since: they count as now and are kept so, so that nobody
// waits longer than ComparesPer.
func counting(before []spent, now time.Time) (kept []spent) {
	for _, s := range before {
		if s.Time.After(now) {
			s.Time = now
		}
		if now.Sub(s.Time) < ComparesPer {
			kept = append(kept, s)
		}
	}
	slices.SortStableFunc(kept, func(a, b spent) int { return a.Time.Compare(b.Time) })
	return kept
}

// spend returns the operations that still count, with one added to them, or why one
// is refused.
func spend(before []spent, one spent) ([]spent, error) {
	kept := counting(before, one.Time)
	check := func(who string, most int, counts func(spent) bool) error {
		again, ok := room(kept, one, most, counts)
		if ok {
			return nil
		}
		e := keyturn.E(keyturn.Denied, fmt.Sprintf("%s often enough: at most %d fields in a day", who, most),
			"compare fewer fields at once, for instance one: keyturn diff A#FIELD B#FIELD")
		if !again.IsZero() {
			e.Hint = "they may again at " + again.Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339)
		}
		e.By = "rule"
		return e
	}
	for _, secret := range one.Secrets {
		if err := check("agents and services have compared "+keyturn.Clean(secret), MaxCompares, func(s spent) bool { return slices.Contains(s.Secrets, secret) }); err != nil {
			return kept, err
		}
	}
	if err := check(keyturn.Clean(one.Caller)+" has compared", MaxCallerCompares, func(s spent) bool { return s.Caller == one.Caller }); err != nil {
		return kept, err
	}
	if err := check("agents and services have compared", maxAllCompares, func(spent) bool { return true }); err != nil {
		return kept, err
	}
	return append(kept, one), nil
}

// room reports whether one fits into a budget of most fields, beside the operations of
// kept that count for the budget. Where it does not fit it returns when it will, zero
// for never. kept is sorted by time.
func room(kept []spent, one spent, most int, counts func(spent) bool) (again time.Time, ok bool) {
	used := one.Fields
	for _, s := range kept {
		if counts(s) {
			used += s.Fields
		}
	}
	if used <= most {
		return time.Time{}, true
	}
	for _, s := range kept {
		if !counts(s) {
			continue
		}
		if used -= s.Fields; used <= most {
			return s.Time.Add(ComparesPer), false
		}
	}
	return time.Time{}, false
}
