package app

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/backup"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
	"github.com/keyturn/keyturn/internal/state/sqlite"
	"github.com/keyturn/keyturn/internal/whois"
)

// desk is a person with a folder for a store, and a key for backups.
type desk struct {
	t          *testing.T
	m          machine
	dir        string
	identity   string
	recipients []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := &desk{t: t, dir: dir, identity: filepath.Join(dir, "key.txt"), recipients: []string{id.Recipient().String()}}
	if err := os.WriteFile(d.identity, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	who := whois.Source{Ancestors: func() ([]whois.Process, error) { return nil, nil }, UserName: func() string { return "you" }}
	d.m = Options{Args: []string{}, In: null, Out: null, Err: null, Environ: []string{"HOME=" + dir, "KEYTURN_HOME=" + filepath.Join(dir, "store")}, Dir: dir, Who: who}.machine()
	return d
}

func (d *desk) home() string { return filepath.Join(d.dir, "store") }

// at is the same person with another folder for a store.
func (d *desk) at(name string) *desk {
	other := *d
	other.dir = filepath.Join(d.dir, name)
	other.m.Environ = []string{"HOME=" + d.dir, "KEYTURN_HOME=" + other.home()}
	return &other
}

// do has one operation carried out by a session of its own.
func (d *desk) do(op keyturn.Op) error {
	d.t.Helper()
	s, err := d.m.open(d.t.Context(), session.How{Desk: session.Nobody{}})
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = s.Service.Do(d.t.Context(), op)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (d *desk) must(op keyturn.Op) {
	d.t.Helper()
	if err := d.do(op); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) init() {
	d.t.Helper()
	if _, err := d.m.create(d.t.Context(), session.How{Desk: session.Nobody{}}, rootkey.File); err != nil {
		d.t.Fatal(err)
	}
}

// backup makes a backup, and returns its name.
func (d *desk) backup(name string) string {
	d.t.Helper()
	to := filepath.Join(d.dir, name)
	d.must(keyturn.BackupStore{To: to, Recipients: d.recipients})
	return to
}

func (d *desk) restore(file string, o session.RestoreOptions) (session.Restored, error) {
	o.File, o.Identities = file, []string{d.identity}
	if o.Confirm == nil {
		o.Confirm = func(context.Context, string) error { return nil }
	}
	return d.m.restore(d.t.Context(), session.How{Desk: session.Nobody{}}, o)
}

// open opens the store itself.
func (d *desk) open() *state.DB {
	d.t.Helper()
	db, err := state.Open(d.t.Context(), d.home(), func(id, kind, place string) ([]byte, error) {
		return rootkey.Keeper{Dir: d.home(), Store: id}.Load(d.t.Context(), kind, place)
	}, d.m.stateOptions())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	return db
}

func refused(t *testing.T, err error, code keyturn.Code, says string) {
	t.Helper()
	if e := keyturn.AsError(err); e == nil || e.Code != code || !strings.Contains(e.Message, says) {
		t.Fatalf("got %v, want %s that says %q", err, code, says)
	}
}

// TestGivenIsRestored: a backup and a restore keep who gave each field: what an agent may
// have chosen stays so.
func TestGivenIsRestored(t *testing.T) {
	d := newDesk(t)
	d.init()
	given := map[string]bool{"A": true, "B": false}
	db := d.open()
	if _, err := db.Append(t.Context(), "app", -1, keyturn.Secret{Info: keyturn.Info{Given: given},
		Values: map[string]keyturn.Value{"A": keyturn.NewValue([]byte("a guess")), "B": keyturn.NewValue([]byte("typed")), "C": keyturn.NewValue([]byte("nobody knows"))}}); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	file := d.backup("given.age")
	other := d.at("other")
	if _, err := other.restore(file, session.RestoreOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := other.open().Read(t.Context(), "app", 0)
	if err != nil || !maps.Equal(s.Given, given) || len(s.Values) != 3 {
		t.Errorf("given is %v (%v)", s.Given, err)
	}
}

// TestForgedBackup makes a store with the id of another one, and a backup of it for
// the other's recipient, as everybody can who knows both: it never takes the place
// of the store, and says whose it is to who asks.
func TestForgedBackup(t *testing.T) {
	d := newDesk(t)
	d.init()
	key, err := audit.New(d.open(), nil).VerifierKey()
	if err != nil {
		t.Fatal(err)
	}
	note, _, err := audit.New(d.open(), nil).Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	noteFile := filepath.Join(d.dir, "checkpoint.txt")
	if err := os.WriteFile(noteFile, note, 0o600); err != nil {
		t.Fatal(err)
	}
	own := d.backup("own.age")

	forger := d.at("forger")
	keys := rootkey.Keeper{Dir: forger.home(), Store: d.open().Stats().ID}
	root, place, err := keys.New(t.Context(), rootkey.File)
	if err != nil {
		t.Fatal(err)
	}
	db, err := state.Create(t.Context(), forger.home(), [rootkey.Size]byte(root), state.Options{ID: keys.Store, Kind: rootkey.File, Place: place})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 { // longer than the log of the real one
		forger.must(keyturn.ListMounts{})
	}
	forged := forger.backup("forged.age")

	for _, o := range []session.RestoreOptions{{}, {Replace: true}, {Replace: true, Forked: true}} {
		_, err := d.restore(forged, o)
		refused(t, err, keyturn.Conflict, "the backup was not made of the store")
	}
	got, err := d.restore(forged, session.RestoreOptions{Check: true})
	if err != nil || got.VerifierKey == key || got.VerifierKey == "" {
		t.Fatalf("the key of the forged backup's log is %q, that of the store's %q: %v", got.VerifierKey, key, err)
	}
	fresh := d.at("fresh")
	_, err = fresh.restore(forged, session.RestoreOptions{Key: key})
	refused(t, err, keyturn.Corrupt, "another log")
	_, err = fresh.restore(forged, session.RestoreOptions{Checkpoint: noteFile})
	refused(t, err, keyturn.Corrupt, "another log")
	if _, err := os.Lstat(fresh.home()); err == nil {
		t.Error("something of a refused backup was left behind")
	}
	if _, err := fresh.restore(own, session.RestoreOptions{Key: key, Checkpoint: noteFile}); err != nil {
		t.Error(err)
	}
}

// TestRestoreBesideAWriter has the store used while the question is open whether it
// is to be replaced, and after that: it is not replaced, and nothing of it is lost.
func TestRestoreBesideAWriter(t *testing.T) {
	d := newDesk(t)
	d.init()
	b := d.backup("b.age")
	put := func() { d.must(keyturn.ListMounts{}) }
	_, err := d.restore(b, session.RestoreOptions{Replace: true, Confirm: func(context.Context, string) error {
		put()
		return nil
	}})
	refused(t, err, keyturn.Conflict, "was used while it was about to be replaced")
	if left, _ := filepath.Glob(filepath.Join(d.home(), "re[ps]*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	put()
	before := d.mark()
	got, err := d.restore(b, session.RestoreOptions{Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Replaced == nil || *got.Replaced != before {
		t.Errorf("the record says that the replaced log ended at %+v, and it ended at %+v", got.Replaced, before)
	}
	if _, _, err := audit.New(d.open(), nil).Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// mark is where the log of the store ends.
func (d *desk) mark() keyturn.LogMark {
	d.t.Helper()
	_, c, err := audit.New(d.open(), nil).Checkpoint(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return keyturn.LogMark{Size: c.Size, Root: hex.EncodeToString(c.Root[:])}
}

// TestDamagedValues damages what only the values' own keys can tell: a backup is not
// made of such a store, and one that was made of it all the same is not whole.
func TestDamagedValues(t *testing.T) {
	for doing, change := range map[string]string{
		"keys and values made zero": "UPDATE version SET key = zeroblob(length(key)), data = zeroblob(length(data))",
		"the end of a value cut":    "UPDATE version SET data = substr(data, 1, length(data) - 1)",
	} {
		d := newDesk(t)
		d.init()
		db := d.open()
		_, err := db.Append(t.Context(), "a", 0, keyturn.Secret{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("some value"))}})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		snapshot := filepath.Join(dir, state.File)
		if err := db.Snapshot(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
		note, c, err := audit.New(db, nil).Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(filepath.Join(d.home(), rootkey.FileName))
		if err != nil {
			t.Fatal(err)
		}
		damage(t, snapshot, change)
		damage(t, filepath.Join(d.home(), state.File), change)

		to := filepath.Join(d.dir, "b.age")
		refused(t, d.do(keyturn.BackupStore{To: to, Recipients: d.recipients}), keyturn.Corrupt, "")
		if _, err := os.Lstat(to); err == nil {
			t.Errorf("%s: there is a backup all the same", doing)
		}

		text, err := os.ReadFile(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		recipients, err := backup.ParseRecipients(d.recipients)
		if err != nil {
			t.Fatal(err)
		}
		var made bytes.Buffer
		m := backup.Manifest{Store: db.Stats().ID, Format: state.Format, Size: int64(len(text)),
			Log: backup.Log{Size: c.Size, Root: hex.EncodeToString(c.Root[:]), Checkpoint: string(note)}}
		if err := backup.Write(&made, recipients, m, key, bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, made.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = d.restore(to, session.RestoreOptions{Check: true})
		refused(t, err, keyturn.Corrupt, "not a whole store")
		_, err = d.restore(to, session.RestoreOptions{Replace: true})
		refused(t, err, keyturn.Corrupt, "not a whole store")
	}
}

// damage changes a database from outside, and leaves it one file.
func damage(t *testing.T, path, change string) {
	t.Helper()
	pool, err := sqlite.Open(path, sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlite.Tidy(pool), pool.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRekeyNamesWhatIsDamaged has a change of keys come to a value that cannot be
// read: the secret is named, what the hint says can be done, and then it goes on.
func TestRekeyNamesWhatIsDamaged(t *testing.T) {
	d := newDesk(t)
	d.init()
	db := d.open()
	for _, name := range []string{"whole", "torn"} {
		_, err := db.Append(t.Context(), name, 0, keyturn.Secret{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte(name))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	damage(t, filepath.Join(d.home(), state.File), "UPDATE version SET data = zeroblob(length(data)) WHERE secret = (SELECT max(id) FROM secret)")
	err := d.do(keyturn.RekeyStore{})
	refused(t, err, keyturn.Corrupt, "torn version 1")
	if e := keyturn.AsError(err); !strings.Contains(e.Hint, "keyturn destroy local/torn --versions 1") {
		t.Errorf("hint %q", e.Hint)
	}
	ref, err := keyturn.ParseRef("kt://local/torn")
	if err != nil {
		t.Fatal(err)
	}
	d.must(keyturn.DestroySecret{Ref: ref, Versions: []string{"1"}})
	d.must(keyturn.RekeyStore{})
	if got, err := d.open().Read(t.Context(), "whole", 0); err != nil || got.Values["f"].Len() != len("whole") {
		t.Errorf("after the rekey: %v", err)
	}
}
