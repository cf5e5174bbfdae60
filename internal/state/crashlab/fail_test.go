package crashlab_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/crashlab"
)

// broken is a disk of which one operation fails, once: the n-th from when it is
// armed.
type broken struct {
	armed atomic.Bool
	left  atomic.Int64
	err   error
	hit   atomic.Pointer[crashlab.Op]
}

func (b *broken) fail(op crashlab.Op) error {
	if !b.armed.Load() || b.left.Add(-1) != 0 {
		return nil
	}
	b.hit.Store(&op)
	return b.err
}

// TestDiskFails lets every single operation of the disk fail once, during changes of
// every kind: the error says what happened, what is there fits it, nothing that was
// acknowledged is lost by a crash, and the next try works.
func TestDiskFails(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for name, c := range changes {
			t.Run(name+" "+errno.Error(), func(t *testing.T) {
				t.Parallel()
				failed, unsure := 0, 0
				step := int64(1)
				if race {
					step = 5
				}
				for n := int64(1); ; n += step {
					hit, unknown, err := failAt(t.Context(), c, n, errno, errno == syscall.EIO)
					if err != nil {
						t.Fatalf("operation %d fails: %v", n, err)
					}
					if !hit {
						break
					}
					failed++
					if unknown {
						unsure++
					}
				}
				if !race && failed < 4 {
					t.Errorf("only %d operations could fail", failed)
				}
				t.Logf("%d operations failed, %d left open whether the change was made", failed, unsure)
			})
		}
	}
}

// failing is a change of TestDiskFails.
type failing struct {
	object string // that it makes something else
	before step   // makes what the change needs
	do     func(ctx context.Context, p *proc) error
	keeps  bool // the object stays as it is
	again  bool // it can be done again, whether it was done or not
}

var changes = map[string]failing{
	"put": {object: "secret x", before: putX, do: func(ctx context.Context, p *proc) error {
		_, err := p.db.Append(ctx, "x", -1, secretOf("changed"))
		return err
	}, again: true},
	"delete": {object: "secret x", before: putX, do: func(ctx context.Context, p *proc) error {
		_, err := p.db.Mark(ctx, "x", 1, keyturn.Deleted)
		return err
	}, again: true},
	"shred": {object: "secret x", before: putX, do: func(ctx context.Context, p *proc) error {
		return p.db.Shred(ctx, "x", []int{1})
	}},
	"use": {object: "item x", before: putX, do: func(ctx context.Context, p *proc) error {
		return p.db.UpdateItem(ctx, kindItem, "x", func(it keyturn.Item) (keyturn.Item, error) {
			it.Body = []byte(used)
			return it, nil
		})
	}, again: true},
	"rekey": {object: "secret x", before: putX, do: func(ctx context.Context, p *proc) error {
		return p.db.Rekey(ctx, nil)
	}, keeps: true, again: true},
	"set root": {object: "root", before: putX, do: func(ctx context.Context, p *proc) error {
		return p.db.SetRoot(ctx, rootAt("B"), "file", "B")
	}, again: true},
	"prune": {object: "log", before: putX, do: func(ctx context.Context, p *proc) error {
		_, err := p.db.PruneLog(ctx, 3)
		return err
	}, again: true},
}

func putX(ctx context.Context, l *lab, p *proc) error { return putAt(ctx, l, p, "secret x") }

// failAt has the n-th operation of the disk fail, counted from the intent of a
// change. It reports whether there was one, and whether the answer leaves open what
// became of the change.
func failAt(ctx context.Context, c failing, n int64, errno syscall.Errno, forget bool) (hit, unknown bool, bad error) {
	files, err := base()
	if err != nil {
		return false, false, err
	}
	b := &broken{err: errno}
	l := newLab(files, 1, crashlab.Faults{Fail: b.fail, Forget: forget})
	defer l.close()
	p, err := l.start(ctx)
	if err != nil {
		return false, false, err
	}
	if err := c.before(ctx, l, p); err != nil {
		return false, false, err
	}
	was, err := observe(ctx, p.db, c.object)
	if err != nil {
		return false, false, err
	}
	// The outcome of a read is in the WAL, and no sync has made it durable.
	read, err := l.intent(ctx, p, "get")
	if err != nil {
		return false, false, err
	}
	p.log.Later(ctx, outcome(read))
	if err := p.log.Flush(ctx); err != nil {
		return false, false, err
	}
	b.left.Store(n)
	b.armed.Store(true)
	_, err1 := l.intent(ctx, p, "change")
	var err2 error
	if err1 == nil {
		err2 = c.do(ctx, p)
	}
	b.armed.Store(false)
	if b.hit.Load() == nil {
		return false, false, err2
	}
	where := fmt.Sprintf("%s of %s", b.hit.Load().Kind, b.hit.Load().Name)
	for _, err := range []error{err1, err2} {
		if e := keyturn.AsError(err); e != nil && (e.Code != keyturn.Unavailable || e.Hint == "" || strings.Contains(e.Message, "input/output")) {
			return true, false, fmt.Errorf("%s: %w", where, detail(err))
		}
	}
	is, err := observe(ctx, p.db, c.object)
	if err != nil {
		return true, false, fmt.Errorf("%s: what is there cannot be seen: %w", where, detail(err))
	}
	e := keyturn.AsError(err2)
	switch {
	case err1 != nil && is != was:
		return true, false, fmt.Errorf("%s: the intent failed, and the change was made", where)
	case c.keeps && is != was:
		return true, false, fmt.Errorf("%s: it is something else", where)
	case !c.keeps && err1 == nil && err2 == nil && is == was:
		return true, false, fmt.Errorf("%s: the change was answered with success, and was not made", where)
	case e != nil && !e.Unknown && is != was && !strings.Contains(e.Message, "was destroyed"):
		return true, false, fmt.Errorf("%s: the answer says that nothing was changed, and it was: %w", where, detail(err2))
	}
	// Whatever it was, the next try works, and outlives a crash.
	if c.again {
		if err := c.do(ctx, p); err != nil {
			return true, false, fmt.Errorf("%s: the same again fails: %w", where, detail(err))
		}
		if is, err = observe(ctx, p.db, c.object); err != nil || !c.keeps && is == was {
			return true, false, fmt.Errorf("%s: the same again changed nothing: %w", where, err)
		}
	}
	if err := putAt(ctx, l, p, "secret next"); err != nil {
		return true, false, fmt.Errorf("%s: the next change fails: %w", where, detail(err))
	}
	l.objects[c.object] = &object{changes: []change{{done: l.disk.Now(), state: is}}}
	return true, e != nil && e.Unknown, l.afterwards(ctx, where)
}

