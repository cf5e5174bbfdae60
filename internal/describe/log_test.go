package describe

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
)

// TestGather: operations come in the order in which they began, the newest of those that
// the filter chooses; the one that asks, and outcomes without an intent, are left out.
func TestGather(t *testing.T) {
	start := time.Date(2026, 1, 24, 10, 0, 0, 0, time.UTC)
	op, err := keyturn.EncodeOp(keyturn.Login{Mount: "x\x1by", Method: "token"})
	if err != nil {
		t.Fatal(err)
	}
	record := func(id string, phase keyturn.Phase, status string, minute int) keyturn.Record {
		return keyturn.Record{ID: id, Phase: phase, Status: status, Op: op, Time: start.Add(time.Duration(minute) * time.Minute)}
	}
	log := []keyturn.Record{
		record("before", keyturn.Outcome, "success", 0), record("a", keyturn.Intent, "", 1), record("b", keyturn.Intent, "", 2),
		record("b", keyturn.Outcome, "success", 3), record("c", keyturn.Refusal, "denied", 4), record("a", keyturn.Outcome, "error", 5),
		record("d", keyturn.Intent, "", 6), record("self", keyturn.Intent, "", 7),
	}
	for _, x := range []struct {
		filter LogFilter
		want   []string
	}{
		{LogFilter{}, []string{"a error", "b success", "c denied", "d unfinished"}},
		{LogFilter{Limit: 2}, []string{"c denied", "d unfinished"}},
		{LogFilter{Status: "success"}, []string{"b success"}},
		{LogFilter{Status: Unfinished}, []string{"d unfinished"}},
		{LogFilter{Until: start.Add(4 * time.Minute), Limit: 1}, []string{"b success"}},
	} {
		operations, err := x.filter.Gather(func(yield func(keyturn.Record, error) bool) {
			for _, r := range log {
				if !yield(r, nil) {
					return
				}
			}
		}, "self")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range operations {
			got = append(got, l.Began.ID+" "+l.Status())
			if row := l.Row(); row.About != "x�y" || row.Operation != "login-mount" || row.Who != "-" || row.By != "-" {
				t.Errorf("%+v", row)
			}
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%+v: %q, want %q", x.filter, got, x.want)
		}
		if list := RecordsOf(operations); !slices.IsSortedFunc(list, func(a, b keyturn.Record) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("%+v: records are not in the order of the log", x.filter)
		}
	}
}

// TestRememberable: a rule that is too broad is not written by an approval.
func TestRememberable(t *testing.T) {
	for _, x := range []struct {
		r    keyturn.Request
		want bool
	}{
		{keyturn.Request{Rule: "allow"}, true},
		{keyturn.Request{Rule: strings.Repeat("long", 4000)}, true},
		{keyturn.Request{Broad: "any agent could do it"}, false},
	} {
		if err := Rememberable(x.r); (err == nil) != x.want {
			t.Errorf("%q, %q: %v", x.r.Rule, x.r.Broad, err)
		}
	}
}
