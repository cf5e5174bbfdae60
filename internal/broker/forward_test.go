package broker_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/broker"
	"pgregory.net/rapid"
)

// outside is a place that every record must reach, and fails when told to.
type outside struct {
	fails func() bool
	has   map[string]bool // phase and id of records that reached it
	asked int
	first bool // of this operation: whether the first attempt came through
	next  int64
}

func (o *outside) Forward(ctx context.Context, rows func(context.Context, int64) iter.Seq2[keyturn.LogEntry, error], _ int64) error {
	o.asked++
	fails := o.fails()
	if o.asked == 1 {
		o.first = !fails
	}
	if fails {
		return errors.New("nobody listens")
	}
	for e, err := range rows(ctx, o.next+1) {
		if err != nil {
			return err
		}
		r, err := keyturn.DecodeRecord(e.Data)
		if err != nil {
			return err
		}
		o.has[string(r.Phase)+r.ID], o.next = true, e.Seq
	}
	return nil
}

// P1, where a place outside is required: nothing reaches a platform and no value
// leaves whose intent is not there, however the place fails, on every route.
func TestNotForwardedNoAccess(t *testing.T) {
	done, failed, calls, values := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		how := rapid.SampledFrom([]string{"always", "some", "never", "first", "second"}).Draw(rt, "how")
		o := &outside{has: map[string]bool{}}
		o.fails = func() bool {
			return how == "always" || how == "first" && o.asked == 1 || how == "second" && o.asked == 2 || how == "some" && rapid.Bool().Draw(rt, "fails")
		}
		w := newWorld(t, withRules(t, may("agents", "list describe use reveal write delete destroy", "local/**", run("npm test"))), func(c *broker.Config) {
			c.Log = audit.Open((*logStore)(c.Mounts.(*world)), audit.Options{Now: c.Now, Forward: o})
		})
		for range 30 {
			op := drawOp(rt, names)
			w.as(rapid.SampledFrom([]keyturn.Actor{anna, coder}).Draw(rt, "actor"))
			o.asked, o.first = 0, false
			from := w.mark()
			res, err := w.Do(context.Background(), op)
			if err == nil {
				if l, ok := res.(*keyturn.Listing); ok {
					for range l.Secrets {
					}
				}
			}
			n := checkIntents(rt, w, op, from, res)
			if !o.first && (err == nil || n > 0 || len(w.since(from)) > 0) {
				rt.Fatalf("%s: its intent was not forwarded; %d values, calls %v, %v", op.Kind(), n, w.since(from), err)
			}
			if err == nil && !o.has["intent"+res.Audit()] {
				rt.Fatalf("%s: it is done, and its intent is not outside", op.Kind())
			}
			if values, calls, done = values+n, calls+len(w.since(from)), done+1; err != nil {
				failed++
			}
		}
		o.fails = func() bool { return false }
		if err := w.Flush(); err != nil {
			rt.Fatal(err)
		}
		if _, _, err := w.Log.Verify(context.Background()); err != nil {
			rt.Fatalf("%s: the log afterwards: %v", how, err)
		}
	})
	t.Logf("%d operations, %d failed, %d calls of a platform, %d values out", done, failed, calls, values)
	if done < 2500 && !testing.Short() || failed == 0 || calls == 0 || values == 0 {
		t.Error("too little was tried")
	}
}
