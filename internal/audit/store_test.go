package audit_test

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/keyturn/keyturn"
)

// store is an audit.Store in memory that can fail in every way.
type store struct {
	mu      sync.Mutex
	rows    []keyturn.LogEntry
	top     keyturn.LogTop // kept in a place of its own
	durable []bool         // of each append that wrote something
	// fail decides about each append: an error before anything is written, one
	// after all of it is written, or none.
	fail  func() (before, after error)
	slow  bool // waits for the end of the context
	other int  // another store has another key
	// state is what VerifyState says.
	state error
}

func (s *store) AppendLog(ctx context.Context, durable bool, next func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	if s.slow {
		<-ctx.Done()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	var before, after error
	if s.fail != nil {
		before, after = s.fail()
	}
	rows, tree, err := next(s.top)
	if before != nil || err != nil {
		return cmpOr(before, err)
	}
	for _, e := range rows {
		e.Data = slices.Clone(e.Data)
		s.rows, s.top.Last = append(s.rows, e), e
	}
	s.top.Tree = tree
	s.durable = append(s.durable, durable)
	return after
}

func (s *store) Log(_ context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	s.mu.Lock()
	rows := slices.Clone(s.rows)
	s.mu.Unlock()
	return func(yield func(keyturn.LogEntry, error) bool) {
		for _, e := range rows[min(len(rows), int(max(from, 1))-1):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *store) LastLog(context.Context) (keyturn.LogTop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.top, nil
}

func (s *store) PruneLog(_ context.Context, before int64) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.rows {
		if e.Seq < before && e.Data != nil {
			s.rows[i].Data = nil
			n++
			s.top.Pruned = e.Seq
		}
	}
	return n, nil
}

// LogKey is plainly fake.
func (s *store) LogKey() [32]byte { return [32]byte{'k', 'e', 'y', byte(s.other)} }

func (s *store) VerifyState(context.Context) error { return s.state }

// records are all rows, decoded.
func (s *store) records() []keyturn.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []keyturn.Record
	for _, e := range s.rows {
		r, err := keyturn.DecodeRecord(e.Data)
		if err != nil {
			panic(err)
		}
		out = append(out, r)
	}
	return out
}

func cmpOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
