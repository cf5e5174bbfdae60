package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
)

var start = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func intent(id string) keyturn.Record {
	return keyturn.Record{ID: id, Phase: keyturn.Intent, Actor: &keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: "os-user"},
		Op: []byte(`{"op":"verify-log"}`)}
}

func outcome(id string) keyturn.Record {
	return keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
}

// phases is a log in short: "intent a, outcome a".
func phases(s *store) string {
	var out []string
	for _, r := range s.records() {
		out = append(out, string(r.Phase)+" "+r.ID)
	}
	return strings.Join(out, ", ")
}

func check(t *testing.T, l *audit.Log, want int64) {
	t.Helper()
	if n, _, err := l.Verify(t.Context()); err != nil || n != want {
		t.Errorf("verify: %d records, %v; want %d", n, err, want)
	}
}

func TestAppendGrowsTheTree(t *testing.T) {
	s, c := &store{}, &clock{now: start}
	l := audit.New(s, c.Now)
	for _, batch := range [][]keyturn.Record{{intent("a")}, {outcome("a"), intent("b"), intent("c")}, {outcome("c")}} {
		if err := l.Append(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
		c.add(time.Second)
	}
	if got := phases(s); got != "intent a, outcome a, intent b, intent c, outcome c" {
		t.Errorf("the log is %s", got)
	}
	// The leaves and the root, computed by hand: ((0 1) (2 3)) 4.
	var leaves [][32]byte
	for i, e := range s.rows {
		leaves = append(leaves, sha256.Sum256(append([]byte{0}, e.Data...)))
		if e.Seq != int64(i+1) || e.Leaf != leaves[i] {
			t.Errorf("row %d has the number %d and the leaf %x, want %x", i+1, e.Seq, e.Leaf, leaves[i])
		}
		r, err := keyturn.DecodeRecord(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := keyturn.EncodeRecord(r)
		if err != nil || string(again) != string(e.Data) {
			t.Errorf("row %d is not canonical: %s", i+1, e.Data)
		}
		if r.Format != keyturn.RecordFormat || r.Time.Location() != time.UTC || r.Time.Nanosecond()%1000 != 0 {
			t.Errorf("row %d: format %d, time %s", i+1, r.Format, r.Time)
		}
	}
	node := func(a, b [32]byte) [32]byte { return sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...)) }
	left := node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3]))
	root := node(left, leaves[4])
	if want := append(left[:], leaves[4][:]...); !bytes.Equal(s.top.Tree, want) {
		t.Errorf("the edge is %x, want %x", s.top.Tree, want)
	}
	n, head, err := l.Verify(t.Context())
	if err != nil || n != 5 || head != hex.EncodeToString(root[:]) {
		t.Errorf("verify says %d, %s, %v", n, head, err)
	}
	if !cmp.Equal(s.durable, []bool{true, true, true}) {
		t.Errorf("durable: %v", s.durable)
	}
}

func TestEmptyLog(t *testing.T) {
	s := &store{}
	l := audit.New(s, nil)
	check(t, l, 0)
	if err := errors.Join(l.Append(t.Context()), l.Flush(t.Context())); err != nil || len(s.durable) != 0 {
		t.Errorf("nothing to write was written %d times: %v", len(s.durable), err)
	}
}

func TestLaterRidesAhead(t *testing.T) {
	s, c := &store{}, &clock{now: start}
	l := audit.New(s, c.Now)
	must(t, l.Append(t.Context(), intent("a")))
	c.add(time.Second)
	l.Later(t.Context(), outcome("a"))
	if len(s.rows) != 1 {
		t.Error("an outcome for later was written at once")
	}
	c.add(time.Hour)
	must(t, l.Append(t.Context(), intent("b")))
	l.Later(t.Context(), outcome("b"))
	must(t, l.Flush(t.Context()))
	if got := phases(s); got != "intent a, outcome a, intent b, outcome b" {
		t.Errorf("the log is %s", got)
	}
	if got := s.records()[1].Time; !got.Equal(start.Add(time.Second)) {
		t.Errorf("an outcome for later has the time %s, not that of the call", got)
	}
	if !cmp.Equal(s.durable, []bool{true, true, false}) {
		t.Errorf("durable: %v", s.durable)
	}
	check(t, l, 4)
}

