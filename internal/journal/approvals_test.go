package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
	"github.com/keyturn/keyturn/internal/rules"
)

var (
	start = time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)

	anna   = keyturn.Actor{Kind: keyturn.Person, Name: "anna"}
	bob    = keyturn.Actor{Kind: keyturn.Person, Name: "bob"}
	cleo   = keyturn.Actor{Kind: keyturn.Person, Name: "cleo"}
	coder  = keyturn.Actor{Kind: keyturn.Agent, Name: "coder", For: "anna"}
	editor = keyturn.Actor{Kind: keyturn.Agent, Name: "editor", For: "anna"}
	get    = keyturn.GetSecret{Ref: keyturn.MustRef("local/a")}
	other  = keyturn.GetSecret{Ref: keyturn.MustRef("local/b")}
	at1    = map[string]string{"kt://local/a": "1"}
	at2    = map[string]string{"kt://local/a": "2"}
)

func hashOf(t testing.TB, op keyturn.Op) ([]byte, keyturn.OpHash) {
	t.Helper()
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := keyturn.HashOp(op)
	if err != nil {
		t.Fatal(err)
	}
	return form, hash
}

func ask(t testing.TB, b journal.Approvals, actor keyturn.Actor, op keyturn.Op, needs rules.Needs) journal.Request {
	t.Helper()
	form, hash := hashOf(t, op)
	r, err := b.Ask(t.Context(), actor, form, hash, "because", needs, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func yes(actor keyturn.Actor) journal.Yes { return journal.Yes{Actor: actor, Proof: "passphrase"} }

func is(t testing.TB, doing string, err error, want keyturn.Code) {
	t.Helper()
	if want == "" && err != nil || want != "" && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", doing, err, want)
	}
}

func TestAskIsIdempotent(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	one := rules.Needs{Approvals: 1}
	first := ask(t, b, coder, get, one)
	s.Add(time.Minute)
	if again := ask(t, b, coder, get, one); again.ID != first.ID {
		t.Error("asking again made another request")
	}
	session := coder
	session.Session, session.Detail = "s2", "X"
	if again := ask(t, b, session, get, one); again.ID != first.ID {
		t.Error("asking in another session made another request")
	}
	for what, r := range map[string]journal.Request{
		"another caller":    ask(t, b, editor, get, one),
		"another kind":      ask(t, b, keyturn.Actor{Kind: keyturn.ServiceKind, Name: "coder"}, get, one),
		"another operation": ask(t, b, coder, other, one),
		"other needs":       ask(t, b, coder, get, rules.Needs{Approvals: 2, From: "sre"}),
	} {
		if r.ID == first.ID {
			t.Errorf("%s got the same request", what)
		}
	}
	open, err := b.Open(t.Context())
	is(t, "open", err, "")
	if len(open) != 5 || open[0].ID != first.ID {
		t.Errorf("%d open requests, the first is %s", len(open), open[0].ID)
	}
	if got, err := b.Find(t.Context(), first.ID); err != nil || got.Hash != first.Hash || got.Reason != "because" || !got.Actor.Same(coder) {
		t.Errorf("found %+v, %v", got, err)
	}
	_, err = b.Find(t.Context(), "nosuch\x1b")
	is(t, "find nothing", err, keyturn.NotFound)
	if strings.Contains(err.Error(), "\x1b") {
		t.Error("an id is not cleaned")
	}
	is(t, "drop", b.Drop(t.Context(), first.ID), "")
	_, err = b.Find(t.Context(), first.ID)
	is(t, "find what was dropped", err, keyturn.NotFound)
}

func TestAskIsBounded(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	form, hash := hashOf(t, get)
	for i := range journal.MaxOpen {
		hash[0], hash[1] = byte(i), byte(i>>8)
		_, err := b.Ask(t.Context(), coder, form, hash, "", rules.Needs{}, false)
		is(t, "ask", err, "")
	}
	hash[2]++
	_, err := b.Ask(t.Context(), coder, form, hash, "", rules.Needs{}, false)
	is(t, "one more", err, keyturn.Denied)
	_, err = b.Ask(t.Context(), editor, form, hash, "", rules.Needs{}, false)
	is(t, "another caller", err, "")
	s.Add(journal.Window)
	_, err = b.Ask(t.Context(), coder, form, hash, "", rules.Needs{}, false)
	is(t, "once they have run out", err, "")
	_, err = b.Ask(t.Context(), bob, make([]byte, journal.MaxForm+1), hash, "", rules.Needs{}, false)
	is(t, "what nobody can read", err, keyturn.Denied)
}

func TestApprove(t *testing.T) {
	_, hash := hashOf(t, get)
	_, wrong := hashOf(t, other)
	type step struct {
		do   string // approve, use, wait, back
		who  keyturn.Actor
		held map[string]string
		hash keyturn.OpHash
		d    time.Duration
		want keyturn.Code
	}
	y := func(who keyturn.Actor, want keyturn.Code) step {
		return step{do: "approve", who: who, held: at1, want: want}
	}
	u := func(want keyturn.Code) step { return step{do: "use", held: at1, hash: hash, want: want} }
	wait := func(d time.Duration) step { return step{do: "wait", d: d} }
	for name, c := range map[string]struct {
		by    keyturn.Actor
		k     int
		steps []step
	}{
		"one":                          {k: 1, steps: []step{u(keyturn.Pending), y(bob, ""), u(""), u(keyturn.NotFound)}},
		"none said is one":             {k: 0, steps: []step{u(keyturn.Pending), y(bob, ""), u("")}},
		"by the requester":             {by: bob, k: 1, steps: []step{y(bob, keyturn.Denied), u(keyturn.Pending), y(anna, ""), u("")}},
		"by a requester of other name": {by: coder, k: 1, steps: []step{y(anna, ""), u("")}},
		"twice by one":                 {k: 2, steps: []step{y(bob, ""), y(bob, keyturn.Conflict), u(keyturn.Pending)}},
		"two":                          {k: 2, steps: []step{y(bob, ""), u(keyturn.Pending), y(anna, ""), u(""), u(keyturn.NotFound)}},
		"three":                        {k: 3, steps: []step{y(bob, ""), y(anna, ""), u(keyturn.Pending), y(cleo, ""), u("")}},
		"after its use":                {k: 1, steps: []step{y(bob, ""), u(""), y(anna, keyturn.NotFound)}},
		"just in time":                 {k: 1, steps: []step{wait(journal.Window - 1), y(bob, ""), u("")}},
		"too late to approve":          {k: 1, steps: []step{wait(journal.Window), y(bob, keyturn.NotFound), u(keyturn.NotFound)}},
		"too late to use":              {k: 1, steps: []step{y(bob, ""), wait(journal.Window), u(keyturn.NotFound)}},
		"a clock that goes back":       {k: 1, steps: []step{y(bob, ""), wait(-30 * time.Second), u("")}},
		"a clock that jumps back":      {k: 1, steps: []step{y(bob, ""), wait(-2 * time.Minute), u(keyturn.NotFound)}},
		"used, then back":              {k: 1, steps: []step{y(bob, ""), u(""), wait(-30 * time.Second), u(keyturn.NotFound)}},
		"run out, then back":           {k: 1, steps: []step{y(bob, ""), wait(2 * journal.Window), u(keyturn.NotFound), wait(-3 * journal.Window), u(keyturn.NotFound)}},
		"for another operation":        {k: 1, steps: []step{y(bob, ""), {do: "use", held: at1, hash: wrong, want: keyturn.Denied}, u("")}},
		"of no operation":              {k: 1, steps: []step{y(bob, ""), {do: "use", held: at1, want: keyturn.Denied}}},
		"another version":              {k: 1, steps: []step{y(bob, ""), {do: "use", held: at2, hash: hash, want: keyturn.Conflict}}},
		"no version":                   {k: 1, steps: []step{y(bob, ""), {do: "use", hash: hash, want: keyturn.Conflict}}},
		"one version more": {k: 1, steps: []step{y(bob, ""), {do: "use", hash: hash, want: keyturn.Conflict,
			held: map[string]string{"kt://local/a": "1", "kt://local/b": "1"}}}},
		"changed between two": {k: 2, steps: []step{y(bob, ""), {do: "approve", who: anna, held: at2, want: keyturn.Conflict},
			{do: "approve", who: cleo, held: at1}, u("")}},
	} {
		t.Run(name, func(t *testing.T) {
			s := journaltest.New(start)
			b := journal.New(s, s.Now).Approvals
			if c.by.Name == "" {
				c.by = coder
			}
			r := ask(t, b, c.by, get, rules.Needs{Approvals: c.k})
			for i, st := range c.steps {
				var err error
				switch st.do {
				case "wait":
					s.Add(st.d)
				case "approve":
					_, err = b.Approve(t.Context(), r.ID, yes(st.who), st.held)
				case "use":
					_, err = b.Use(t.Context(), r.ID, st.hash, st.held)
				}
				is(t, fmt.Sprintf("step %d, %s", i+1, st.do), err, st.want)
			}
		})
	}
}

type inMemory = journaltest.Items

// together lets nobody go on from the first listing of rows before so many have made it.
type together struct {
	*inMemory
	wait sync.WaitGroup
}

func (s *together) Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error] {
	all := slices.Collect(func(yield func(keyturn.Item) bool) {
		for it := range s.inMemory.Items(ctx, kind) {
			if !yield(it) {
				return
			}
		}
	})
	s.wait.Done()
	s.wait.Wait()
	return func(yield func(keyturn.Item, error) bool) {
		for _, it := range all {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// TestAskAtOnce: of many processes that ask for the same at the same moment all get one
// request; a used or expired one does not count, and is not met again.
func TestAskAtOnce(t *testing.T) {
	items := journaltest.New(start)
	one := rules.Needs{Approvals: 1}
	seen := map[string]bool{}
	for round := range 4 {
		const n = 16
		s := &together{inMemory: items}
		s.wait.Add(n)
		ids := make([]string, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { ids[i] = ask(t, journal.New(s, items.Now).Approvals, coder, get, one).ID })
		}
		wg.Wait()
		if len(slices.Compact(slices.Clone(ids))) != 1 || seen[ids[0]] {
			t.Fatalf("round %d: the requests are %v; there were %v", round, ids, seen)
		}
		seen[ids[0]] = true
		b := journal.New(items, items.Now).Approvals
		if round%2 == 1 {
			items.Add(journal.Window)
			continue
		}
		if _, err := b.Approve(t.Context(), ids[0], yes(bob), at1); err != nil {
			t.Fatal(err)
		}
		_, hash := hashOf(t, get)
		if _, err := b.Use(t.Context(), ids[0], hash, at1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAllAgentsAreBounded: an agent that takes another name each time gets no further than
// all agents together; people, and who has a request already, are not held up.
func TestAllAgentsAreBounded(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	form, hash := hashOf(t, get)
	for i := range journal.MaxAllOpen {
		r := journal.Request{ID: fmt.Sprintf("old%05d", i), Actor: keyturn.Actor{Kind: keyturn.Agent, Name: fmt.Sprint("a", i)}, Op: form, Hash: hash.String(),
			Created: start, Expires: start.Add(journal.Window)}
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if s.Rows["request"] == nil {
			s.Rows["request"] = map[string]keyturn.Item{}
		}
		s.Rows["request"][r.ID] = keyturn.Item{ID: r.ID, Body: body}
	}
	for _, actor := range []keyturn.Actor{coder, {Kind: keyturn.ServiceKind, Name: "ci"}} {
		_, err := b.Ask(t.Context(), actor, form, hash, "", rules.Needs{}, false)
		is(t, "one more of "+actor.Principal(), err, keyturn.Denied)
	}
	_, err := b.Ask(t.Context(), anna, form, hash, "", rules.Needs{}, false)
	is(t, "a person", err, "")
	r, err := b.Ask(t.Context(), keyturn.Actor{Kind: keyturn.Agent, Name: "a7"}, form, hash, "", rules.Needs{}, false)
	if err != nil || r.ID != "old00007" {
		t.Errorf("who has asked before gets %s, %v", r.ID, err)
	}
}

// TestAskedAtOnceIsBounded: callers who ask at the same moment get no more requests than
// one after the other.
func TestAskedAtOnceIsBounded(t *testing.T) {
	items := journaltest.New(start)
	b := journal.New(items, items.Now).Approvals
	form, hash := hashOf(t, get)
	for i := range journal.MaxOpen - 2 {
		hash[0] = byte(i)
		_, err := b.Ask(t.Context(), coder, form, hash, "", rules.Needs{}, false)
		is(t, "ask", err, "")
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			h := hash
			h[1] = byte(1 + i)
			_, _ = b.Ask(t.Context(), coder, form, h, "", rules.Needs{}, false)
		})
	}
	wg.Wait()
	open, err := b.Open(t.Context())
	if err != nil || len(open) > journal.MaxOpen || len(open) < journal.MaxOpen-2 {
		t.Errorf("%d open, %v", len(open), err)
	}
}

func TestUseRaces(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	_, hash := hashOf(t, get)
	for range 50 {
		r := ask(t, b, coder, get, rules.Needs{Approvals: 1})
		if _, err := b.Approve(t.Context(), r.ID, yes(bob), at1); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := b.Use(t.Context(), r.ID, hash, at1)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, keyturn.NotFound) {
					t.Errorf("the loser got %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d used one approval", won.Load())
		}
	}
}

func TestApprovalsRace(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	r := ask(t, b, coder, get, rules.Needs{Approvals: 3})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { _, _ = b.Approve(t.Context(), r.ID, yes(bob), at1) })
		wg.Go(func() { _, _ = b.Approve(t.Context(), r.ID, yes(anna), at1) })
	}
	wg.Wait()
	got, err := b.Find(t.Context(), r.ID)
	is(t, "find", err, "")
	if len(got.Given) != 2 || got.Enough() {
		t.Errorf("two people gave %d approvals", len(got.Given))
	}
}

