package state

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/keyturn/keyturn/internal/state/table"
)

// Options are of Create, Open and Restore; all may be left out.
type Options struct {
	// ID is the new store's id, from NewID; Create draws one where it is empty.
	ID string
	// Kind and Place say how and where the root key is kept; Create writes them
	// down for Peek and for Open's keyfunc.
	Kind, Place string
	// Writer is this keyturn's version, for the message of an older one that
	// cannot read the store; whoever makes the store writes it down.
	Writer string
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Busy is how long to wait for other processes; 10 seconds where zero.
	Busy time.Duration
	// VFS names a file system that was registered with SQLite, for tests: Open
	// then asks it alone for the database.
	VFS string

	maxPages int  // of the database, for tests of a full disk
	readOnly bool // for tests
}

func (o Options) sqlite() sqlite.Config {
	return sqlite.Config{Busy: o.Busy, VFS: o.VFS, MaxPages: o.maxPages, ReadOnly: o.readOnly}
}

// Keyfunc returns the root key of a store, by the store's id and the kind and place
// of root key that were written down with it. Its error is returned as it is.
type Keyfunc = func(id, kind, place string) (root []byte, err error)

// DB is an open store. It is safe for concurrent use, and several processes may
// have the same store open. Its errors are *keyturn.Error, or the context's own:
// Corrupt where the store was damaged or changed from outside, Unavailable where the
// disk is full, cannot be written, or is locked by another process for too long,
// Sealed where the root key was changed and keyfunc has not the new one.
type DB struct {
	path    string
	now     func() time.Time
	pool    *sql.DB
	writer  chan struct{} // held by the one writer of this process
	keyfunc Keyfunc
	options Options
	keys    atomic.Pointer[keys]
	mu      sync.Mutex
	seen    []*keys    // the last few, newest first: a snapshot may be older than keys
	root    *seal.Root // that opened the newest of them
	// changed tells that secrets or items were written: see Close.
	changed atomic.Bool
	// doubt tells that a sync has failed since the WAL was last empty: see trust.
	doubt atomic.Bool
}

// Facts is what can be known of a store without its root key.
type Facts struct {
	Path   string // of the database
	ID     string // of the store: 32 hexadecimal digits
	Kind   string // of root key
	Place  string // of the root key
	Format int
	Writer string // version of the keyturn that made the store
	Size   int64  // in bytes, of the database and its WAL
}

// NewID returns a random store id: 128 bits in hexadecimal.
func NewID() string { return hex.EncodeToString(seal.Random(16)) }

// Create makes a store in dir, and dir itself where it is missing, and opens it.
// Conflict where there is one already. It is made under another name and takes its
// place in one step: whoever is killed meanwhile leaves no half-made store. Durable
// when it returns.
func Create(ctx context.Context, dir string, root [seal.KeySize]byte, o Options) (*DB, error) {
	if o.ID == "" {
		o.ID = NewID()
	}
	plain := o
	plain.VFS = ""
	err := place(ctx, dir, func(temp string) error { return build(ctx, temp, root[:], plain) })
	if err != nil {
		return nil, err
	}
	return Open(ctx, dir, func(string, string, string) ([]byte, error) { return root[:], nil }, o)
}

// place has a database made under another name in dir, and publishes it as dir's
// store.
func place(ctx context.Context, dir string, build func(temp string) error) error {
	path := filepath.Join(dir, File)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return sqlite.Fail(ctx, path, err)
	}
	exists := func(err error) error {
		return keyturn.E(keyturn.Conflict, "there is a store already: '"+keyturn.Clean(path)+"'", "use it, or move it away first").Because(err)
	}
	// A WAL without its database would be taken for the new one's.
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return keyturn.E(keyturn.Conflict, "there is the rest of a store already: '"+keyturn.Clean(path)+"-wal'", "put its keyturn.db back, or move it away")
	}
	if _, err := os.Lstat(path); err == nil {
		return exists(nil)
	}
	durable.Sweep(path)
	temp := durable.TempName(path)
	defer removeAll(temp)
	err := build(temp)
	if err == nil {
		err = durable.Publish(temp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return exists(err)
	}
	if err != nil {
		return sqlite.Fail(ctx, path, err)
	}
	_ = durable.SyncFolder(filepath.Dir(dir)) // may not be ours to read
	return nil
}

