package journal_test

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/journal/journaltest"
)

// What is reserved is given back to who reserved it, and nobody else's; what is charged
// is spent whether there was as much or not, and is not written down for ever.
func TestReserveAndCharge(t *testing.T) {
	s := journaltest.New(start)
	j := journal.New(s, s.Now)
	a, b := []keyturn.Ref{keyturn.MustRef("local/a")}, []keyturn.Ref{keyturn.MustRef("local/b")}
	for range 3 * journal.MaxCompares { // as often as one likes
		is(t, "reserve", j.Compares.Reserve(t.Context(), "run", "agent:coder", a), "")
		is(t, "another's", j.Compares.GiveBack(t.Context(), "run", "agent:other"), "")
		is(t, "nobody's", j.Compares.GiveBack(t.Context(), "", "agent:coder"), "")
		if err := j.Compares.Take(t.Context(), "agent:coder", a, journal.MaxCompares); !errors.Is(err, keyturn.Denied) {
			t.Fatalf("what is reserved can be taken: %v", err)
		}
		is(t, "give back", j.Compares.GiveBack(t.Context(), "run", "agent:coder"), "")
	}
	is(t, "take", j.Compares.Take(t.Context(), "agent:coder", a, 3), "")
	size := 0
	for i := range 20 {
		is(t, "charge", j.Compares.Charge(t.Context(), "agent:coder", []keyturn.Ref{a[0], b[0]}, journal.MaxCompares), "")
		n := len(s.Rows["compare"]["all"].Body)
		if i > 0 && n != size {
			t.Fatalf("the row grew from %d to %d bytes", size, n)
		}
		size = n
	}
	for _, refs := range [][]keyturn.Ref{a, b} {
		if err := j.Compares.Take(t.Context(), "agent:other", refs, 1); !errors.Is(err, keyturn.Denied) {
			t.Errorf("%v can be compared: %v", refs, err)
		}
	}
	is(t, "another secret", j.Compares.Take(t.Context(), "agent:other", []keyturn.Ref{keyturn.MustRef("local/c")}, 1), "")
}
