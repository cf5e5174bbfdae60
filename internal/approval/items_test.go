package approval_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

var start = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

// items is approval.Items in memory.
type items struct {
	mu   sync.Mutex
	tick sync.Mutex // of now: change looks at the clock
	now  time.Time
	rows map[string]map[string]keyturn.Item
	fail error
	seen []string // every body that was ever written
}

func newItems() *items { return &items{now: start, rows: map[string]map[string]keyturn.Item{}} }

// Now is the clock of the items and of who keeps them.
func (s *items) Now() time.Time {
	s.tick.Lock()
	defer s.tick.Unlock()
	return s.now
}

func (s *items) add(d time.Duration) {
	s.tick.Lock()
	defer s.tick.Unlock()
	s.now = s.now.Add(d)
}

func (s *items) live(it keyturn.Item) bool {
	return it.Body != nil && (it.Expires.IsZero() || s.Now().Before(it.Expires))
}

func (s *items) Items(_ context.Context, kind string) iter.Seq2[keyturn.Item, error] {
	return func(yield func(keyturn.Item, error) bool) {
		s.mu.Lock()
		var all []keyturn.Item
		for _, it := range s.rows[kind] {
			if s.live(it) {
				all = append(all, it)
			}
		}
		err := s.fail
		s.mu.Unlock()
		if err != nil {
			yield(keyturn.Item{}, err)
			return
		}
		for _, it := range all {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func (s *items) UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.fail, ctx.Err()); err != nil {
		return err
	}
	old := s.rows[kind][id]
	if !s.live(old) {
		old = keyturn.Item{ID: id}
	}
	it, err := change(old)
	if err != nil {
		return err
	}
	if it.Body == nil {
		delete(s.rows[kind], id)
		return nil
	}
	if s.rows[kind] == nil {
		s.rows[kind] = map[string]keyturn.Item{}
	}
	it.ID, it.Body = id, slices.Clone(it.Body)
	s.rows[kind][id] = it
	s.seen = append(s.seen, string(it.Body))
	return nil
}

// forms are the texts that a value may appear as.
func forms(mark string) []string {
	b := []byte(mark)
	turned := slices.Clone(b)
	slices.Reverse(turned)
	out := []string{mark, string(turned), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), strings.Trim(fmt.Sprint(b), "[]")}
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		out = append(out, base64.RawStdEncoding.EncodeToString(padded)[from:to])
	}
	return out
}

func clean(t *testing.T, where, text, mark string) {
	t.Helper()
	for _, f := range forms(mark) {
		if strings.Contains(text, f) {
			t.Errorf("a passphrase is in %s", where)
		}
	}
}

// full is everything in an error.
func full(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v; %+v; %#v; ", err, err, err)
		if e, ok := err.(*keyturn.Error); ok {
			b.WriteString(e.Hint + "; ")
		}
	}
	return b.String()
}
