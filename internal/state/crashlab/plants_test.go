package crashlab_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/cryptotest"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/crashlab"
	"github.com/ncruces/go-sqlite3"
)

// plant is a bug that the lab must catch. All are planted from outside: nothing in
// the program knows of them.
type plant struct {
	name   string
	faults crashlab.Faults
	wrap   func(audit.Store) audit.Store
	steps  []step // the usual ones where nil
	// edit changes what a crash at the end leaves.
	edit func(crashlab.Files) (crashlab.Files, error)
	want string // what the lab says
}

func syncOf(suffix string) func(crashlab.Op) bool {
	return func(op crashlab.Op) bool { return op.Kind == crashlab.Sync && strings.HasSuffix(op.Name, suffix) }
}

// lazy is a log whose intents are not durable.
type lazy struct{ audit.Store }

var plants = []plant{
	{name: "the WAL is never synced", faults: crashlab.Faults{Swallow: syncOf("-wal")}, want: "lost"},
	{name: "the disk lies about every sync", faults: crashlab.Faults{Swallow: func(crashlab.Op) bool { return true }}, want: "lost"},
	{name: "the database is not synced before its WAL is used anew", faults: crashlab.Faults{Swallow: syncOf(state.File)}, want: ""},
	{name: "the folder is never synced", faults: crashlab.Faults{Swallow: func(op crashlab.Op) bool { return op.Kind == crashlab.SyncDir }}, want: "lost"},
	{name: "changes are committed without a sync after a read's outcome", faults: crashlab.Faults{Pragma: staysNormal()}, want: "lost", steps: []step{put, get, flush, put, put}},
	{name: "the log's appends are not durable", wrap: func(s audit.Store) audit.Store { return lazy{s} }, want: "record"},
	{name: "a value goes out before its intent", steps: []step{put, early, put, early}, want: "a value was handed out"},
	{name: "a change is made before its intent", steps: []step{put, unannounced, put}, want: "announces it, is not in the log"},
	{name: "what an approval allows happens before it is used up", steps: []step{approve, useLate, approve, useLate}, want: "may be used twice"},
	{name: "a copy of a key stays when it is destroyed", steps: []step{put, keep("version"), destroy}, want: "a ciphertext is still in"},
	{name: "a destroy is answered before its outcome is durable", steps: []step{put, putNew, destroyEarly}, want: "a ciphertext is in keyturn.db-wal again"},
	{name: "half a rekey is taken for a whole one", steps: []step{put, putNew, halfRekey}, edit: finishedMaster, want: "of another time"},
	{name: "the head is not written with its rows", steps: []step{put, headless, put}, want: "damaged or changed from outside"},
	{name: "two records are swapped", want: "do not verify",
		edit: bySQL(`UPDATE log SET seq = -1 WHERE seq = 1; UPDATE log SET seq = 1 WHERE seq = 2; UPDATE log SET seq = 2 WHERE seq = -1`)},
	{name: "the last record is cut off", edit: bySQL(`DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)`), want: "do not verify"},
	{name: "an approval that was used comes back", steps: []step{approve, keep("item"), useAny}, edit: bringBack("item"), want: "do not verify"},
	{name: "the newest version is taken back", steps: []step{put, keep("secret"), keep("version"), putSame}, edit: bringBack("secret", "version"), want: "do not verify"},
	{name: "two values are swapped", steps: []step{put, putNew}, want: "cannot be read",
		edit: bySQL(`CREATE TABLE two AS SELECT * FROM version; UPDATE version SET (key, data) = (SELECT key, data FROM two WHERE two.secret <> version.secret)`)},
	{name: "a page is torn that was synced", steps: []step{put, restart, putNew, putNew, putNew, restart}, edit: tornPage, want: "damaged"},
}

func (s lazy) AppendLog(ctx context.Context, _ bool, next func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	return s.Store.AppendLog(ctx, false, next)
}

// early hands a value out, and then records that it will.
func early(ctx context.Context, l *lab, p *proc) error {
	name, number, ok := l.live()
	if !ok {
		return errors.New("nothing to get")
	}
	id := "op-early-" + l.id("op")
	if _, err := p.db.Read(ctx, name[len("secret "):], number); err != nil {
		return err
	}
	l.out = append(l.out, handed{l.disk.Now(), id})
	return p.log.Append(ctx, keyturn.Record{ID: id, Phase: keyturn.Intent, Door: "lab"})
}

