//go:build unix

package bench

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/verify"
	"github.com/keyturn/keyturn/internal/broker"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/state"
)

// mounts are those of a program with nothing but the local store.
type mounts struct{ local *platform.Mount }

func (m mounts) Names() []string                       { return []string{"local"} }
func (m mounts) Mount(string) (*platform.Mount, error) { return m.local, nil }

// gets measures audited gets of one process, by one caller and by 64, beside the
// disk's own rate of fsync: each get is durably on record before its value is
// read, and callers that come together share the wait for the disk.
func gets(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "store")
	db, err := state.Create(ctx, dir, [32]byte{1}, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	set, err := rules.New(rules.Input{})
	if err != nil {
		t.Fatal(err)
	}
	mount := platform.NewMount("local", local.New(db, "local"), local.Spec, "")
	log := audit.New(db, nil)
	b := broker.New(broker.Config{Mounts: mounts{mount}, Rules: set, Log: log, Items: db,
		WhoIs: func(context.Context) (keyturn.Actor, error) {
			return keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: "os-user"}, nil
		}})
	ref := keyturn.MustRef("local/bench/app")
	if _, err := mount.Put(ctx, ref, platform.Put{Values: map[string]keyturn.Value{"password": keyturn.NewValue([]byte("a value of ordinary length"))}}); err != nil {
		t.Fatal(err)
	}
	const each = 3 * time.Second
	disk := rate(each, 1, syncer(t, dir))
	for _, callers := range []int{1, 64} {
		used := cpu()
		got := rate(each, callers, func() error {
			_, err := b.Do(ctx, keyturn.RevealSecret{Ref: ref})
			return err
		})
		used = cpu() - used
		again := rate(each/3, 1, syncer(t, dir))
		t.Logf("%2d callers: %6.0f audited gets/s = %.1f × the disk's %.0f fsync/s (%.0f just after); %.0f µs of CPU each",
			callers, got, got/disk, disk, again, float64(used.Microseconds())/(got*each.Seconds()))
		disk = again
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	verifySpeed(t, log)
}

// cpu is the time of processors that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// syncer writes a page and waits for the disk, as the store's log does.
func syncer(t *testing.T, dir string) func() error {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	page := make([]byte, 4096)
	return func() error {
		if _, err := f.Write(page); err != nil {
			return err
		}
		return f.Sync()
	}
}

// rate is how often in a second callers together do it.
func rate(d time.Duration, callers int, do func() error) float64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Go(func() {
			for time.Since(began) < d {
				if err := do(); err != nil {
					panic(err)
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

// verifySpeed measures how fast an exported file and the store's log verify.
func verifySpeed(t *testing.T, log *audit.Log) {
	var text bytes.Buffer
	began := time.Now()
	for line, err := range log.Export(context.Background(), audit.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, '\n'))
	}
	exported := time.Since(began)
	began = time.Now()
	r, err := verify.File(&text, verify.Held{})
	if err != nil {
		t.Fatal(err)
	}
	file := time.Since(began)
	began = time.Now()
	if _, _, err := log.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := float64(r.Size)
	t.Logf("%d records: %.0f/s verified from a file, %.0f/s in the store, %.0f/s exported", r.Size,
		n/file.Seconds(), n/time.Since(began).Seconds(), n/exported.Seconds())
}
