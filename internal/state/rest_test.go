package state

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state/seal"
)

// contents are all files in a folder, by name.
func contents(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = b
	}
	return out
}

// shapes are a text as it may lie on a disk.
func shapes(mark string) map[string][]byte {
	b := []byte(mark)
	turned := slices.Clone(b)
	slices.Reverse(turned)
	wide := []byte{}
	for _, c := range b {
		wide = append(wide, c, 0)
	}
	out := map[string][]byte{"plain": b, "reversed": turned, "hex": []byte(hex.EncodeToString(b)),
		"HEX": bytes.ToUpper([]byte(hex.EncodeToString(b))), "UTF-16": wide}
	for shift := range 3 {
		s := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), b...))
		out[fmt.Sprint("base64 ", shift)] = []byte(s[(shift*8+5)/6 : (shift+len(b))*8/6])
	}
	return out
}

func find(files map[string][]byte, mark string) (where string) {
	for name, b := range files {
		for shape, m := range shapes(mark) {
			if bytes.Contains(b, m) {
				return name + " (" + shape + ")"
			}
		}
	}
	return ""
}

func TestAtRest(t *testing.T) {
	t.Parallel()
	const mark = "MaRk5ecret"
	for shape, m := range shapes(mark) {
		if find(map[string][]byte{"x": append([]byte("...."), m...)}, mark) == "" {
			t.Fatalf("the search is blind for %s", shape)
		}
	}
	db, dir := create(t, Options{})
	ctx := t.Context()
	s := secretOf(mark+"field", mark+"value", "big", string(bytes.Repeat([]byte(mark), 5000)))
	s.Labels, s.Public = map[string]string{mark + "label": mark + "text"}, []string{mark + "field"}
	for i := range 50 {
		if _, err := db.Append(ctx, fmt.Sprint(mark, "name/", i%20), -1, s); err != nil {
			t.Fatal(errText(err))
		}
		err := db.AppendLog(ctx, i%2 == 0, func(top keyturn.LogTop) ([]keyturn.LogEntry, []byte, error) {
			return []keyturn.LogEntry{{Seq: top.Last.Seq + 1, Data: []byte(mark + "record"), Leaf: [32]byte([]byte(mark + "link and so on, 32 bytes."))}}, []byte(mark + "tree"), nil
		})
		if err != nil {
			t.Fatal(errText(err))
		}
		err = db.UpdateItem(ctx, mark+"kind", fmt.Sprint(mark, "id", i), func(it keyturn.Item) (keyturn.Item, error) {
			it.Body, it.Expires = []byte(mark+"body"), time.Now().Add(time.Hour)
			return it, nil
		})
		if err != nil {
			t.Fatal(errText(err))
		}
	}
	open := contents(t, dir)
	if len(open) != 3 || len(open[File+"-wal"]) == 0 {
		t.Errorf("want a database, a WAL and its index, not %d files", len(open))
	}
	if where := find(open, mark); where != "" {
		t.Errorf("a mark is in %s", where)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{File, File + "-wal"} {
			if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, fi.Mode(), err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(errText(err))
	}
	shut := contents(t, dir)
	if len(shut) != 1 {
		t.Errorf("closing left %d files", len(shut))
	}
	if where := find(shut, mark); where != "" {
		t.Errorf("a mark is in %s", where)
	}
}

// sealedOf returns the wrapped keys and ciphertexts of all versions of a secret.
func sealedOf(t testing.TB, db *DB, name string) (out [][]byte) {
	t.Helper()
	rows, err := db.pool.Query("SELECT v.key, v.data FROM secret s JOIN version v ON v.secret = s.id WHERE s.name = ? AND v.key IS NOT NULL", db.keys.Load().MAC("name", name))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, data []byte
		if err := rows.Scan(&key, &data); err != nil {
			t.Fatal(err)
		}
		out = append(out, key, data)
	}
	return out
}

// traces counts pieces of 16 bytes that are still in a file.
func traces(files map[string][]byte, gone [][]byte) (n int) {
	for _, g := range gone {
		for at := 0; at+16 <= len(g); at += max(16, len(g)/8) {
			for _, b := range files {
				if bytes.Contains(b, g[at:at+16]) {
					n++
				}
			}
		}
	}
	return n
}

