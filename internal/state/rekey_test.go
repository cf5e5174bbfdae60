package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/seal"
	"github.com/keyturn/keyturn/internal/state/table"
)

// apart are the answers that a Rekey may change: the generation and the digest count
// its rows too.
func apart(answers map[string]string) map[string]string {
	answers = maps.Clone(answers)
	last, _, _ := strings.Cut(answers["last"], " [")
	fields := strings.Fields(last)
	answers["last"] = strings.Join(fields[:max(0, len(fields)-2)], " ")
	return answers
}

func sameAnswers(t *testing.T, doing string, was, is map[string]string) {
	t.Helper()
	for q, a := range apart(was) {
		if b := apart(is)[q]; a != b {
			t.Errorf("%s: %s: was\n%s\nis\n%s", doing, q, a, b)
		}
	}
}

// ciphertexts are all that a store has encrypted.
func ciphertexts(t testing.TB, db *DB) (out [][]byte) {
	t.Helper()
	for _, query := range []string{"SELECT head FROM secret", "SELECT name FROM secret", "SELECT info FROM version", "SELECT key FROM version WHERE key IS NOT NULL",
		"SELECT data FROM version WHERE data IS NOT NULL", "SELECT data FROM log", "SELECT body FROM item", "SELECT id FROM item", "SELECT v FROM meta WHERE k IN ('master', 'head', 'logkey')"} {
		rows, err := db.pool.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
		_ = rows.Close()
	}
	return out
}

// TestRekey gives a store another root key and other keys: it says what it said, also
// to who had it open all the time, and nothing of before is left in its files.
func TestRekey(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := sample(t)
	big := strings.Repeat("large ", 5000)
	for i := range 300 {
		put(t, db, fmt.Sprint("more/", i*7919%100), "value", big[:1+i*37%3000])
	}
	put(t, db, "big", "value", big+big)
	if n, err := db.PruneLog(t.Context(), 3); n != 2 || err != nil {
		t.Fatal(n, errText(err))
	}
	other := [32]byte([]byte(strings.Repeat("N", 32)))
	keyfunc := func(_, kind, place string) ([]byte, error) {
		if kind+place == "file root.key" || kind == "file" && place == "root.key" {
			return root[:], nil
		}
		return other[:], nil
	}
	asleep, err := Open(t.Context(), dir, keyfunc, Options{})
	if err != nil {
		t.Fatal(errText(err))
	}
	defer asleep.Close()
	forgetful := reopen(t, dir, Options{}) // has the old root key alone
	was, old, logKey := whole(db), ciphertexts(t, db), db.LogKey()
	oldDB, oldWAL := contents(t, dir)[File], contents(t, dir)[File+"-wal"]
	if logKey == ([32]byte{}) {
		t.Error("no log key")
	}
	if traces(contents(t, dir), old) == 0 {
		t.Fatal("the search does not find what is there")
	}

	if err := db.SetRoot(t.Context(), other, "passphrase", "other.key"); err != nil {
		t.Fatal(errText(err))
	}
	if f := db.Stats(); f.Kind != "passphrase" || f.Place != "other.key" {
		t.Errorf("after SetRoot: %+v", f)
	}
	var steps [][2]int
	if err := db.Rekey(t.Context(), func(done, total int) { steps = append(steps, [2]int{done, total}) }); err != nil {
		t.Fatal(errText(err))
	}
	if is, err := db.Rekeying(t.Context()); is || err != nil {
		t.Errorf("rekeying: %v %v", is, errText(err))
	}
	if last := steps[len(steps)-1]; len(steps) < 5 || last[0] != last[1] || !slices.IsSortedFunc(steps, func(a, b [2]int) int { return a[0] - b[0] }) {
		t.Errorf("progress: %v", steps)
	}
	sameAnswers(t, "who did it", was, whole(db))
	sameAnswers(t, "who was asleep", was, whole(asleep))
	_, err = forgetful.Read(t.Context(), "a", 3)
	wantCode(t, "with the old root key", err, keyturn.Sealed)
	_, err = Open(t.Context(), dir, rootOf, Options{})
	wantCode(t, "open with the old root key", err, keyturn.Sealed)
	again, err := Open(t.Context(), dir, keyfunc, Options{})
	if err != nil {
		t.Fatal(errText(err))
	}
	defer again.Close()
	sameAnswers(t, "who comes later", was, whole(again))
	for _, x := range []*DB{db, asleep, again} {
		if x.LogKey() != logKey {
			t.Error("the log's key is another")
		}
	}
	if n := traces(contents(t, dir), old); n > 0 {
		t.Errorf("%d pieces of what the old keys encrypted are left", n)
	}
	for _, x := range []*DB{forgetful, asleep, again, db} {
		_ = x.Close()
	}
	if n := traces(contents(t, dir), old); n > 0 {
		t.Errorf("closed: %d pieces of what the old keys encrypted are left", n)
	}

	// The old root key and an old copy of all that it wrapped open nothing.
	copied := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(copied, File), oldDB, 0o600), os.WriteFile(filepath.Join(copied, File+"-wal"), oldWAL, 0o600)); err != nil {
		t.Fatal(err)
	}
	before := reopen(t, copied, Options{})
	oldKeys := before.keys.Load()
	again, err = Open(t.Context(), dir, keyfunc, Options{})
	if err != nil {
		t.Fatal(errText(err))
	}
	defer again.Close()
	for _, c := range ciphertexts(t, again) {
		for p := seal.Head; p <= seal.Item; p++ {
			if _, err := oldKeys.Open(p, c, "head"); err == nil {
				t.Error("an old key opens something")
			}
		}
	}
	for _, rows := range []string{"master", "master','check','kind','place", "master','check','kind','place','logkey"} {
		plain := outside(t, dir)
		run(t, plain, "ATTACH '"+filepath.Join(copied, File)+"' AS o; CREATE TABLE keep AS SELECT * FROM meta; UPDATE meta SET v = (SELECT v FROM o.meta WHERE o.meta.k = meta.k) WHERE k IN ('"+rows+"')")
		x, err := Open(t.Context(), dir, rootOf, Options{})
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Corrupt && e.Code != keyturn.Sealed {
			t.Errorf("old %s: %s", rows, errText(err))
			_ = x.Close()
		}
		run(t, plain, "DELETE FROM meta; INSERT INTO meta SELECT * FROM keep; DROP TABLE keep; DETACH o")
		_ = plain.Close()
	}
	sameAnswers(t, "in the end", was, whole(reopenWith(t, dir, keyfunc)))
}