func removeAll(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}

// build makes the database and closes it: then it is one file.
func build(ctx context.Context, path string, root []byte, o Options) error {
	if err := durable.New(path); err != nil {
		return err
	}
	k := &keys{facts: Facts{ID: o.ID, Kind: o.Kind, Place: o.Place}}
	var err error
	if k.root, err = seal.NewRoot(o.ID, root); err != nil {
		return err
	}
	if k.Ring, err = seal.NewRing(o.ID); err != nil {
		return err
	}
	pool, err := sqlite.Open(path, o.sqlite())
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := sqlite.CheckpointOnClose(conn); err != nil {
		return err
	}
	begin := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d; PRAGMA journal_mode=WAL; BEGIN;%s", applicationID, Format, schema)
	if err := sqlite.Exec(ctx, conn, begin); err != nil {
		return err
	}
	t := &tx{Conn: conn, keys: k}
	meta := k.meta()
	meta["store"], meta["writer"], meta["head"] = []byte(o.ID), []byte(o.Writer), t.SealTop(&rows.Top{})
	meta["logkey"] = t.sealLogKey([seal.KeySize]byte(seal.Random(seal.KeySize)))
	if err := t.setMeta(ctx, meta); err != nil {
		return err
	}
	if err := sqlite.Exec(ctx, conn, "COMMIT"); err != nil {
		return err
	}
	return errors.Join(conn.Close(), pool.Close())
}

// Open opens the store in dir with the root key that keyfunc returns. Keyfunc is
// asked again later where another process has given the store another root key.
//
// NotFound where there is no store; Sealed where the root key is not this store's;
// Corrupt where the file is something else or is damaged; Invalid where its
// format is not this keyturn's; Unavailable where it cannot be read.
func Open(ctx context.Context, dir string, keyfunc Keyfunc, o Options) (*DB, error) {
	db, _, err := peek(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	db.keyfunc = keyfunc
	if err := db.read(ctx, func(*tx) error { return nil }); err != nil { // has the keys loaded
		_ = db.pool.Close()
		return nil, db.fail(ctx, err)
	}
	return db, nil
}

// Peek returns what can be known of the store in dir without its root key. Its errors
// are those of Open.
func Peek(ctx context.Context, dir string, o Options) (Facts, error) {
	db, meta, err := peek(ctx, dir, o)
	if err != nil {
		return Facts{}, err
	}
	return db.measure(meta.facts(db.path)), db.Close()
}

// peek opens the database and reads its table meta.
func peek(ctx context.Context, dir string, o Options) (*DB, meta, error) {
	path := filepath.Join(dir, File)
	if err := ctx.Err(); err != nil {
		return nil, meta{}, err
	}
	if o.VFS == "" {
		if err := lookAt(ctx, path); err != nil {
			return nil, meta{}, err
		}
	}
	db := &DB{path: path, now: o.Now, writer: make(chan struct{}, 1), options: o}
	if db.now == nil {
		db.now = time.Now
	}
	var err error
	if db.pool, err = sqlite.Open(path, o.sqlite()); err != nil {
		return nil, meta{}, db.fail(ctx, err)
	}
	var m meta
	err = sqlite.Read(ctx, db.pool, func(conn sqlite.Conn) (err error) {
		if err = table.CheckSchema(ctx, conn, schema, false); err == nil {
			m, err = readMeta(ctx, conn, path)
		}
		if err == nil {
			err = table.CheckSchema(ctx, conn, schema, true)
		}
		return err
	})
	if err != nil {
		_ = db.pool.Close()
		return nil, meta{}, db.fail(ctx, err)
	}
	if o.VFS == "" {
		sqlite.KeepPrivate(path) // while a connection holds it open
	}
	return db, m, nil
}

// lookAt checks the header of the file, which says whose it is, before SQLite
// touches it. What others may do with the file is taken back; it is of no use to
// them anyway.
func lookAt(ctx context.Context, path string) error {
	shown := "'" + keyturn.Clean(path) + "'"
	f, fi, err := durable.OpenRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.NotFound, "there is no store at "+shown, "'keyturn init' makes one").Because(err)
	}
	if errors.Is(err, durable.ErrIrregular) {
		return irregular(shown, err)
	}
	if err != nil {
		return sqlite.Fail(ctx, path, err)
	}
	defer f.Close()
	// SQLite opens these by itself, and would wait for a pipe.
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		if beside, err := os.Stat(path + end); err == nil && !beside.Mode().IsRegular() {
			return irregular("'"+keyturn.Clean(path+end)+"'", durable.ErrIrregular)
		}
	}
	header := make([]byte, 100)
	if _, err := io.ReadFull(f, header); err != nil || string(header[:16]) != "SQLite format 3\x00" ||
		binary.BigEndian.Uint32(header[68:]) != applicationID {
		return keyturn.E(keyturn.Corrupt, shown+" is not a keyturn store", "move it away, or restore the store from a backup").Because(err)
	}
	if durable.Links(fi) > 1 && !durable.Unfinished(path, fi) {
		return keyturn.E(keyturn.Conflict, shown+" has more than one name: who opens it by another one keeps another log beside it",
			"find the others, and remove them: find / -xdev -samefile "+keyturn.Quote(path))
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(path, 0o600)
	}
	return nil
}

