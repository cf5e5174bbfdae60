package crashlab_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/crashlab"
)

// base is a store with nothing in it, as its file.
var base = sync.OnceValues(func() (crashlab.Files, error) {
	dir, err := os.MkdirTemp("", "crashlab-base-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := state.Create(context.Background(), dir, rootAt("A"), state.Options{Kind: "file", Place: "A"})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, state.File))
	return crashlab.Files{state.File: data}, err
})

func baseFiles(t testing.TB) crashlab.Files {
	t.Helper()
	files, err := base()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// rootAt is the root key that is kept at a place.
func rootAt(place string) [32]byte { return sha256.Sum256([]byte(place)) }

// lab runs a workload on a disk, and knows at which operation of the disk what was
// asked for, and what was answered.
type lab struct {
	disk *crashlab.Disk
	wrap func(audit.Store) audit.Store // a planted fault between log and store
	now  func() time.Time
	root []byte // where it is not rootAt of its place

	mu      sync.Mutex
	rng     *rand.Rand
	procs   []*proc
	objects map[string]*object
	records []acked
	out     []handed
	held    []checkpoint
	effects []effect
	wiped   []residue
	nonces  map[string]string // of every ciphertext ever seen: what came with it
	last    int
	crashes int // how many crashes are behind it: no two labs give one id
}

// proc is one process: a store of its own on the same disk.
type proc struct {
	db  *state.DB
	log *audit.Log
}

// object is a secret, an item or the root key, and everything that was ever done
// to it; the first change is how it was in the beginning.
type object struct{ changes []change }

// change is one change of an object, in numbers of operations of the disk.
type change struct {
	began, done int // done < 0: never answered with success
	intent      string
	state       string // of the object afterwards, as observe has it
}

// acked is a record of the log that was answered with success.
type acked struct {
	at   int
	seq  int64
	leaf [32]byte
	// intent is the operation that it announces, or empty: to be known where the
	// record was pruned.
	intent string
}

// handed is a value that went out, under the intent that announced it.
type handed struct {
	at     int
	intent string
}

// checkpoint is a signed one that somebody else holds.
type checkpoint struct {
	at   int
	note []byte
}

// effect is what an approval allows, and what happens once.
type effect struct {
	at   int
	item string
}

// residue is a wrapped key that no file may hold any more.
type residue struct {
	at  int
	key string
}

// newLab is a lab on a disk with files, and faults of that disk.
func newLab(files crashlab.Files, seed uint64, faults crashlab.Faults) *lab {
	return &lab{disk: crashlab.New(files, faults), rng: rand.New(rand.NewPCG(seed, 1)), objects: map[string]*object{}}
}

func (l *lab) options() state.Options {
	return state.Options{VFS: crashlab.VFS, Busy: 5 * time.Second, Now: l.now}
}

func (l *lab) close() {
	l.disk.PowerOff()
	for _, p := range l.procs {
		_ = p.db.Close()
	}
	l.disk.Close()
}

// tap is an audit.Store that tells which records were acknowledged as durable.
type tap struct {
	audit.Store
	acked func([]keyturn.LogEntry)
}

func (t tap) AppendLog(ctx context.Context, durable bool, next func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	var made []keyturn.LogEntry
	err := t.Store.AppendLog(ctx, durable, func(top keyturn.LogTop) (rows []keyturn.LogEntry, tree []byte, err error) {
		rows, tree, err = next(top)
		made = rows
		return rows, tree, err
	})
	if err == nil && durable {
		t.acked(made)
	}
	return err
}

// record is what the lab keeps of a row of the log; an error where it cannot be
// read.
func record(at int, e keyturn.LogEntry) (acked, error) {
	a := acked{at: at, seq: e.Seq, leaf: e.Leaf}
	if e.Data == nil {
		return a, nil
	}
	r, err := keyturn.DecodeRecord(e.Data)
	if r.Phase == keyturn.Intent {
		a.intent = r.ID
	}
	return a, err
}

// start starts a process.
func (l *lab) start(ctx context.Context) (*proc, error) {
	keyfunc := func(_, _, place string) ([]byte, error) {
		if l.root != nil {
			return l.root, nil
		}
		root := rootAt(place)
		return root[:], nil
	}
	db, err := state.Open(ctx, l.disk.Dir, keyfunc, l.options())
	if err != nil {
		return nil, fmt.Errorf("the store does not open: %w", detail(err))
	}
	p := &proc{db: db}
	var store audit.Store = db
	if l.wrap != nil {
		store = l.wrap(store)
	}
	p.log = audit.New(tap{store, func(entries []keyturn.LogEntry) {
		at := l.disk.Now()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, e := range entries {
			a, _ := record(at, e)
			l.records = append(l.records, a)
		}
	}}, l.now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.procs = append(l.procs, p)
	return p, nil
}

// id is a new name for something.
func (l *lab) id(kind string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return fmt.Sprintf("%s-%d-%06d", kind, l.crashes, l.last)
}

func (l *lab) pick(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(n)
}

// intent records durably what is about to be done.
func (l *lab) intent(ctx context.Context, p *proc, what string) (string, error) {
	id := l.id("op")
	err := p.log.Append(ctx, keyturn.Record{ID: id, Phase: keyturn.Intent, Door: "lab", Reason: what})
	return id, err
}

func outcome(id string) keyturn.Record {
	return keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
}

// changed does a change of an object, announced by an intent and followed by its
// outcome. An error is one that no crash explains.
func (l *lab) changed(ctx context.Context, p *proc, name, what string, do func() error) error {
	id, err := l.intent(ctx, p, what+" "+name)
	if err != nil {
		return fmt.Errorf("intent: %w", err)
	}
	return l.change(ctx, p, id, name, do)
}

func (l *lab) change(ctx context.Context, p *proc, id, name string, do func() error) error {
	was, err := observe(ctx, p.db, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c := change{began: l.disk.Now(), done: -1, intent: id}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.done = l.disk.Now()
	is, err := observe(ctx, p.db, name)
	if err != nil {
		return fmt.Errorf("%s cannot be seen after its change: %w", name, err)
	}
	c.state = is
	l.mu.Lock()
	o := l.objects[name]
	if o == nil {
		o = &object{changes: []change{{state: was}}}
		l.objects[name] = o
	}
	o.changes = append(o.changes, c)
	l.mu.Unlock()
	return p.log.Append(ctx, outcome(id))
}

const absent = "absent"

// kindItem is the kind of the lab's items.
const kindItem = "request"

// observe says what an object is: 'secret NAME' with all versions and values,
// 'item ID', 'root' (where the root key is), or 'log' (how far it is pruned).
func observe(ctx context.Context, db *state.DB, object string) (string, error) {
	kind, name, _ := strings.Cut(object, " ")
	switch kind {
	case "item":
		it, err := db.Item(ctx, kindItem, name)
		if errors.Is(err, keyturn.NotFound) {
			return absent, nil
		}
		return string(it.Body), err
	case "root":
		return db.Stats().Place, nil
	case "log": // from where it has not been pruned
		for e, err := range db.Log(ctx, 1) {
			if err != nil || e.Data != nil {
				return strconv.FormatInt(e.Seq, 10), err
			}
		}
		return "1", nil
	}
	versions, err := db.Versions(ctx, name)
	if errors.Is(err, keyturn.NotFound) {
		return absent, nil
	}
	var b strings.Builder
	for _, v := range versions {
		fmt.Fprintf(&b, "%s %s", v.Version, v.State)
		if v.State != keyturn.Destroyed {
			n, _ := strconv.Atoi(v.Version)
			s, err := db.Read(ctx, name, n)
			if err != nil {
				return "", err
			}
			for _, f := range v.Fields {
				fmt.Fprintf(&b, " %s=%s", f, s.Values[f].Reveal())
			}
		}
		b.WriteByte('\n')
	}
	return b.String(), err
}

// detail is an error with its causes.
func detail(err error) error {
	var b strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		b.WriteString(e.Error() + "; ")
	}
	return errors.New(strings.TrimSuffix(b.String(), "; "))
}

// names are the objects of a kind.
func (l *lab) names(kind string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for name := range l.objects {
		if strings.HasPrefix(name, kind+" ") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// some picks an object of a kind; or a new one, always where there is none.
func (l *lab) some(kind string) string {
	all := l.names(kind)
	if len(all) == 0 || len(all) < 6 && l.pick(3) == 0 {
		return kind + " " + l.id("name")
	}
	return all[l.pick(len(all))]
}

// known is an object as the last acknowledged change left it.
func (l *lab) known(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.objects[name]; o != nil {
		return o.changes[len(o.changes)-1].state
	}
	return absent
}
