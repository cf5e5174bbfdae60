package audit

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// caller is one Append under way.
type caller struct {
	ctx     context.Context
	durable bool
	records []keyturn.Record
	done    chan error    // gets what came of it
	lead    chan struct{} // closed when it is this caller's turn to write
}

// attempt is a write whose store answered with an error. Where it was written
// nevertheless, its outcomes must not be written again: an operation ends once.
type attempt struct {
	last     keyturn.LogEntry
	outcomes map[string]bool // ids of operations
}

// append joins the callers that wait for a commit. The first one there writes for
// all that wait by then, and hands on to the first of those that came meanwhile.
func (l *Log) append(ctx context.Context, durable bool, records []keyturn.Record) error {
	if l.HideNames {
		records = l.hideAll(records)
	}
	c := &caller{ctx: ctx, durable: durable, records: records, done: make(chan error, 1), lead: make(chan struct{})}
	l.mu.Lock()
	l.queue = append(l.queue, c)
	if !l.leading {
		l.leading = true
		close(c.lead)
	}
	l.mu.Unlock()
	select {
	case <-c.lead:
		return l.lead(c)
	case err := <-c.done:
		return err
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.Index(l.queue, c)
	select {
	case <-c.lead: // both at once: the others wait for it
		l.mu.Unlock()
		return l.lead(c)
	default:
	}
	if i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		return unavailable(ctx.Err())
	}
	return <-c.done // its commit is under way, and may succeed
}

// lead writes what all callers wait for, its own too.
func (l *Log) lead(c *caller) error {
	l.mu.Lock()
	batch := l.queue
	l.queue = nil
	l.mu.Unlock()
	err := error(keyturn.E(keyturn.Internal, "the audit log's writer was cut short", ""))
	defer func() { // also where the store panics: nobody is left waiting
		for _, other := range batch {
			if other != c {
				other.done <- err
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.leading = len(l.queue) > 0; l.leading {
			close(l.queue[0].lead)
		}
	}()
	ctx, stop := together(batch)
	defer stop()
	err = l.commit(ctx, batch)
	return err
}

// together returns a context that ends when those of all callers have ended.
func together(batch []*caller) (context.Context, func()) {
	if len(batch) == 1 {
		return batch[0].ctx, func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(batch[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(batch)))
	stops := []func() bool{}
	for _, c := range batch {
		stops = append(stops, context.AfterFunc(c.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// commit writes the outcomes that were left for later, and then what batch brings.
func (l *Log) commit(ctx context.Context, batch []*caller) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	if err := l.settle(ctx); err != nil {
		return unavailable(err)
	}
	l.mu.Lock()
	all, late, durable := slices.Clone(l.waiting), len(l.waiting), false
	l.mu.Unlock()
	for _, c := range batch {
		all, durable = append(all, c.records...), durable || c.durable
	}
	if len(all) == 0 {
		return nil
	}
	var made keyturn.LogEntry
	err := l.store.AppendLog(ctx, durable, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
		rows, tree, err := l.rows(top, all)
		if err == nil {
			made = rows[len(rows)-1]
		}
		return rows, tree, err
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
	l.mu.Lock()
	l.waiting = l.waiting[late:]
	l.mu.Unlock()
	return l.forward(ctx, made.Seq, batch)
}

// forward tells the places outside of what was written. Where one that is
// required cannot be told, nothing that was announced may happen: the intents are
// in the log, and so get an outcome that says so.
func (l *Log) forward(ctx context.Context, upto int64, batch []*caller) error {
	if l.Forward == nil {
		return nil
	}
	err := l.Forward.Forward(ctx, l.store.Log, upto)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range batch {
		open := map[string]bool{}
		for _, r := range c.records {
			switch r.Phase {
			case keyturn.Intent:
				open[r.ID] = true
			case keyturn.Outcome:
				if !open[r.ID] { // whoever is told of the failure may bring it again
					l.ended[r.ID] = true
				}
				delete(open, r.ID)
			}
		}
		for _, r := range c.records {
			if open[r.ID] {
				l.waiting = append(l.waiting, keyturn.Record{ID: r.ID, Phase: keyturn.Outcome, Time: l.Now(), Status: "error", Code: keyturn.Unavailable})
			}
		}
	}
	return unavailable(err)
}

// settle finds out whether the last failed write happened after all, and drops
// what then waits no longer.
func (l *Log) settle(ctx context.Context) error {
	if l.unsure == nil {
		return nil
	}
	last := l.unsure.last
	for e, err := range l.store.Log(ctx, last.Seq) {
		if err != nil {
			return err
		}
		if e.Seq == last.Seq && e.Leaf == last.Leaf {
			l.mu.Lock()
			l.waiting = slices.DeleteFunc(slices.Clone(l.waiting), func(r keyturn.Record) bool {
				if !l.unsure.outcomes[r.ID] {
					return false
				}
				l.unsure.outcomes[r.ID] = false
				return true
			})
			for id, ended := range l.unsure.outcomes { // whoever is told of the failure may bring it again
				if ended {
					l.ended[id] = true
				}
			}
			l.mu.Unlock()
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

// rows makes records the next rows, and returns the tree's new edge. Their time is
// the clock's, but never before that of the row ahead: a clock that jumps back
// does not reorder a log.
func (l *Log) rows(top keyturn.LogTop, records []keyturn.Record) ([]keyturn.LogEntry, []byte, error) {
	var floor time.Time
	if top.Last.Data != nil {
		r, err := keyturn.DecodeRecord(top.Last.Data)
		if err != nil {
			return nil, nil, err
		}
		floor = r.Time
	}
	out := make([][]byte, 0, len(records))
	for _, r := range records {
		r.Format = keyturn.RecordFormat
		if r.Time.IsZero() {
			r.Time = l.Now()
		}
		r.Time = r.Time.UTC().Truncate(time.Microsecond)
		if r.Time.Before(floor) {
			r.Time = floor
		}
		floor = r.Time
		data, err := keyturn.EncodeRecord(r)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, data)
	}
	return verify.Append(top, out)
}
