package state

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/ncruces/go-sqlite3/driver"
	"pgregory.net/rapid"
)

const stealAll = "CREATE TABLE oldmeta AS SELECT * FROM meta; CREATE TABLE olditem AS SELECT * FROM item;" +
	"CREATE TABLE oldsecret AS SELECT * FROM secret; CREATE TABLE oldversion AS SELECT * FROM version; "

const (
	oldHead    = "; UPDATE meta SET v = (SELECT v FROM oldmeta WHERE k = 'head') WHERE k = 'head'; "
	oldItems   = "DELETE FROM item; INSERT INTO item SELECT * FROM olditem; "
	oldSecrets = "DELETE FROM secret; DELETE FROM version; INSERT INTO secret SELECT * FROM oldsecret; INSERT INTO version SELECT * FROM oldversion; "
	oldA       = "DELETE FROM secret WHERE id = 1; DELETE FROM version WHERE secret = 1;" +
		"INSERT INTO secret SELECT * FROM oldsecret WHERE id = 1; INSERT INTO version SELECT * FROM oldversion WHERE secret = 1; "
	exchange = "CREATE TABLE x AS SELECT * FROM secret; DELETE FROM secret WHERE id < 3; " +
		"INSERT INTO secret SELECT 3-id, (SELECT name FROM x y WHERE y.id = 3-x.id), newest, head FROM x WHERE id < 3; "
)

// TestReplay puts old rows back, or takes rows away, as whoever has no key can do.
// Rows of items are missed at the next use of any item; secrets by VerifyState; and
// what the owner does with them afterwards does not make it good.
func TestReplay(t *testing.T) {
	t.Parallel()
	use := func(db *DB) { setItem(t, db, "k", "1", "used") }
	more := func(db *DB) { put(t, db, "a", "user", "newer") }
	del := func(db *DB) { _, _ = db.Mark(t.Context(), "a", 3, keyturn.Deleted) }
	gone := func(db *DB) { _ = db.Shred(t.Context(), "a", nil) }
	record := func(db *DB) { addLog(t, db, 1) }
	one := "id = (SELECT o.id FROM olditem o WHERE o.kind = item.kind AND o.id = item.id AND o.body <> item.body)"
	for _, c := range []struct {
		name   string
		change []func(*DB)
		forge  string
		items  bool // any use of items says so; else VerifyState alone
	}{
		{"an approval used is unused again", []func(*DB){use, record}, "UPDATE item SET body = (SELECT o.body FROM olditem o WHERE o.kind = item.kind AND o.id = item.id) WHERE " + one, true},
		{"before the next record", []func(*DB){use}, oldItems, true},
		{"all old items", []func(*DB){use, record}, oldItems, true},
		{"all old items and the old head", []func(*DB){use, record}, oldItems + oldHead, true},
		{"the old head alone, of items", []func(*DB){use}, oldHead, true},
		{"the old head alone, of secrets", []func(*DB){more}, oldHead, false},
		{"the old head alone, of the log", []func(*DB){record}, oldHead, true},
		{"items of a kind taken away", nil, "DELETE FROM item WHERE kind = (SELECT kind FROM item GROUP BY kind HAVING count(*) = 1)", true},
		{"one item taken away", nil, "DELETE FROM item WHERE id = (SELECT min(id) FROM item)", true},
		{"all items taken away", nil, "DELETE FROM item", true},
		{"a removed item back", []func(*DB){func(db *DB) { drop1(t, db, "k", "2") }, record}, "INSERT OR IGNORE INTO item SELECT * FROM olditem", true},
		{"an item made up", nil, "INSERT INTO item VALUES (x'01', x'02', 1, x'03')", true},
		{"expiry", nil, "UPDATE item SET expires = 1", true},
		{"items without their table's form, twice", nil, "CREATE TABLE n AS SELECT * FROM item; DROP TABLE item; CREATE TABLE item AS SELECT * FROM n; INSERT INTO item SELECT * FROM n", true},
		{"items without their table's form, old and new", []func(*DB){use}, "CREATE TABLE n AS SELECT * FROM item; DROP TABLE item; CREATE TABLE item AS SELECT * FROM n UNION SELECT * FROM olditem", true},
		{"one secret with versions", []func(*DB){more, record}, oldA, false},
		{"one secret before the next record", []func(*DB){more}, oldA, false},
		{"one secret, its delete undone", []func(*DB){del, record}, oldA, false},
		{"one destroyed secret back", []func(*DB){gone, record}, oldA, false},
		{"all old secrets", []func(*DB){more, record}, oldSecrets, false},
		{"all old secrets and the old head", []func(*DB){more, record}, oldSecrets + oldHead, true},
		{"a secret taken away", nil, "DELETE FROM secret WHERE id = 1; DELETE FROM version WHERE secret = 1", false},
		{"a secret's row taken away", nil, "DELETE FROM secret WHERE id = 1", false},
		{"all secrets taken away", nil, "DELETE FROM secret; DELETE FROM version", false},
		{"two secrets' rows exchanged", nil, exchange, false},
		{"versions of no secret", nil, "INSERT INTO version SELECT 77, number, info, key, data FROM version WHERE secret = 1", false},
		{"an older version taken away", nil, "DELETE FROM version WHERE secret = 2 AND number = 2", false},
		{"the oldest version taken away", nil, "DELETE FROM version WHERE secret = 2 AND number = 1", false},
		{"the last version of the last secret taken away", nil, "DELETE FROM version WHERE secret = 2 AND number = 3", false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			db, dir := sample(t)
			plain := outside(t, dir)
			run(t, plain, stealAll)
			for _, change := range c.change {
				change(db)
			}
			if err := db.VerifyState(t.Context()); err != nil {
				t.Fatal(errText(err))
			}
			run(t, plain, c.forge)
			wantCode(t, "verify", db.VerifyState(t.Context()), keyturn.Corrupt)
			want := keyturn.Code("")
			if c.items {
				want = keyturn.Corrupt
			}
			for doing, err := range useItems(t.Context(), db) {
				wantCode(t, doing, err, want)
			}
			_, _ = db.Append(t.Context(), "a", -1, secretOf("user", "later"))
			_ = db.Shred(t.Context(), "a", nil)
			_, _ = db.Append(t.Context(), "a", -1, secretOf("user", "last"))
			_, _ = db.Append(t.Context(), "b", -1, secretOf("user", "last"))
			wantCode(t, "verify later", db.VerifyState(t.Context()), keyturn.Corrupt)
		})
	}
}