func reopenWith(t testing.TB, dir string, keyfunc Keyfunc) *DB {
	t.Helper()
	db, err := Open(context.Background(), dir, keyfunc, Options{})
	if err != nil {
		t.Fatal(errText(err))
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestRekeyCut cancels a Rekey at each of its transactions: everything can be read
// and written between, by others too, and the next one goes on.
func TestRekeyCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := sample(t)
	for i := range 200 {
		put(t, db, fmt.Sprint("more/", i), "value", "not a secret")
	}
	addLog(t, db, 300)
	other := reopen(t, dir, Options{})
	was := whole(db)
	cut := 0
	for round := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Rekey(ctx, func(int, int) { cancel() })
		cancel()
		if err == nil {
			break
		}
		cut++
		if !errors.Is(err, context.Canceled) {
			t.Fatal(errText(err))
		}
		if is, err := other.Rekeying(t.Context()); !is || err != nil {
			t.Errorf("rekeying: %v %v", is, errText(err))
		}
		sameAnswers(t, "cut", was, whole(other))
		sameAnswers(t, "cut, anew", was, whole(reopen(t, dir, Options{})))
		put(t, other, "more/1", "value", "another")
		if _, err := other.Mark(t.Context(), "more/2", 1, keyturn.Live); err != nil {
			t.Fatal(errText(err))
		}
		setItem(t, other, "m", fmt.Sprint(round), "in between")
		if err := other.Shred(t.Context(), fmt.Sprint("more/", 100+round), nil); err != nil {
			t.Fatal(errText(err))
		}
		was = whole(db)
	}
	if cut < 5 {
		t.Errorf("it was cut %d times", cut)
	}
	sameAnswers(t, "in the end", was, whole(db))
	if o, n := db.keys.Load().Epochs(); o != 2 || n != 2 {
		t.Errorf("epochs %d to %d", o, n)
	}
}