// TestShredLeavesNothing destroys versions in a store that was written to and
// fro, so that its pages have been split, merged and moved.
func TestShredLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := create(t, Options{})
	ctx := t.Context()
	value := func(i int) string { return string(seal.Random(1 + i*37%3000)) }
	for i := range 600 {
		put(t, db, fmt.Sprint("s", i*7919%150), "value", value(i))
	}
	var gone [][]byte
	for i := range 150 {
		name := fmt.Sprint("s", i*31%150)
		was := sealedOf(t, db, name)
		var numbers []int
		switch i % 3 {
		case 0:
			numbers = []int{1, 2, 3, 4}
		case 1:
			numbers = nil
		case 2:
			put(t, db, name, "value", value(i)) // a version more, which stays
			numbers, was = []int{2}, was[2:4]
		}
		if i%10 == 0 && traces(contents(t, dir), was) == 0 {
			t.Fatal("the search does not find what is there")
		}
		if err := db.Shred(ctx, name, numbers); err != nil {
			t.Fatal(errText(err))
		}
		gone = append(gone, was...)
		if i%25 == 0 || i == 149 {
			if n := traces(contents(t, dir), gone); n > 0 {
				t.Fatalf("after %d: %d pieces of %d destroyed keys and values are left", i+1, n, len(gone))
			}
		}
	}
	_ = db.Close()
	if n := traces(contents(t, dir), gone); n > 0 {
		t.Errorf("closed: %d pieces are left", n)
	}
}

// TestShredBehindReader destroys while another process holds a snapshot: the
// version is destroyed all the same, and the error says what remains.
func TestShredBehindReader(t *testing.T) {
	t.Parallel()
	_, dir := create(t, Options{})
	db := reopen(t, dir, Options{Busy: 20 * time.Millisecond})
	put(t, db, "a", "f", "v")
	was := sealedOf(t, db, "a")
	other := reopen(t, dir, Options{})
	err := other.read(t.Context(), func(x *tx) error {
		if _, err := x.find(t.Context(), "a"); err != nil {
			return err
		}
		err := db.Shred(t.Context(), "a", []int{1})
		wantCode(t, "shred", err, keyturn.Unavailable)
		_, err = db.Read(t.Context(), "a", 1)
		wantCode(t, "read", err, keyturn.NotFound)
		return nil
	})
	if err != nil {
		t.Fatal(errText(err))
	}
	put(t, db, "b", "f", "v")
	if err := db.Shred(t.Context(), "b", nil); err != nil {
		t.Fatal(errText(err))
	}
	if n := traces(contents(t, dir), was); n > 0 {
		t.Errorf("%d pieces are left after the next destroy", n)
	}
}

