// Package sqlite opens the store's database and runs transactions in it, for several
// processes at once. It knows nothing of what the database holds.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Config is of Open; all may be left out.
type Config struct {
	// Busy is how long to wait for other processes; 10 seconds where zero.
	Busy time.Duration
	// VFS names a file system that was registered with SQLite.
	VFS string
	// MaxPages is how large the database may grow; 0 for any size.
	MaxPages int
	ReadOnly bool
}

// autoCheckpoint is after how many pages the WAL is moved into the database.
const autoCheckpoint = 128

// Conn is a connection, and a transaction where one is open.
type Conn = *sql.Conn

// Querier is a connection, or any one of a pool.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// uri names a database file for SQLite.
func uri(path, vfs string, readOnly bool) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	q := url.Values{"mode": {"rw"}}
	if vfs != "" {
		q = url.Values{"vfs": {vfs}}
	} else if runtime.GOOS != "windows" {
		q.Set("modeof", abs) // the WAL gets the database's permissions
	}
	if readOnly {
		q.Set("mode", "ro")
	}
	slash := filepath.ToSlash(abs)
	if slash[0] != '/' {
		slash = "/" + slash // a drive letter
	}
	// SQLite takes a plus sign for itself, not for a space.
	u := url.URL{Scheme: "file", OmitHost: true, Path: slash, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	return u.String(), nil
}

// Open makes the pool; no connection is opened yet. The file must be there, though
// it may be empty.
func Open(path string, c Config) (*sql.DB, error) {
	name, err := uri(path, c.VFS, c.ReadOnly)
	if err != nil {
		return nil, err
	}
	busy := c.Busy
	if busy == 0 {
		busy = 10 * time.Second
	}
	// Auto-checkpoint is early, so that the WAL stays small enough to be read
	// quickly by the next process.
	setup := fmt.Sprintf("PRAGMA busy_timeout=%d; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=%d", max(1, busy.Milliseconds()), autoCheckpoint)
	if c.MaxPages > 0 {
		setup += fmt.Sprintf("; PRAGMA max_page_count=%d", c.MaxPages)
	}
	private := path
	if c.VFS != "" || c.ReadOnly || runtime.GOOS == "windows" {
		private = ""
	}
	made, err := newConnector(name, private, func(c *sqlite3.Conn) error {
		if _, err := c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
			return err
		}
		// Without this guarantee SQLite, as it is built here, prepares a statement again
		// each time that an argument is bound to it.
		if _, err := c.Config(sqlite3.DBCONFIG_ENABLE_QPSG, true); err != nil {
			return err
		}
		return c.Exec(setup)
	})
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(made)
	pool.SetMaxOpenConns(4)
	pool.SetMaxIdleConns(4)
	return pool, nil
}

// shmOf is the file that all processes with a database open map into their memory. SQLite
// makes it with the mode that the umask leaves, as the only one of its files.
func shmOf(path string) string { return path + "-shm" }

// makePrivate makes that file, for its owner alone, before SQLite would. A file that is there
// stays.
func makePrivate(path string) {
	if f, err := os.OpenFile(shmOf(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_ = f.Close()
	}
}

// KeepPrivate closes the file that processes map to all but its owner, where SQLite has made
// it after all: the last process to close the database may have removed it between
// makePrivate and its use.
func KeepPrivate(path string) {
	if fi, err := os.Lstat(shmOf(path)); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		_ = os.Chmod(shmOf(path), 0o600)
	}
}

// Tidy lets the last connection of a pool to close check the WAL into the database
// and remove it.
func Tidy(pool *sql.DB) error {
	pool.SetMaxIdleConns(1)
	conn, err := pool.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	return CheckpointOnClose(conn)
}

// CheckpointOnClose has one connection check the WAL into the database when it
// closes as the last of all processes.
func CheckpointOnClose(conn Conn) error {
	return raw(conn, func(c *sqlite3.Conn) error {
		_, err := c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, false)
		return err
	})
}

func raw(conn Conn, do func(*sqlite3.Conn) error) error {
	return conn.Raw(func(c any) error { return do(c.(driver.Conn).Raw()) })
}

// ErrStop, where row returns it, ends Each without an error.
var ErrStop = errors.New("no more rows are needed")

// Each calls row for every row of a query. The connection is free again when it
// returns.
func Each(ctx context.Context, q Querier, query string, args []any, row func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); errors.Is(err, ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

// Wipe has the database and its WAL hold nothing that was deleted or replaced.
// The pragma secure_delete, which is on, zeroes what is deleted, but not the copies
// of it that lie between the rows of a page since SQLite rebuilt that page
// (rebuildPage of its btree.c leaves the gap as it was): so all pages are written
// anew. That takes as long as copying the database, as much room again on the disk,
// and the lock of writers; others read meanwhile.
func Wipe(ctx context.Context, conn Conn) error {
	size := int64(0)
	err := Each(ctx, conn, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", nil, func(r *sql.Rows) error { return r.Scan(&size) })
	if err != nil {
		return err
	}
	const much = 64 << 20 // bytes, for the memory of a small machine
	if size > much {
		if err := Exec(ctx, conn, "PRAGMA temp_store=FILE"); err != nil {
			return err
		}
		defer func() { _ = Exec(context.WithoutCancel(ctx), conn, "PRAGMA temp_store=MEMORY") }()
	}
	if err := Exec(ctx, conn, "VACUUM"); err != nil {
		return err
	}
	return Checkpoint(ctx, conn)
}

// Checkpoint moves what the WAL holds into the database and empties it. It is BUSY
// where another process reads for so long that this cannot be done.
func Checkpoint(ctx context.Context, conn Conn) error {
	wait := 0 // milliseconds
	err := Each(ctx, conn, "PRAGMA busy_timeout", nil, func(r *sql.Rows) error { return r.Scan(&wait) })
	if err != nil {
		return err
	}
	// SQLite waits for readers and writers, but not for another checkpoint.
	for began := time.Now(); ; {
		busy := 0
		err := Each(ctx, conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil, func(r *sql.Rows) error {
			var frames, moved int
			return r.Scan(&busy, &frames, &moved)
		})
		switch {
		case err == nil && busy == 0, err != nil && !errors.Is(err, sqlite3.BUSY):
			return err
		case time.Since(began) >= time.Duration(wait)*time.Millisecond:
			return sqlite3.BUSY
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Copy writes what the reading transaction of a connection sees, WAL included, to an
// empty file at path as one database. It is not synced. Others may write meanwhile.
func Copy(ctx context.Context, conn Conn, path, vfs string) error {
	name, err := uri(path, vfs, false)
	if err != nil {
		return err
	}
	// One snapshot for all steps begins with the first read.
	if err := Each(ctx, conn, "SELECT count(*) FROM sqlite_schema", nil, func(*sql.Rows) error { return nil }); err != nil {
		return err
	}
	return raw(conn, func(c *sqlite3.Conn) (err error) {
		b, err := c.BackupInit("main", name)
		if err != nil {
			return err
		}
		const pages = 256
		for done := false; !done && err == nil; {
			if err = ctx.Err(); err == nil {
				done, err = b.Step(pages)
			}
		}
		if e := b.Close(); err == nil {
			err = e
		}
		return err
	})
}
