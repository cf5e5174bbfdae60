package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
)

// held is a store whose writes wait until they are let go, as a disk's do.
type held struct {
	*store
	begun chan struct{} // one for each write that has begun
	letGo chan struct{}
}

func (h held) AppendLog(ctx context.Context, durable bool, next func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	h.begun <- struct{}{}
	select {
	case <-h.letGo:
	case <-ctx.Done():
		return ctx.Err()
	}
	return h.store.AppendLog(ctx, durable, next)
}

func newHeld() held {
	return held{store: &store{}, begun: make(chan struct{}, 100), letGo: make(chan struct{}, 100)}
}

// begin begins an Append and waits until it waits.
func begin(ctx context.Context, l *audit.Log, records ...keyturn.Record) chan error {
	done := make(chan error, 1)
	go func() { done <- l.Append(ctx, records...) }()
	synctest.Wait()
	return done
}

// Callers that come while the disk is busy share the next commit; those of the
// commit under way are answered by it alone.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		l := audit.New(h, nil)
		first := begin(t.Context(), l, intent("a"))
		var others []chan error
		for i := range 20 {
			others = append(others, begin(t.Context(), l, intent(fmt.Sprint(i))))
		}
		if len(h.begun) != 1 {
			t.Fatalf("%d writes at once", len(h.begun))
		}
		h.letGo <- struct{}{}
		synctest.Wait()
		must(t, <-first)
		for _, o := range others {
			if len(o) != 0 {
				t.Fatal("a caller is answered before its record is written")
			}
		}
		h.letGo <- struct{}{}
		synctest.Wait()
		for i, o := range others {
			if err := <-o; err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if n := len(h.durable); n != 2 || len(h.begun) != 2 {
			t.Errorf("%d commits for 21 callers", n)
		}
		var order []string
		for _, r := range h.records() {
			if r.Phase == keyturn.Intent {
				order = append(order, r.ID)
			}
		}
		want := []string{"a"}
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
		}
		if !slices.Equal(order, want) {
			t.Errorf("intents in the order %v", order)
		}
	})
}

// An error of a commit reaches every caller whose records were in it, and no other.
func TestGroupCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		l := audit.New(h, nil)
		first := begin(t.Context(), l, intent("a"))
		b, c := begin(t.Context(), l, intent("b")), begin(t.Context(), l, intent("c"))
		h.letGo <- struct{}{}
		synctest.Wait()
		must(t, <-first)
		h.fail = func() (error, error) { return errors.New("disk full"), nil }
		d := begin(t.Context(), l, intent("d"))
		h.letGo <- struct{}{}
		synctest.Wait()
		for _, done := range []chan error{b, c} {
			if err := <-done; !errors.Is(err, keyturn.Unavailable) {
				t.Errorf("of the failed commit: %v", err)
			}
		}
		h.fail = nil
		h.letGo <- struct{}{}
		must(t, <-d)
		if got := phases(h.store); got != "intent a, intent d" {
			t.Errorf("the log is %s", got)
		}
	})
}

// Who leaves before the commit begins is taken out; who leaves after it waits for
// what comes of it. A commit whose callers have all left is given up.
func TestGroupCommitLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		l := audit.New(h, nil)
		ctx, leave := context.WithCancel(t.Context())
		first := begin(t.Context(), l, intent("a"))
		gone, stays := begin(ctx, l, intent("gone")), begin(t.Context(), l, intent("b"))
		leave()
		if err := <-gone; !errors.Is(err, keyturn.Unavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who left before: %v", err)
		}
		ctx, leave = context.WithCancel(t.Context())
		late := begin(ctx, l, intent("c"))
		h.letGo <- struct{}{}
		synctest.Wait() // b and c are under way
		leave()
		synctest.Wait()
		if len(late) != 0 {
			t.Error("who leaves during the commit is answered before it ends")
		}
		h.letGo <- struct{}{}
		synctest.Wait()
		if err := errors.Join(<-first, <-stays, <-late); err != nil {
			t.Error(err)
		}
		if got := phases(h.store); got != "intent a, intent b, intent c" {
			t.Errorf("the log is %s", got)
		}
		// All leave.
		ctx, leave = context.WithCancel(t.Context())
		d := begin(t.Context(), l, intent("d"))
		e, f := begin(ctx, l, intent("e")), begin(ctx, l, intent("f"))
		h.letGo <- struct{}{}
		synctest.Wait()
		must(t, <-d)
		leave()
		for _, done := range []chan error{e, f} {
			if err := <-done; !errors.Is(err, keyturn.Unavailable) {
				t.Errorf("of a commit that all have left: %v", err)
			}
		}
		g := begin(t.Context(), l, intent("g"))
		h.letGo <- struct{}{}
		must(t, <-g)
		check(t, l, 5)
	})
}

