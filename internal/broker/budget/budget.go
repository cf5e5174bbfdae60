// Package budget bounds how often agents and services may compare a secret, all of
// them together: with enough compares equality becomes a way to guess a value.
package budget

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
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
	// Max is how many compares of one secret there are in the time of Per.
	Max = 10
	// Per is how long a compare counts.
	Per = 24 * time.Hour
)

// spent is the times of a secret's compares as they are kept.
type spent struct {
	Times []time.Time `json:"times"`
}

// Take takes one compare of a secret's budget, durably: of several at the same time
// no more than there are. Where none is left it is Denied, and the hint says when
// there is one again.
func Take(ctx context.Context, items Items, secret keyturn.Ref, now time.Time) error {
	now = now.UTC()
	var refused error
	err := items.UpdateItem(ctx, kind, secret.String(), func(it keyturn.Item) (keyturn.Item, error) {
		var have spent
		if it.Body != nil {
			if err := json.Unmarshal(it.Body, &have); err != nil {
				return it, keyturn.E(keyturn.Corrupt, "a budget of compares cannot be read", "").Because(err)
			}
		}
		kept, again, ok := spend(have.Times, now)
		if !ok {
			e := keyturn.E(keyturn.Denied, "agents and services have compared "+keyturn.Clean(secret.Path())+" often enough: "+strconv.Itoa(Max)+" times in a day",
				"they may again at "+again.Format(time.RFC3339)+"; a person may at any time").About(secret)
			e.By = "rule"
			refused = e
		}
		body, err := json.Marshal(spent{Times: kept})
		if err != nil {
			return it, keyturn.E(keyturn.Internal, "a budget has no form", "").Because(err)
		}
		return keyturn.Item{ID: secret.String(), Body: body, Expires: now.Add(Per)}, nil
	})
	if err != nil {
		return err
	}
	return refused
}

// spend takes one compare at now of those at the given times. It returns the times
// to keep, and, where none is left, when there is one again. Times ahead of now are
// of a clock that has gone back: they count as now, and are kept so, that nobody
// waits longer than Per.
func spend(times []time.Time, now time.Time) (kept []time.Time, again time.Time, ok bool) {
	for _, t := range times {
		if t.After(now) {
			t = now
		}
		if now.Sub(t) < Per {
			kept = append(kept, t)
		}
	}
	if len(kept) >= Max {
		slices.SortFunc(kept, time.Time.Compare)
		return kept, kept[len(kept)-Max].Add(Per), false
	}
	return append(kept, now), time.Time{}, true
}