// afterwards checks crashes at the end.
func (l *lab) afterwards(ctx context.Context, where string) error {
	var bad error
	l.disk.Images(crashlab.Plan{Random: 2, Sector: 512, From: l.disk.Now()}, l.rng, func(img crashlab.Image) bool {
		after, err := l.check(ctx, img, 1)
		after.close()
		if err != nil {
			bad = fmt.Errorf("%s: %w", where, err)
		}
		return err == nil
	})
	return bad
}

// TestDiskStaysFull fills the disk for good: everything that changes the store is
// refused and says so, and what is there can be read.
func TestDiskStaysFull(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	var full atomic.Bool
	l := newLab(baseFiles(t), 1, crashlab.Faults{Fail: func(op crashlab.Op) error {
		if full.Load() && slices.Contains([]crashlab.Kind{crashlab.Write, crashlab.Create}, op.Kind) {
			return syscall.ENOSPC
		}
		return nil
	}})
	defer l.close()
	ctx := t.Context()
	if err := l.these(ctx, []step{put, approve}); err != nil {
		t.Fatal(err)
	}
	p := l.procs[0]
	full.Store(true)
	for range 3 {
		_, err := l.intent(ctx, p, "put")
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Unavailable || e.Hint == "" {
			t.Errorf("an intent on a full disk: %v", err)
		}
		_, err = p.db.Append(ctx, "more", -1, secretOf("v"))
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Unavailable || e.Hint == "" {
			t.Errorf("a put on a full disk: %v", err)
		}
	}
	for name := range l.objects {
		if is, err := observe(ctx, p.db, name); err != nil || is != l.known(name) {
			t.Errorf("%s on a full disk: %q, %v", name, is, err)
		}
	}
	if _, err := l.start(ctx); err != nil {
		t.Errorf("open on a full disk: %v", err)
	}
	if is, err := observe(ctx, p.db, "secret more"); err != nil || is != absent {
		t.Errorf("a put that was refused: %q, %v", is, err)
	}
	full.Store(false)
	if err := putAt(ctx, l, p, "secret after"); err != nil {
		t.Errorf("after room was made: %v", detail(err))
	}
	if err := l.afterwards(ctx, "full disk"); err != nil {
		t.Error(err)
	}
}

// TestDiskOutcomesMoveNothing: what is appended without a need for durability never has
// the WAL moved into the database. A sync that fails there is told to nobody, and what
// it lost could be a hole in the WAL.
func TestDiskOutcomesMoveNothing(t *testing.T) {
	t.Parallel()
	l := newLab(baseFiles(t), 1, crashlab.Faults{})
	defer l.close()
	ctx := t.Context()
	p, err := l.start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 100 // the WAL is moved every 128 pages
	for range rounds {
		id, err := l.intent(ctx, p, "get")
		if err != nil {
			t.Fatal(err)
		}
		p.log.Later(ctx, outcome(id))
		began := l.disk.Now()
		if err := p.log.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, op := range l.disk.Journal()[began:] {
			if op.Name == state.File {
				t.Fatalf("the outcome of a read led to a %s of %s", op.Kind, op.Name)
			}
		}
	}
	if !slices.ContainsFunc(l.disk.Journal(), func(op crashlab.Op) bool { return op.Kind == crashlab.Sync && op.Name == state.File }) {
		t.Error("the WAL was never moved into the database")
	}
}