// destroyEarly answers before the outcome is in the log.
func destroyEarly(ctx context.Context, l *lab, p *proc) error {
	keys, err := l.wrappedKeys()
	if err != nil {
		return err
	}
	name := l.names("secret")[0]
	id, err := l.intent(ctx, p, "destroy")
	if err != nil {
		return err
	}
	return l.change(ctx, p, id, name, func() error {
		if err := p.db.Shred(ctx, name[len("secret "):], nil); err != nil {
			return err
		}
		left, err := l.wrappedKeys()
		maps.DeleteFunc(keys, func(key string, _ bool) bool { return left[key] })
		return errors.Join(err, l.gone(keys))
	})
}

// unannounced changes a secret, and then records that it will.
func unannounced(ctx context.Context, l *lab, p *proc) error {
	name, id, began := l.names("secret")[0], l.id("op"), l.disk.Now()
	if _, err := p.db.Append(ctx, name[len("secret "):], -1, secretOf("early")); err != nil {
		return err
	}
	is, err := observe(ctx, p.db, name)
	if err != nil {
		return err
	}
	o := l.objects[name]
	o.changes = append(o.changes, change{began, l.disk.Now(), id, is})
	return p.log.Append(ctx, keyturn.Record{ID: id, Phase: keyturn.Intent, Door: "lab"}, outcome(id))
}

// useLate lets the effect happen, and then uses the approval up.
func useLate(ctx context.Context, l *lab, p *proc) error {
	for _, name := range l.names("item") {
		if l.known(name) == unused {
			l.happens(name)
			return use(ctx, l, p)
		}
	}
	return nil
}

// staysNormal lets a connection go to synchronous=NORMAL, and never back.
func staysNormal() func(name, value string) bool {
	var normal atomic.Bool
	return func(name, value string) bool {
		if name == "synchronous" && strings.EqualFold(value, "normal") {
			normal.Store(true)
		}
		return name == "synchronous" && strings.EqualFold(value, "full") && normal.Load()
	}
}

func putNew(ctx context.Context, l *lab, p *proc) error {
	return putAt(ctx, l, p, "secret "+l.id("name"))
}

func putSame(ctx context.Context, l *lab, p *proc) error {
	return putAt(ctx, l, p, l.names("secret")[0])
}

func flush(ctx context.Context, _ *lab, p *proc) error { return p.log.Flush(ctx) }

func useAny(ctx context.Context, l *lab, p *proc) error {
	for len(l.effects) == 0 {
		if err := use(ctx, l, p); err != nil {
			return err
		}
	}
	return nil
}

// bySQL changes the database by statements.
func bySQL(statements string) func(crashlab.Files) (crashlab.Files, error) {
	return func(f crashlab.Files) (crashlab.Files, error) { return edited(f, statements) }
}

// keep copies the rows of a table, for bringBack.
func keep(table string) step {
	return func(_ context.Context, l *lab, _ *proc) error {
		c, err := raw(l.disk)
		if err != nil {
			return err
		}
		return errors.Join(c.Exec("CREATE TABLE kept_"+table+" AS SELECT * FROM "+table), c.Close())
	}
}

func bringBack(tables ...string) func(crashlab.Files) (crashlab.Files, error) {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "DELETE FROM %[1]s; INSERT INTO %[1]s SELECT * FROM kept_%[1]s;", t)
	}
	return bySQL(b.String())
}

