package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"pgregory.net/rapid"
)

// In any day there are no more fields than the budgets have, of each secret and of
// each caller, whatever the order of the asking; who is refused is let through at the
// time that was told, and not before. A clock that goes back makes nobody wait longer
// than a day.
func TestSpend(t *testing.T) {
	refused, back, never, callers := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
		var kept, given []spent
		steady := rapid.Bool().Draw(t, "steady")
		for range 60 {
			step := time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "step")).Truncate(time.Second)
			if !steady && rapid.IntRange(0, 5).Draw(t, "back") == 0 {
				step, back = -10*step, back+1
			}
			now = now.Add(step)
			one := spent{Time: now, Caller: rapid.SampledFrom([]string{"agent:a", "agent:b"}).Draw(t, "caller"), Fields: rapid.IntRange(1, 12).Draw(t, "fields"),
				Secrets: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"m/1", "m/2", "m/3", "m/4", "m/5", "m/6"}), 1, 2, rapid.ID).Draw(t, "secrets")}
			next, err := spend(kept, one)
			kept = next
			if err == nil {
				given = append(given, one)
				continue
			}
			refused++
			e := keyturn.AsError(err)
			if strings.HasPrefix(e.Message, one.Caller) {
				callers++
			}
			if one.Fields > MaxCompares {
				never++
				if strings.Contains(e.Hint, "again at") {
					t.Fatalf("it is told to wait for what never comes: %s", e.Hint)
				}
				continue
			}
			at := strings.TrimPrefix(e.Hint, "they may again at ")
			again, err := time.Parse(time.RFC3339, at)
			if err != nil || !again.After(now) || again.Sub(now) > ComparesPer {
				t.Fatalf("at %s told to come again at %s", now, e.Hint)
			}
			if one.Time = again.Add(-1); steady {
				if _, err := spend(kept, one); err == nil {
					t.Fatal("it was free earlier than told")
				}
			}
			// There is room in that budget then; another one may still be spent.
			one.Time = again
			if _, err := spend(kept, one); err != nil && keyturn.AsError(err).Message == e.Message {
				t.Fatal("it is not free when told")
			}
		}
		if !steady {
			return
		}
		for i := range given {
			n := map[string]int{}
			for _, g := range given[i:] {
				if g.Time.Sub(given[i].Time) < ComparesPer {
					n[g.Caller] += g.Fields
					for _, s := range g.Secrets {
						n[s] += g.Fields
					}
				}
			}
			for who, fields := range n {
				if fields > MaxCompares && strings.HasPrefix(who, "m/") || fields > MaxCallerCompares {
					t.Fatalf("%d fields of %s within a day", fields, who)
				}
			}
		}
	})
	if slices.Contains([]int{refused, back, never, callers}, 0) {
		t.Error("too little was tried", refused, back, never, callers)
	}
}

// An agent that takes a new name for each compare runs into the budget of all.
func TestAllCallers(t *testing.T) {
	var kept []spent
	for i := range maxAllCompares + 1 {
		next, err := spend(kept, spent{Time: time.Unix(int64(i), 0), Caller: fmt.Sprint("agent:", i), Secrets: []string{fmt.Sprint("m/", i)}, Fields: 1})
		if (err != nil) != (i == maxAllCompares) {
			t.Fatalf("compare %d: %v", i, err)
		}
		kept = next
	}
}
