// Package audit is the append-only log of every operation of every door.
//
// A record is written before anything happens (its intent) and after (its
// outcome), or once where it was refused. The rows are the leaves of a Merkle tree, and
// a signed checkpoint of the tree shows its holder whether the log was changed. Package
// audit/verify checks rows and checkpoints, and does not need this package.
package audit

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
)

// Store keeps the rows. State satisfies it.
type Store interface {
	// AppendLog adds the rows that next makes of the log's end, in one transaction
	// that no other writer can come between, and keeps tree as the new end's. With
	// durable set they are on the disk when it returns.
	AppendLog(ctx context.Context, durable bool, next func(top keyturn.LogTop) (add []keyturn.LogEntry, tree []byte, err error)) error
	// Log yields the rows from number from on.
	Log(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error]
	// LastLog returns the log's end, from a place of its own, and what is beside the
	// log, as of one moment: Corrupt where the rows do not end there.
	LastLog(ctx context.Context) (keyturn.LogTop, error)
	// PruneLog drops the content of the rows below before, and keeps their leaves;
	// durable. It returns how many had one.
	PruneLog(ctx context.Context, before int64) (pruned int64, err error)
	// VerifyState checks what the store keeps beside the log: Corrupt where any
	// of it was removed, added or replaced by an older copy from outside.
	VerifyState(ctx context.Context) error
	// LogKey is random, made with the store, and never changes: the keys of
	// checkpoints and of identifiers are derived from it.
	LogKey() [32]byte
}

// Forwarder sends rows on to places outside of the store. It is safe for
// concurrent use, by several processes too.
type Forwarder interface {
	// Forward brings every place up to row upto, in order, by the rows of store. An
	// error is of a place without which nothing may go on; others are told
	// elsewhere and caught up with later.
	Forward(ctx context.Context, rows func(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error], upto int64) error
}

// Options are of Open; all may be left out.
type Options struct {
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// HideNames replaces the names of secrets in records by keyed tokens.
	HideNames bool
	// Forward gets every row after it was written; nil: nobody.
	Forward Forwarder
}

// MaxWaiting is how many outcomes of reads may wait for the next commit.
const MaxWaiting = 256

// Log appends to a store and reads from it. It is safe for concurrent use, by
// several processes too. Callers of one Log that come at the same time share a
// commit, and so its wait for the disk.
type Log struct {
	Options
	store Store

	mu      sync.Mutex
	waiting []keyturn.Record // outcomes for later
	queue   []*caller        // who waits for the next commit
	leading bool             // one of the callers writes
	ended   map[string]bool  // operations whose outcome was written by a failed commit

	unsure *attempt // of the leader alone
}

// New returns the log of store; now is the clock, time.Now where nil.
func New(store Store, now func() time.Time) *Log { return Open(store, Options{Now: now}) }

// Open returns the log of store.
func Open(store Store, o Options) *Log {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Log{Options: o, store: store, ended: map[string]bool{}}
}

// Append writes records durably: when it returns nil they outlive a power cut,
// and they were forwarded where that is required. Outcomes that were left for
// later are written with them, ahead of them. An error is Unavailable where the
// record could not be written, and then nothing that it announces may happen. A
// caller whose context ends before its commit has begun is taken out; after that
// it waits for what comes of the commit.
func (l *Log) Append(ctx context.Context, records ...keyturn.Record) error {
	return l.append(ctx, true, records)
}

// Later leaves the outcome of a read to the next commit or to Flush.
func (l *Log) Later(ctx context.Context, r keyturn.Record) {
	if r.Time.IsZero() {
		r.Time = l.Now()
	}
	l.mu.Lock()
	if l.ended[r.ID] {
		delete(l.ended, r.ID) // an operation ends once
		l.mu.Unlock()
		return
	}
	l.waiting = append(l.waiting, r)
	full := len(l.waiting) >= MaxWaiting && !l.leading
	l.mu.Unlock()
	if full {
		_ = l.append(ctx, false, nil) // they stay waiting where this fails
	}
}

// Flush writes what was left for later, without waiting for the disk.
func (l *Log) Flush(ctx context.Context) error { return l.append(ctx, false, nil) }

// Records yields all records that have their content, oldest first. Pruned is
// told how many rows were without, where it is not nil.
func (l *Log) Records(ctx context.Context, pruned *int64) iter.Seq2[keyturn.Record, error] {
	return func(yield func(keyturn.Record, error) bool) {
		for e, err := range l.store.Log(ctx, 1) {
			if err != nil {
				yield(keyturn.Record{}, err)
				return
			}
			if e.Data == nil {
				if pruned != nil {
					*pruned++
				}
				continue
			}
			r, err := keyturn.DecodeRecord(e.Data)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
