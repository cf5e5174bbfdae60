package state

import (
	"context"
	"database/sql"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/keyturn/keyturn/internal/state/table"
)

// Rekeying reports whether a Rekey was begun that has not come to its end: it is
// under way, or was cut short, and then Rekey finishes it.
func (db *DB) Rekeying(ctx context.Context) (is bool, err error) {
	err = db.read(ctx, func(t *tx) error {
		h, err := t.top(ctx)
		is = err == nil && h.Stage != rows.Idle
		return err
	})
	return is, err
}

// Rekey draws a new master key, wrapped by the root key of now, and encrypts all
// rows anew, the values under new data keys. When it returns nil, no earlier key
// opens anything that is in the database or its WAL, and neither holds anything that
// an earlier key encrypted; copies elsewhere are what they were, and LogKey stays.
//
// It works in transactions of some hundred rows, between which other processes read
// and write; what is written meanwhile is under the new key already. Where it is cut
// short, the store is whole and in use with both keys; calling it again goes on, by
// whichever process. A row that was damaged stops it with Corrupt, and nothing is lost.
// Unavailable where somebody reads for so long that the WAL cannot be emptied: then
// calling it again does that alone. Progress, which may be nil, is told how many rows
// of how many are done.
func (db *DB) Rekey(ctx context.Context, progress func(done, total int)) error {
	to, stage := 0, rows.Idle
	err := db.write(ctx, func(t *tx, h *rows.Top) error {
		_, to = t.Epochs()
		if stage = h.Stage; stage != rows.Idle {
			return nil
		}
		to, stage, h.Stage = to+1, rows.Moving, rows.Moving
		ring, err := t.Next()
		if err != nil {
			return err
		}
		return t.change(ctx, ring)
	})
	for left := stage == rows.Moving; left && err == nil; {
		if err = db.moveAll(ctx, to, progress); err == nil {
			left, err = db.dropOld(ctx, to)
		}
	}
	if err != nil {
		return err
	}
	if err := db.wipe(ctx); err != nil {
		return keyturn.E(keyturn.Unavailable, "the new keys are in use, but what the old ones encrypted is still in '"+keyturn.Clean(db.path)+"' or its -wal file",
			"do the same again, with room on the disk for a copy of the store, once nothing else reads it for long").Because(err)
	}
	return db.write(ctx, func(t *tx, h *rows.Top) error {
		if h.Stage == rows.Wiping && t.rekeys(to) {
			h.Stage = rows.Idle
		}
		return nil
	})
}

// rekeys reports whether the newest key is of that epoch. Else another process has
// finished that Rekey, and maybe begun another: what this one knows of it is of no use.
func (t *tx) rekeys(to int) bool {
	_, newest := t.Epochs()
	return newest == to
}

// dropOld drops the old master key, unless there are rows left that it encrypted.
func (db *DB) dropOld(ctx context.Context, to int) (left bool, err error) {
	err = db.write(ctx, func(t *tx, h *rows.Top) error {
		left = false
		if h.Stage != rows.Moving || !t.rekeys(to) {
			return nil
		}
		const query = `SELECT EXISTS (SELECT * FROM secret WHERE substr(head, 1, 4) <> ?1) OR EXISTS (SELECT * FROM item WHERE substr(body, 1, 4) <> ?1)
			OR EXISTS (SELECT * FROM version WHERE substr(info, 1, 4) <> ?1 OR substr(key, 1, 4) <> ?1) OR EXISTS (SELECT * FROM log WHERE substr(data, 1, 4) <> ?1)`
		err := sqlite.Each(ctx, t, query, []any{t.Prefix()}, func(r *sql.Rows) error { return r.Scan(&left) })
		if err != nil || left {
			return err
		}
		h.Stage = rows.Wiping
		return t.change(ctx, t.Last())
	})
	return left, err
}

// change makes ring the keys of the store.
func (t *tx) change(ctx context.Context, ring *seal.Ring) error {
	k := *t.keys
	k.Ring = ring
	rows := k.meta()
	rows["logkey"] = k.sealLogKey(k.logKey)
	t.after = &k
	return t.setMeta(ctx, rows)
}

// moveAll brings all rows to the newest key, if it is of that epoch. Whoever writes
// uses that key since the store has it, so that one pass leaves none.
func (db *DB) moveAll(ctx context.Context, to int, progress func(done, total int)) error {
	done, total := 0, 0
	err := db.read(ctx, func(t *tx) error {
		const query = `SELECT count(*), count(*) FILTER (WHERE new = ?) FROM (SELECT substr(head, 1, 4) AS new FROM secret
			UNION ALL SELECT substr(info, 1, 4) FROM version UNION ALL SELECT substr(body, 1, 4) FROM item UNION ALL SELECT substr(data, 1, 4) FROM log)`
		return sqlite.Each(ctx, t, query, []any{t.Prefix()}, func(r *sql.Rows) error { return r.Scan(&total, &done) })
	})
	for _, step := range []func(*table.Mover, context.Context) (int, error){(*table.Mover).Secrets, (*table.Mover).Versions, (*table.Mover).Items, (*table.Mover).Log} {
		m := table.Mover{}
		for n := 1; n > 0 && err == nil; {
			began := time.Now()
			if n, err = db.moveSome(ctx, to, &m, step); err != nil || n == 0 {
				break
			}
			done = min(done+n, total)
			if progress != nil {
				progress(done, total)
			}
			err = breathe(ctx, time.Since(began))
		}
	}
	return err
}

// breathe lets others have the lock for as long as it was held: who waits for it
// asks for it now and then.
func breathe(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(min(d, 50*time.Millisecond)):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// moveSome runs one step in one transaction. It need not be durable: what a power
// cut takes back is done again.
func (db *DB) moveSome(ctx context.Context, to int, m *table.Mover, step func(*table.Mover, context.Context) (int, error)) (n int, err error) {
	err = db.transaction(ctx, false, func(t *tx, h *rows.Top) error {
		n = 0
		if h.Stage != rows.Moving || !t.rekeys(to) {
			return nil
		}
		m.Conn, m.From, m.To, m.Pruned = t.Conn, t.Keys, t.Keys, h.Pruned
		m.SecretsWere, m.SecretsAre, m.ItemsWere, m.ItemsAre = &h.Secrets, &h.Secrets, &h.Items, &h.Items
		n, err = step(m, ctx)
		return err
	})
	return n, err
}
