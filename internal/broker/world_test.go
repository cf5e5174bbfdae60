package broker_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"github.com/keyturn/keyturn/internal/rules"
)

var (
	start = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

	anna  = keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: "os-user"}
	bob   = keyturn.Actor{Kind: keyturn.Person, Name: "bob", Proof: "os-user"}
	cleo  = keyturn.Actor{Kind: keyturn.Person, Name: "cleo", Proof: "os-user", Also: []string{"oidc:group:platform-sre"}}
	coder = keyturn.Actor{Kind: keyturn.Agent, Name: "coder", For: "anna", Proof: "environment"}
	other = keyturn.Actor{Kind: keyturn.Agent, Name: "editor", For: "anna", Proof: "environment"}
	ci    = keyturn.Actor{Kind: keyturn.ServiceKind, Name: "ci", Proof: "token"}

	db     = keyturn.MustRef("local/app/db")
	dbPass = keyturn.MustRef("local/app/db#password")
	web    = keyturn.MustRef("local/app/web")
	old    = keyturn.MustRef("local/app/old") // deleted
	api    = keyturn.MustRef("prod/api")
	absent = keyturn.MustRef("local/app/dbs")
	copied = keyturn.MustRef("prod/copied")
)

// event is one thing that happened, in the order of all things.
type event struct {
	call    string           // of a platform: "Get", "Put", …
	ref     keyturn.Ref      // of it
	written []keyturn.Record // of the log, durably
}

// world is a broker with everything around it in memory.
type world struct {
	*broker.Broker
	t       testing.TB
	mem     map[string]*platformtest.Memory
	mounts  map[string]*platform.Mount
	actor   keyturn.Actor
	whoErr  error
	pass    map[string]string // by principal: what the person types
	asked   []string          // what passphrases were asked for
	rules   []rules.Rule      // remembered
	fail    func(doing string, ref keyturn.Ref) error
	logFail func() (before, after error)

	mu     sync.Mutex
	now    time.Time
	events []event
	rows   []keyturn.LogEntry
	tree   []byte
	items  *journaltest.Items
}

func newWorld(t testing.TB, change ...func(*broker.Config)) *world {
	w := &world{t: t, actor: anna, now: start, pass: map[string]string{},
		mem: map[string]*platformtest.Memory{}, mounts: map[string]*platform.Mount{}}
	spec := platform.Spec{Platform: "memory", Fields: true, MaxFields: 100, MaxValue: 1 << 16, CompareAndSet: true, OrderedVersions: true,
		NumericVersions: true, Recovery: platform.RecoveryForever, RestoreVersion: true, DestroyVersion: true,
		Labels: platform.LabelLimits{Max: 8, Key: 64, Value: 64}, Public: true, Expires: true}
	for _, name := range []string{"local", "prod"} {
		w.mem[name] = platformtest.NewMemory(name, spec)
		w.mounts[name] = platform.NewMount(name, &spy{w: w, Memory: w.mem[name]}, spec, "→ memory "+name)
	}
	w.items = journaltest.WithClock(w.Now)
	c := broker.Config{Mounts: w, Rules: ruleSet(t), Log: audit.New((*logStore)(w), w.Now), Items: w.items, Prover: w, Now: w.Now,
		WhoIs:    func(context.Context) (keyturn.Actor, error) { return w.actor, w.whoErr },
		RuleLine: func(r rules.Rule) (string, error) { return "a rule", nil },
		Remember: func(r rules.Rule) (string, error) { w.rules = append(w.rules, r); return "keyturn.yaml:9", nil }}
	for _, f := range change {
		f(&c)
	}
	w.Broker = broker.New(c)
	w.store(db, map[string]string{"password": secret(1), "user": secret(2)})
	w.store(web, map[string]string{"value": secret(3)})
	w.store(api, map[string]string{"key": secret(4)})
	w.store(old, map[string]string{"value": secret(5)})
	if _, _, err := w.mem["local"].Delete(context.Background(), old); err != nil {
		t.Fatal(err)
	}
	return w
}

// secret is a value that is easily found again.
func secret(i int) string { return fmt.Sprintf("CaNaRy-%d-q7Zx9Kp2", i) }

// withRules replaces the rules, which are written as in a file of the operator.
func withRules(t testing.TB, in ...rules.Source) func(*broker.Config) {
	return func(c *broker.Config) { c.Rules = ruleSet(t, in...) }
}

