// Package budget bounds how many fields agents and services may compare: of each
// secret all of them together, and each of them of all secrets. With enough compares
// equality becomes a way to guess a value.
package budget

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// UpdateItem replaces one row in one durable transaction: change gets the row,
	// or one without a body where there is none. An error of change leaves
	// everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

const (
	kind = "compare"
	id   = "all" // one row, so that all budgets are taken from in one transaction
	// Max is how many fields of one secret are compared in the time of Per.
	Max = 10
	// MaxCaller is how many fields one caller compares in the time of Per.
	MaxCaller = 30
	// maxAll is how many all callers compare: an agent chooses its own name.
	maxAll = 1000
	// Per is how long a compare counts.
	Per = 24 * time.Hour
)

// spent is one operation that compared fields.
type spent struct {
	Time    time.Time `json:"time"`
	Caller  string    `json:"caller"`
	Secrets []string  `json:"secrets"`
	Fields  int       `json:"fields"`
}

// Take takes a compare of so many fields, at least one, from the budgets of caller
// and of each of secrets, durably, from all of them or from none: of several at the
// same time no more than there are. Where too few are left it is Denied, and the
// hint says when there are enough.
func Take(ctx context.Context, items Items, caller string, secrets []keyturn.Ref, fields int, now time.Time) error {
	one := spent{Time: now.UTC(), Caller: caller, Fields: max(1, fields)}
	for _, ref := range secrets {
		if s := ref.Path(); !slices.Contains(one.Secrets, s) {
			one.Secrets = append(one.Secrets, s)
		}
	}
	var refused error
	err := items.UpdateItem(ctx, kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		var have []spent
		if it.Body != nil {
			if err := json.Unmarshal(it.Body, &have); err != nil {
				return it, keyturn.E(keyturn.Corrupt, "the budget of compares cannot be read", "").Because(err)
			}
		}
		if have, refused = spend(have, one); refused != nil && len(have) == 0 {
			return keyturn.Item{ID: id}, nil
		}
		body, err := json.Marshal(have)
		if err != nil {
			return it, keyturn.E(keyturn.Internal, "a budget has no form", "").Because(err)
		}
		return keyturn.Item{ID: id, Body: body, Expires: one.Time.Add(Per)}, nil
	})
	return cmp.Or(err, refused)
}

// spend adds one to what was spent before, or tells why not, and returns what is to
// be kept: without what counts no longer. Times ahead of one's are of a clock that
// has gone back: they count as now, and are kept so, that nobody waits longer than
// Per.
func spend(before []spent, one spent) ([]spent, error) {
	var kept []spent
	for _, s := range before {
		if s.Time.After(one.Time) {
			s.Time = one.Time
		}
		if one.Time.Sub(s.Time) < Per {
			kept = append(kept, s)
		}
	}
	slices.SortStableFunc(kept, func(a, b spent) int { return a.Time.Compare(b.Time) })
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
		if err := check("agents and services have compared "+keyturn.Clean(secret), Max, func(s spent) bool { return slices.Contains(s.Secrets, secret) }); err != nil {
			return kept, err
		}
	}
	if err := check(keyturn.Clean(one.Caller)+" has compared", MaxCaller, func(s spent) bool { return s.Caller == one.Caller }); err != nil {
		return kept, err
	}
	if err := check("agents and services have compared", maxAll, func(spent) bool { return true }); err != nil {
		return kept, err
	}
	return append(kept, one), nil
}

// room reports whether one fits beside those of kept that count, which are in the
// order of time; if not, when it does, zero for never.
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
			return s.Time.Add(Per), false
		}
	}
	return time.Time{}, false
}
