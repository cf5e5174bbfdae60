package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// Range says which records are wanted: those from number From on, or those from
// the first on that is not older than Since; all where both are zero.
type Range struct {
	From  int64
	Since time.Time
}

// begins reports whether e, which holds r, is the first of the range.
func (g Range) begins(e keyturn.LogEntry, r keyturn.Record) bool {
	return e.Seq >= g.From && (g.Since.IsZero() || e.Data != nil && !r.Time.Before(g.Since))
}

// Export yields the lines of an exported file, without their ends: a header, one
// line for each record of the range, a signed checkpoint. All records are checked
// on the way, those before the range too; an error ends the lines, and what came
// before it is no export. It is of the log as it was at the beginning, but for what
// others prune meanwhile, which its checkpoint counts.
func (l *Log) Export(ctx context.Context, g Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := l.export(ctx, g, func(line []byte) bool { return yield(line, nil) }); err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

func (l *Log) export(ctx context.Context, g Range, yield func([]byte) bool) error {
	top, err := l.store.LastLog(ctx)
	if err != nil {
		return err
	}
	if g.From > top.Last.Seq+1 {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("the log has no record %d yet: it ends at record %d", g.From, top.Last.Seq), "begin at a smaller number")
	}
	vkey, err := l.VerifierKey()
	if err != nil {
		return err
	}
	check := verify.NewCheck(verify.Chain{}, nil)
	begun := false
	begin := func(before verify.Edge) error {
		begun = true
		return send(yield, verify.NewHeader(l.Origin(), vkey, before).Line())
	}
	err = l.walk(ctx, check, &top, func(e keyturn.LogEntry, r keyturn.Record, before verify.Edge) error {
		if !begun && g.begins(e, r) {
			if err := begin(before); err != nil {
				return err
			}
		}
		if !begun {
			return nil
		}
		return send(yield, verify.Line(e))
	})
	if err == nil && !begun {
		err = begin(check.Edge())
	}
	if err != nil {
		return err
	}
	msg, _, err := l.checkpoint(top)
	if err != nil {
		return err
	}
	return send(yield, verify.CheckpointLine(msg))
}

// errEnough ends an export whose reader has left.
var errEnough = errors.New("enough")

func send(yield func([]byte) bool, line []byte) error {
	if !yield(line) {
		return errEnough
	}
	return nil
}

// followEvery is how often the store is asked for records of other processes.
const followEvery = time.Second

// Follow yields the lines of the records of the range, and then of those that are
// added, by any process, until ctx ends: that is not an error. They are the lines
// of an export, without header and checkpoint.
func (l *Log) Follow(ctx context.Context, g Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		next, begun := max(g.From, 1), g.Since.IsZero()
		for {
			for e, err := range l.store.Log(ctx, next) {
				if ctx.Err() != nil {
					return
				}
				if err == nil && !begun && e.Data != nil {
					var r keyturn.Record
					r, err = keyturn.DecodeRecord(e.Data)
					begun = err == nil && g.begins(e, r)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if begun && !yield(verify.Line(e), nil) {
					return
				}
				next = e.Seq + 1
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(followEvery):
			}
		}
	}
}

// Prune drops the content of all records that are older than before, and keeps
// their hashes: checkpoints and exports made before verify as they did. The log is
// checked first, since what is dropped could not be checked again: Corrupt, with
// nothing dropped, where it is not whole. What the records that go tell of restored
// backups is written again first, in a record by whom and of which as says: a notice
// of a restore outlives every retention. Invalid for records younger than
// keyturn.MinRetention. It returns how many records were dropped. Durable.
func (l *Log) Prune(ctx context.Context, before time.Time, as keyturn.Record) (int64, error) {
	if before.After(l.Now().Add(-keyturn.MinRetention)) {
		return 0, keyturn.E(keyturn.Invalid, "records of the last 30 days are never dropped", "say --older-than 30d or more")
	}
	top, err := l.store.LastLog(ctx)
	if err != nil {
		return 0, err
	}
	check := verify.NewCheck(verify.Chain{}, nil)
	first := int64(0) // that stays
	err = l.walk(ctx, check, &top, func(e keyturn.LogEntry, r keyturn.Record, _ verify.Edge) error {
		if first == 0 && e.Data != nil && !r.Time.Before(before) {
			first = e.Seq
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if first == 0 {
		first = top.Last.Seq // the last record stays: the next one's time is held against it
	}
	if err := l.keepRestored(ctx, check.Report().Restored, first, keyturn.PruneLog{Before: before}, as); err != nil {
		return 0, err
	}
	return l.store.PruneLog(ctx, first)
}

// keepRestored writes what records below first tell of restored backups into a new
// record, where there are such.
func (l *Log) keepRestored(ctx context.Context, all []keyturn.Restoration, first int64, op keyturn.PruneLog, as keyturn.Record) error {
	for _, r := range all {
		if r.Record < first {
			op.Restored = append(op.Restored, r)
		}
	}
	if len(op.Restored) == 0 {
		return nil
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		return err
	}
	as.Phase, as.OpHash = keyturn.Intent, hash.String()
	if as.Op, err = keyturn.EncodeOp(op); err != nil {
		return err
	}
	return l.Append(ctx, as, keyturn.Record{ID: as.ID, Phase: keyturn.Outcome, Status: "success"})
}

// Restored is what the log tells of restored backups, the newest
// keyturn.MaxRestorations. Rows are not checked: see Verify.
func (l *Log) Restored(ctx context.Context) ([]keyturn.Restoration, error) {
	var out verify.Restorations
	for e, err := range l.store.Log(ctx, 1) {
		if err != nil {
			return nil, err
		}
		if e.Data == nil {
			continue
		}
		r, err := keyturn.DecodeRecord(e.Data)
		if err != nil {
			return nil, err
		}
		out.Note(e.Seq, r)
	}
	return out.List(), nil
}
