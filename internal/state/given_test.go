package state

import (
	"bytes"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/state/codec"
	"github.com/keyturn/keyturn/internal/state/rows"
	"github.com/keyturn/keyturn/internal/state/seal"
)

// TestGiven: who gave each field stays with its value: through a merge, a person's value, a
// change of labels, a rollback, deleting and restoring, another root key, and a snapshot.
func TestGiven(t *testing.T) {
	t.Parallel()
	db, dir := create(t, Options{})
	ref := keyturn.MustRef("local/app")
	of := func(db *DB) *platform.Mount {
		return platform.NewMount("local", local.New(db, "local"), local.Spec, "")
	}
	m := of(db)
	put := func(p platform.Put, fields ...string) {
		t.Helper()
		p.Values = secretOf(fields...).Values
		if _, err := m.Put(t.Context(), ref, p); err != nil {
			t.Fatal(errText(err))
		}
	}
	is := func(after string, m *platform.Mount, ref keyturn.Ref, want map[string]bool) {
		t.Helper()
		s, err := m.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(after, errText(err))
		}
		info, err := m.Describe(t.Context(), ref)
		if err != nil {
			t.Fatal(after, errText(err))
		}
		if !maps.Equal(s.Given, want) || !maps.Equal(info.Given, want) {
			t.Errorf("%s: given is %v, and described as %v; want %v", after, s.Given, info.Given, want)
		}
	}
	agent, person := map[string]bool{"A": true}, map[string]bool{"B": false}
	put(platform.Put{Given: agent}, "A", "guess")
	is("an agent's put", m, ref, agent)
	put(platform.Put{Given: person, Mode: keyturn.Merge}, "B", "typed")
	both := map[string]bool{"A": true, "B": false}
	is("a person's field beside it", m, ref, both)
	put(platform.Put{Labels: map[string]string{"team": "web"}, Mode: keyturn.Merge})
	is("labels", m, ref, both)
	put(platform.Put{Mode: keyturn.Merge}, "C", "from a platform that does not tell")
	is("a field of which nobody knows", m, ref, both)
	put(platform.Put{Given: map[string]bool{"A": false}, Mode: keyturn.Merge}, "A", "typed anew")
	is("a person's value in its place", m, ref, map[string]bool{"A": false, "B": false})
	put(platform.Put{Given: map[string]bool{"B": true}, Mode: keyturn.Replace}, "B", "another guess")
	last := map[string]bool{"B": true}
	is("an agent's secret in its place", m, ref, last)
	if _, err := m.Rollback(t.Context(), ref, "1"); err != nil {
		t.Fatal(errText(err))
	}
	is("a rollback to the agent's value", m, ref, agent)
	if _, _, err := m.Delete(t.Context(), ref); err != nil {
		t.Fatal(errText(err))
	}
	if _, err := m.Restore(t.Context(), ref); err != nil {
		t.Fatal(errText(err))
	}
	is("restored", m, ref, agent)
	all := func(after string, m *platform.Mount) {
		t.Helper()
		for version, want := range map[string]map[string]bool{"1": agent, "2": both, "6": last, "7": agent} {
			pinned, err := ref.WithVersion(version)
			if err != nil {
				t.Fatal(err)
			}
			is(after+", version "+version, m, pinned, want)
		}
	}
	all("before the rekey", m)
	if err := db.Rekey(t.Context(), func(int, int) {}); err != nil {
		t.Fatal(errText(err))
	}
	all("after the rekey", m)
	all("read by another process", of(reopen(t, dir, Options{})))
	copied := t.TempDir()
	if err := db.Snapshot(t.Context(), filepath.Join(copied, File)); err != nil {
		t.Fatal(errText(err))
	}
	all("in a snapshot", of(reopen(t, copied, Options{})))
}

// TestGivenIsAdded: the row of a version of which nobody knows who gave it is the same, byte
// by byte, as before that was kept, and is read as such.
func TestGivenIsAdded(t *testing.T) {
	t.Parallel()
	ring, err := seal.NewRing("store")
	if err != nil {
		t.Fatal(err)
	}
	k := rows.Keys{Ring: ring}
	at := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
	info := keyturn.Info{Path: "app", Version: "3", State: keyturn.Deleted, Created: at, Expires: at.AddDate(1, 0, 0), Fields: []string{"A", "B"}, Public: []string{"B"},
		Labels: map[string]string{"team": "web"}}
	var old codec.Encoder // what an earlier keyturn wrote
	old.Num(2)
	old.Num(1)
	old.Time(at)
	old.Time(at.AddDate(1, 0, 0))
	old.Texts([]string{"A", "B"})
	old.Texts([]string{"B"})
	old.Num(1)
	old.Text("team")
	old.Text("web")
	s := &rows.Secret{Name: "app", Life: "life", Newest: 3, Revs: map[int]int{3: 2}}
	plain := func(info keyturn.Info) []byte {
		t.Helper()
		p, err := k.OpenInfo(s, 3, k.SealInfo(s, &rows.Version{Number: 3, Rev: 2, Info: info}))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got := plain(info); !bytes.Equal(got, old) {
		t.Errorf("%x\nwant %x", got, []byte(old))
	}
	v, err := rows.DecodeInfo("app", 3, old)
	if err != nil || v.Info.Given != nil || !bytes.Equal(plain(v.Info), old) {
		t.Errorf("%+v (%v)", v, err)
	}
	info.Given = map[string]bool{"A": true, "B": false}
	given := plain(info)
	if v, err = rows.DecodeInfo("app", 3, given); err != nil || !maps.Equal(v.Info.Given, info.Given) || !bytes.Equal(plain(v.Info), given) {
		t.Errorf("%+v (%v)", v, err)
	}
	for n := len(old) + 1; n < len(given); n++ { // no part of it is taken for a whole
		if _, err := rows.DecodeInfo("app", 3, given[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(given))
		}
	}
}
