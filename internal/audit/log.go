// Package audit is the append-only log of every operation of every door.
//
// A record is written before anything happens (its intent) and after (its
// outcome), or once where a rule said no. Rows are linked by hashes, so that a
// change from outside is noticed; package audit/verify checks them.
package audit

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// Store keeps the rows. State satisfies it.
type Store interface {
	// AppendLog adds the rows that next makes of the last one (zero for an empty
	// log), in one transaction that no other writer can come between. With
	// durable set they are on the disk when it returns.
	AppendLog(ctx context.Context, durable bool, next func(last keyturn.LogEntry) ([]keyturn.LogEntry, error)) error
	// Log yields the rows from number from on.
	Log(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error]
	// LastLog returns the row that the store believes to be the last, from a
	// place of its own: Corrupt where the rows do not end there.
	LastLog(ctx context.Context) (keyturn.LogEntry, error)
	// VerifyState checks what the store keeps beside the log: Corrupt where any
	// of it was removed, added or replaced by an older copy from outside.
	VerifyState(ctx context.Context) error
}

// MaxWaiting is how many outcomes of reads may wait for the next commit.
const MaxWaiting = 256

// Log appends to a store and reads from it. It is safe for concurrent use, by
// several processes too.
type Log struct {
	store Store
	now   func() time.Time

	mu      sync.Mutex
	waiting []keyturn.Record
	unsure  *attempt // a write that failed, but may have happened
}

// attempt is a write whose store answered with an error. Where it was written
// nevertheless, its outcomes must not be written again: an operation ends once.
type attempt struct {
	last     keyturn.LogEntry
	outcomes map[string]bool // ids of operations
}

// New returns the log of store; now is the clock, time.Now where nil.
func New(store Store, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{store: store, now: now}
}

// Append writes records durably: when it returns nil they outlive a power cut.
// Outcomes that were left for later are written with them, ahead of them. An
// error is Unavailable where the record could not be written, and then nothing
// that it announces may happen.
func (l *Log) Append(ctx context.Context, records ...keyturn.Record) error {
	return l.append(ctx, true, records)
}

// Later leaves the outcome of a read to the next commit or to Flush.
func (l *Log) Later(ctx context.Context, r keyturn.Record) {
	if r.Time.IsZero() {
		r.Time = l.now()
	}
	l.mu.Lock()
	l.waiting = append(l.waiting, r)
	full := len(l.waiting) >= MaxWaiting
	l.mu.Unlock()
	if full {
		_ = l.append(ctx, false, nil) // they stay waiting where this fails
	}
}

// Flush writes what was left for later, without waiting for the disk.
func (l *Log) Flush(ctx context.Context) error { return l.append(ctx, false, nil) }

func (l *Log) append(ctx context.Context, durable bool, records []keyturn.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.settle(ctx); err != nil {
		return unavailable(err)
	}
	all := slices.Concat(l.waiting, records)
	if len(all) == 0 {
		return nil
	}
	var made keyturn.LogEntry
	err := l.store.AppendLog(ctx, durable, func(last keyturn.LogEntry) ([]keyturn.LogEntry, error) {
		rows, err := l.rows(last, all)
		if err == nil {
			made = rows[len(rows)-1]
		}
		return rows, err
	})
	if err != nil {
		if made.Seq > 0 {
			l.unsure = &attempt{last: made, outcomes: map[string]bool{}}
			for _, r := range all {
				l.unsure.outcomes[r.ID] = l.unsure.outcomes[r.ID] || r.Phase == keyturn.Outcome
			}
		}
		return unavailable(err)
	}
	l.waiting = nil
	return nil
}

// settle finds out whether the last failed write happened after all, and drops
// what then waits no longer.
func (l *Log) settle(ctx context.Context) error {
	if l.unsure == nil {
		return nil
	}
	for e, err := range l.store.Log(ctx, l.unsure.last.Seq) {
		if err != nil {
			return err
		}
		if e.Seq == l.unsure.last.Seq && e.Link == l.unsure.last.Link {
			l.waiting = slices.DeleteFunc(l.waiting, func(r keyturn.Record) bool { return l.unsure.outcomes[r.ID] })
		}
		break
	}
	l.unsure = nil
	return nil
}

func unavailable(err error) error {
	if e := keyturn.AsError(err); e.Code != keyturn.Internal {
		return e
	}
	return keyturn.E(keyturn.Unavailable, "the audit log cannot be written", "nothing was done; see 'keyturn status'").Because(err)
}

// rows links records to the last row. Their time is the clock's, but never
// before that of the row ahead: a clock that jumps back does not reorder a log.
func (l *Log) rows(last keyturn.LogEntry, records []keyturn.Record) ([]keyturn.LogEntry, error) {
	var floor time.Time
	if last.Seq > 0 {
		r, err := keyturn.DecodeRecord(last.Data)
		if err != nil {
			return nil, err
		}
		floor = r.Time
	}
	out := make([]keyturn.LogEntry, 0, len(records))
	for _, r := range records {
		r.Format = keyturn.RecordFormat
		if r.Time.IsZero() {
			r.Time = l.now()
		}
		r.Time = r.Time.UTC().Truncate(time.Microsecond)
		if r.Time.Before(floor) {
			r.Time = floor
		}
		floor = r.Time
		data, err := keyturn.EncodeRecord(r)
		if err != nil {
			return nil, err
		}
		last = keyturn.LogEntry{Seq: last.Seq + 1, Data: data, Link: verify.Link(last.Link, verify.Leaf(data))}
		out = append(out, last)
	}
	return out, nil
}

// Records yields all records, oldest first.
func (l *Log) Records(ctx context.Context) iter.Seq2[keyturn.Record, error] {
	return func(yield func(keyturn.Record, error) bool) {
		for e, err := range l.store.Log(ctx, 1) {
			if err != nil {
				yield(keyturn.Record{}, err)
				return
			}
			r, err := keyturn.DecodeRecord(e.Data)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Verify checks every row, that the log ends where the store says it ends, and
// then what the store keeps beside the log.
// It returns the number of rows and the head's hash in hexadecimal. Without a
// checkpoint from outside it shows that the log is consistent, not that it is
// complete: who holds the root key can write another one.
func (l *Log) Verify(ctx context.Context) (size int64, head string, err error) {
	last, err := l.store.LastLog(ctx)
	if err != nil {
		return 0, "", err
	}
	var c verify.Chain
	for e, err := range l.store.Log(ctx, 1) {
		if err != nil {
			return c.Size(), "", err
		}
		if _, err := c.Next(e); err != nil {
			return c.Size(), "", err
		}
		if c.Size() == last.Seq && c.Head() != last.Link {
			break // told below
		}
	}
	// Rows may have been added since LastLog was asked, but not taken away; and
	// those that were added are known to it by now.
	if c.Size() > last.Seq {
		if last, err = l.store.LastLog(ctx); err != nil {
			return c.Size(), "", err
		}
		if last.Seq > c.Size() {
			last = keyturn.LogEntry{Seq: c.Size(), Link: c.Head()} // still growing
		}
	}
	if c.Size() != last.Seq || c.Head() != last.Link {
		return c.Size(), "", keyturn.E(keyturn.Corrupt, "the audit log does not end where it should",
			"its last records were removed or replaced; compare with a backup")
	}
	if err := l.store.VerifyState(ctx); err != nil {
		return c.Size(), "", err
	}
	h := c.Head()
	return c.Size(), hex.EncodeToString(h[:]), nil
}
