package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/ncruces/go-sqlite3"
)

// HintRestore is the next step where a store is damaged.
const HintRestore = "'keyturn audit verify' tells how far the log is whole; restore the store from a backup, with its -wal file and its root key"

// Fail makes of any error the one that leaves: the context's own where it has
// ended (the driver says "interrupted" then), a keyturn.Error as it is, and what
// SQLite says of the database at path by its code.
func Fail(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *keyturn.Error
	ours := errors.As(err, &known)
	if e := ctx.Err(); e != nil && (!ours || !known.Unknown) {
		return e
	}
	if ours {
		return known
	}
	shown := "'" + keyturn.Clean(path) + "'"
	e := func(code keyturn.Code, message, hint string) error {
		return keyturn.E(code, message, hint).Because(err)
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.ENOTDIR):
		return e(keyturn.Invalid, shown+" cannot be a store: a part of its path is a file", "KEYTURN_HOME names the folder that keyturn may use")
	case is(sqlite3.FULL, syscall.ENOSPC), is(sqlite3.CANTOPEN, sqlite3.IOERR) && durable.Full(path):
		return e(keyturn.Unavailable, "the disk is full: "+shown+" cannot grow", "make room on that disk, then try again; nothing was changed")
	case is(sqlite3.BUSY, sqlite3.LOCKED):
		return e(keyturn.Unavailable, "the store "+shown+" is locked by another process", "see which keyturn process is still running, then try again")
	case is(sqlite3.READONLY, sqlite3.PERM, fs.ErrPermission, syscall.EROFS):
		return e(keyturn.Unavailable, "the store "+shown+" cannot be written", "its folder and its files must belong to you and be writable: look with 'ls -la'")
	case is(sqlite3.NOTADB):
		return e(keyturn.Corrupt, shown+" is not a keyturn store", HintRestore)
	case is(sqlite3.CORRUPT, sqlite3.IOERR_SHORT_READ):
		return e(keyturn.Corrupt, "the store "+shown+" is damaged", HintRestore)
	case is(sqlite3.CONSTRAINT, sqlite3.ERROR, sqlite3.MISMATCH):
		return e(keyturn.Corrupt, "the store "+shown+" is not built as keyturn builds it", HintRestore)
	case is(sqlite3.CANTOPEN, sqlite3.IOERR):
		return e(keyturn.Unavailable, "the store "+shown+" cannot be read or written", "look at the disk and at the permissions of the folder")
	}
	return e(keyturn.Internal, "the store "+shown+" failed in a way that keyturn did not expect", "this is a bug: please report it with the output of the same command and -v")
}
