package state

import (
	"context"
	"crypto/hmac"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Options are of Create and Open; all may be left out.
type Options struct {
	// ID is the new store's id, from NewID; Create draws one where it is empty.
	ID string
	// Kind and Place say how and where the root key is kept; Create writes them
	// down for Peek and for Open's keyfunc.
	Kind, Place string
	// Writer is this keyturn's version, for the message of an older one that
	// cannot read the store; Create writes it down.
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

// DB is an open store. It is safe for concurrent use, and several processes may
// have the same store open. Its errors are *keyturn.Error, or the context's own:
// Corrupt where the store was damaged or changed from outside, Unavailable where the
// disk is full, cannot be written, or is locked by another process for too long.
type DB struct {
	path   string
	facts  Facts
	keys   *keys
	now    func() time.Time
	pool   *sql.DB
	writer chan struct{} // held by the one writer of this process
	// changed tells that secrets or items were written: see Close.
	changed atomic.Bool
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
func NewID() string { return hex.EncodeToString(random(16)) }

// Create makes a store in dir, and dir itself where it is missing, and opens it.
// Conflict where there is one already. It is made under another name and takes its
// place in one step: whoever is killed meanwhile leaves no half-made store. Durable
// when it returns.
func Create(ctx context.Context, dir string, root [keySize]byte, o Options) (*DB, error) {
	path := filepath.Join(dir, File)
	if o.ID == "" {
		o.ID = NewID()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail(ctx, path, err)
	}
	exists := func(err error) error {
		return keyturn.E(keyturn.Conflict, "there is a store already: '"+keyturn.Clean(path)+"'", "use it, or move it away first").Because(err)
	}
	// A WAL without its database would be taken for the new one's.
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return nil, keyturn.E(keyturn.Conflict, "there is the rest of a store already: '"+keyturn.Clean(path)+"-wal'", "put its keyturn.db back, or move it away")
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, exists(nil)
	}
	sweep(dir)
	temp := path + ".new-" + hex.EncodeToString(random(4))
	defer removeAll(temp)
	plain := o
	plain.VFS = ""
	if err := build(ctx, temp, root[:], plain); err != nil {
		return nil, fail(ctx, path, err)
	}
	if err := publish(temp, path); errors.Is(err, fs.ErrExist) {
		return nil, exists(err)
	} else if err != nil {
		return nil, fail(ctx, path, err)
	}
	_ = os.Remove(temp)
	if err := syncDir(dir); err != nil {
		return nil, fail(ctx, path, err)
	}
	_ = syncDir(filepath.Dir(dir)) // may not be ours to read
	return Open(ctx, dir, func(string, string) ([]byte, error) { return root[:], nil }, o)
}

// publish gives a file its final name, unless that is taken.
func publish(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links. Two at once could both come here: the name is
	// taken first, by an empty file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(path)
		return err
	}
	return nil
}

// sweep removes what Creates that were killed left behind.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), File+".new-") && time.Since(fi.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func removeAll(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}

// build makes the database and closes it: then it is one file, on the disk.
func build(ctx context.Context, path string, root []byte, o Options) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	wrap, check, err := rootKeys(root, o.ID)
	if err != nil {
		return err
	}
	master := random(keySize)
	k, err := newKeys(o.ID, master)
	if err != nil {
		return err
	}
	pool, err := open(path, o)
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := checkpointOnClose(conn); err != nil {
		return err
	}
	begin := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d; PRAGMA journal_mode=WAL; BEGIN;%s", applicationID, Format, schema)
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	for key, v := range map[string][]byte{
		"store": []byte(o.ID), "kind": []byte(o.Kind), "place": []byte(o.Place), "writer": []byte(o.Writer), "check": check,
		"master": seal(wrap, master, masterPlace(o.ID, o.Kind, o.Place)),
		"head":   sealTop(k, top{last: &keyturn.LogEntry{}}),
	} {
		if _, err := conn.ExecContext(ctx, "INSERT INTO meta (k, v) VALUES (?, ?)", key, v); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	if err := errors.Join(conn.Close(), pool.Close()); err != nil {
		return err
	}
	return f.Sync()
}

func masterPlace(id, kind, where string) []byte { return place(id, "master", kind, where) }

// open makes the pool; no connection is opened yet.
func open(path string, o Options) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"rw"}}
	if o.VFS != "" {
		q = url.Values{"vfs": {o.VFS}}
	} else if runtime.GOOS != "windows" {
		q.Set("modeof", abs) // the WAL gets the database's permissions
	}
	if o.readOnly {
		q.Set("mode", "ro")
	}
	slash := filepath.ToSlash(abs)
	if slash[0] != '/' {
		slash = "/" + slash // a drive letter
	}
	busy := o.Busy
	if busy == 0 {
		busy = 10 * time.Second
	}
	// Auto-checkpoint is early, so that the WAL stays small enough to be read
	// quickly by the next process.
	setup := fmt.Sprintf("PRAGMA busy_timeout=%d; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA wal_autocheckpoint=128", max(1, busy.Milliseconds()))
	if o.maxPages > 0 {
		setup += fmt.Sprintf("; PRAGMA max_page_count=%d", o.maxPages)
	}
	// SQLite takes a plus sign for itself, not for a space.
	uri := url.URL{Scheme: "file", OmitHost: true, Path: slash, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	pool, err := driver.Open(uri.String(), func(c *sqlite3.Conn) error {
		if _, err := c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
			return err
		}
		return c.Exec(setup)
	})
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(4)
	pool.SetMaxIdleConns(4)
	return pool, nil
}