func outside(t *testing.T, dir string) *sql.DB {
	t.Helper()
	plain, err := driver.Open("file:" + filepath.ToSlash(filepath.Join(dir, File)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	return plain
}

func drop1(t testing.TB, db *DB, kind, id string) {
	t.Helper()
	err := db.UpdateItem(t.Context(), kind, id, func(it keyturn.Item) (keyturn.Item, error) { return keyturn.Item{}, nil })
	if err != nil {
		t.Fatal(errText(err))
	}
}

// useItems uses items in every way, of kinds that there are and another.
func useItems(ctx context.Context, db *DB) map[string]error {
	out := map[string]error{}
	for _, kind := range []string{"k", "l", "none"} {
		_, err := db.Item(ctx, kind, "1")
		if kind == "none" && isCode(err, keyturn.NotFound) {
			err = nil
		}
		out["item "+kind] = err
		for _, err := range db.Items(ctx, kind) {
			out["items "+kind] = err
		}
		out["update "+kind] = db.UpdateItem(ctx, kind, "9", func(it keyturn.Item) (keyturn.Item, error) { return it, nil })
	}
	return out
}

// TestOldExpiredItem puts a row back that was collected when it had expired, which
// the next collection would remove again.
func TestOldExpiredItem(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	db, dir := create(t, Options{Now: func() time.Time { return now }})
	set := func(id string) {
		t.Helper()
		err := db.UpdateItem(t.Context(), "k", id, func(it keyturn.Item) (keyturn.Item, error) {
			it.Body, it.Expires = []byte(id), now.Add(time.Minute)
			return it, nil
		})
		if err != nil {
			t.Fatal(errText(err))
		}
	}
	set("1")
	plain := outside(t, dir)
	run(t, plain, stealAll)
	now = now.Add(time.Hour)
	set("2")
	if err := db.VerifyState(t.Context()); err != nil {
		t.Fatal(errText(err))
	}
	run(t, plain, "INSERT INTO item SELECT * FROM olditem")
	for doing, err := range useItems(t.Context(), db) {
		wantCode(t, doing, err, keyturn.Corrupt)
	}
	wantCode(t, "verify", db.VerifyState(t.Context()), keyturn.Corrupt)
}

// TestBelowNothing puts the only secret back after it was destroyed, and the owner
// destroys it again: the store stays usable, and the replay stays known.
func TestBelowNothing(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{})
	put(t, db, "a", "f", "v")
	plain := outside(t, dir)
	run(t, plain, stealAll)
	if err := db.Shred(t.Context(), "a", nil); err != nil {
		t.Fatal(errText(err))
	}
	run(t, plain, oldSecrets)
	if err := db.Shred(t.Context(), "a", nil); err != nil {
		t.Fatal(errText(err))
	}
	addLog(t, db, 1)
	put(t, db, "a", "f", "v")
	err := db.VerifyState(t.Context())
	wantCode(t, "verify", err, keyturn.Corrupt)
	t.Log(errText(err))
}

// TestSums does random things through two handles, and replays random rows.
func TestSums(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	o := Options{Now: func() time.Time { return now }}
	first, dir := create(t, o)
	handles := []*DB{first, reopen(t, dir, o)}
	plain := outside(t, dir)
	ctx := t.Context()
	noticed := 0
	rapid.Check(t, func(r *rapid.T) {
		run(t, plain, "DROP TABLE IF EXISTS oldmeta; DROP TABLE IF EXISTS olditem; DROP TABLE IF EXISTS oldsecret; DROP TABLE IF EXISTS oldversion; "+stealAll)
		for range rapid.IntRange(1, 12).Draw(r, "ops") {
			db := rapid.SampledFrom(handles).Draw(r, "handle")
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "name")
			n := rapid.IntRange(1, 3).Draw(r, "number")
			var err error
			switch rapid.IntRange(0, 7).Draw(r, "op") {
			case 0, 1:
				_, err = db.Append(ctx, name, rapid.IntRange(-1, 2).Draw(r, "expect"), secretOf("f", "v"))
			case 2:
				_, err = db.Mark(ctx, name, n, rapid.SampledFrom(rows.States[:2]).Draw(r, "state"))
			case 3:
				numbers := []int{n}
				if n == 3 {
					numbers = nil
				}
				err = db.Shred(ctx, name, numbers)
			case 4, 5:
				err = db.UpdateItem(ctx, name, fmt.Sprint(n), func(it keyturn.Item) (keyturn.Item, error) {
					it.Body = rapid.SampledFrom([][]byte{nil, []byte(""), []byte("x"), []byte("longer")}).Draw(r, "body")
					it.Expires = now.Add(time.Duration(n) * time.Minute)
					return it, nil
				})
			case 6:
				err = db.AppendLog(ctx, n == 1, entry)
			case 7:
				now = now.Add(30 * time.Second)
			}
			if err != nil && !isCode(err, keyturn.NotFound) && !isCode(err, keyturn.Conflict) {
				r.Fatal(errText(err))
			}
			if err := handles[0].VerifyState(ctx); err != nil {
				r.Fatal(errText(err))
			}
		}
		run(t, plain, "CREATE TABLE nowitem AS SELECT * FROM item; CREATE TABLE nowsecret AS SELECT * FROM secret; CREATE TABLE nowversion AS SELECT * FROM version")
		run(t, plain, rapid.SampledFrom([]string{oldItems, oldSecrets, oldA, "DELETE FROM item WHERE id = (SELECT max(id) FROM item)",
			"DELETE FROM secret WHERE id = (SELECT max(id) FROM secret); DELETE FROM version WHERE secret NOT IN (SELECT id FROM secret)"}).Draw(r, "replay"))
		var changed bool
		if err := plain.QueryRow(`SELECT EXISTS(SELECT * FROM item EXCEPT SELECT * FROM nowitem) OR EXISTS(SELECT * FROM nowitem EXCEPT SELECT * FROM item)
			OR EXISTS(SELECT * FROM secret EXCEPT SELECT * FROM nowsecret) OR EXISTS(SELECT * FROM nowsecret EXCEPT SELECT * FROM secret)`).Scan(&changed); err != nil {
			r.Fatal(err)
		}
		if err := handles[1].VerifyState(ctx); isCode(err, keyturn.Corrupt) != changed {
			r.Fatalf("rows were replayed: %v; verify: %s", changed, errText(err))
		}
		if changed {
			noticed++
		}
		run(t, plain, "DELETE FROM item; DELETE FROM secret; DELETE FROM version; INSERT INTO item SELECT * FROM nowitem; INSERT INTO secret SELECT * FROM nowsecret;"+
			"INSERT INTO version SELECT * FROM nowversion; DROP TABLE nowitem; DROP TABLE nowsecret; DROP TABLE nowversion")
	})
	if noticed < 10 {
		t.Errorf("only %d replays changed anything", noticed)
	}
}

func BenchmarkVerifyState(b *testing.B) {
	db, _ := create(b, Options{})
	fillStore(b, db, 100_000)
	for b.Loop() {
		if err := db.VerifyState(b.Context()); err != nil {
			b.Fatal(errText(err))
		}
	}
}