// finishedMaster goes on with a rekey elsewhere, and brings its master key here.
func finishedMaster(f crashlab.Files) (crashlab.Files, error) {
	ctx := context.Background()
	l := newLab(f, 1, crashlab.Faults{})
	defer l.close()
	p, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	if is, err := p.db.Rekeying(ctx); !is || err != nil {
		return nil, fmt.Errorf("no rekey is under way: %w", err)
	}
	if err := p.db.Rekey(ctx, nil); err != nil {
		return nil, err
	}
	var master []byte
	err = query(l.disk, "SELECT v FROM meta WHERE k = 'master'", func(s *sqlite3.Stmt) error {
		master = bytes.Clone(s.ColumnRawBlob(0))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return edited(f, fmt.Sprintf("UPDATE meta SET v = x'%x' WHERE k = 'master'", master))
}

// tornPage wipes the second half of the largest page of the table of versions.
func tornPage(f crashlab.Files) (crashlab.Files, error) {
	out, data := maps.Clone(f), slices.Clone(f[state.File])
	const page = 4096
	const leaf = 0x0a // of an index, which a table WITHOUT ROWID is
	for at := len(data) - page; at > 0; at -= page {
		if data[at] == leaf && binary.BigEndian.Uint16(data[at+3:]) > 0 {
			clear(data[at+page/2 : at+page])
			out[state.File] = data
			return out, nil
		}
	}
	return nil, errors.New("no page to tear")
}

// headless plants a trigger that keeps the head as it is.
func headless(_ context.Context, l *lab, _ *proc) error {
	c, err := raw(l.disk)
	if err != nil {
		return err
	}
	return errors.Join(c.Exec(`CREATE TRIGGER headless BEFORE UPDATE ON meta WHEN new.k = 'head' BEGIN SELECT RAISE(IGNORE); END`), c.Close())
}

// hunt runs a workload with a planted bug, and crashes of it, until the lab finds
// something wrong.
func (p plant) hunt(t *testing.T, seed uint64) error {
	ctx := t.Context()
	l := newLab(baseFiles(t), seed, p.faults)
	defer l.close()
	l.wrap = p.wrap
	if p.steps == nil {
		if err := l.run(ctx, 24); err != nil {
			return err
		}
	} else if err := l.these(ctx, p.steps); err != nil {
		return err
	}
	if p.edit != nil {
		files, err := p.edit(l.disk.Live())
		if err != nil {
			t.Fatal(err)
		}
		after, err := l.check(ctx, crashlab.Image{Files: files, At: l.disk.Now(), How: "everything, edited,"}, seed)
		after.close()
		return err
	}
	return l.images(ctx, crashlab.Plan{Random: 4, Prefixes: 2, Sector: 512}, seed, func(crashlab.Image, *lab) error { return nil })
}

// these does given steps by one process.
func (l *lab) these(ctx context.Context, steps []step) error {
	if _, err := l.start(ctx); err != nil {
		return err
	}
	for i, s := range steps {
		if err := s(ctx, l, l.procs[0]); err != nil {
			return fmt.Errorf("step %d: %w", i, detail(err))
		}
		if err := l.look(); err != nil {
			return err
		}
	}
	return nil
}

// TestCrashPlanted plants bugs: the lab that finds nothing wrong in the program
// must find each of them.
func TestCrashPlanted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	caught, skipped := 0, 0
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			if race && p.edit == nil {
				skipped++
				t.Skip("a long hunt, which 'make real' goes on without the race detector")
			}
			for seed := uint64(1); seed <= 3; seed++ {
				err := p.hunt(t, seed)
				if err == nil {
					continue
				}
				if !strings.Contains(err.Error(), p.want) {
					t.Fatalf("caught for another reason than %q: %v", p.want, err)
				}
				t.Logf("caught with seed %d: %v", seed, err)
				caught++
				return
			}
			t.Errorf("not caught")
		})
	}
	t.Logf("%d of %d planted bugs caught, %d not hunted; TestCrashNonces has one more", caught, len(plants), skipped)
}

// TestCrashNonces looks at every ciphertext that a workload ever wrote, and at
// those of one whose random numbers repeat.
func TestCrashNonces(t *testing.T) {
	l := newLab(baseFiles(t), 1, crashlab.Faults{})
	l.nonces = map[string]string{}
	defer l.close()
	if err := l.run(t.Context(), 40); err != nil {
		t.Fatal(err)
	}
	if len(l.nonces) < 200 {
		t.Errorf("only %d ciphertexts were looked at", len(l.nonces))
	}
	t.Logf("%d ciphertexts, no nonce twice", len(l.nonces))
	again := func(ctx context.Context, l *lab, p *proc) error {
		cryptotest.SetGlobalRandom(t, 7)
		return putAt(ctx, l, p, "secret again")
	}
	bad := newLab(baseFiles(t), 1, crashlab.Faults{})
	bad.nonces = map[string]string{}
	defer bad.close()
	err := bad.these(t.Context(), []step{again, again})
	if err == nil || !strings.Contains(err.Error(), "a nonce was used twice") {
		t.Errorf("random numbers that repeat were not caught: %v", err)
	}
}
