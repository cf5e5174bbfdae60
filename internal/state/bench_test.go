package state

import (
	"fmt"
	"testing"

	"github.com/keyturn/keyturn"
)

func entry(last keyturn.LogEntry) ([]keyturn.LogEntry, error) {
	return []keyturn.LogEntry{{Seq: last.Seq + 1, Data: []byte(`{"v":1,"id":"0000","phase":"intent"}`), Link: [32]byte{byte(last.Seq)}}}, nil
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
	err := db.write(t.Context(), func(x tx, h *top) error {
		for i := range n {
			s := &secret{name: fmt.Sprintf("app%d/config/%d", i%100, i), life: string(random(16)), newest: 1, last: db.now()}
			v := &version{number: 1, info: keyturn.Info{State: keyturn.Live, Created: db.now(), Fields: []string{"password"}, Labels: map[string]string{"team": "a"}}}
			if err := db.putHead(t.Context(), x, h, s, true); err != nil {
				return err
			}
			key, data, err := db.sealValues(s, 1, v.info.Fields, secretOf("password", "hunter2").Values)
			if err != nil {
				return err
			}
			if err := x.exec(t.Context(), "INSERT INTO version VALUES (?, ?, ?, ?, ?)", s.id, 1, db.sealInfo(s, v), key, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
}
