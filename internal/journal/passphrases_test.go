package journal_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
)

const right, bad = "correct-horse-Battery", "incorrect-Horse-staple"

func value(s string) keyturn.Value { return keyturn.NewValue([]byte(s)) }

func TestPassphrase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	s := journaltest.New(start)
	p := journal.New(s, s.Now).Passphrases
	var said strings.Builder
	try := func(doing string, err error, want keyturn.Code) {
		t.Helper()
		is(t, doing, err, want)
		said.WriteString(full(err))
	}
	known, err := p.Known(t.Context(), bob)
	if err != nil || known {
		t.Errorf("known before it is set: %v, %v", known, err)
	}
	try("check before it is set", p.Check(t.Context(), bob, value(right)), keyturn.Denied)
	try("one that is too short", p.Set(t.Context(), bob, value("1234567")), keyturn.Invalid)
	try("few characters in many bytes", p.Set(t.Context(), bob, value("ääääää")), keyturn.Invalid)
	try("an empty one", p.Set(t.Context(), bob, keyturn.Value{}), keyturn.Invalid)
	try("set", p.Set(t.Context(), bob, value(right)), "")
	try("set again", p.Set(t.Context(), bob, value(bad)), keyturn.Conflict)
	if known, err := p.Known(t.Context(), bob); err != nil || !known {
		t.Errorf("known once it is set: %v, %v", known, err)
	}
	if known, err := p.Known(t.Context(), anna); err != nil || known {
		t.Errorf("somebody else's is known: %v, %v", known, err)
	}
	try("the right one", p.Check(t.Context(), bob, value(right)), "")
	try("somebody else's", p.Check(t.Context(), anna, value(right)), keyturn.Denied)
	for range 3 {
		try("a wrong one", p.Check(t.Context(), bob, value(bad)), keyturn.Denied)
	}
	for _, it := range s.Seen {
		clean(t, "an item", it, right)
		clean(t, "an item", it, bad)
	}
	clean(t, "an error", said.String(), right)
	clean(t, "an error", said.String(), bad)
}

func TestPauseGrows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	s := journaltest.New(start)
	is(t, "set", journal.New(s, s.Now).Passphrases.Set(t.Context(), bob, value(right)), "")
	looked := func(pass string) bool {
		t.Helper()
		// Each try by another process: the count is in the items.
		err := journal.New(s, s.Now).Passphrases.Check(t.Context(), bob, value(pass))
		if err != nil && !errors.Is(err, keyturn.Denied) {
			t.Fatal(err)
		}
		return err == nil || !strings.Contains(err.Error(), "wait")
	}
	for range 3 {
		if !looked(bad) {
			t.Fatal("one of the first three tries has to wait")
		}
	}
	for pause := 2 * time.Second; pause <= 8*time.Second; pause *= 2 {
		if looked(right) {
			t.Fatalf("no pause of %s", pause)
		}
		s.Add(pause - 1)
		if looked(right) {
			t.Fatalf("the pause of %s ends too early", pause)
		}
		s.Add(1)
		if pause == 8*time.Second {
			break
		}
		if !looked(bad) {
			t.Fatalf("the pause of %s does not end", pause)
		}
	}
	is(t, "the right one", journal.New(s, s.Now).Passphrases.Check(t.Context(), bob, value(right)), "")
	if !looked(bad) {
		t.Error("a right one does not end the pauses")
	}
	if !looked(right) {
		t.Error("one wrong one makes a pause")
	}
}

// pretend sets what is kept of bob's tries.
func pretend(t *testing.T, s *journaltest.Items, wrong int, closed time.Time) {
	t.Helper()
	it := s.Rows["proof"]["user:bob"]
	var v map[string]any
	if err := json.Unmarshal(it.Body, &v); err != nil {
		t.Fatal(err)
	}
	v["wrong"], v["closed"] = wrong, closed
	it.Body, _ = json.Marshal(v)
	s.Rows["proof"]["user:bob"] = it
}

func TestPauseIsBounded(t *testing.T) {
	s := journaltest.New(start)
	p := journal.New(s, s.Now).Passphrases
	is(t, "set", p.Set(t.Context(), bob, value(right)), "")
	for _, wrong := range []int{13, 64, 1 << 40} {
		pretend(t, s, wrong, s.Now())
		_ = p.Check(t.Context(), bob, value(bad))
		s.Add(time.Hour - time.Second)
		if err := p.Check(t.Context(), bob, value(right)); err == nil || !strings.Contains(err.Error(), "wait 1s") {
			t.Errorf("after %d wrong ones the pause is not an hour: %v", wrong, err)
		}
		s.Add(time.Second)
	}
	is(t, "after an hour", p.Check(t.Context(), bob, value(right)), "")
	// A clock that was ahead for a while locks nobody out for long.
	pretend(t, s, 5, s.Now().AddDate(1, 0, 0))
	is(t, "after the clock jumped back", p.Check(t.Context(), bob, value(right)), "")
}

// Guessing at once does not get past the pause.
func TestGuessesRace(t *testing.T) {
	s := journaltest.New(start)
	p := journal.New(s, s.Now).Passphrases
	is(t, "set", p.Set(t.Context(), bob, value(right)), "")
	var looked atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if err := p.Check(t.Context(), bob, value(bad)); err == nil {
				t.Error("a wrong one was taken")
			} else if !strings.Contains(err.Error(), "wait") {
				looked.Add(1)
			}
		})
	}
	wg.Wait()
	if looked.Load() != 3 {
		t.Errorf("%d guesses were looked at", looked.Load())
	}
}

func TestDamagedVerifier(t *testing.T) {
	s := journaltest.New(start)
	p := journal.New(s, s.Now).Passphrases
	s.Rows["proof"] = map[string]keyturn.Item{"user:bob": {ID: "user:bob", Body: []byte("x")}}
	is(t, "check", p.Check(t.Context(), bob, value(right)), keyturn.Corrupt)
	s.Rows["proof"]["user:bob"] = keyturn.Item{ID: "user:bob", Body: []byte("{}")}
	is(t, "an empty verifier", p.Check(t.Context(), bob, value("")), keyturn.Denied)
	s.Fail = keyturn.E(keyturn.Unavailable, "busy", "")
	_, err := p.Known(t.Context(), bob)
	is(t, "known", err, keyturn.Unavailable)
}

// forms are the texts that a value may appear as.
func forms(mark string) []string {
	b := []byte(mark)
	turned := slices.Clone(b)
	slices.Reverse(turned)
	out := []string{mark, string(turned), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), strings.Trim(fmt.Sprint(b), "[]")}
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		from, to := (shift*8+5)/6, len(padded)*8/6
		out = append(out, base64.RawStdEncoding.EncodeToString(padded)[from:to])
	}
	return out
}

func clean(t *testing.T, where, text, mark string) {
	t.Helper()
	for _, f := range forms(mark) {
		if strings.Contains(text, f) {
			t.Errorf("a passphrase is in %s", where)
		}
	}
}

// full is everything in an error.
func full(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "%v; %+v; %#v; ", err, err, err)
		if e, ok := err.(*keyturn.Error); ok {
			b.WriteString(e.Hint + "; ")
		}
	}
	return b.String()
}
