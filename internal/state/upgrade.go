package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/keyturn/keyturn/internal/state/table"
)

// Upgraded tells whether Open found a store of an older format, and brought it to
// this one: from which format, or 0, and where the copy is that it made before.
func (db *DB) Upgraded() (from int, copied string) { return db.upgradedFrom, db.copied }

// upgrade brings a store of format 1 to Format, in one transaction that no other
// process can come between: whoever opens the store at the same time waits, and then
// finds it done. In the same transaction the whole store, WAL included, is copied to
// one file beside it. A crash leaves the store in one format or the other, and maybe
// a copy.
func (db *DB) upgrade(ctx context.Context, m meta) error {
	from := m.format
	if db.options.Tree == nil {
		return keyturn.E(keyturn.Internal, fmt.Sprintf("a store of format %d cannot be opened without the log's tree", from), "")
	}
	// The root key may have to be asked for: not while others wait.
	if _, err := db.unlock(m, (*seal.Root).FormatOne); err != nil {
		return err
	}
	db.changed.Store(true)
	copied := ""
	var k *keys
	err := db.locked(ctx, func(conn sqlite.Conn) error {
		return sqlite.Write(ctx, conn, db.path, true, func() error {
			m, err := readMeta(ctx, conn, db.path)
			if err != nil || m.format != from {
				return err
			}
			old, err := db.unlock(m, (*seal.Root).FormatOne)
			if err != nil {
				return err
			}
			if copied, err = db.keep(ctx, from); err != nil {
				return err
			}
			k, err = db.fromOne(ctx, conn, old, m)
			return err
		})
	})
	if err != nil {
		if e := keyturn.AsError(err); copied != "" && !e.Unknown {
			_ = os.Remove(copied) // of a store that is as it was
		}
		return err
	}
	if k != nil {
		db.known(k)
		db.upgradedFrom, db.copied = from, copied
	}
	return nil
}

// keep copies the store to a file beside it, named by its format and the time,
// durably. It needs a connection of its own: SQLite copies from none that may write.
func (db *DB) keep(ctx context.Context, format int) (copied string, err error) {
	copied = fmt.Sprintf("%s.format-%d-%s", db.path, format, db.now().UTC().Format("20060102T150405Z"))
	err = sqlite.Read(ctx, db.pool, func(conn sqlite.Conn) error {
		if db.options.VFS != "" {
			return sqlite.Copy(ctx, conn, copied, db.options.VFS)
		}
		first := copied
		err := writeCopy(ctx, conn, copied)
		for i := 2; errors.Is(err, fs.ErrExist) && i < 10; i++ {
			copied = fmt.Sprintf("%s-%d", first, i)
			err = writeCopy(ctx, conn, copied)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return copied, nil
}

// fromOne writes a store of format 1 anew, under new keys.
func (db *DB) fromOne(ctx context.Context, conn sqlite.Conn, old *keys, m meta) (*keys, error) {
	ring, err := seal.NewRing(old.facts.ID)
	if err != nil {
		return nil, err
	}
	k := &keys{facts: old.facts, root: old.root, Keys: rows.Keys{Ring: ring}}
	k.facts.Format, k.facts.Writer = Format, db.options.Writer
	// The log's own key comes of the old master key: a copy of format 1 that is put
	// back and upgraded once more has the same log, and its checkpoints still fit.
	logKey, err := old.Ring.Derive("keyturn log key of format 1")
	if err != nil {
		return nil, err
	}
	sealed := k.sealLogKey([seal.KeySize]byte(logKey))
	if err := k.openLogKey(sealed); err != nil {
		return nil, err
	}
	h, err := table.FormatOne(ctx, conn, old.Keys, k.Keys, m.rows["head"], db.options.Tree)
	if err != nil {
		return nil, err
	}
	if err := sqlite.Exec(ctx, conn, fmt.Sprintf("PRAGMA user_version=%d", Format)); err != nil {
		return nil, err
	}
	rows := k.meta()
	rows["writer"], rows["logkey"], rows["head"] = []byte(k.facts.Writer), sealed, k.SealTop(h)
	return k, (&tx{Conn: conn}).setMeta(ctx, rows)
}
