package journal

import (
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	refusalKind = "refusals"
	refusalID   = "all"
	// MaxRefusers is how many callers of one kind have a count of their own; all others of
	// that kind share one, since an agent chooses its name.
	MaxRefusers = 10
	// MaxRefusals is how many refusals of one caller are recorded one by one
	// within RefusalsPer. Of those beyond it one record a minute says how many there were.
	MaxRefusals = 1000
	// RefusalsPer is how long a refusal counts.
	RefusalsPer = time.Hour
	// refusalsTold is the time between two records that stand for several refusals.
	refusalsTold = time.Minute
)

// Refusals counts what callers are refused, durably and for all processes together, so
// that nobody fills the log with refusals. One caller's
// refusals do not hide another's.
type Refusals struct {
	rows table[[]refused]
	now  func() time.Time
}

// refused counts the refusals of one caller, or of all of a kind without a count of their own.
type refused struct {
	Kind  keyturn.ActorKind `json:"kind"`
	Name  string            `json:"name,omitempty"` // "" for all callers without a count of their own
	Since time.Time         `json:"since"`          // of the hour
	Count int               `json:"count"`          // in the hour
	Told  time.Time         `json:"told,omitzero"`  // when a record last stood for several
	Left  int               `json:"left,omitempty"` // that no record stands for yet
}

// Untold is how many refusals of a kind of caller no record stands for.
type Untold struct {
	Kind  keyturn.ActorKind
	Name  string // "" for several callers
	Count int
}

// Add counts one refusal. It returns for how many refusals a record of this one stands; 0
// where none is to be written: then a later record stands for it.
func (r Refusals) Add(ctx context.Context, actor keyturn.Actor) (stands int, err error) {
	now := r.now().UTC()
	err = r.rows.update(ctx, refusalID, func(have *[]refused) (*[]refused, time.Time, error) {
		var all []refused
		if have != nil {
			all = *have
		}
		all = slices.DeleteFunc(all, func(x refused) bool { return x.Name != "" && x.Left == 0 && now.Sub(x.Since) >= RefusalsPer })
		name, own := actor.Name, 0
		for _, x := range all {
			if x.Kind == actor.Kind && x.Name != "" {
				own++
			}
		}
		find := func() int {
			return slices.IndexFunc(all, func(x refused) bool { return x.Kind == actor.Kind && x.Name == name })
		}
		i := find()
		if i < 0 && own >= MaxRefusers {
			name = ""
			i = find()
		}
		if i < 0 {
			all, i = append(all, refused{Kind: actor.Kind, Name: name, Since: now}), len(all)
		}
		x := &all[i]
		if now.Sub(x.Since) >= RefusalsPer {
			x.Since, x.Count = now, 0
		}
		if x.Since.After(now) { // the clock has gone back: nobody waits longer for it
			x.Since = now
		}
		x.Count++
		if stands = 1 + x.Left; x.Count > MaxRefusals {
			if since := now.Sub(x.Told); since >= 0 && since < refusalsTold {
				x.Left, stands = x.Left+1, 0
				return &all, time.Time{}, nil
			}
			x.Told = now
		}
		x.Left = 0
		return &all, time.Time{}, nil
	})
	return stands, err
}

// Due returns the refusals that no record stands for, a minute after the last record that
// did. It counts them as told: the caller writes the records.
func (r Refusals) Due(ctx context.Context) ([]Untold, error) {
	now := r.now().UTC()
	due := func(x refused) bool {
		since := now.Sub(x.Told)
		return x.Left > 0 && (since < 0 || since >= refusalsTold)
	}
	if is, err := r.rows.has(ctx, refusalID); err != nil || !is {
		return nil, err
	}
	if all, err := r.rows.get(ctx, refusalID); err != nil || !slices.ContainsFunc(all, due) {
		return nil, err
	}
	var out []Untold
	err := r.rows.update(ctx, refusalID, func(have *[]refused) (*[]refused, time.Time, error) {
		out = nil
		if have == nil {
			return nil, time.Time{}, nil
		}
		for i, x := range *have {
			if due(x) {
				out = append(out, Untold{x.Kind, x.Name, x.Left})
				(*have)[i].Left, (*have)[i].Told = 0, now
			}
		}
		return have, time.Time{}, nil
	})
	return out, err
}