func TestLaterDoesNotPileUp(t *testing.T) {
	s := &store{}
	l := audit.New(s, nil)
	for i := range audit.MaxWaiting {
		must(t, l.Append(t.Context(), intent(fmt.Sprint(i))))
	}
	for i := range audit.MaxWaiting - 1 {
		l.Later(t.Context(), outcome(fmt.Sprint(i)))
	}
	if n := len(s.rows); n != audit.MaxWaiting {
		t.Errorf("%d rows before it is full", n)
	}
	l.Later(t.Context(), outcome(fmt.Sprint(audit.MaxWaiting-1)))
	if n := len(s.rows); n != 2*audit.MaxWaiting {
		t.Errorf("%d rows when it is full", n)
	}
	check(t, l, 2*audit.MaxWaiting)
}

func TestFailedAppendKeepsWaiting(t *testing.T) {
	s := &store{}
	l := audit.New(s, nil)
	must(t, l.Append(t.Context(), intent("a"), intent("b")))
	l.Later(t.Context(), outcome("a"))
	s.fail = func() (error, error) { return errors.New("disk full"), nil }
	for range 3 {
		if err := l.Append(t.Context(), intent("lost")); !errors.Is(err, keyturn.Unavailable) {
			t.Errorf("a failed append says %v", err)
		}
	}
	l.Later(t.Context(), outcome("b"))
	s.fail = nil
	must(t, l.Append(t.Context(), intent("c")))
	if got := phases(s); got != "intent a, intent b, outcome a, outcome b, intent c" {
		t.Errorf("the log is %s", got)
	}
	check(t, l, 5)
}

// A store that wrote, and then says that it did not: nothing may be announced,
// and the log must not end an operation twice.
func TestWrittenAfterAll(t *testing.T) {
	for _, between := range []bool{false, true} {
		s := &store{}
		l, other := audit.New(s, nil), audit.New(s, nil)
		must(t, l.Append(t.Context(), intent("a"), intent("b")))
		l.Later(t.Context(), outcome("a"))
		s.fail = func() (error, error) { return nil, errors.New("lost the answer") }
		if err := l.Append(t.Context(), outcome("b")); !errors.Is(err, keyturn.Unavailable) {
			t.Errorf("it says %v", err)
		}
		l.Later(t.Context(), outcome("b")) // as broker does with the outcome of a change
		s.fail = nil
		want := "intent a, intent b, outcome a, outcome b, "
		if between {
			must(t, other.Append(t.Context(), intent("x")))
			want += "intent x, "
		}
		must(t, l.Append(t.Context(), intent("c")))
		if got := phases(s); got != want+"intent c" {
			t.Errorf("the log is %s", got)
		}
		check(t, l, int64(len(s.rows)))
	}
}

func TestClockJumpsBack(t *testing.T) {
	s, c := &store{}, &clock{now: start}
	l := audit.New(s, c.Now)
	for i, d := range []time.Duration{0, time.Second, -time.Hour, time.Minute, -1000 * time.Hour, 2000 * time.Hour, -time.Nanosecond} {
		c.add(d)
		must(t, l.Append(t.Context(), intent(fmt.Sprint(i))))
		l.Later(t.Context(), outcome(fmt.Sprint(i)))
		c.add(-time.Second)
	}
	must(t, l.Flush(t.Context()))
	var last time.Time
	for _, r := range s.records() {
		if r.Time.Before(last) {
			t.Errorf("%s %s is at %s, before %s", r.Phase, r.ID, r.Time, last)
		}
		last = r.Time
	}
	check(t, l, 14)
}