// TestRekeyOvertaken: a Rekey that another process has finished does nothing to the
// one that this has begun after it, and no old key is dropped while rows need it.
func TestRekeyOvertaken(t *testing.T) {
	t.Parallel()
	db, dir := sample(t)
	for i := range 300 {
		put(t, db, fmt.Sprint("more/", i), "value", "not a secret")
	}
	other := reopen(t, dir, Options{})
	was := whole(db)
	half := func(db *DB) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := db.Rekey(ctx, func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Fatal(errText(err))
		}
	}
	half(db)
	if left, err := db.dropOld(t.Context(), 2); !left || err != nil {
		t.Errorf("rows are of the old epoch: %v, %v", left, errText(err))
	}
	m := table.Mover{}
	if n, err := db.moveSome(t.Context(), 2, &m, (*table.Mover).Versions); n == 0 || err != nil {
		t.Errorf("%d rows, %v", n, errText(err))
	}
	if err := other.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
	half(other)
	if n, err := db.moveSome(t.Context(), 2, &m, (*table.Mover).Versions); n != 0 || err != nil {
		t.Errorf("overtaken: %d rows, %v", n, errText(err))
	}
	if left, err := db.dropOld(t.Context(), 2); left || err != nil {
		t.Errorf("overtaken: %v, %v", left, errText(err))
	}
	if is, err := db.Rekeying(t.Context()); !is || err != nil {
		t.Errorf("the other's: %v, %v", is, errText(err))
	}
	sameAnswers(t, "overtaken", was, whole(db))
	if err := db.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
	if o, n := db.keys.Load().Epochs(); o != 3 || n != 3 {
		t.Errorf("epochs %d to %d", o, n)
	}
	sameAnswers(t, "in the end", was, whole(other))
}

// TestRekeyBehindReader rekeys while somebody reads: the keys are new, and the error
// says what remains; the next one wipes it.
func TestRekeyBehindReader(t *testing.T) {
	t.Parallel()
	_, dir := sample(t)
	db := reopen(t, dir, Options{Busy: 20 * time.Millisecond})
	old := ciphertexts(t, db)
	other := reopen(t, dir, Options{})
	err := other.read(t.Context(), func(x *tx) error {
		if _, err := x.top(t.Context()); err != nil {
			return err
		}
		err := db.Rekey(t.Context(), nil)
		wantCode(t, "rekey", err, keyturn.Unavailable)
		if is, err := db.Rekeying(t.Context()); !is || err != nil {
			t.Errorf("rekeying: %v %v", is, errText(err))
		}
		_, err = x.find(t.Context(), "a") // the snapshot goes on with the keys it began with
		return err
	})
	if err != nil {
		t.Fatal(errText(err))
	}
	if err := other.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
	if o, n := other.keys.Load().Epochs(); o != 2 || n != 2 {
		t.Errorf("epochs %d to %d: the second one began anew", o, n)
	}
	if n := traces(contents(t, dir), old); n > 0 {
		t.Errorf("%d pieces are left", n)
	}
	if err := other.VerifyState(t.Context()); err != nil {
		t.Error(errText(err))
	}
}

// TestRekeyDamaged stops at a row that was damaged: nothing is lost.
func TestRekeyDamaged(t *testing.T) {
	t.Parallel()
	db, dir := sample(t)
	run(t, outside(t, dir), "UPDATE version SET data = substr(data, 2) WHERE secret = 1 AND number = 3")
	was := whole(db)
	wantCode(t, "rekey", db.Rekey(t.Context(), nil), keyturn.Corrupt)
	sameAnswers(t, "stopped", was, whole(db))
	if err := db.Shred(t.Context(), "a", nil); err != nil {
		t.Fatal(errText(err))
	}
	if err := db.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
}

