package state

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rootkey"
	"github.com/ncruces/go-sqlite3/driver"
)

// whole is everything that a store says, as text by question.
func whole(db *DB) map[string]string {
	ctx := context.Background()
	out := map[string]string{}
	say := func(q string, err error, format string, args ...any) {
		if err != nil {
			out[q] = "error " + string(keyturn.AsError(err).Code)
			return
		}
		out[q] = fmt.Sprintf(format, args...)
	}
	var names []string
	var err error
	for info, e := range db.Names(ctx, "") {
		err = e
		names = append(names, fmt.Sprintf("%+v", info))
	}
	say("names", err, "%v", names)
	for _, name := range []string{"a", "b", "c"} {
		infos, err := db.Versions(ctx, name)
		say("versions "+name, err, "%+v", infos)
		for n := 1; n <= 4; n++ {
			s, err := db.Read(ctx, name, n)
			fields := ""
			for _, f := range slices.Sorted(maps.Keys(s.Values)) {
				fields += f + "=" + string(s.Values[f].Reveal()) + ";"
			}
			say(fmt.Sprint("read ", name, n), err, "%+v %s", s.Info, fields)
		}
	}
	say("state", db.VerifyState(ctx), "sound")
	last, err := db.LastLog(ctx)
	say("last", err, "%d %s %s %d %x", last.Last.Seq, last.Last.Data, last.Tree, last.Generation, last.Digest)
	log := ""
	for e, e2 := range db.Log(ctx, 1) {
		err = e2
		log += fmt.Sprintf("%d %s %x;", e.Seq, e.Data, e.Leaf[:2])
	}
	say("log", err, "%s", log)
	for _, kind := range []string{"k", "l"} {
		items := ""
		err = nil
		for it, e := range db.Items(ctx, kind) {
			err = e
			items += it.ID + "=" + string(it.Body) + ";"
		}
		say("items "+kind, err, "%s", items)
		for _, id := range []string{"1", "2"} {
			it, err := db.Item(ctx, kind, id)
			say("item "+kind+id, err, "%s %s %v", it.ID, it.Body, it.Expires)
		}
	}
	return out
}

func setItem(t testing.TB, db *DB, kind, id, body string) {
	t.Helper()
	err := db.UpdateItem(t.Context(), kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		it.Body, it.Expires = []byte(body), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
		return it, nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
}

func addLog(t testing.TB, db *DB, n int) {
	t.Helper()
	for range n {
		err := db.AppendLog(t.Context(), true, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
			seq := top.Last.Seq + 1
			return []keyturn.LogEntry{{Seq: seq, Data: []byte(fmt.Sprint("record ", seq)), Leaf: [32]byte{top.Last.Leaf[0] + 1, byte(seq)}}}, []byte(fmt.Sprint("tree ", seq)), nil
		})
		if err != nil {
			t.Fatal(errText(err))
		}
	}
}

// sample is a store with something of everything.
func sample(t testing.TB) (*DB, string) {
	t.Helper()
	db, dir := create(t, Options{Kind: "file", Place: "root.key"})
	for _, name := range []string{"a", "b"} {
		for i := range 3 {
			s := secretOf("user", fmt.Sprint(name, "-user", i), "word", fmt.Sprint(name, "-word", i))
			s.Labels = map[string]string{"team": name}
			if _, err := db.Append(t.Context(), name, i, s); err != nil {
				t.Fatal(errText(err))
			}
		}
		if _, err := db.Mark(t.Context(), name, 2, keyturn.Deleted); err != nil {
			t.Fatal(errText(err))
		}
		if err := db.Shred(t.Context(), name, []int{1}); err != nil {
			t.Fatal(errText(err))
		}
	}
	addLog(t, db, 5)
	setItem(t, db, "k", "1", "k one")
	setItem(t, db, "k", "2", "k two")
	setItem(t, db, "l", "1", "l one")
	return db, dir
}

// swap exchanges a column of two rows. In the sample a is secret 1, b secret 2.
const swap = "UPDATE %[1]s SET %[2]s = CASE WHEN %[3]s THEN (SELECT %[2]s FROM %[1]s WHERE %[4]s) ELSE (SELECT %[2]s FROM %[1]s WHERE %[3]s) END WHERE %[3]s OR %[4]s"

type tampering struct {
	name   string
	steal  string    // SQL run first
	change func(*DB) // what the owner does then
	forge  string    // SQL run last
}

