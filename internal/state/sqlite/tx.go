package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"syscall"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/ncruces/go-sqlite3"
)

// Write runs do in one IMMEDIATE transaction of a connection to the database at
// path, which no other writer of any process can come between. It is committed if
// do returns nil and ctx has not ended by then; else nothing has changed. Without
// durable there is no sync after the commit.
func Write(ctx context.Context, conn Conn, path string, durable bool, do func() error) (err error) {
	always := context.WithoutCancel(ctx)
	if !durable {
		// No checkpoint either: SQLite tells nobody of a sync that fails there.
		if err := Exec(ctx, conn, "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0"); err != nil {
			return errors.Join(err, drop(conn))
		}
		defer func() {
			if e := Exec(always, conn, fmt.Sprintf("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=%d", autoCheckpoint)); e != nil {
				_ = drop(conn) // so that no durable commit runs on it
			}
		}()
	}
	if err := Exec(ctx, conn, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			rollback(ctx, conn)
		}
	}()
	if err := do(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := Exec(always, conn, "COMMIT"); err != nil {
		return uncertain(path, err)
	}
	open = false
	return nil
}

// uncertain marks a failure of the disk at a commit: the change may be found
// after a crash.
func uncertain(path string, err error) error {
	if !errors.Is(err, sqlite3.IOERR) || errors.Is(err, syscall.ENOSPC) ||
		!errors.Is(err, sqlite3.IOERR_FSYNC) && durable.Full(path) { // the log could not grow: nothing was committed
		return err
	}
	return &keyturn.Error{Code: keyturn.Unavailable, Unknown: true, Err: err,
		Message: "the disk failed while a change was written to the store", Hint: "look at the disk, then at 'keyturn history': the change may or may not be there"}
}

// SyncFailed reports whether err came of a sync: what was to become durable may never.
func SyncFailed(err error) bool { return errors.Is(err, sqlite3.IOERR_FSYNC) }

// Read runs do in one transaction that only reads: it sees one snapshot.
func Read(ctx context.Context, pool *sql.DB, do func(Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := Exec(ctx, conn, "BEGIN"); err != nil {
		return err
	}
	defer rollback(ctx, conn)
	return do(conn)
}

// Exec runs statements that return nothing.
func Exec(ctx context.Context, conn Conn, query string, args ...any) error {
	_, err := conn.ExecContext(ctx, query, args...)
	return err
}

// rollback ends a transaction, whether the caller has left or not.
func rollback(ctx context.Context, conn Conn) {
	if e := Exec(context.WithoutCancel(ctx), conn, "ROLLBACK"); e != nil && !autocommit(conn) {
		_ = drop(conn)
	}
}

// drop takes a connection whose state is unknown out of the pool.
func drop(conn Conn) error {
	return conn.Raw(func(any) error { return driver.ErrBadConn })
}

func autocommit(conn Conn) (is bool) {
	_ = raw(conn, func(c *sqlite3.Conn) error {
		is = c.GetAutocommit()
		return nil
	})
	return is
}