// panics is a store with a bug.
type panics struct{ *store }

func (panics) AppendLog(context.Context, bool, func(keyturn.LogTop) ([]keyturn.LogEntry, []byte, error)) error {
	panic("a bug")
}

func TestGroupCommitPanics(t *testing.T) {
	l := audit.New(panics{&store{}}, nil)
	for range 3 { // each is told, and none waits for ever
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is lost")
				}
			}()
			_ = l.Append(t.Context(), intent("a"))
		}()
	}
}

// Many callers, whose store fails at times and lies at others: each that was told
// yes is in the log once, in the order of intent and outcome, and the log is whole.
func TestGroupCommitUnderFire(t *testing.T) {
	s := &store{}
	n := 0
	s.fail = func() (before, after error) {
		switch n++; n % 7 {
		case 3:
			return errors.New("disk full"), nil
		case 5:
			return nil, errors.New("lost the answer")
		}
		return nil, nil
	}
	l := audit.New(s, nil)
	var mu sync.Mutex
	said := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 40 {
				id := fmt.Sprintf("%d-%d", i, k)
				ctx, cancel := context.WithCancel(context.Background())
				if k%5 == 0 {
					time.AfterFunc(time.Duration(k)*time.Microsecond, cancel)
				}
				err := l.Append(ctx, intent(id))
				cancel()
				if err == nil {
					mu.Lock()
					said[id] = true
					mu.Unlock()
					if k%2 == 0 {
						l.Later(context.Background(), outcome(id))
					} else if l.Append(context.Background(), outcome(id)) != nil {
						l.Later(context.Background(), outcome(id)) // as broker does
					}
				}
			}
		})
	}
	wg.Wait()
	s.fail = nil
	must(t, l.Flush(t.Context()))
	seen := map[string]int{}
	for _, r := range s.records() {
		seen[string(r.Phase)+r.ID]++
	}
	for id := range said {
		if seen["intent"+id] != 1 || seen["outcome"+id] != 1 {
			t.Errorf("%s: %d intents, %d outcomes", id, seen["intent"+id], seen["outcome"+id])
		}
	}
	if len(said) < 100 {
		t.Errorf("only %d got through", len(said))
	}
	check(t, l, int64(len(s.rows)))
	t.Logf("%d operations of 640 got through, in %d commits", len(said), len(s.durable))
}

// places is a Forwarder that fails when told to.
type places struct {
	mu   sync.Mutex
	fail error
	got  []int64
}

func (p *places) Forward(ctx context.Context, rows func(context.Context, int64) iter.Seq2[keyturn.LogEntry, error], upto int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	for e, err := range rows(ctx, int64(len(p.got))+1) {
		if err != nil {
			return err
		}
		p.got = append(p.got, e.Seq)
	}
	return nil
}

// What a required place cannot be told does not happen, and the log says so; what
// it missed it gets later.
func TestForwardRequired(t *testing.T) {
	s, p := &store{}, &places{}
	l := audit.Open(s, audit.Options{Forward: p})
	must(t, l.Append(t.Context(), intent("a"), intent("b")))
	p.fail = errors.New("nobody listens")
	if err := l.Append(t.Context(), intent("c"), intent("d"), outcome("d")); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("not forwarded: %v", err)
	}
	if err := l.Append(t.Context(), outcome("b")); !errors.Is(err, keyturn.Unavailable) {
		t.Errorf("an outcome not forwarded: %v", err)
	}
	l.Later(t.Context(), outcome("b")) // as broker does: it is written already
	p.fail = nil
	must(t, l.Append(t.Context(), outcome("a")))
	want := "intent a, intent b, intent c, intent d, outcome d, outcome c, outcome b, outcome a"
	if got := phases(s); got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	if len(p.got) != 8 {
		t.Errorf("forwarded %v", p.got)
	}
	check(t, l, 8)
}

