package budget

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// In any day there are no more than Max, whatever the order of the asking; who is
// refused is let through at the time that was told, and not before. A clock that
// goes back makes nobody wait longer than a day.
func TestSpend(t *testing.T) {
	refused, back := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
		var kept, given []time.Time
		steady := rapid.Bool().Draw(t, "steady")
		for range 60 {
			step := time.Duration(rapid.Int64Range(0, int64(4*time.Hour)).Draw(t, "step"))
			if !steady && rapid.IntRange(0, 5).Draw(t, "back") == 0 {
				step, back = -10*step, back+1
			}
			now = now.Add(step)
			next, again, ok := spend(kept, now)
			if ok {
				kept, given = next, append(given, now)
				if len(kept) > Max {
					t.Fatalf("%d are kept", len(kept))
				}
				continue
			}
			refused, kept = refused+1, next
			if !again.After(now) || again.Sub(now) > Per {
				t.Fatalf("at %s told to come again at %s", now, again)
			}
			if _, _, early := spend(kept, again.Add(-1)); early && steady {
				t.Fatal("it was free earlier than told")
			}
			if _, _, there := spend(kept, again); !there {
				t.Fatal("it is not free when told")
			}
		}
		if !steady {
			return
		}
		for i := range given {
			n := 0
			for _, g := range given[i:] {
				if g.Sub(given[i]) < Per {
					n++
				}
			}
			if n > Max {
				t.Fatalf("%d compares within a day", n)
			}
		}
	})
	if refused == 0 || back == 0 {
		t.Error("too little was tried")
	}
}
