package crashlab_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/state/crashlab"
)

// soak is how many images TestCrash makes: KEYTURN_SOAK_IMAGES, or few.
func soak(t *testing.T, few int64) int64 {
	t.Helper()
	v := os.Getenv("KEYTURN_SOAK_IMAGES")
	if v == "" && race {
		return max(1, few/40)
	}
	if v == "" {
		return few
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		t.Fatalf("KEYTURN_SOAK_IMAGES=%q is not a count", v)
	}
	return n
}

// tally counts over all seeds.
type tally struct {
	seeds, points             int
	images, recovery, resumed atomic.Int64
	ops                       map[string]int // by what they were
}

// images checks images of a lab, several at once, until each says stop; the first
// violation ends it.
func (l *lab) images(ctx context.Context, plan crashlab.Plan, seed uint64, each func(img crashlab.Image, after *lab) error) error {
	work := make(chan crashlab.Image)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	for w := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for img := range work {
				after, err := l.check(ctx, img, seed<<8+uint64(w))
				if err == nil {
					err = each(img, after)
				}
				after.close()
				if err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	l.disk.Images(plan, rand.New(rand.NewPCG(seed, 2)), func(img crashlab.Image) bool {
		work <- img
		return !failed()
	})
	close(work)
	wg.Wait()
	return first
}

// again goes on after a crash, and crashes at every other operation of that.
func (n *tally) again(ctx context.Context, after *lab, seed uint64) error {
	began := after.disk.Now()
	p := after.procs[0]
	if is, err := p.db.Rekeying(ctx); err != nil || is {
		if err == nil {
			n.resumed.Add(1)
			err = rekey(ctx, after, p)
		}
		if err != nil {
			return fmt.Errorf("going on with a rekey: %w", detail(err))
		}
	}
	for _, s := range []step{put, get, use, restart} {
		if err := s(ctx, after, p); err != nil {
			return fmt.Errorf("going on after the crash: %w", detail(err))
		}
		p = after.procs[0]
	}
	if after.disk.Now() == began {
		return fmt.Errorf("nothing was written after the crash")
	}
	var bad error
	after.disk.Images(crashlab.Plan{Random: 2, Prefixes: 1, Sector: 512, Every: 2}, rand.New(rand.NewPCG(seed, 3)), func(img crashlab.Image) bool {
		third, err := after.check(ctx, img, seed)
		third.close()
		n.recovery.Add(1)
		n.images.Add(1)
		if err != nil {
			bad = fmt.Errorf("second crash: %w", err)
		}
		return err == nil
	})
	return bad
}

// TestCrash runs workloads on a disk that loses, reorders and tears what was not
// synced, and looks at what is left after a crash at every operation of it, and
// after crashes of what goes on after a crash: no acknowledged change is lost or
// half there, no value was handed out unannounced, and the log is whole.
// KEYTURN_SOAK_IMAGES says how many images (2,000).
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	want, began := soak(t, 2000), time.Now()
	var n tally
	for seed := uint64(1); n.images.Load() < want; seed++ {
		if err := n.seed(t, seed, want); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	n.report(t, time.Since(began))
	if n.seeds < 2 {
		return // too few to come to everything
	}
	for _, what := range []string{"write keyturn.db", "write keyturn.db-wal", "sync keyturn.db", "sync keyturn.db-wal", "truncate keyturn.db-wal",
		"create keyturn.db-wal", "remove keyturn.db-wal", "syncdir "} {
		if n.ops[what] == 0 {
			t.Errorf("no workload came to %q: %v", what, n.ops)
		}
	}
}

func (n *tally) report(t *testing.T, took time.Duration) {
	t.Helper()
	t.Logf("%d images (%d of them after a second crash, %d rekeys gone on with) at %d points of %d workloads: 0 lost, 0 half done; %.0f images a second",
		n.images.Load(), n.recovery.Load(), n.resumed.Load(), n.points, n.seeds, float64(n.images.Load())/took.Seconds())
}

func (n *tally) seed(t *testing.T, seed uint64, want int64) error {
	ctx := t.Context()
	l := newLab(baseFiles(t), seed, crashlab.Faults{})
	defer l.close()
	if err := l.run(ctx, 24); err != nil {
		return err
	}
	n.count(l.disk)
	plan, rate := crashlab.Plan{Random: 4, Prefixes: 3, Sector: 512}, int64(499)
	if want < 20_000 { // a sample has some of all points
		plan.Every = int(max(5, 10_000/want))
	}
	return l.images(ctx, plan, seed, func(img crashlab.Image, after *lab) error {
		if n.images.Add(1)%rate == 0 {
			return n.again(ctx, after, seed)
		}
		return nil
	})
}

// count notes what a workload did.
func (n *tally) count(d *crashlab.Disk) {
	if n.ops == nil {
		n.ops = map[string]int{}
	}
	n.seeds++
	n.points += d.Now() + 1
	for _, op := range d.Journal() {
		n.ops[string(op.Kind)+" "+op.Name]++
	}
}
