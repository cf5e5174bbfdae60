package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"syscall"

	"github.com/keyturn/keyturn"
	"github.com/ncruces/go-sqlite3"
)

// tx is the connection of a transaction under way.
type tx struct {
	*sql.Conn
	path string // of the database
}

func (t tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.ExecContext(ctx, query, args...)
	return err
}

// write runs do in one durable IMMEDIATE transaction, which no other writer of any
// process can come between. It is committed if do returns nil and ctx has not
// ended by then; else nothing has changed.
func (db *DB) write(ctx context.Context, do func(tx, *top) error) error {
	db.changed.Store(true)
	return db.transaction(ctx, true, do)
}

// transaction is write, which need not be durable. Do changes the head as it
// changes the rows that the head stands for.
func (db *DB) transaction(ctx context.Context, durable bool, do func(tx, *top) error) error {
	return db.fail(ctx, db.locked(ctx, func(conn *sql.Conn) error {
		return transact(ctx, tx{conn, db.path}, durable, func(t tx) error {
			was, err := db.top(ctx, t)
			if err != nil {
				return err
			}
			is := was
			if err := do(t, &is); err != nil || is == was {
				return err
			}
			return t.exec(ctx, "UPDATE meta SET v = ? WHERE k = 'head'", sealTop(db.keys, is))
		})
	}))
}

// locked runs do on a connection, alone among the writers of this process.
func (db *DB) locked(ctx context.Context, do func(*sql.Conn) error) error {
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
	return do(conn)
}

func transact(ctx context.Context, t tx, durable bool, do func(tx) error) (err error) {
	always := context.WithoutCancel(ctx)
	if !durable {
		if err := t.exec(ctx, "PRAGMA synchronous=NORMAL"); err != nil {
			return errors.Join(err, drop(t.Conn))
		}
		defer func() {
			if e := t.exec(always, "PRAGMA synchronous=FULL"); e != nil {
				_ = drop(t.Conn) // so that no durable commit runs on it
			}
		}()
	}
	if err := t.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			t.rollback(ctx)
		}
	}()
	if err := do(t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.exec(always, "COMMIT"); err != nil {
		return uncertain(t.path, err)
	}
	open = false
	return nil
}

// uncertain marks a failure of the disk at a commit: the change may be found
// after a crash.
func uncertain(path string, err error) error {
	if !errors.Is(err, sqlite3.IOERR) || errors.Is(err, syscall.ENOSPC) ||
		!errors.Is(err, sqlite3.IOERR_FSYNC) && diskFull(path) { // the log could not grow: nothing was committed
		return err
	}
	return &keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Err: err,
		Message: "the disk failed while a change was written to the store", Hint: "look at the disk, then at 'keyturn history': the change may or may not be there"}
}

// read runs do in one transaction that only reads: it sees one snapshot.
func (db *DB) read(ctx context.Context, do func(tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return db.fail(ctx, err)
	}
	defer conn.Close()
	t := tx{conn, db.path}
	if err := t.exec(ctx, "BEGIN"); err != nil {
		return db.fail(ctx, err)
	}
	defer t.rollback(ctx)
	return db.fail(ctx, do(t))
}

// rollback ends a transaction, whether the caller has left or not.
func (t tx) rollback(ctx context.Context) {
	if e := t.exec(context.WithoutCancel(ctx), "ROLLBACK"); e != nil && !autocommit(t.Conn) {
		_ = drop(t.Conn)
	}
}

// drop takes a connection whose state is unknown out of the pool.
func drop(conn *sql.Conn) error {
	return conn.Raw(func(any) error { return driver.ErrBadConn })
}

func autocommit(conn *sql.Conn) (is bool) {
	_ = conn.Raw(func(c any) error {
		if c, ok := c.(interface{ Raw() *sqlite3.Conn }); ok {
			is = c.Raw().GetAutocommit()
		}
		return nil
	})
	return is
}

// querier is a connection in a transaction, or any one of the pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls row for every row of a query. The connection is free again when it
// returns.
func each(ctx context.Context, q querier, query string, args []any, row func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// wipe moves what the WAL holds into the database and empties it, so that neither
// keeps what was deleted (secure_delete is on).
func (db *DB) wipe(ctx context.Context) error {
	return db.fail(ctx, db.locked(ctx, func(conn *sql.Conn) error {
		busy := 0
		err := each(ctx, conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r *sql.Rows) error {
			var frames, moved int
			return r.Scan(&busy, &frames, &moved)
		})
		if err == nil && busy != 0 {
			err = sqlite3.BUSY
		}
		return err
	}))
}
