package crashlab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
)

// step is something that the workload does; an error is one that no crash
// explains.
type step func(ctx context.Context, l *lab, p *proc) error

// steps are those of the usual workload. What is listed twice is done more often.
var steps = []struct {
	name string
	do   step
}{
	{"put", put}, {"put", put}, {"put", put}, {"get", get}, {"get", get}, {"refusal", refuse},
	{"delete", remove}, {"destroy", destroy}, {"forget", forget},
	{"approve", approve}, {"use", use}, {"use", use},
	{"restart", restart}, {"restart all", restartAll}, {"several at once", several}, {"checkpoint", hold},
	{"prune", prune}, {"other root key", setRoot}, {"rekey", rekey}, {"half a rekey", halfRekey},
}

// run does n steps, by two processes.
func (l *lab) run(ctx context.Context, n int) error {
	for range 2 {
		if _, err := l.start(ctx); err != nil {
			return err
		}
	}
	for i := range n {
		s := steps[l.pick(len(steps))]
		p := l.procs[len(l.procs)-1-l.pick(2)]
		if err := s.do(ctx, l, p); err != nil {
			return fmt.Errorf("step %d, %s: %w", i, s.name, detail(err))
		}
		if err := l.look(); err != nil {
			return err
		}
	}
	return nil
}

func secretOf(value string) keyturn.Secret {
	// Large enough for more than one page now and then.
	pad := strings.Repeat(value, 1+len(value)%7*40)
	return keyturn.Secret{Values: map[string]keyturn.Value{
		"a": keyturn.NewValue([]byte(value)), "b": keyturn.NewValue([]byte(value)), "pad": keyturn.NewValue([]byte(pad)),
	}}
}

func put(ctx context.Context, l *lab, p *proc) error { return putAt(ctx, l, p, l.some("secret")) }

func putAt(ctx context.Context, l *lab, p *proc, name string) error {
	value := l.id("value")
	return l.changed(ctx, p, name, "put", func() error {
		_, err := p.db.Append(ctx, name[len("secret "):], -1, secretOf(value))
		return err
	})
}

// versions are the numbers of a secret's versions that have a state.
func (l *lab) versions(name, state string) (out []int) {
	for _, line := range strings.Split(l.known(name), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == state {
			n, _ := strconv.Atoi(f[0])
			out = append(out, n)
		}
	}
	return out
}

// live picks a live version of any secret; false where there is none.
func (l *lab) live() (name string, number int, ok bool) {
	all := l.names("secret")
	if len(all) == 0 {
		return "", 0, false
	}
	name = all[l.pick(len(all))]
	v := l.versions(name, string(keyturn.Live))
	if len(v) == 0 {
		return "", 0, false
	}
	return name, v[l.pick(len(v))], true
}

// get hands a value out, after its intent is durable; the outcome may wait.
func get(ctx context.Context, l *lab, p *proc) error {
	name, number, ok := l.live()
	if !ok {
		return nil
	}
	id, err := l.intent(ctx, p, "get "+name)
	if err != nil {
		return err
	}
	if _, err := p.db.Read(ctx, name[len("secret "):], number); err != nil && !errors.Is(err, keyturn.NotFound) {
		return err
	}
	at := l.disk.Now()
	l.mu.Lock()
	l.out = append(l.out, handed{at, id})
	l.mu.Unlock()
	p.log.Later(ctx, outcome(id))
	return nil
}

func refuse(ctx context.Context, l *lab, p *proc) error {
	if err := p.log.Append(ctx, keyturn.Record{ID: l.id("op"), Phase: keyturn.Refusal, Status: "denied"}); err != nil {
		return err
	}
	return p.log.Flush(ctx)
}

func remove(ctx context.Context, l *lab, p *proc) error {
	name, number, ok := l.live()
	if !ok {
		return nil
	}
	return l.changed(ctx, p, name, "delete", func() error {
		_, err := p.db.Mark(ctx, name[len("secret "):], number, keyturn.Deleted)
		return err
	})
}

func destroy(ctx context.Context, l *lab, p *proc) error {
	name, number, ok := l.live()
	if !ok {
		return nil
	}
	return l.shred(ctx, p, name, []int{number})
}

func forget(ctx context.Context, l *lab, p *proc) error {
	name, _, ok := l.live()
	if !ok {
		return nil
	}
	return l.shred(ctx, p, name, nil)
}

// shred destroys versions, and then looks for the keys that are gone.
func (l *lab) shred(ctx context.Context, p *proc, name string, numbers []int) error {
	before, err := l.wrappedKeys()
	if err != nil {
		return err
	}
	err = l.changed(ctx, p, name, "shred", func() error { return p.db.Shred(ctx, name[len("secret "):], numbers) })
	if err != nil {
		return err
	}
	after, err := l.wrappedKeys()
	if err != nil {
		return err
	}
	maps.DeleteFunc(before, func(key string, _ bool) bool { return after[key] })
	if len(before) == 0 {
		return errors.New("no wrapped key is gone")
	}
	return l.gone(before)
}

