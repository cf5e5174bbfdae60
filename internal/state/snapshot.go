package state

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// writeCopy writes what a transaction sees to a new file, durably, under another
// name first.
func writeCopy(ctx context.Context, conn sqlite.Conn, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	durable.Sweep(path)
	temp := durable.TempName(path)
	defer removeAll(temp)
	if err := durable.New(temp); err != nil {
		return err
	}
	if err := sqlite.Copy(ctx, conn, temp, ""); err != nil {
		return err
	}
	return durable.Publish(temp, path)
}

// Snapshot writes the whole store as it is at one moment to a new file, which is a
// database of its own without a WAL, and only its owner's to use; it opens with the
// same root key, by Restore. Others read and write meanwhile. Durable when it
// returns. Conflict where there is such a file, NotFound
// where there is no such folder; where it fails there is no file.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	var failed error
	err := db.read(ctx, func(t *tx) error {
		if _, err := t.top(ctx); err != nil {
			return err
		}
		if db.options.VFS != "" {
			failed = sqlite.Copy(ctx, t.Conn, path, db.options.VFS)
		} else {
			failed = writeCopy(ctx, t.Conn, path)
		}
		return nil
	})
	if errors.Is(failed, fs.ErrExist) {
		return keyturn.E(keyturn.Conflict, "there is a file already: '"+keyturn.Clean(path)+"'", "name one that is not there").Because(failed)
	}
	if errors.Is(failed, fs.ErrNotExist) {
		return keyturn.E(keyturn.NotFound, "there is no folder '"+keyturn.Clean(filepath.Dir(path))+"'", "make it first").Because(failed)
	}
	if err == nil {
		err = sqlite.Fail(ctx, path, failed)
	}
	return err
}

// Restore publishes a file that Snapshot made as the store of dir, and makes dir
// where it is missing, as Create does: Conflict where there is a store; whoever is
// killed meanwhile leaves none. Durable when it returns. It takes a copy, which is
// checked as far as can be without the root key: NotFound where there is no such
// file, Corrupt where it is cut short, damaged or something else, Invalid where a
// newer keyturn made it, or where a WAL lies beside it that belongs to it.
func Restore(ctx context.Context, dir, from string, o Options) error {
	shown := "'" + keyturn.Clean(from) + "'"
	if fi, err := os.Stat(from + "-wal"); err == nil && fi.Size() > 0 {
		return keyturn.E(keyturn.Invalid, shown+" is not a backup: a part of it is in '"+keyturn.Clean(from)+"-wal'", "a whole copy is made with 'keyturn store backup'")
	}
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.NotFound, "there is no file "+shown, "").Because(err)
	}
	if err := lookAt(ctx, from); err != nil {
		return err
	}
	return place(ctx, dir, func(temp string) error {
		if err := durable.Copy(from, temp); err != nil {
			return err
		}
		err := sound(ctx, temp, o)
		if e := keyturn.AsError(sqlite.Fail(ctx, from, err)); e != nil && e.Code == keyturn.Corrupt {
			return keyturn.E(keyturn.Corrupt, shown+" is damaged or cut short", "take another backup").Because(err)
		}
		return err
	})
}

// sound checks a database without its keys.
func sound(ctx context.Context, path string, o Options) error {
	o.VFS = ""
	pool, err := sqlite.Open(path, o.sqlite())
	if err != nil {
		return err
	}
	defer pool.Close()
	defer func() { _ = sqlite.Tidy(pool) }()
	if _, err := readMeta(ctx, pool, path); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	size := int64(0)
	err = sqlite.Each(ctx, pool, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", nil, func(r *sql.Rows) error { return r.Scan(&size) })
	if err == nil && size != fi.Size() {
		err = keyturn.E(keyturn.Corrupt, "the database has another size than it says", "")
	}
	if err != nil {
		return err
	}
	return sqlite.Each(ctx, pool, "PRAGMA quick_check(1)", nil, func(r *sql.Rows) error {
		said := ""
		if err := r.Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			return keyturn.E(keyturn.Corrupt, "the database is damaged: "+keyturn.Clean(said), "")
		}
		return nil
	})
}