func tamperings(t *testing.T) []tampering {
	del := func(number int) func(*DB) {
		return func(db *DB) { _, _ = db.Mark(t.Context(), "a", number, keyturn.Deleted) }
	}
	shred := func(numbers ...int) func(*DB) {
		return func(db *DB) { _ = db.Shred(t.Context(), "a", numbers) }
	}
	prune := func(db *DB) {
		if n, err := db.PruneLog(t.Context(), 4); n != 3 || err != nil {
			t.Error(n, errText(err))
		}
	}
	out := []tampering{
		{name: "newest lowered", forge: "UPDATE secret SET newest = 2 WHERE id = 1"},
		{name: "newest version taken away", forge: "DELETE FROM version WHERE secret = 1 AND number = 3"},
		{name: "newest taken away and lowered", forge: "DELETE FROM version WHERE secret = 1 AND number = 3; UPDATE secret SET newest = 2 WHERE id = 1"},
		{name: "older version taken away", forge: "DELETE FROM version WHERE secret = 1 AND number = 2"},
		{name: "destroyed version taken away", forge: "DELETE FROM version WHERE secret = 1 AND number = 1"},
		{name: "all versions taken away", forge: "DELETE FROM version WHERE secret = 1"},
		{name: "a version added", forge: "INSERT INTO version SELECT secret, 4, info, key, data FROM version WHERE secret = 1 AND number = 3"},
		{name: "a version replaced by another", forge: "DELETE FROM version WHERE secret = 1 AND number = 2; UPDATE version SET number = 2 WHERE secret = 1 AND number = 3; INSERT INTO version SELECT 1, 3, info, key, data FROM version WHERE secret = 1 AND number = 2"},
		{name: "versions of another secret", forge: "UPDATE version SET secret = -secret; UPDATE version SET secret = 3 + secret"},
		{name: "names exchanged", forge: "UPDATE secret SET name = x'00' WHERE id = 1; UPDATE secret SET name = (SELECT name FROM old WHERE id = 1) WHERE id = 2; UPDATE secret SET name = (SELECT name FROM old WHERE id = 2) WHERE id = 1", steal: "CREATE TABLE old AS SELECT * FROM secret"},
		{name: "rows exchanged", forge: "UPDATE secret SET id = 9 WHERE id = 1; UPDATE secret SET id = 1 WHERE id = 2; UPDATE secret SET id = 2 WHERE id = 9"},
		{name: "key gone", forge: "UPDATE version SET key = NULL WHERE secret = 1 AND number = 3"},
		{name: "values gone", forge: "UPDATE version SET data = NULL WHERE secret = 1 AND number = 3"},
		{name: "key and values gone", forge: "UPDATE version SET key = NULL, data = NULL WHERE secret = 1 AND number = 3"},
		{name: "values shortened", forge: "UPDATE version SET data = substr(data, 1, length(data)/2) WHERE secret = 1 AND number = 3"},
		{name: "values twice", forge: "UPDATE version SET data = CAST(data || data AS BLOB) WHERE secret = 1 AND number = 3"},
		{name: "fields exchanged", forge: "UPDATE version SET data = CAST(substr(data, length(data)/2+1) || substr(data, 1, length(data)/2) AS BLOB) WHERE secret = 1 AND number = 3"},
		{name: "key and values of another version", forge: "UPDATE version SET (key, data) = (SELECT key, data FROM version WHERE secret = 1 AND number = 2) WHERE secret = 1 AND number = 3"},
		{name: "key and values of another secret", forge: "UPDATE version SET (key, data) = (SELECT key, data FROM version WHERE secret = 2 AND number = 3) WHERE secret = 1 AND number = 3"},
		{name: "all of another secret's version", forge: "UPDATE version SET (info, key, data) = (SELECT info, key, data FROM version WHERE secret = 2 AND number = 3) WHERE secret = 1 AND number = 3"},
		{name: "a delete undone", steal: "CREATE TABLE old AS SELECT * FROM version", change: del(3), forge: "REPLACE INTO version SELECT * FROM old WHERE secret = 1 AND number = 3"},
		{name: "a destroyed version back", steal: "CREATE TABLE old AS SELECT * FROM version", change: shred(3), forge: "REPLACE INTO version SELECT * FROM old WHERE secret = 1 AND number = 3"},
		{name: "a destroyed key back", steal: "CREATE TABLE old AS SELECT * FROM version", change: shred(3), forge: "UPDATE version SET (key, data) = (SELECT key, data FROM old o WHERE o.secret = 1 AND o.number = 3) WHERE secret = 1 AND number = 3"},
		{name: "an older row of the secret", steal: "CREATE TABLE old AS SELECT * FROM secret", change: del(3), forge: "REPLACE INTO secret SELECT * FROM old WHERE id = 1"},
		{name: "an older row of the secret, without its newest version", steal: "CREATE TABLE old AS SELECT * FROM secret", change: func(db *DB) { put(t, db, "a", "user", "4") }, forge: "REPLACE INTO secret SELECT * FROM old WHERE id = 1"},
		{name: "versions of an earlier life", steal: "CREATE TABLE old AS SELECT * FROM version", change: func(db *DB) {
			_ = db.Shred(t.Context(), "a", nil)
			for range 3 {
				put(t, db, "a", "user", "new life", "word", "x")
			}
		}, forge: "DELETE FROM version WHERE secret = (SELECT max(id) FROM secret); INSERT INTO version SELECT (SELECT max(id) FROM secret), number, info, key, data FROM old WHERE secret = 1"},
		{name: "last record taken away", forge: "DELETE FROM log WHERE seq = 5"},
		{name: "all records taken away", forge: "DELETE FROM log"},
		{name: "first record taken away", forge: "DELETE FROM log WHERE seq = 1"},
		{name: "a record added", forge: "INSERT INTO log SELECT 6, data FROM log WHERE seq = 5"},
		{name: "a record under another number", forge: "UPDATE log SET seq = 9 WHERE seq = 5"},
		{name: "an older end of the log", steal: "CREATE TABLE old AS SELECT * FROM meta", change: func(db *DB) { addLog(t, db, 2) }, forge: "UPDATE meta SET v = (SELECT v FROM old WHERE k = 'head') WHERE k = 'head'"},
		{name: "no end of the log", forge: "UPDATE meta SET v = x'' WHERE k = 'head'"},
		{name: "no row for the end of the log", forge: "DELETE FROM meta WHERE k = 'head'"},
		{name: "a dropped record back", steal: "CREATE TABLE old AS SELECT * FROM log", change: prune, forge: "REPLACE INTO log SELECT * FROM old WHERE seq = 2"},
		{name: "all dropped records back", steal: "CREATE TABLE old AS SELECT * FROM log", change: prune, forge: "REPLACE INTO log SELECT * FROM old"},
		{name: "the end of the log of before records were dropped", steal: "CREATE TABLE old AS SELECT * FROM meta", change: prune, forge: "UPDATE meta SET v = (SELECT v FROM old WHERE k = 'head') WHERE k = 'head'"},
		{name: "a dropped record for a whole one", change: prune, forge: "UPDATE log SET data = (SELECT data FROM log WHERE seq = 1) WHERE seq = 4"},
		{name: "a whole record for a dropped one", change: prune, forge: "UPDATE log SET data = (SELECT data FROM log WHERE seq = 4) WHERE seq = 1"},
		{name: "a dropped record taken away", change: prune, forge: "DELETE FROM log WHERE seq = 2"},
		{name: "a dropped record emptied", change: prune, forge: "UPDATE log SET data = x'' WHERE seq = 2"},
		{name: "a record emptied", forge: "UPDATE log SET data = x'' WHERE seq = 2"},
		{name: "no key of the log", forge: "DELETE FROM meta WHERE k = 'logkey'"},
		{name: "the check of another root key", forge: "UPDATE meta SET v = CAST(substr(v, 2) || x'00' AS BLOB) WHERE k = 'check'"},
		{name: "the place of the root key", forge: "UPDATE meta SET v = x'41' WHERE k = 'place'"},
		{name: "an older format said", forge: "PRAGMA user_version = 1"},
		{name: "item of another kind", forge: "UPDATE item SET kind = (SELECT kind FROM item GROUP BY kind HAVING count(*) = 1) WHERE id = (SELECT i.id FROM item i GROUP BY i.kind HAVING count(*) = 2)"},
		{name: "master key gone", forge: "DELETE FROM meta WHERE k = 'master'"},
		{name: "kind of root key", forge: "UPDATE meta SET v = CAST('keychain' AS BLOB) WHERE k = 'kind'"},
		{name: "store id", forge: "UPDATE meta SET v = CAST('00000000000000000000000000000000' AS BLOB) WHERE k = 'store'"},
		{name: "no table", forge: "DROP TABLE version"},
		{name: "another table", forge: "DROP TABLE item; CREATE TABLE item (x)"},
	}
	for _, c := range [][4]string{
		{"secret", "head", "id = 1", "id = 2"},
		{"version", "info", "secret = 1 AND number = 3", "secret = 1 AND number = 2"},
		{"version", "info", "secret = 1 AND number = 3", "secret = 2 AND number = 3"},
		{"version", "key", "secret = 1 AND number = 3", "secret = 1 AND number = 2"},
		{"version", "key", "secret = 1 AND number = 3", "secret = 2 AND number = 3"},
		{"version", "data", "secret = 1 AND number = 3", "secret = 1 AND number = 2"},
		{"version", "data", "secret = 1 AND number = 3", "secret = 2 AND number = 3"},
		{"log", "data", "seq = 2", "seq = 3"},
		{"log", "data", "seq = 4", "seq = 5"},
		{"item", "body", "id = (SELECT min(id) FROM item)", "id = (SELECT max(id) FROM item)"},
		{"meta", "v", "k = 'head'", "k = 'master'"},
		{"meta", "v", "k = 'logkey'", "k = 'head'"},
		{"meta", "v", "k = 'master'", "k = 'logkey'"},
	} {
		out = append(out, tampering{name: fmt.Sprintf("%s.%s exchanged: %s", c[0], c[1], c[3]), forge: fmt.Sprintf(swap, c[0], c[1], c[2], c[3])})
		for _, at := range []string{"1", "4", "5", "20", "length(" + c[1] + ")"} {
			forge := fmt.Sprintf("UPDATE %s SET %s = CAST(substr(%[2]s, 1, %[4]s-1) || CASE substr(%[2]s, %[4]s, 1) WHEN x'41' THEN x'42' ELSE x'41' END || substr(%[2]s, %[4]s+1) AS BLOB) WHERE %[3]s", c[0], c[1], c[2], at)
			out = append(out, tampering{name: fmt.Sprintf("%s.%s: byte %s, %s", c[0], c[1], at, c[3]), forge: forge})
		}
	}
	return out
}