// TestRekeyDiskFull has no room: the store is whole and in use, and with room it goes on.
func TestRekeyDiskFull(t *testing.T) {
	t.Parallel()
	first, dir := sample(t)
	was := whole(first)
	if err := first.Close(); err != nil {
		t.Fatal(errText(err))
	}
	db := reopen(t, dir, Options{maxPages: 1})
	put := func() error {
		_, err := db.Append(t.Context(), "large", -1, secretOf("f", strings.Repeat("x", 1<<20)))
		return err
	}
	wantCode(t, "put", put(), keyturn.Unavailable)
	if err := db.Rekey(t.Context(), nil); err != nil {
		wantCode(t, "rekey", err, keyturn.Unavailable)
		if is, err := db.Rekeying(t.Context()); !is || err != nil {
			t.Errorf("rekeying: %v, %v", is, errText(err))
		}
	}
	sameAnswers(t, "full", was, whole(db))
	roomy := reopen(t, dir, Options{})
	if err := roomy.Rekey(t.Context(), nil); err != nil {
		t.Fatal(errText(err))
	}
	sameAnswers(t, "with room", was, whole(roomy))
	sameAnswers(t, "who had none", was, whole(db))
}

func TestSetRoot(t *testing.T) {
	t.Parallel()
	db, dir := sample(t)
	was := whole(db)
	other := [32]byte([]byte(strings.Repeat("N", 32)))
	asked := []string{}
	keyfunc := func(id, kind, place string) ([]byte, error) {
		asked = append(asked, kind+" "+place)
		if kind == "file" {
			return root[:], nil
		}
		return other[:], nil
	}
	asleep := reopenWith(t, dir, keyfunc)
	if err := db.SetRoot(t.Context(), other, "keychain", "somewhere"); err != nil {
		t.Fatal(errText(err))
	}
	if is := whole(asleep); fmt.Sprint(was) != fmt.Sprint(is) {
		t.Errorf("was %v\nis %v", was, is)
	}
	if !slices.Equal(asked, []string{"file root.key", "keychain somewhere"}) {
		t.Errorf("asked for %q", asked)
	}
	if f := asleep.Stats(); f.Kind != "keychain" || f.Place != "somewhere" {
		t.Errorf("%+v", f)
	}
	_, err := Open(t.Context(), dir, rootOf, Options{})
	wantCode(t, "the old root key", err, keyturn.Sealed)
	// And back, by who was asleep: a root key that was had before is asked for again.
	if err := asleep.SetRoot(t.Context(), root, "file", "root.key"); err != nil {
		t.Fatal(errText(err))
	}
	_, err = db.Read(t.Context(), "a", 3)
	wantCode(t, "back", err, "")
}

