package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// pruner is the record that a prune may write, and later its clock: many years on.
var pruner = keyturn.Record{ID: "pruner"}

func later(l *audit.Log) { l.Now = func() time.Time { return start.AddDate(20, 0, 0) } }

func TestPrune(t *testing.T) {
	s, l, held, at := written(t, 10)
	before := export(t, l, audit.Range{})
	later(l)
	n, err := l.Prune(t.Context(), start.Add(4*time.Minute), pruner) // the 4th minute stays
	if err != nil || n != 6 {
		t.Fatalf("pruned %d, %v", n, err)
	}
	if r, err := l.VerifyAgainst(t.Context(), held); err != nil || r.Pruned != 6 || r.Size != 20 || r.Against.Size != at.Size {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
	if r, err := file(before, verify.Held{Checkpoint: held}); err != nil || r.Pruned != 0 {
		t.Errorf("an export from before: %+v, %v", r, err)
	}
	after := export(t, l, audit.Range{})
	if r, err := file(after, verify.Held{Checkpoint: held}); err != nil || r.Pruned != 6 {
		t.Errorf("an export: %+v, %v", r, err)
	}
	if r, err := file(export(t, l, audit.Range{From: 4}), verify.Held{}); err != nil || r.Pruned != 3 {
		t.Errorf("a part: %+v, %v", r, err)
	}
	// Of those it keeps none may be without content, of the store's neither.
	lines := strings.Split(after, "\n")
	content, _, _ := strings.Cut(lines[7], `,"record":`)
	lines[7] = content + "}"
	if r, err := file(strings.Join(lines, "\n"), verify.Held{Checkpoint: held}); !errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), "record 7 has none") {
		t.Errorf("an export with one content less: %+v, %v", r, err)
	}
	was := s.rows[6].Data
	s.rows[6].Data = nil
	if r, err := l.VerifyAgainst(t.Context(), held); !errors.Is(err, keyturn.Corrupt) || !strings.Contains(err.Error(), "records 1 to 6 only") {
		t.Errorf("the store with one content less: %+v, %v", r, err)
	}
	s.rows[6].Data = was
	pruned, seen := int64(0), 0
	for _, err := range l.Records(t.Context(), &pruned) {
		must(t, err)
		seen++
	}
	if pruned != 6 || seen != 14 {
		t.Errorf("%d pruned, %d records", pruned, seen)
	}
	must(t, l.Append(t.Context(), intent("more")))
	if n, err := l.Prune(t.Context(), start.AddDate(10, 0, 0), pruner); err != nil || n != 14 || s.rows[20].Data == nil {
		t.Errorf("all: pruned %d, %v", n, err)
	}
	must(t, l.Append(t.Context(), outcome("more")))
	check(t, l, 22)
	// Nothing is dropped of a log that is not whole.
	_, l, _, _ = written(t, 4)
	s, l2, _, _ := written(t, 4)
	s.rows[6].Leaf[0] ^= 1
	later(l2)
	if n, err := l2.Prune(t.Context(), start.AddDate(1, 0, 0), pruner); n != 0 || !errors.Is(err, keyturn.Corrupt) || s.rows[0].Data == nil {
		t.Errorf("a damaged log: pruned %d, %v", n, err)
	}
	check(t, l, 8)
}

// pruningStore prunes behind the back of whoever reads it.
type pruningStore struct {
	*store
	at   int64 // when this row was read
	upto int64
}

func (s *pruningStore) Log(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	return func(yield func(keyturn.LogEntry, error) bool) {
		for n := max(from, 1); ; n++ { // each row as a page of its own
			for e, err := range s.store.Log(ctx, n) {
				if !yield(e, err) {
					return
				}
				break
			}
			if s.mu.Lock(); n == int64(len(s.rows)) {
				s.mu.Unlock()
				return
			}
			if s.mu.Unlock(); n == s.at {
				_, _ = s.PruneLog(ctx, s.upto)
			}
		}
	}
}

// A log that is pruned while it is verified or exported is whole, and so is the file.
func TestPrunedMeanwhile(t *testing.T) {
	for at := int64(1); at < 20; at++ {
		s, _, held, _ := written(t, 10)
		l := audit.New(&pruningStore{store: s, at: at, upto: 15}, nil)
		if r, err := l.VerifyAgainst(t.Context(), held); err != nil || r.Pruned != max(0, 14-at) {
			t.Errorf("verified, pruned at record %d: %+v, %v", at, r, err)
		}
		s, _, held, _ = written(t, 10)
		l = audit.New(&pruningStore{store: s, at: at, upto: 15}, nil)
		text := export(t, l, audit.Range{})
		if r, err := file(text, verify.Held{Checkpoint: held}); err != nil || r.Pruned != max(0, 14-at) || r.Made.Pruned != 14 {
			t.Errorf("exported, pruned at record %d: %+v, %v", at, r, err)
		}
	}
}