// gone notes ciphertexts that no file may hold from now on. The end of a WAL that
// was cut off is gone from the disk with the next sync of the WAL: that of the
// outcome, which comes ahead of any answer.
func (l *lab) gone(ciphertexts map[string]bool) error {
	live, answered := l.disk.Live(), l.disk.Now()
	for c := range ciphertexts {
		l.wiped = append(l.wiped, residue{answered, c})
		for file, data := range live {
			if bytes.Contains(data, []byte(c)) {
				return fmt.Errorf("a ciphertext is still in %s after its key was destroyed", file)
			}
		}
	}
	return nil
}

const unused, used = "unused", "used"

// approve makes an item that may be used once.
func approve(ctx context.Context, l *lab, p *proc) error {
	name := "item " + l.id("name")
	return l.changed(ctx, p, name, "approve", func() error {
		return p.db.UpdateItem(ctx, kindItem, name[len("item "):], func(it keyturn.Item) (keyturn.Item, error) {
			it.Body = []byte(unused)
			return it, nil
		})
	})
}

// use uses an approval, which works once; what it allows happens when the use is
// durable.
func use(ctx context.Context, l *lab, p *proc) error {
	for _, name := range l.names("item") {
		was := l.known(name)
		if was == absent || l.pick(2) == 0 {
			continue
		}
		taken := errors.New("used already")
		take := func() error {
			return p.db.UpdateItem(ctx, kindItem, name[len("item "):], func(it keyturn.Item) (keyturn.Item, error) {
				if string(it.Body) != unused {
					return it, taken
				}
				it.Body = []byte(used)
				return it, nil
			})
		}
		if was == used {
			if err := take(); !errors.Is(err, taken) {
				return fmt.Errorf("%s was used twice: %v", name, err)
			}
			continue
		}
		if err := l.changed(ctx, p, name, "use", take); err != nil {
			return err
		}
		l.happens(name)
		return nil
	}
	return nil
}

// hold has a checkpoint signed, and keeps it elsewhere.
func hold(ctx context.Context, l *lab, p *proc) error {
	id, err := l.intent(ctx, p, "checkpoint")
	if err != nil {
		return err
	}
	note, _, err := p.log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := p.log.Append(ctx, outcome(id)); err != nil {
		return err
	}
	l.held = append(l.held, checkpoint{l.disk.Now(), note})
	return nil
}

// prune drops the content of the older half of the log.
func prune(ctx context.Context, l *lab, p *proc) error {
	return l.changed(ctx, p, "log", "prune", func() error {
		last, err := p.db.LastLog(ctx)
		if err == nil {
			_, err = p.db.PruneLog(ctx, last.Last.Seq/2)
		}
		return err
	})
}

func setRoot(ctx context.Context, l *lab, p *proc) error {
	place := l.id("place")
	return l.changed(ctx, p, "root", "set root", func() error {
		return p.db.SetRoot(ctx, rootAt(place), "file", place)
	})
}

// rekey encrypts everything anew, and then looks for what was there before.
func rekey(ctx context.Context, l *lab, p *proc) error {
	begun, err := p.db.Rekeying(ctx)
	if err != nil {
		return err
	}
	was, err := l.ciphertexts()
	if err != nil {
		return err
	}
	id, err := l.intent(ctx, p, "rekey")
	if err != nil {
		return err
	}
	if err := p.db.Rekey(ctx, nil); err != nil {
		return err
	}
	if is, err := p.db.Rekeying(ctx); is || err != nil {
		return fmt.Errorf("a rekey has ended and is under way: %v, %w", is, err)
	}
	if err := p.log.Append(ctx, outcome(id)); err != nil {
		return err
	}
	is, err := l.ciphertexts()
	if err != nil {
		return err
	}
	for c := range is {
		if was[c] && !begun {
			return errors.New("a ciphertext is what it was before the rekey")
		}
		delete(was, c)
	}
	return l.gone(was)
}

// halfRekey cuts a rekey short; the process goes on.
func halfRekey(ctx context.Context, l *lab, p *proc) error {
	half, stop := context.WithCancel(ctx)
	defer stop()
	if err := p.db.Rekey(half, func(int, int) { stop() }); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// happens is the effect of using an item.
func (l *lab) happens(item string) {
	at := l.disk.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.effects = append(l.effects, effect{at, item})
}

// restart ends a process, which may move the WAL into the database, and starts
// another one.
func restart(ctx context.Context, l *lab, p *proc) error {
	if err := p.log.Flush(ctx); err != nil {
		return err
	}
	if err := p.db.Close(); err != nil {
		return err
	}
	l.mu.Lock()
	for i, q := range l.procs {
		if q == p {
			l.procs = append(l.procs[:i:i], l.procs[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
	_, err := l.start(ctx)
	return err
}

// restartAll ends all processes: the last one moves the WAL into the database and
// removes it.
func restartAll(ctx context.Context, l *lab, _ *proc) error {
	was := slices.Clone(l.procs)
	for _, p := range was {
		if err := errors.Join(p.log.Flush(ctx), p.db.Close()); err != nil {
			return err
		}
	}
	l.procs = nil
	for range was {
		if _, err := l.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// several puts and gets at once, by both processes, each to a secret of its own.
func several(ctx context.Context, l *lab, _ *proc) error {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	names := make([]string, len(errs))
	for i := range names {
		names[i] = "secret shared-" + strconv.Itoa(i)
	}
	procs := l.procs
	for i := range errs {
		wg.Go(func() {
			p := procs[i%2]
			errs[i] = errors.Join(putAt(ctx, l, p, names[i]), get(ctx, l, p))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
