package state

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
)

// TestHostileSchema: what somebody puts in the place of a table is seen before
// anything of it runs.
func TestHostileSchema(t *testing.T) {
	for name, statements := range map[string][]string{
		"an endless view for meta": {"ALTER TABLE meta RENAME TO m", "CREATE VIEW meta AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT 'x' || n AS k, zeroblob(1000000) AS v FROM r"},
		"an endless view for log":  {"ALTER TABLE log RENAME TO l", "CREATE VIEW log AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT n AS seq, zeroblob(100) AS data FROM r"},
		"a trigger":                {"CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM item; END"},
		"one table less":           {"DROP TABLE item"},
		"an index":                 {"CREATE INDEX i ON log (data)"},
		"a column of its own":      {"ALTER TABLE item ADD COLUMN x BLOB GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL"},
	} {
		t.Run(name, func(t *testing.T) {
			db, dir := create(t, Options{})
			put(t, db, "a", "value", "not a secret")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			plain := outside(t, dir)
			for _, s := range statements {
				run(t, plain, s)
			}
			_ = plain.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := Open(ctx, dir, rootOf, Options{})
			wantCode(t, "open", err, keyturn.Corrupt)
		})
	}
}

// TestForgedUnfinishedRekey: who has the old root key and an old copy cannot put them
// in the place of a store whose change of keys was cut short.
func TestForgedUnfinishedRekey(t *testing.T) {
	db, dir := create(t, Options{})
	for i := range 400 {
		put(t, db, "more/"+string(rune('a'+i%26))+string(rune('a'+i/26)), "value", "not a secret")
	}
	put(t, db, "a", "value", "right")
	copied := t.TempDir()
	if err := db.Snapshot(t.Context(), filepath.Join(copied, File)); err != nil {
		t.Fatal(err)
	}
	other := [32]byte{9, 9, 9}
	if err := db.SetRoot(t.Context(), other, "passphrase", "other.key"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := db.Rekey(ctx, func(int, int) { cancel() }); err == nil {
		t.Fatal("the rekey was not cut short")
	}
	_ = db.Close()

	evil := reopen(t, copied, Options{})
	if _, err := evil.Append(t.Context(), "a", -1, secretOf("value", "forged")); err != nil {
		t.Fatal(err)
	}
	var top *rows.Top
	if err := evil.read(t.Context(), func(x *tx) (err error) { top, err = x.top(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	e := make(codec.Encoder, 0)
	for _, n := range []int{1, 2, int(rows.Moving), int(top.Last.Seq), int(top.Pruned), int(top.Generation) + 1000} {
		e.Num(n)
	}
	e.Bytes(top.Last.Leaf[:])
	e.Bytes(top.Tree)
	top.Items.Encode(&e)
	top.Secrets.Encode(&e)
	head := evil.keys.Load().Seal(seal.Head, e, "head")
	_ = evil.Close()
	plain := outside(t, dir)
	run(t, plain, "ATTACH '"+filepath.Join(copied, File)+"' AS o")
	for _, table := range []string{"version", "secret", "item", "log"} {
		run(t, plain, "DELETE FROM "+table+"; INSERT INTO "+table+" SELECT * FROM o."+table)
	}
	if _, err := plain.Exec("UPDATE meta SET v = ? WHERE k = 'head'", head); err != nil {
		t.Fatal(err)
	}
	_ = plain.Close()
	again, err := Open(t.Context(), dir, func(string, string, string) ([]byte, error) { return other[:], nil }, Options{})
	if err == nil {
		defer again.Close()
		err = again.VerifyState(t.Context())
	}
	wantCode(t, "a forged store", err, keyturn.Corrupt)
}

// TestVerifyValues: a value that cannot be read is found, which VerifyState leaves to
// whoever reads it.
func TestVerifyValues(t *testing.T) {
	for name, change := range map[string]string{
		"a byte of a value":    "UPDATE version SET data = CAST(substr(data, 1, length(data)-1) || CASE hex(substr(data, -1)) WHEN '00' THEN x'01' ELSE x'00' END AS BLOB) WHERE number = 2",
		"a byte of a data key": "UPDATE version SET key = CAST(substr(key, 1, length(key)-1) || CASE hex(substr(key, -1)) WHEN '00' THEN x'01' ELSE x'00' END AS BLOB) WHERE number = 1 AND key IS NOT NULL",
		"all values":           "UPDATE version SET data = zeroblob(length(data)) WHERE data IS NOT NULL",
	} {
		db, dir := create(t, Options{})
		put(t, db, "a", "value", "not a secret")
		put(t, db, "a", "value", "nor this", "other", "x")
		put(t, db, "b", "value", "gone")
		if err := db.Shred(t.Context(), "b", []int{1}); err != nil {
			t.Fatal(err)
		}
		if err := db.VerifyValues(t.Context()); err != nil {
			t.Errorf("%s: before: %v", name, errText(err))
		}
		_ = db.Close()
		plain := outside(t, dir)
		run(t, plain, change)
		_ = plain.Close()
		db = reopen(t, dir, Options{})
		if err := db.VerifyState(t.Context()); err != nil {
			t.Errorf("%s: the state: %v", name, errText(err))
		}
		wantCode(t, name, db.VerifyValues(t.Context()), keyturn.Corrupt)
	}
}