func irregular(shown string, err error) error {
	return keyturn.E(keyturn.Corrupt, shown+" is no regular file", "keyturn puts no pipe, link to a device or folder there: move it away, or restore the store from a backup").Because(err)
}

// meta is the table meta, and the format.
type meta struct {
	format int
	rows   map[string][]byte
}

func (m meta) facts(path string) Facts {
	s := func(k string) string { return string(m.rows[k]) }
	return Facts{Path: path, ID: s("store"), Kind: s("kind"), Place: s("place"), Format: m.format, Writer: s("writer")}
}

func readMeta(ctx context.Context, q sqlite.Querier, path string) (meta, error) {
	m := meta{rows: map[string][]byte{}}
	err := sqlite.Each(ctx, q, "PRAGMA user_version", nil, func(r *sql.Rows) error { return r.Scan(&m.format) })
	if err != nil {
		return m, err
	}
	err = sqlite.Each(ctx, q, "SELECT k, v FROM meta", nil, func(r *sql.Rows) error {
		var k string
		var v []byte
		if err := r.Scan(&k, &v); err != nil {
			return err
		}
		m.rows[k] = v
		return nil
	})
	if err != nil {
		return m, err
	}
	shown := "'" + keyturn.Clean(path) + "'"
	switch {
	case m.format > 0 && m.format != Format:
		hint := "use that keyturn"
		if m.format > Format {
			hint += ", or a newer one"
		}
		return m, keyturn.E(keyturn.Unsupported, fmt.Sprintf("the store %s has format %d, made by keyturn %s: this keyturn reads format %d", shown, m.format, keyturn.Clean(string(m.rows["writer"])), Format), hint)
	case m.format < 1 || len(m.rows["store"]) == 0:
		return m, keyturn.E(keyturn.Corrupt, shown+" is not a keyturn store", sqlite.HintRestore)
	}
	return m, nil
}

// Stats returns what can be known of the store without its root key, as of the last
// use of it; Size is as of now.
func (db *DB) Stats() Facts { return db.measure(db.keys.Load().facts) }

func (db *DB) measure(f Facts) Facts {
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Stat(db.path + suffix); err == nil {
			f.Size += fi.Size()
		}
	}
	return f
}

// Close ends all use of the store. What was left without durability is then with
// the operating system, and as safe as it is.
//
// Where secrets or items were written, the last process to close the store moves
// the WAL into the database and removes it, so that keyturn.db alone is the store.
// After reads, which write to the log only, it leaves the WAL: that spares each of
// them four waits for the disk.
func (db *DB) Close() error {
	if db.changed.Load() {
		_ = sqlite.Tidy(db.pool) // as good as can be: the WAL is part of the store anyway
	}
	return db.fail(context.Background(), db.pool.Close())
}

// fail makes of any error the one that leaves.
func (db *DB) fail(ctx context.Context, err error) error {
	var d rows.Damage
	if errors.As(err, &d) && ctx.Err() == nil {
		return db.damaged(string(d))
	}
	return sqlite.Fail(ctx, db.path, err)
}

// damaged is the error for a row that was changed from outside.
func (db *DB) damaged(what string) error {
	return keyturn.E(keyturn.Corrupt, "the store '"+keyturn.Clean(db.path)+"' was damaged or changed from outside: "+what, sqlite.HintRestore)
}