func TestHideNames(t *testing.T) {
	s := &store{}
	l := audit.Open(s, audit.Options{HideNames: true})
	ref := keyturn.MustRef("local/shop/db/main?version=3#password")
	pinned := []keyturn.Binding{{Name: "DB", Ref: ref}}
	under := func(s string) keyturn.Prefix {
		p, err := keyturn.ParsePrefix(s)
		must(t, err)
		return p
	}
	ops := []keyturn.Op{
		keyturn.GetSecret{Ref: ref.Secret()}, keyturn.RevealSecret{Ref: ref}, keyturn.ListSecrets{Under: under("local/shop/db")},
		keyturn.RunCommand{Command: []string{"echo", "kt://local/shop/db/main#password", "kt://shop is not one", "plain"}, Env: pinned, Pinned: pinned},
		keyturn.RenderTemplate{Template: "t", Secrets: []keyturn.Ref{ref}}, keyturn.ListRecords{Under: under("local/shop")}, keyturn.ListSecrets{Under: under("local")},
		keyturn.GetSecret{Ref: keyturn.MustRef("local/" + strings.Repeat("s/", 1000) + "shop")},
		keyturn.PutSecret{Ref: keyturn.MustRef("local/shop"), Generate: []keyturn.Generate{{Field: "password", Charset: "hex"}}, Public: []string{"db", "main"},
			Labels: map[string]string{"shop": "main", "x": "db"}, Unlabel: []string{"main"}},
		keyturn.MigrateSecrets{Ref: keyturn.MustRef("local/shop"), Fields: []string{"db", "main"}},
	}
	for i, op := range ops {
		form, err := keyturn.EncodeOp(op)
		must(t, err)
		hash, err := keyturn.HashOp(op)
		must(t, err)
		r := intent(fmt.Sprint(i))
		r.Op, r.OpHash = form, hash.String()
		must(t, l.Append(t.Context(), r))
		l.Later(t.Context(), outcome(r.ID))
	}
	must(t, l.Flush(t.Context()))
	n := 0
	for _, r := range s.records() {
		if r.Phase != keyturn.Intent {
			continue
		}
		for _, name := range []string{"shop", "db", "main", "password"} {
			if strings.Contains(string(r.Op), name) {
				t.Errorf("%s is in %s", name, r.Op)
			}
		}
		op, err := keyturn.DecodeOp(r.Op)
		if err != nil {
			t.Fatalf("%s: %v", r.Op, err)
		}
		if true_, _ := keyturn.HashOp(ops[n]); op.Kind() != ops[n].Kind() || r.OpHash == true_.String() || len(r.OpHash) != 64 {
			t.Errorf("%s became %s with the hash %s", ops[n].Kind(), op.Kind(), r.OpHash)
		}
		if refs := op.Refs(); len(refs) == 1 {
			was := ops[n].Refs()[0]
			if refs[0].Mount() != "local" || refs[0].Version() != was.Version() || (refs[0].Field() == "") != (was.Field() == "") || refs[0] == was {
				t.Errorf("%s became %s", was, refs[0])
			}
			// Filters find it: at its name, and at every folder above.
			for path := was.Name(); n < 5 && path != ""; {
				if p := l.HidePrefix(under("local/" + path)); !p.Holds(refs[0]) {
					t.Errorf("%s does not hold %s", p, refs[0])
				}
				if p := l.HidePrefix(under("local/" + path + "x")); p.Holds(refs[0]) {
					t.Errorf("%s holds %s", p, refs[0])
				}
				path = path[:max(0, strings.LastIndexByte(path, '/'))]
			}
			if !l.HidePrefix(under("local")).Holds(refs[0]) {
				t.Error("the mount does not hold it")
			}
		}
		n++
	}
	if n != len(ops) {
		t.Fatalf("%d records", n)
	}
	other := audit.Open(&store{other: 1}, audit.Options{HideNames: true})
	if p := under("local/shop"); l.HidePrefix(p) == other.HidePrefix(p) || l.HidePrefix(p) == p {
		t.Error("another store has the same tokens")
	}
	check(t, l, int64(2*len(ops)))
}
