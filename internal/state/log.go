package state

import (
	"context"
	"database/sql"
	"iter"
	"strconv"

	"github.com/keyturn/keyturn"
)

// logPage is how many records Log reads at once, and logBytes how many bytes end a
// page early.
const (
	logPage  = 500
	logBytes = 1 << 20
)

func (db *DB) sealEntry(e keyturn.LogEntry) []byte {
	return seal(db.keys.log, append(e.Link[:len(e.Link):len(e.Link)], e.Data...), db.keys.place("log", strconv.FormatInt(e.Seq, 10)))
}

func (db *DB) openEntry(seq int64, sealed []byte) (keyturn.LogEntry, error) {
	plain, err := unseal(db.keys.log, sealed, db.keys.place("log", strconv.FormatInt(seq, 10)))
	if err != nil || len(plain) < 32 {
		return keyturn.LogEntry{}, db.damaged("record " + strconv.FormatInt(seq, 10) + " of the audit log cannot be read")
	}
	return keyturn.LogEntry{Seq: seq, Link: [32]byte(plain), Data: plain[32:]}, nil
}

// AppendLog adds the records that next makes of the last one (zero for an empty
// log), in one transaction that no other writer can come between. Next must not
// write to the store itself. With durable set they are on the disk when it returns;
// else they are there with the next durable change of any kind. Corrupt, with
// nothing added, where the log does not end as it should.
func (db *DB) AppendLog(ctx context.Context, durable bool, next func(last keyturn.LogEntry) ([]keyturn.LogEntry, error)) error {
	return db.transaction(ctx, durable, func(t tx, h *top) error {
		entries, err := next(*h.last)
		if err != nil {
			return err
		}
		for i, e := range entries {
			if e.Seq != h.last.Seq+1 {
				return keyturn.E(keyturn.Internal, "a record of the audit log has the wrong number", "")
			}
			if err := t.exec(ctx, "INSERT INTO log (seq, data) VALUES (?, ?)", e.Seq, db.sealEntry(e)); err != nil {
				return err
			}
			h.last = &entries[i]
		}
		return nil
	})
}

// Log yields the records from number from on, in pages: no transaction is open
// while it yields, and records that are added meanwhile are yielded too. Corrupt
// where a record cannot be read or is missing, at the end too.
func (db *DB) Log(ctx context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	return func(yield func(keyturn.LogEntry, error) bool) {
		for from := max(from, 1); ; {
			page, more, err := db.logPage(ctx, from)
			for _, e := range page {
				if e.Seq != from {
					err = db.damaged("record " + strconv.FormatInt(from, 10) + " of the audit log is missing")
					break
				}
				if !yield(e, nil) {
					return
				}
				from++
			}
			if err == nil && !more {
				var last keyturn.LogEntry
				if last, err = db.LastLog(ctx); err == nil && last.Seq < from {
					return
				}
			}
			if err != nil {
				yield(keyturn.LogEntry{}, db.fail(ctx, err))
				return
			}
		}
	}
}

func (db *DB) logPage(ctx context.Context, from int64) (page []keyturn.LogEntry, more bool, err error) {
	full, size := false, 0
	err = each(ctx, db.pool, "SELECT seq, data FROM log WHERE seq >= ? ORDER BY seq LIMIT ?", []any{from, logPage}, func(r *sql.Rows) error {
		var seq int64
		var data []byte
		if full = size > logBytes; full {
			return nil
		}
		if err := r.Scan(&seq, &data); err != nil {
			return err
		}
		e, err := db.openEntry(seq, data)
		if err == nil {
			page, size = append(page, e), size+len(data)
		}
		return err
	})
	return page, full || len(page) == logPage, err
}

// LastLog returns the record that the head, kept in a place of its own, says to be
// the last; zero for an empty log. Corrupt where the log does not end there.
func (db *DB) LastLog(ctx context.Context) (keyturn.LogEntry, error) {
	h, err := db.top(ctx, db.pool)
	if err != nil {
		return keyturn.LogEntry{}, db.fail(ctx, err)
	}
	return *h.last, nil
}
