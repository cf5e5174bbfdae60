package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
)

func entry(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
	return []keyturn.LogEntry{{Seq: top.Last.Seq + 1, Data: []byte(`{"v":1,"id":"0000","phase":"intent"}`), Leaf: [32]byte{byte(top.Last.Seq)}}}, append(top.Tree, 7), nil
}

// BenchmarkGet is what one 'keyturn get' asks of the store, open and close included.
func BenchmarkGet(b *testing.B) {
	db, dir := create(b, Options{})
	put(b, db, "a/b", "password", "hunter2")
	_ = db.Close()
	for b.Loop() {
		db, err := Open(b.Context(), dir, rootOf, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.AppendLog(b.Context(), true, entry); err != nil {
			b.Fatal(err)
		}
		if _, err := db.Versions(b.Context(), "a/b"); err != nil {
			b.Fatal(err)
		}
		if _, err := db.Read(b.Context(), "a/b", 1); err != nil {
			b.Fatal(err)
		}
		if err := db.AppendLog(b.Context(), false, entry); err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	db, _ := create(b, Options{})
	n := 0
	for b.Loop() {
		n++
		put(b, db, fmt.Sprint("a/", n), "password", "hunter2")
	}
}

func BenchmarkAppendLog(b *testing.B) {
	for _, durable := range []bool{true, false} {
		b.Run(fmt.Sprint("durable=", durable), func(b *testing.B) {
			db, _ := create(b, Options{})
			for b.Loop() {
				if err := db.AppendLog(b.Context(), durable, entry); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNames lists 100,000 secrets, made in one transaction.
func BenchmarkNames(b *testing.B) {
	db, _ := create(b, Options{})
	fillStore(b, db, 100_000)
	for b.Loop() {
		n := 0
		for _, err := range db.Names(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}

func fillStore(t testing.TB, db *DB, n int) {
	t.Helper()
	err := db.write(t.Context(), func(x *tx, h *rows.Top) error {
		for i := range n {
			s := &rows.Secret{Name: fmt.Sprintf("app%d/config/%d", i%100, i), Life: string(seal.Random(16)), Newest: 1, Last: db.now()}
			v := &rows.Version{Number: 1, Info: keyturn.Info{State: keyturn.Live, Created: db.now(), Fields: []string{"password"}, Labels: map[string]string{"team": "a"}}}
			if err := x.putHead(t.Context(), h, s, true); err != nil {
				return err
			}
			key, data, err := x.SealValues(s, 1, v.Info.Fields, secretOf("password", "hunter2").Values)
			if err != nil {
				return err
			}
			if err := x.exec(t.Context(), "INSERT INTO version VALUES (?, ?, ?, ?, ?)", s.ID, 1, x.SealInfo(s, v), key, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
}

// BenchmarkOpen opens and closes a store of some secrets, each with a few records in
// the log.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		db, dir := create(b, Options{})
		fillStore(b, db, n)
		_ = db.Close()
		b.Run(fmt.Sprint("secrets=", n), func(b *testing.B) {
			for b.Loop() {
				db, err := Open(b.Context(), dir, rootOf, Options{})
				if err != nil {
					b.Fatal(errText(err))
				}
				if err := db.Close(); err != nil {
					b.Fatal(errText(err))
				}
			}
		})
		b.Run(fmt.Sprint("and read, secrets=", n), func(b *testing.B) {
			for b.Loop() {
				db, err := Open(b.Context(), dir, rootOf, Options{})
				if err != nil {
					b.Fatal(errText(err))
				}
				if _, err := db.Read(b.Context(), fmt.Sprintf("app%d/config/%d", 7, 7), 1); err != nil {
					b.Fatal(errText(err))
				}
				_ = db.Close()
			}
		})
	}
}

// BenchmarkRekey gives a store of 100,000 secrets and as many records new keys.
func BenchmarkRekey(b *testing.B) {
	db, _ := create(b, Options{})
	fillStore(b, db, 100_000)
	fillLog(b, db, 100_000)
	for b.Loop() {
		if err := db.Rekey(b.Context(), nil); err != nil {
			b.Fatal(errText(err))
		}
	}
}

// BenchmarkShred destroys one of 100,000 secrets: the database is written anew.
func BenchmarkShred(b *testing.B) {
	db, _ := create(b, Options{})
	fillStore(b, db, 100_000)
	n := 0
	for b.Loop() {
		if err := db.Shred(b.Context(), fmt.Sprintf("app%d/config/%d", n%100, n), nil); err != nil {
			b.Fatal(errText(err))
		}
		n++
	}
}

func BenchmarkSnapshot(b *testing.B) {
	db, dir := create(b, Options{})
	fillStore(b, db, 100_000)
	n := 0
	for b.Loop() {
		n++
		if err := db.Snapshot(b.Context(), fmt.Sprint(dir, "/copy", n)); err != nil {
			b.Fatal(errText(err))
		}
	}
}

func fillLog(t testing.TB, db *DB, n int) {
	t.Helper()
	err := db.AppendLog(t.Context(), true, func(top keyturn.LogTop) (add []keyturn.LogEntry, tree []byte, err error) {
		data := []byte(strings.Repeat("a record ", 40))
		for i := range n {
			add = append(add, keyturn.LogEntry{Seq: top.Last.Seq + 1 + int64(i), Data: data, Leaf: [32]byte{byte(i)}})
		}
		return add, nil, nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
}
