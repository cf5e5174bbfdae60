package state

import (
	"context"

	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// tx is a transaction under way: its connection, and the keys that fit what it
// sees.
type tx struct {
	sqlite.Conn
	db *DB
	*keys
	after *keys // where the transaction changes them: for when it is committed
}

func (t *tx) exec(ctx context.Context, query string, args ...any) error {
	return sqlite.Exec(ctx, t.Conn, query, args...)
}

// write runs do in one durable IMMEDIATE transaction, which no other writer of any
// process can come between. It is committed if do returns nil and ctx has not
// ended by then; else nothing has changed.
func (db *DB) write(ctx context.Context, do func(*tx, *rows.Top) error) error {
	db.changed.Store(true)
	return db.transaction(ctx, true, do)
}

// transaction is write where the caller chooses whether the commit is synced to the disk.
// do changes the head together with the rows that the head stands for.
func (db *DB) transaction(ctx context.Context, durable bool, do func(*tx, *rows.Top) error) error {
	var t *tx
	err := db.locked(ctx, func(conn sqlite.Conn) error {
		return sqlite.Write(ctx, conn, db.path, durable, func() error {
			t = &tx{Conn: conn, db: db}
			was, err := t.top(ctx)
			if err != nil {
				return err
			}
			is := *was
			if err := do(t, &is); err != nil {
				return err
			}
			if is.Items != was.Items || is.Secrets != was.Secrets {
				is.Generation++
			}
			if t.after == nil && is.Same(was) {
				return nil
			}
			sealer := tx{keys: t.keys}
			if t.after != nil {
				sealer.keys = t.after
			}
			return t.exec(ctx, "UPDATE meta SET v = ? WHERE k = 'head'", sealer.SealTop(&is))
		})
	})
	if err == nil && t.after != nil {
		db.known(t.after)
	}
	return db.fail(ctx, err)
}

// locked runs do on a connection, alone among the writers of this process.
func (db *DB) locked(ctx context.Context, do func(sqlite.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case db.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-db.writer }()
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := db.trust(ctx, conn); err != nil {
		return err
	}
	err = do(conn)
	if sqlite.SyncFailed(err) {
		db.doubt.Store(true)
		_ = db.trust(context.WithoutCancel(ctx), conn) // else the next writer does it
	}
	return err
}

// trust makes sure of what is in the WAL after a sync of it has failed. Linux tells of
// such a failure once, forgets what it could not write, and calls the next sync a
// success (https://lwn.net/Articles/752063/): records that were appended without a sync
// of their own would then be a hole in the WAL, and a crash would take with it all that
// was committed behind it. What can be read is still there, so it is moved into the
// database, and the WAL begins anew, durably.
func (db *DB) trust(ctx context.Context, conn sqlite.Conn) error {
	if !db.doubt.Load() {
		return nil
	}
	err := sqlite.Checkpoint(ctx, conn)
	if err == nil {
		err = sqlite.Write(ctx, conn, db.path, true, func() error {
			return sqlite.Exec(ctx, conn, "UPDATE meta SET v = v WHERE k = 'head'")
		})
	}
	if err == nil {
		db.doubt.Store(false)
	}
	return err
}

// read runs do in one transaction that only reads: it sees one snapshot.
func (db *DB) read(ctx context.Context, do func(*tx) error) error {
	return db.fail(ctx, sqlite.Read(ctx, db.pool, func(conn sqlite.Conn) error {
		wrapped, err := masterRow(ctx, conn)
		if err != nil {
			return err
		}
		t := &tx{Conn: conn, db: db}
		if err := t.use(ctx, wrapped); err != nil {
			return err
		}
		return do(t)
	}))
}

// wipe has neither the database nor its WAL keep what was deleted or replaced.
func (db *DB) wipe(ctx context.Context) error {
	return db.fail(ctx, db.locked(ctx, func(conn sqlite.Conn) error { return sqlite.Wipe(ctx, conn) }))
}
