package state

import (
	"context"
	"database/sql"
	"iter"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// logPage is how many records Log reads at once, and logBytes how many bytes end a
// page early.
const (
	logPage  = 500
	logBytes = 1 << 20
)

// AppendLog adds the records that next makes of the log's end, and replaces the
// log's tree, in one transaction that no other writer can come between. Next must
// not write to the store itself. Where it adds nothing, nothing is changed. With
// durable set they are on the disk when it returns; else they are there with the
// next durable change of any kind. Corrupt, with nothing added, where the log does
// not end as it should.
func (db *DB) AppendLog(ctx context.Context, durable bool, next func(top keyturn.LogTop) (add []keyturn.LogEntry, tree []byte, err error)) error {
	return db.transaction(ctx, durable, func(t *tx, h *rows.Top) error {
		add, tree, err := next(t.logTop(h))
		if err != nil || len(add) == 0 {
			return err
		}
		h.Tree = tree
		for _, e := range add {
			if e.Seq != h.Last.Seq+1 || e.Data == nil {
				return keyturn.E(keyturn.Internal, "a record of the audit log has the wrong number, or no data", "")
			}
			if err := t.exec(ctx, "INSERT INTO log (seq, data) VALUES (?, ?)", e.Seq, t.SealEntry(e)); err != nil {
				return err
			}
			h.Last = e
		}
		return nil
	})
}

// Log yields the records from number from on, in pages, each of one snapshot: no
// transaction is open while it yields, and records that are added meanwhile are
// yielded too. Those that PruneLog has dropped come without data. Corrupt where a
// record cannot be read or is missing, at the end too, naming it.
func (db *DB) Log(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	return func(yield func(keyturn.LogEntry, error) bool) {
		for from := max(from, 1); ; {
			page, end, err := db.logPage(ctx, from)
			for _, e := range page {
				if e.Seq != from {
					break
				}
				if !yield(e, nil) {
					return
				}
				from++
			}
			if err == nil && (len(page) == 0 || page[len(page)-1].Seq >= from) && from <= end {
				err = db.damaged("record " + rows.Number(from) + " of the audit log is missing")
			}
			if err != nil {
				yield(keyturn.LogEntry{}, err)
				return
			}
			if from > end {
				return
			}
		}
	}
}

// logPage returns the rows from a number on, and the number of the last record.
func (db *DB) logPage(ctx context.Context, from int64) (page []keyturn.LogEntry, end int64, err error) {
	err = db.read(ctx, func(t *tx) error {
		h, err := t.top(ctx)
		if err != nil {
			return err
		}
		end = h.Last.Seq
		size := 0
		return sqlite.Each(ctx, t, "SELECT seq, data FROM log WHERE seq >= ? ORDER BY seq LIMIT ?", []any{from, logPage}, func(r *sql.Rows) error {
			var seq int64
			var data []byte
			if err := r.Scan(&seq, &data); err != nil {
				return err
			}
			e, err := t.OpenEntry(seq, data, h.Pruned)
			if err != nil {
				return err
			}
			if page, size = append(page, e), size+len(data); size > logBytes {
				return sqlite.ErrStop
			}
			return nil
		})
	})
	return page, end, err
}

// LastLog returns the end of the log as the head, kept in a place of its own, has
// it, and the state of the rest at the same moment. Corrupt where the log does not
// end there.
func (db *DB) LastLog(ctx context.Context) (out keyturn.LogTop, err error) {
	err = db.read(ctx, func(t *tx) error {
		h, err := t.top(ctx)
		if err == nil {
			out = t.logTop(h)
		}
		return err
	})
	return out, err
}

// PruneLog drops the data of the records before a number, and keeps their hashes,
// so that the tree stays as it is. The last record always stays whole. It goes in
// durable transactions of some hundred records each, between which others write, and
// returns how many records it dropped, where it fails too. What is left of them in
// the WAL goes with it, unless somebody is reading just then: then with a later one.
func (db *DB) PruneLog(ctx context.Context, before int64) (pruned int64, err error) {
	for done := false; !done && err == nil; {
		n := int64(0)
		err = db.write(ctx, func(t *tx, h *rows.Top) error {
			n = 0
			first := max(h.Pruned, 1)
			end := min(before, h.Last.Seq, first+logPage)
			if done = end == min(before, h.Last.Seq) || end <= first; end <= first {
				return nil
			}
			for seq := first; seq < end; seq++ {
				if err := t.drop(ctx, seq, h.Pruned); err != nil {
					return err
				}
				n++
			}
			h.Pruned = end
			return nil
		})
		if err == nil {
			pruned += n
		}
	}
	if pruned > 0 && err == nil {
		_ = db.wipe(context.WithoutCancel(ctx))
	}
	return pruned, err
}

func (t *tx) drop(ctx context.Context, seq, pruned int64) error {
	var data []byte
	err := sqlite.Each(ctx, t, "SELECT data FROM log WHERE seq = ?", []any{seq}, func(r *sql.Rows) error { return r.Scan(&data) })
	if err != nil {
		return err
	}
	e, err := t.OpenEntry(seq, data, pruned)
	if err != nil {
		return err
	}
	return t.exec(ctx, "UPDATE log SET data = ? WHERE seq = ?", t.SealEntry(keyturn.LogEntry{Seq: seq, Leaf: e.Leaf}), seq)
}