func TestSecondLife(t *testing.T) {
	t.Parallel()
	var now = time.Date(2030, 1, 2, 3, 4, 5, 6789, time.UTC)
	db, _ := create(t, Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	first := put(t, db, "a", "f", "1")
	now = now.Add(-time.Hour) // a clock that jumps back
	if second := put(t, db, "a", "f", "2"); second.Created.Before(first.Created) {
		t.Errorf("version 2 was made at %v, before version 1 at %v", second.Created, first.Created)
	}
	if err := db.Shred(ctx, "a", nil); err != nil {
		t.Fatal(errText(err))
	}
	_, err := db.Versions(ctx, "a")
	wantCode(t, "versions", err, keyturn.NotFound)
	wantCode(t, "shred again", db.Shred(ctx, "a", nil), keyturn.NotFound)
	_, err = db.Mark(ctx, "a", 1, keyturn.Deleted)
	wantCode(t, "mark", err, keyturn.NotFound)
	if info := put(t, db, "a", "f", "3"); info.Version != "1" {
		t.Errorf("the second life begins at version %s", info.Version)
	}
	if err := db.Shred(ctx, "a", []int{1, 2}); !isCode(err, keyturn.NotFound) {
		t.Errorf("shred of a version that is not there: %v", err)
	}
	if s, err := db.Read(ctx, "a", 1); err != nil || string(s.Values["f"].Reveal()) != "3" {
		t.Errorf("all or none: %v", err)
	}
}

func isCode(err error, c keyturn.Code) bool { return err != nil && keyturn.AsError(err).Code == c }

// TestPruneLog drops the data of records, while others append: hashes, tree and the
// rest stay, and nothing of the data is left.
func TestPruneLog(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	db, dir := create(t, Options{})
	if n, err := db.PruneLog(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("of an empty log: %d, %v", n, errText(err))
	}
	addLog(t, db, 1600)
	rows := func(db *DB) (out []keyturn.LogEntry) {
		for e, err := range db.Log(t.Context(), 1) {
			if err != nil {
				t.Fatal(errText(err))
			}
			out = append(out, e)
		}
		return out
	}
	was := rows(db)
	top, err := db.LastLog(t.Context())
	if err != nil || string(top.Tree) != "tree 1600" || top.Last.Seq != 1600 {
		t.Fatalf("%+v, %v", top, errText(err))
	}
	var old [][]byte
	for _, e := range []int{1, 600, 1200} {
		var data []byte
		if err := db.pool.QueryRow("SELECT data FROM log WHERE seq = ?", e).Scan(&data); err != nil {
			t.Fatal(err)
		}
		old = append(old, data)
	}
	if traces(contents(t, dir), old) == 0 {
		t.Fatal("the search does not find what is there")
	}
	for _, c := range []struct{ before, want int64 }{{1, 0}, {0, 0}, {-5, 0}, {2, 1}, {1300, 1298}, {1300, 0}, {700, 0}} {
		if n, err := db.PruneLog(t.Context(), c.before); n != c.want || err != nil {
			t.Errorf("before %d: %d, %v", c.before, n, errText(err))
		}
	}
	if n := traces(contents(t, dir), old); n > 0 {
		t.Errorf("%d pieces are left", n)
	}
	other := reopen(t, dir, Options{})
	for i, e := range rows(other) {
		if e.Leaf != was[i].Leaf || e.Seq < 1300 != (e.Data == nil) || e.Seq >= 1300 && !bytes.Equal(e.Data, was[i].Data) {
			t.Errorf("record %d is %+v", i+1, e)
		}
	}
	top.Pruned = 1299
	if now, err := other.LastLog(t.Context()); err != nil || fmt.Sprint(now) != fmt.Sprint(top) {
		t.Errorf("the end was %+v, is %+v, %v", top, now, errText(err))
	}
	// The last record stays whole: the next one is made of it.
	if n, err := other.PruneLog(t.Context(), 1e9); n != 300 || err != nil {
		t.Errorf("all: %d, %v", n, errText(err))
	}
	if now, err := db.LastLog(t.Context()); err != nil || string(now.Last.Data) != "record 1600" {
		t.Errorf("the last record is %+v, %v", now.Last, errText(err))
	}
	addLog(t, db, 1)
	for e, err := range db.Log(t.Context(), 1599) {
		if err != nil || e.Seq == 1599 != (e.Data == nil) {
			t.Errorf("record %d is %+v, %v", e.Seq, e, errText(err))
		}
	}
}

// TestLogTop: the generation counts the changes of secrets and items, and the digest
// is another after each; the log's own growth is in neither.
func TestLogTop(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{})
	seen := map[[32]byte]bool{}
	at := int64(-1)
	step := func(doing string, grows int64, do func()) {
		t.Helper()
		do()
		top, err := db.LastLog(t.Context())
		if err != nil {
			t.Fatal(errText(err))
		}
		if at >= 0 && (top.Generation != at+grows || seen[top.Digest] != (grows == 0)) {
			t.Errorf("%s: generation %d after %d, digest seen before: %v", doing, top.Generation, at, seen[top.Digest])
		}
		seen[top.Digest], at = true, top.Generation
	}
	step("new", 0, func() {})
	step("a secret", 1, func() { put(t, db, "a", "f", "v") })
	step("the same again", 1, func() { put(t, db, "a", "f", "v") })
	step("an item", 1, func() { setItem(t, db, "k", "1", "body") })
	step("records", 0, func() { addLog(t, db, 3) })
	step("a mark", 1, func() { _, _ = db.Mark(t.Context(), "a", 1, keyturn.Deleted) })
	step("a destroy", 1, func() { _ = db.Shred(t.Context(), "a", []int{1}) })
	step("dropped records", 0, func() { _, _ = db.PruneLog(t.Context(), 3) })
	step("another root key", 0, func() { _ = db.SetRoot(t.Context(), root, "file", "elsewhere") })
	step("a failure", 0, func() { _, _ = db.Append(t.Context(), "a", 7, secretOf("f", "v")) })
	step("an item gone", 1, func() { drop1(t, db, "k", "1") })
	step("open again", 0, func() { _ = db.Close(); db = reopen(t, dir, Options{}) })
	step("the secret gone", 1, func() { _ = db.Shred(t.Context(), "a", nil) })
}