// TestOldRing puts the master key of another time back, under the same root key.
func TestOldRing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge string
		noted bool
	}{
		"the ring of before":              {"UPDATE meta SET v = (SELECT v FROM before WHERE k = 'master') WHERE k = 'master'", true},
		"the ring of before and its head": {"UPDATE meta SET v = (SELECT v FROM before WHERE before.k = meta.k)", true},
		"the ring of between":             {"UPDATE meta SET v = (SELECT v FROM midway WHERE k = 'master') WHERE k = 'master'", true},
		"a secret of before":              {"UPDATE secret SET (name, head) = (SELECT name, head FROM oldsecret o WHERE o.id = secret.id) WHERE id = 1", true},
		"a version of before":             {"UPDATE version SET (info, key, data) = (SELECT info, key, data FROM oldversion o WHERE o.secret = 1 AND o.number = 3) WHERE secret = 1 AND number = 3", true},
		"a key of before":                 {"UPDATE version SET key = (SELECT key FROM oldversion o WHERE o.secret = 1 AND o.number = 3) WHERE secret = 1 AND number = 3", true},
		"a destroyed version of before":   {"UPDATE version SET (info, key, data) = (SELECT info, key, data FROM oldversion o WHERE o.secret = 1 AND o.number = 1) WHERE secret = 1 AND number = 1", true},
		"items of before":                 {"DELETE FROM item; INSERT INTO item SELECT * FROM olditem", true},
		"a record of before":              {"UPDATE log SET data = (SELECT data FROM oldlog o WHERE o.seq = log.seq) WHERE seq = 2", true},
		"the log's key of before":         {"UPDATE meta SET v = (SELECT v FROM before WHERE k = 'logkey') WHERE k = 'logkey'", true},
		"an epoch byte":                   {"UPDATE secret SET head = CAST(x'00000001' || substr(head, 5) AS BLOB) WHERE id = 1", true},
		"another epoch byte":              {"UPDATE log SET data = CAST(x'00000003' || substr(data, 5) AS BLOB) WHERE seq = 3", true},
		"an epoch byte of the head":       {"UPDATE meta SET v = CAST(x'00000001' || substr(v, 5) AS BLOB) WHERE k = 'head'", true},
		"nothing":                         {"SELECT 1", false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			db, dir := sample(t)
			plain := outside(t, dir)
			run(t, plain, "CREATE TABLE before AS SELECT * FROM meta; CREATE TABLE oldsecret AS SELECT * FROM secret; CREATE TABLE oldversion AS SELECT * FROM version; CREATE TABLE olditem AS SELECT * FROM item; CREATE TABLE oldlog AS SELECT * FROM log")
			once := true
			if err := db.Rekey(t.Context(), func(int, int) {
				if once {
					run(t, plain, "CREATE TABLE midway AS SELECT * FROM meta")
				}
				once = false
			}); err != nil {
				t.Fatal(errText(err))
			}
			was := whole(db)
			run(t, plain, c.forge)
			_ = db.Close()
			db, err := Open(t.Context(), dir, rootOf, Options{})
			if err != nil {
				wantCode(t, "open", err, keyturn.Corrupt)
				if !c.noted {
					t.Error(errText(err))
				}
				return
			}
			defer db.Close()
			noticed := 0
			is := whole(db)
			for q := range was {
				switch {
				case is[q] == "error corrupt":
					noticed++
				case is[q] == "error not_found" && is["state"] == "error corrupt": // a row taken away: VerifyState says so
				case is[q] != was[q]:
					t.Errorf("%s: was\n%s\nis\n%s", q, was[q], is[q])
				}
			}
			if noticed > 0 != c.noted {
				t.Errorf("%d answers were corrupt", noticed)
			}
		})
	}
}

// TestMixedEpochs exchanges rows of the two epochs of a Rekey that is under way.
func TestMixedEpochs(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"versions":       "UPDATE version SET (info, key, data) = (SELECT info, key, data FROM oldversion o WHERE o.secret = 1 AND o.number = 2) WHERE secret = 1 AND number = 3",
		"the old ring":   "UPDATE meta SET v = (SELECT v FROM before WHERE k = 'master') WHERE k = 'master'",
		"the old items":  "INSERT OR IGNORE INTO item SELECT * FROM olditem",
		"the old secret": "INSERT INTO secret SELECT 77, name, newest, head FROM oldsecret WHERE id = 1",
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			db, dir := sample(t)
			plain := outside(t, dir)
			run(t, plain, "CREATE TABLE before AS SELECT * FROM meta; CREATE TABLE oldsecret AS SELECT * FROM secret; CREATE TABLE oldversion AS SELECT * FROM version; CREATE TABLE olditem AS SELECT * FROM item")
			ctx, cancel := context.WithCancel(t.Context())
			steps := 0
			err := db.Rekey(ctx, func(int, int) {
				if steps++; steps == 3 { // secrets, versions, items; the log is of the old epoch
					cancel()
				}
			})
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Fatal(errText(err))
			}
			var epochs int
			if err := plain.QueryRow("SELECT count(DISTINCT e) FROM (SELECT substr(head, 1, 4) AS e FROM secret UNION ALL SELECT substr(data, 1, 4) FROM log)").Scan(&epochs); err != nil || epochs != 2 {
				t.Fatalf("%d epochs, %v", epochs, err)
			}
			was := whole(db)
			run(t, plain, forge)
			_ = db.Close()
			db, err = Open(t.Context(), dir, rootOf, Options{})
			if err != nil {
				wantCode(t, "open", err, keyturn.Corrupt)
				return
			}
			defer db.Close()
			noticed := 0
			is := whole(db)
			for q := range was {
				if is[q] == "error corrupt" {
					noticed++
				} else if is[q] != was[q] {
					t.Errorf("%s: was\n%s\nis\n%s", q, was[q], is[q])
				}
			}
			if noticed == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}