// Two processes may ask at the same moment; the one that was approved counts.
func TestAskFindsTheApprovedOne(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	r := ask(t, b, coder, get, rules.Needs{Approvals: 1})
	twin := s.Rows["request"][r.ID]
	twin.Body = []byte(strings.Replace(string(twin.Body), r.ID, "22222222", 1))
	twin.ID = "22222222"
	s.Rows["request"][twin.ID] = twin
	for _, id := range []string{r.ID, twin.ID} {
		if _, err := b.Approve(t.Context(), id, yes(bob), at1); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, b, coder, get, rules.Needs{Approvals: 1}); !got.Enough() {
			t.Errorf("an approved twin is not found")
		}
		_ = b.Drop(t.Context(), id)
	}
}

func TestDamagedRequest(t *testing.T) {
	for _, body := range []string{"", "{}", "[]", `{"id":"other"}`} {
		s := journaltest.New(start)
		b := journal.New(s, s.Now).Approvals
		r := ask(t, b, coder, get, rules.Needs{})
		_, hash := hashOf(t, get)
		it := s.Rows["request"][r.ID]
		it.Body = []byte(body)
		s.Rows["request"][r.ID] = it
		_, err := b.Open(t.Context())
		is(t, "open "+body, err, keyturn.Corrupt)
		_, err = b.Use(t.Context(), r.ID, hash, at1)
		is(t, "use "+body, err, keyturn.Corrupt)
	}
}