func TestStoreFails(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		err    error
		damage func(*store)
		want   keyturn.Code
	}{
		"an error":            {err: errors.New("disk full"), want: keyturn.Unavailable},
		"an error of ours":    {err: keyturn.E(keyturn.Unavailable, "busy", ""), want: keyturn.Unavailable},
		"a locked store":      {err: keyturn.E(keyturn.Sealed, "locked", ""), want: keyturn.Sealed},
		"a bug":               {err: keyturn.E(keyturn.Internal, "bug", ""), want: keyturn.Unavailable},
		"a cancelled context": {ctx: cancelled, want: keyturn.Unavailable},
		"an edge too short":   {damage: func(s *store) { s.top.Tree = s.top.Tree[1:] }, want: keyturn.Corrupt},
		"no edge":             {damage: func(s *store) { s.top.Tree = nil }, want: keyturn.Corrupt},
		"an edge too long":    {damage: func(s *store) { s.top.Tree = append(s.top.Tree, s.top.Tree...) }, want: keyturn.Corrupt},
		"another edge":        {damage: func(s *store) { s.top.Tree[3] ^= 1 }, want: keyturn.Corrupt},
		"a damaged last row":  {damage: func(s *store) { s.top.Last.Data = []byte("{}") }, want: keyturn.Corrupt},
	} {
		s := &store{}
		l := audit.New(s, nil)
		must(t, l.Append(t.Context(), intent("a")))
		if c.err != nil {
			s.fail = func() (error, error) { return c.err, nil }
		}
		if c.damage != nil {
			c.damage(s)
		}
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		if err := l.Append(c.ctx, intent("b")); !errors.Is(err, c.want) {
			t.Errorf("%s: it says %v, want %s", name, err, c.want)
		}
		if len(s.rows) != 1 {
			t.Errorf("%s: %d rows", name, len(s.rows))
		}
	}
}

func TestStoreIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{slow: true}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := audit.New(s, nil).Append(ctx, intent("a")); !errors.Is(err, keyturn.Unavailable) || len(s.rows) != 0 {
			t.Errorf("a slow store: %v, %d rows", err, len(s.rows))
		}
	})
}

// Several processes and goroutines make one log.
func TestManyWriters(t *testing.T) {
	s := &store{}
	var wg sync.WaitGroup
	const logs, writers, each = 3, 4, 20
	for i := range logs {
		l := audit.New(s, nil)
		for j := range writers {
			wg.Go(func() {
				for k := range each {
					id := fmt.Sprintf("%d-%d-%d", i, j, k)
					if err := l.Append(context.Background(), intent(id)); err != nil {
						t.Error(err)
					}
					l.Later(context.Background(), outcome(id))
				}
				_ = l.Flush(context.Background())
			})
		}
	}
	wg.Wait()
	check(t, audit.New(s, nil), 2*logs*writers*each)
}

func TestRecords(t *testing.T) {
	s := &store{}
	l := audit.New(s, nil)
	must(t, l.Append(t.Context(), intent("a"), intent("b")))
	var ids []string
	for r, err := range l.Records(t.Context(), nil) {
		must(t, err)
		ids = append(ids, r.ID)
	}
	if !cmp.Equal(ids, []string{"a", "b"}) {
		t.Errorf("records %v", ids)
	}
	s.rows[0].Data = []byte(`{"v":9}`)
	n := 0
	for _, err := range l.Records(t.Context(), nil) {
		if n++; !errors.Is(err, keyturn.Corrupt) {
			t.Errorf("a damaged row gives %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d answers after a damaged row", n)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Verify tells what the store says of the rest of itself, once the log is sound.
func TestVerifyState(t *testing.T) {
	s := &store{}
	l := audit.New(s, nil)
	if err := l.Append(t.Context(), intent("a")); err != nil {
		t.Fatal(err)
	}
	check(t, l, 1)
	s.state = keyturn.E(keyturn.Corrupt, "a secret was removed", "")
	if n, head, err := l.Verify(t.Context()); n != 1 || head != "" || !errors.Is(err, keyturn.Corrupt) || !errors.Is(err, s.state) {
		t.Errorf("verify says %d, %q, %v", n, head, err)
	}
	s.rows = nil
	if _, _, err := l.Verify(t.Context()); !errors.Is(err, keyturn.Corrupt) || err == s.state {
		t.Errorf("a log that was cut off: %v", err)
	}
}
