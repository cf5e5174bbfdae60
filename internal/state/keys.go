package state

import (
	"bytes"
	"context"
	"crypto/hmac"
	"database/sql"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
)

// keys are what the table meta holds of keys, unlocked. They do not change: where
// the table has changed, there are others.
type keys struct {
	facts   Facts
	wrapped []byte // the ring as meta has it, by which a change is noticed
	root    *seal.Root
	rows.Keys
	logKey [seal.KeySize]byte
	digest []byte // key of the digest
}

// meta returns the rows that tell of the root key, and what it wraps.
func (k *keys) meta() map[string][]byte {
	k.wrapped = k.root.Wrap(k.Ring, k.facts.Kind, k.facts.Place)
	return map[string][]byte{"kind": []byte(k.facts.Kind), "place": []byte(k.facts.Place), "check": k.root.Check, "master": k.wrapped}
}

// use finds the keys that fit a transaction, by the row 'master' that it sees: those
// in use, older ones of a snapshot that began before a change, or, where another
// process has changed them, those that meta has now.
func (t *tx) use(ctx context.Context, wrapped []byte) error {
	db := t.db
	if k := db.keys.Load(); k != nil && bytes.Equal(k.wrapped, wrapped) {
		t.keys = k
		return nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, k := range db.seen {
		if bytes.Equal(k.wrapped, wrapped) {
			t.keys = k
			return nil
		}
	}
	m, err := readMeta(ctx, t, db.path)
	if err != nil {
		return err
	}
	if t.keys, err = db.unlock(m); err != nil {
		return err
	}
	if err := t.openLogKey(m.rows["logkey"]); err != nil {
		return err
	}
	// An old row 'master' has the keys of then: the head was written with those of now.
	if _, err := t.OpenTop(m.rows["head"]); err != nil {
		return err
	}
	db.remember(t.keys)
	return nil
}

// unlock opens the keys of meta with the root key that was known before, or asks
// for it.
func (db *DB) unlock(m meta) (*keys, error) {
	k := &keys{facts: m.facts(db.path), wrapped: m.rows["master"]}
	f := k.facts
	if was := db.keys.Load(); was != nil && was.facts.ID != f.ID {
		return nil, db.damaged("it has become another store")
	}
	if db.root != nil && bytes.Equal(db.root.Check, m.rows["check"]) {
		k.root = db.root
	} else {
		root, err := db.keyfunc(f.ID, f.Kind, f.Place)
		if err != nil {
			return nil, err
		}
		k.root, err = seal.NewRoot(f.ID, root)
		if err != nil || !hmac.Equal(k.root.Check, m.rows["check"]) {
			return nil, keyturn.E(keyturn.Sealed, "the root key does not open the store '"+keyturn.Clean(db.path)+"' (id "+keyturn.Clean(f.ID)+")",
				"the store and its root key belong together: restore both from the same backup").Because(err)
		}
	}
	var err error
	if k.Ring, err = k.root.Unwrap(m.rows["master"], f.Kind, f.Place); err != nil {
		return nil, db.damaged("its master key cannot be unwrapped")
	}
	db.root = k.root
	return k, nil
}

func (k *keys) sealLogKey(key [seal.KeySize]byte) []byte {
	return k.Seal(seal.Head, key[:], "log key")
}

func (k *keys) openLogKey(sealed []byte) error {
	plain, err := k.OpenNewest(seal.Head, sealed, "log key")
	if err != nil || len(plain) != seal.KeySize {
		return rows.Damage("the key of its audit log cannot be read")
	}
	k.logKey = [seal.KeySize]byte(plain)
	k.digest, err = seal.Derive(plain, k.facts.ID, "keyturn state digest")
	return err
}

// LogKey returns the log's own key: 32 random bytes, made with the store and kept
// encrypted in it. It stays the same for the life of the store, also through Rekey.
func (db *DB) LogKey() [seal.KeySize]byte { return db.keys.Load().logKey }

// setMeta writes rows of meta within a transaction.
func (t *tx) setMeta(ctx context.Context, rows map[string][]byte) error {
	for k, v := range rows {
		if err := t.exec(ctx, "INSERT INTO meta (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", k, v); err != nil {
			return err
		}
	}
	return nil
}

// SetRoot wraps the master key under another root key, and writes down its kind and
// place, in one durable transaction: before it the old root key opens the store, and
// after it the new one alone. Whoever has the store open goes on; they ask their
// keyfunc for the new root key when they next use the store.
//
// Who holds the old root key and an old copy of the file still has the master key:
// Rekey draws another.
func (db *DB) SetRoot(ctx context.Context, root [seal.KeySize]byte, kind, place string) error {
	err := db.write(ctx, func(t *tx, _ *rows.Top) error {
		k := *t.keys
		k.facts.Kind, k.facts.Place = kind, place
		var err error
		if k.root, err = seal.NewRoot(k.facts.ID, root[:]); err != nil {
			return err
		}
		rows := k.meta()
		t.after = &k
		return t.setMeta(ctx, rows)
	})
	if err == nil {
		// The old wrapping goes, as good as can be: Rekey makes sure.
		always := context.WithoutCancel(ctx)
		_ = db.locked(always, func(conn sqlite.Conn) error { return sqlite.Checkpoint(always, conn) })
	}
	return err
}

// known makes keys that this process has just written the ones in use.
func (db *DB) known(k *keys) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.remember(k)
}

// remember is known, under the lock.
func (db *DB) remember(k *keys) {
	const few = 4
	db.seen = append([]*keys{k}, db.seen[:min(few-1, len(db.seen))]...)
	db.root = k.root
	db.keys.Store(k)
}

// masterRow reads the row by which keys are known.
func masterRow(ctx context.Context, q sqlite.Querier) (wrapped []byte, err error) {
	err = sqlite.Each(ctx, q, "SELECT v FROM meta WHERE k = 'master'", nil, func(r *sql.Rows) error { return r.Scan(&wrapped) })
	return wrapped, err
}