// A notice of a restored backup outlives retention, however often it is pruned, and
// nothing young is pruned.
func TestNoticesOutliveRetention(t *testing.T) {
	s, c := &store{}, &clock{now: start}
	l := audit.New(s, c.Now)
	mark := func(n int64) keyturn.LogMark { return keyturn.LogMark{Size: n, Root: "ab"} }
	ops := []keyturn.RestoreStore{
		{Store: "0123", RootKey: "file", Backup: mark(5), Made: start, Replaced: &keyturn.LogMark{Size: 9, Root: "cd"}},
		{Store: "0123", RootKey: "file", Backup: mark(7), Made: start, Unread: true,
			Earlier: []keyturn.Restoration{{Record: 3, RestoreStore: keyturn.RestoreStore{Store: "0123", RootKey: "file", Backup: mark(2), Made: start}}}},
	}
	var want []keyturn.Restoration
	restored := func(i int) {
		form, err := keyturn.EncodeOp(ops[i])
		must(t, err)
		r := keyturn.Record{ID: fmt.Sprint("r", i), Phase: keyturn.Intent, Op: form}
		must(t, l.Append(t.Context(), r, outcome(r.ID)))
		want = append(want, keyturn.Restoration{Record: int64(len(s.rows) - 1), RestoreStore: ops[i]})
	}
	restored(0)
	restored(1)
	if n, err := l.Prune(t.Context(), c.Now(), pruner); n != 0 || !errors.Is(err, keyturn.Invalid) {
		t.Errorf("a prune of what is young: %d, %v", n, err)
	}
	for i := range 4 {
		c.add(60 * 24 * time.Hour)
		must(t, l.Append(t.Context(), intent(fmt.Sprint(i)), outcome(fmt.Sprint(i))))
		n, err := l.Prune(t.Context(), c.Now().Add(-30*24*time.Hour), keyturn.Record{ID: fmt.Sprint("p", i)})
		must(t, err)
		if n == 0 {
			t.Errorf("prune %d dropped nothing", i)
		}
		r, err := l.VerifyAgainst(t.Context(), nil)
		if err != nil || !reflect.DeepEqual(r.Restored, want) {
			t.Errorf("after prune %d: %+v, %v", i, r.Restored, err)
		}
		if r, err := file(export(t, l, audit.Range{}), verify.Held{}); err != nil || !reflect.DeepEqual(r.Restored, want) {
			t.Errorf("an export after prune %d: %+v, %v", i, r.Restored, err)
		}
		got, err := l.Restored(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("told after prune %d: %+v, %v", i, got, err)
		}
	}
	// A store that takes its place takes over what it does not know itself.
	all := verify.NotIn(want[:1], want)
	if len(all) != 2 || all[0].Record != 3 || all[1].Record != want[1].Record || all[1].Earlier != nil {
		t.Errorf("taken over: %+v", all)
	}
	for range 100 {
		want = append(want, want[1])
	}
	if all := verify.NotIn(nil, want); len(all) != keyturn.MaxRestorations {
		t.Errorf("%d are taken over", len(all))
	}
}

// After a restore that the log tells of, a checkpoint of the log before is not met, and
// the words say why that may be.
func TestForkedByARestore(t *testing.T) {
	_, before, _, _ := written(t, 10)
	held, _ := checkpoint(t, before) // of 20 records
	for _, c := range []struct {
		operations int // after the restore
		replaced   int64
		says, tell string
	}{
		{1, 20, "older than your checkpoint", "record 11 tells that a backup"},
		{9, 20, "was written anew", "record 11 tells that a backup"},
		{9, 15, "was written anew", ""}, // of a log that was no longer than that
	} {
		s, l, _, _ := written(t, 5)
		form, err := keyturn.EncodeOp(keyturn.RestoreStore{Store: "0123", RootKey: "file", Backup: keyturn.LogMark{Size: 10, Root: "ab"}, Made: start,
			Replaced: &keyturn.LogMark{Size: c.replaced, Root: "cd"}})
		must(t, err)
		must(t, l.Append(t.Context(), keyturn.Record{ID: "r", Phase: keyturn.Intent, Op: form}, outcome("r")))
		for i := range c.operations {
			must(t, l.Append(t.Context(), intent(fmt.Sprint("new", i)), outcome(fmt.Sprint("new", i))))
		}
		_, err = l.VerifyAgainst(t.Context(), held)
		e := keyturn.AsError(err)
		if !errors.Is(err, keyturn.Corrupt) || !strings.Contains(e.Message, c.says) || (c.tell != "") != strings.Contains(e.Hint, "tells that a backup") || !strings.Contains(e.Hint, c.tell) {
			t.Errorf("%d records: %v\n%s", len(s.rows), err, e.Hint)
		}
	}
}