// TestTampering edits the database from outside, in every kind of column. Every
// question gets the answer that it got before, or "corrupt"; and one at least gets
// "corrupt".
func TestTampering(t *testing.T) {
	t.Parallel()
	for _, c := range tamperings(t) {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			db, dir := sample(t)
			plain, err := driver.Open("file:" + filepath.ToSlash(filepath.Join(dir, File)))
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			run(t, plain, c.steal)
			if c.change != nil {
				c.change(db)
			}
			before := whole(db)
			_ = db.Close()
			run(t, plain, c.forge)
			db, err = Open(t.Context(), dir, rootOf, Options{})
			if err != nil {
				e := keyturn.AsError(err)
				otherFormat := e.Code == keyturn.Unsupported && c.name == "an older format said"
				if e.Code != keyturn.Corrupt && e.Code != keyturn.Sealed && !otherFormat {
					t.Errorf("open: %s", errText(err))
				}
				return
			}
			defer db.Close()
			noticed := 0
			after := whole(db)
			for q, was := range before {
				switch now := after[q]; {
				case now == was:
				case now == "error corrupt":
					noticed++
				default:
					t.Errorf("%s: was\n%s\nis\n%s", q, was, now)
				}
			}
			if noticed == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}

func run(t *testing.T, plain *sql.DB, query string) {
	t.Helper()
	if query == "" {
		return
	}
	if _, err := plain.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestZeroedMeta: whatever of the table meta is zeroed, emptied or gone, the store is
// corrupt, or sealed where the root key does not open what is there. Nobody is told that
// they asked in a wrong way, or that keyturn has a bug.
func TestZeroedMeta(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"UPDATE meta SET v = zeroblob(length(v))", "UPDATE meta SET v = zeroblob(0)", "UPDATE meta SET v = zeroblob(40)", "DELETE FROM meta"} {
		for _, k := range []string{"store", "kind", "place", "writer", "check", "master", "head", "logkey", ""} {
			dir := t.TempDir()
			keeper := rootkey.Keeper{Dir: dir, Store: "s"}
			key, place, err := keeper.New(t.Context(), rootkey.File)
			if err != nil {
				t.Fatal(err)
			}
			db, err := Create(t.Context(), dir, [32]byte(key), Options{ID: "s", Kind: rootkey.File, Place: place})
			if err != nil {
				t.Fatal(errText(err))
			}
			put(t, db, "a", "value", "not a secret")
			_ = db.Close()
			plain, err := driver.Open("file:" + filepath.ToSlash(filepath.Join(dir, File)))
			if err != nil {
				t.Fatal(err)
			}
			where := ""
			if k != "" {
				where = " WHERE k = '" + k + "'"
			}
			run(t, plain, change+where)
			_ = plain.Close()
			open := func(id, kind, place string) ([]byte, error) {
				return rootkey.Keeper{Dir: dir, Store: id}.Load(t.Context(), kind, place)
			}
			db, err = Open(t.Context(), dir, open, Options{})
			if err == nil {
				_, err = db.Read(t.Context(), "a", 1)
				_ = db.Close()
			}
			if e := keyturn.AsError(err); e == nil && k != "writer" || e != nil && e.Code != keyturn.Corrupt && e.Code != keyturn.Sealed {
				t.Errorf("%s%s: %s", change, where, errText(err))
			}
		}
	}
}