func ruleSet(t testing.TB, in ...rules.Source) *rules.Set {
	t.Helper()
	for i := range in {
		in[i].File, in[i].Line = "keyturn.yaml", i+1
	}
	s, err := rules.New(rules.Input{Rules: in, Groups: []rules.Group{
		{Name: "sre", Members: []string{"oidc:group:platform-sre", "user:bob"}}, {Name: "dba", Members: []string{"user:anna"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func may(who, verbs, on string, more ...func(*rules.Source)) rules.Source {
	s := rules.Source{Who: []string{who}, May: strings.Fields(verbs), On: strings.Fields(on)}
	for _, f := range more {
		f(&s)
	}
	return s
}

func never(who, verbs, on string) rules.Source {
	return rules.Source{Who: []string{who}, Never: strings.Fields(verbs), On: strings.Fields(on)}
}

func run(templates ...string) func(*rules.Source) {
	return func(s *rules.Source) { s.Run = templates }
}

func needs(k int, from string) func(*rules.Source) {
	return func(s *rules.Source) { s.Needs, s.Approvals, s.From = true, k, from }
}

func remote(c *broker.Config)  { c.Remote = true }
func confirm(c *broker.Config) { c.ConfirmReveal = true }

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) add(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// store puts a secret behind the broker's back.
func (w *world) store(ref keyturn.Ref, values map[string]string) {
	w.t.Helper()
	n := platform.New{Values: map[string]keyturn.Value{}}
	for f, v := range values {
		n.Values[f] = keyturn.NewValue([]byte(v))
	}
	if _, err := w.mem[ref.Mount()].Put(context.Background(), ref, n); err != nil {
		w.t.Fatal(err)
	}
}

// as makes actor the caller.
func (w *world) as(actor keyturn.Actor) *world { w.actor = actor; return w }

// do does op, ranges over what it answers, and returns what it yields.
func (w *world) do(op keyturn.Op) (keyturn.Result, []any, error) {
	res, err := w.Do(context.Background(), op)
	if err != nil {
		if res != nil {
			w.t.Errorf("%s: an error with an answer: %v", op.Kind(), err)
		}
		return nil, nil, err
	}
	var yielded []any
	switch res := res.(type) {
	case *keyturn.Listing:
		for info, err := range res.Secrets {
			if err != nil {
				return res, yielded, err
			}
			yielded = append(yielded, info)
		}
	case *keyturn.Records:
		for r, err := range res.Records {
			if err != nil {
				return res, yielded, err
			}
			yielded = append(yielded, r)
		}
	}
	return res, yielded, nil
}

// must does op, which has to succeed.
func (w *world) must(op keyturn.Op) keyturn.Result {
	w.t.Helper()
	res, _, err := w.do(op)
	if err != nil {
		w.t.Fatalf("%s by %s: %s", op.Kind(), w.actor.Principal(), say(err))
	}
	return res
}

// no does op, which has to fail with want.
func (w *world) no(want keyturn.Code, op keyturn.Op) *keyturn.Error {
	w.t.Helper()
	_, _, err := w.do(op)
	if !errors.Is(err, want) {
		w.t.Fatalf("%s by %s: %s; want %s", op.Kind(), w.actor.Principal(), say(err), want)
	}
	return keyturn.AsError(err)
}

func (w *world) yes(actor keyturn.Actor, id string) {
	w.t.Helper()
	w.as(actor).must(keyturn.ApproveRequest{ID: id})
}

func say(err error) string {
	e := keyturn.AsError(err)
	if e == nil {
		return "no error"
	}
	return fmt.Sprintf("%s: %s (%s) %v", e.Code, e.Message, e.Hint, e.Err)
}

// since returns the platform's calls since there were n events.
func (w *world) since(n int) (calls []event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[n:] {
		if e.call != "" {
			calls = append(calls, e)
		}
	}
	return calls
}

func (w *world) mark() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// records are all rows of the log.
func (w *world) records() []keyturn.Record {
	if err := w.Flush(); err != nil {
		w.t.Fatal(err)
	}
	var out []keyturn.Record
	for _, e := range w.rows {
		r, err := keyturn.DecodeRecord(e.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// Names implements broker.Mounts.
func (w *world) Names() []string { return slices.Sorted(maps.Keys(w.mounts)) }

// Mount implements broker.Mounts.
func (w *world) Mount(name string) (*platform.Mount, error) {
	if m := w.mounts[name]; m != nil {
		return m, nil
	}
	return nil, keyturn.E(keyturn.NotFound, "no mount '"+name+"'", "")
}

// Passphrase implements broker.Prover.
func (w *world) Passphrase(_ context.Context, about string, fresh bool) (keyturn.Value, error) {
	w.asked = append(w.asked, fmt.Sprint(about, " ", fresh))
	if p, ok := w.pass[w.actor.Principal()]; ok {
		return keyturn.NewValue([]byte(p)), nil
	}
	return keyturn.NewValue([]byte("the passphrase of " + w.actor.Name)), nil
}

// logStore is the world as an audit.Store.
type logStore world

func (s *logStore) AppendLog(ctx context.Context, durable bool, next func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	s.mu.Lock()
	fail := s.logFail
	s.mu.Unlock()
	var before, after error
	if fail != nil {
		before, after = fail()
	}
	if err := errors.Join(before, ctx.Err()); err != nil {
		return err
	}
	top, _ := s.LastLog(ctx)
	rows, tree, err := next(top) // looks at the clock; one Log is one writer
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.tree = append(s.rows, rows...), tree
	var e event
	for _, row := range rows {
		r, err := keyturn.DecodeRecord(row.Data)
		if err != nil {
			return err
		}
		e.written = append(e.written, r)
	}
	if durable && after == nil {
		s.events = append(s.events, e)
	}
	return after
}

func (s *logStore) Log(_ context.Context, from int64) iter.Seq2[keyturn.LogEntry, error] {
	s.mu.Lock()
	rows := slices.Clone(s.rows)
	s.mu.Unlock()
	return func(yield func(keyturn.LogEntry, error) bool) {
		for _, e := range rows[min(len(rows), int(from)-1):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *logStore) LastLog(context.Context) (keyturn.LogTop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) == 0 {
		return keyturn.LogTop{}, nil
	}
	pruned := int64(0)
	for _, e := range s.rows {
		if e.Data == nil {
			pruned = e.Seq
		}
	}
	return keyturn.LogTop{Last: s.rows[len(s.rows)-1], Tree: s.tree, Pruned: pruned, Generation: 1}, nil
}

func (s *logStore) PruneLog(_ context.Context, before int64) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.rows {
		if e.Seq < before && e.Data != nil {
			s.rows[i].Data = nil
			n++
		}
	}
	return n, nil
}

func (s *logStore) LogKey() [32]byte { return [32]byte{1} }

func (s *logStore) VerifyState(context.Context) error { return nil }

// spy is a platform that tells of every call, and fails or panics when told to.
type spy struct {
	*platformtest.Memory
	w *world
}

func (s *spy) note(call string, ref keyturn.Ref) error {
	s.w.mu.Lock()
	s.w.events = append(s.w.events, event{call: call, ref: ref})
	s.w.mu.Unlock()
	if s.w.fail != nil {
		return s.w.fail(call, ref)
	}
	return nil
}

func (s *spy) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	if err := s.note("Get", ref); err != nil {
		return keyturn.Secret{}, err
	}
	return s.Memory.Get(ctx, ref)
}

func (s *spy) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		if err := s.note("List", keyturn.Ref{}); err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		s.Memory.List(ctx, prefix)(yield)
	}
}

func (s *spy) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	if err := s.note("Describe", ref); err != nil {
		return keyturn.Info{}, err
	}
	return s.Memory.Describe(ctx, ref)
}

func (s *spy) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	if err := s.note("Versions", ref); err != nil {
		return nil, err
	}
	return s.Memory.Versions(ctx, ref)
}

func (s *spy) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	if err := s.note("Put", ref); err != nil {
		return keyturn.Info{}, err
	}
	return s.Memory.Put(ctx, ref, n)
}

func (s *spy) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	if err := s.note("Delete", ref); err != nil {
		return keyturn.Info{}, time.Time{}, err
	}
	return s.Memory.Delete(ctx, ref)
}

func (s *spy) Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	if err := s.note("Restore", ref); err != nil {
		return keyturn.Info{}, err
	}
	return s.Memory.Restore(ctx, ref)
}

func (s *spy) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	if err := s.note("Destroy", ref); err != nil {
		return err
	}
	return s.Memory.Destroy(ctx, ref, versions)
}