// Open opens the store in dir with the root key that keyfunc returns for the
// store's id and kind of root key. Its error is returned as it is.
//
// NotFound where there is no store; Sealed where the root key is not this store's;
// Corrupt where the file is something else or is damaged; Invalid where a newer
// keyturn made it; Unavailable where it cannot be read.
func Open(ctx context.Context, dir string, keyfunc func(storeID, kind string) (root []byte, err error), o Options) (*DB, error) {
	db, meta, err := peek(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	if err := db.unlock(meta, keyfunc); err != nil {
		_ = db.pool.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) unlock(meta map[string][]byte, keyfunc func(storeID, kind string) ([]byte, error)) error {
	f := db.facts
	root, err := keyfunc(f.ID, f.Kind)
	if err != nil {
		return err
	}
	wrap, check, err := rootKeys(root, f.ID)
	if err != nil || !hmac.Equal(check, meta["check"]) {
		return keyturn.E(keyturn.Sealed, "the root key does not open the store '"+keyturn.Clean(db.path)+"'",
			"the store and its root key belong together: restore both from the same backup").Because(err)
	}
	master, err := unseal(wrap, meta["master"], masterPlace(f.ID, f.Kind, f.Place))
	if err != nil || len(master) != keySize {
		return db.damaged("its master key cannot be unwrapped")
	}
	db.keys, err = newKeys(f.ID, master)
	return err
}

// Peek returns what can be known of the store in dir without its root key. Its
// errors are those of Open.
func Peek(ctx context.Context, dir string, o Options) (Facts, error) {
	db, _, err := peek(ctx, dir, o)
	if err != nil {
		return Facts{}, err
	}
	return db.Stats(), db.Close()
}

// peek opens the database and reads its table meta.
func peek(ctx context.Context, dir string, o Options) (*DB, map[string][]byte, error) {
	path := filepath.Join(dir, File)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if o.VFS == "" {
		if err := lookAt(ctx, path); err != nil {
			return nil, nil, err
		}
	}
	db := &DB{path: path, now: o.Now, writer: make(chan struct{}, 1)}
	if db.now == nil {
		db.now = time.Now
	}
	var err error
	if db.pool, err = open(path, o); err != nil {
		return nil, nil, fail(ctx, path, err)
	}
	meta, err := db.readMeta(ctx)
	if err != nil {
		_ = db.pool.Close()
		return nil, nil, db.fail(ctx, err)
	}
	return db, meta, nil
}

// lookAt checks the header of the file, which says whose it is, before SQLite
// touches it. What others may do with the file is taken back; it is of no use to
// them anyway.
func lookAt(ctx context.Context, path string) error {
	shown := "'" + keyturn.Clean(path) + "'"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return keyturn.E(keyturn.NotFound, "there is no store at "+shown, "'keyturn init' makes one").Because(err)
	}
	if err != nil {
		return fail(ctx, path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fail(ctx, path, err)
	}
	header := make([]byte, 100)
	if _, err := io.ReadFull(f, header); err != nil || string(header[:16]) != "SQLite format 3\x00" ||
		binary.BigEndian.Uint32(header[68:]) != applicationID {
		return keyturn.E(keyturn.Corrupt, shown+" is not a keyturn store", "move it away, or restore the store from a backup").Because(err)
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(path, 0o600)
	}
	return nil
}

func (db *DB) readMeta(ctx context.Context) (map[string][]byte, error) {
	format, meta := 0, map[string][]byte{}
	err := each(ctx, db.pool, "PRAGMA user_version", nil, func(r *sql.Rows) error { return r.Scan(&format) })
	if err != nil {
		return nil, err
	}
	err = each(ctx, db.pool, "SELECT k, v FROM meta", nil, func(r *sql.Rows) error {
		var k string
		var v []byte
		if err := r.Scan(&k, &v); err != nil {
			return err
		}
		meta[k] = v
		return nil
	})
	if err != nil {
		return nil, err
	}
	db.facts = Facts{Path: db.path, ID: string(meta["store"]), Kind: string(meta["kind"]), Place: string(meta["place"]),
		Format: format, Writer: string(meta["writer"])}
	shown := "'" + keyturn.Clean(db.path) + "'"
	switch {
	case format > Format:
		return nil, keyturn.E(keyturn.Invalid, fmt.Sprintf("the store %s has format %d, made by keyturn %s: this keyturn reads format %d", shown, format, keyturn.Clean(db.facts.Writer), Format),
			"use that keyturn, or a newer one")
	case format < 1 || db.facts.ID == "":
		return nil, keyturn.E(keyturn.Corrupt, shown+" is not a keyturn store", hintRestore)
	}
	return meta, nil
}

// Stats returns what can be known of the store without its root key, as of when it
// was opened; Size is as of now.
func (db *DB) Stats() Facts {
	f := db.facts
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
		_ = db.tidy() // as good as can be: the WAL is part of the store anyway
	}
	return fail(context.Background(), db.path, db.pool.Close())
}

// tidy lets the last connection to close check the WAL into the database.
func (db *DB) tidy() error {
	db.pool.SetMaxIdleConns(1)
	conn, err := db.pool.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	return checkpointOnClose(conn)
}

func checkpointOnClose(conn *sql.Conn) error {
	return conn.Raw(func(c any) error {
		_, err := c.(driver.Conn).Raw().Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, false)
		return err
	})
}

// syncDir makes the names in a directory durable; Windows has nothing for it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
