// Package journaltest keeps the rows of a journal in memory, for tests.
package journaltest

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
)

// Items is journal.Items in memory, with a clock that the test moves. It is safe for
// concurrent use, but for Rows, Fail and Seen while somebody else writes.
type Items struct {
	Rows map[string]map[string]keyturn.Item // by kind and id
	Fail error                              // of each call
	Seen []string                           // every body that was ever written

	clock func() time.Time
	mu    sync.Mutex
	tick  sync.Mutex // of now: what changes a row looks at the clock
	now   time.Time
}

// New returns no rows, at a time of their own.
func New(now time.Time) *Items {
	return &Items{now: now, Rows: map[string]map[string]keyturn.Item{}}
}

// WithClock returns no rows, at the time of clock.
func WithClock(clock func() time.Time) *Items {
	return &Items{clock: clock, Rows: map[string]map[string]keyturn.Item{}}
}

// Now is the clock of the rows and of whoever keeps them.
func (s *Items) Now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	s.tick.Lock()
	defer s.tick.Unlock()
	return s.now
}

// Add moves the clock of New.
func (s *Items) Add(d time.Duration) {
	s.tick.Lock()
	defer s.tick.Unlock()
	s.now = s.now.Add(d)
}

func (s *Items) live(it keyturn.Item) bool {
	return it.Body != nil && (it.Expires.IsZero() || s.Now().Before(it.Expires))
}

// Item implements journal.Items.
func (s *Items) Item(_ context.Context, kind, id string) (keyturn.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Fail != nil {
		return keyturn.Item{}, s.Fail
	}
	if it := s.Rows[kind][id]; s.live(it) {
		return it, nil
	}
	return keyturn.Item{}, keyturn.E(keyturn.NotFound, "no such item", "")
}

// Items implements journal.Items.
func (s *Items) Items(_ context.Context, kind string) iter.Seq2[keyturn.Item, error] {
	return func(yield func(keyturn.Item, error) bool) {
		s.mu.Lock()
		var all []keyturn.Item
		for _, it := range s.Rows[kind] {
			if s.live(it) {
				all = append(all, it)
			}
		}
		err := s.Fail
		s.mu.Unlock()
		if err != nil {
			yield(keyturn.Item{}, err)
			return
		}
		slices.SortFunc(all, func(a, b keyturn.Item) int { return cmp.Compare(a.ID, b.ID) })
		for _, it := range all {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// UpdateItem implements journal.Items.
func (s *Items) UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.Fail, ctx.Err()); err != nil {
		return err
	}
	old := s.Rows[kind][id]
	if !s.live(old) {
		old = keyturn.Item{ID: id}
	}
	it, err := change(old)
	if err != nil {
		return err
	}
	if it.Body == nil {
		delete(s.Rows[kind], id)
		return nil
	}
	if s.Rows[kind] == nil {
		s.Rows[kind] = map[string]keyturn.Item{}
	}
	it.ID, it.Body = id, slices.Clone(it.Body)
	s.Rows[kind][id] = it
	s.Seen = append(s.Seen, string(it.Body))
	return nil
}