func (s *spy) Status(ctx context.Context) keyturn.Health {
	if err := s.note("Status", keyturn.Ref{}); err != nil {
		return keyturn.Health{Err: keyturn.AsError(err)}
	}
	return s.Memory.Status(ctx)
}

// forms are the texts that a value may appear as: plain, reversed, hexadecimal,
// a list of numbers, base64 in three alignments.
func forms(mark string) []string {
	b := []byte(mark)
	turned := slices.Clone(b)
	slices.Reverse(turned)
	out := []string{mark, string(turned), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), strings.Trim(fmt.Sprint(b), "[]")}
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		out = append(out, base64.RawStdEncoding.EncodeToString(padded)[from:to], base64.RawURLEncoding.EncodeToString(padded)[from:to])
	}
	return out
}

// full is everything in an error, printed and marshalled in every way.
func full(err error) string {
	if err == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v; %+v; %#v; %s; %q; ", err, err, err, err, err)
	if data, jerr := json.Marshal(err); jerr == nil {
		b.Write(data)
	}
	if e, ok := err.(*keyturn.Error); ok {
		b.WriteString(e.Message + "; " + e.Hint + "; ")
		for _, each := range e.Each {
			b.WriteString(full(each))
		}
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		b.WriteString(full(u.Unwrap()))
	case interface{ Unwrap() []error }:
		for _, each := range u.Unwrap() {
			b.WriteString(full(each))
		}
	}
	return b.String()
}