func TestItemsFail(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	form, hash := hashOf(t, get)
	s.Fail = keyturn.E(keyturn.Unavailable, "busy", "")
	_, err := b.Ask(t.Context(), coder, form, hash, "", rules.Needs{}, false)
	is(t, "ask", err, keyturn.Unavailable)
	_, err = b.Find(t.Context(), "x")
	is(t, "find", err, keyturn.Unavailable)
	_, err = b.Approve(t.Context(), "x", yes(bob), nil)
	is(t, "approve", err, keyturn.Unavailable)
	_, err = b.Use(t.Context(), "x", hash, nil)
	is(t, "use", err, keyturn.Unavailable)
}

func TestIDs(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	var ids []string
	for i := range 200 {
		r := ask(t, b, keyturn.Actor{Kind: keyturn.Agent, Name: fmt.Sprint(i)}, get, rules.Needs{})
		if len(r.ID) != 8 || strings.Trim(r.ID, "23456789abcdefghjkmnpqrstvwxyz") != "" {
			t.Fatalf("an id is %q", r.ID)
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 200 {
		t.Errorf("%d different ids of 200", n)
	}
}

// Raise works on what is kept at that moment, not on what its caller read before.
func TestRaiseSeesWhatIsKept(t *testing.T) {
	s := journaltest.New(start)
	b := journal.New(s, s.Now).Approvals
	id := ask(t, b, coder, get, rules.Needs{Approvals: 1}).ID
	more := func(kept, needs rules.Needs) rules.Needs {
		return rules.Needs{Approvals: max(kept.Approvals, needs.Approvals)}
	}
	for _, n := range []int{3, 2, 1} {
		is(t, "raise", b.Raise(t.Context(), id, rules.Needs{Approvals: n}, more), "")
	}
	r, err := b.Find(t.Context(), id)
	if err != nil || r.Needs.Approvals != 3 {
		t.Errorf("needs %+v, %v", r.Needs, err)
	}
}
