package crashlab_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/state/crashlab"
)

// check starts on what a crash left, and holds it against what had been answered
// by then. It returns the lab of the new process, for more; the caller closes it.
func (l *lab) check(ctx context.Context, img crashlab.Image, seed uint64) (*lab, error) {
	after := newLab(img.Files, seed, crashlab.Faults{})
	after.now, after.root, after.crashes = l.now, l.root, l.crashes+1
	fail := func(format string, args ...any) (*lab, error) {
		return after, fmt.Errorf("crash at operation %d of %d, %s survives: %w", img.At, l.disk.Now(), img.How, fmt.Errorf(format, args...))
	}
	for _, w := range l.wiped {
		for name, data := range img.Files {
			if w.at <= img.At && bytes.Contains(data, []byte(w.key)) {
				return fail("a ciphertext is in %s again after its key was destroyed", name)
			}
		}
	}
	p, err := after.start(ctx)
	if err != nil {
		return fail("%w", err)
	}
	if _, _, err := p.log.Verify(ctx); err != nil {
		return fail("log or state do not verify: %w", detail(err))
	}
	intents, err := after.readLog(ctx, p, l.records)
	if err != nil {
		return fail("the log cannot be read: %w", detail(err))
	}
	leaf := func(seq int64) (out [32]byte) {
		if seq <= int64(len(after.records)) {
			out = after.records[seq-1].leaf
		}
		return out
	}
	for _, a := range l.records {
		if a.at <= img.At && leaf(a.seq) != a.leaf {
			return fail("record %d of the log was acknowledged and is lost", a.seq)
		}
	}
	for _, c := range l.held {
		if c.at > img.At {
			continue
		}
		if _, err := p.log.VerifyAgainst(ctx, c.note); err != nil {
			return fail("a checkpoint that somebody holds does not fit: %w", detail(err))
		}
	}
	for _, h := range l.out {
		if h.at <= img.At && !intents[h.intent] {
			return fail("a value was handed out, and %s, which announces it, is not in the log", h.intent)
		}
	}
	for name, o := range l.objects {
		is, err := observe(ctx, p.db, name)
		if err != nil {
			return fail("%s cannot be read: %w", name, detail(err))
		}
		if err := o.allows(img.At, is, intents); err != nil {
			return fail("%s: %w", name, err)
		}
		for _, e := range l.effects {
			if e.at <= img.At && e.item == name && is != used {
				return fail("%s may be used twice: it had its effect, and is %s", name, is)
			}
		}
		after.objects[name] = &object{changes: []change{{state: is}}}
	}
	return after, nil
}

// readLog notes all records as acknowledged, and returns the ids of intents; those
// of records that were pruned are known by their leaves.
func (l *lab) readLog(ctx context.Context, p *proc, known []acked) (map[string]bool, error) {
	intents := map[string]bool{}
	for e, err := range p.db.Log(ctx, 1) {
		if err != nil {
			return nil, err
		}
		a, err := record(0, e)
		if err != nil {
			return nil, err
		}
		if e.Data == nil {
			i := slices.IndexFunc(known, func(k acked) bool { return k.leaf == e.Leaf })
			if i < 0 {
				return nil, fmt.Errorf("record %d was pruned, and nobody knows it", e.Seq)
			}
			a.intent = known[i].intent
		}
		l.records = append(l.records, a)
		intents[a.intent] = true
	}
	return intents, nil
}

// allows says whether an object may be like this after a crash at an operation:
// as the last acknowledged change left it, or as one that was under way would
// have, whole, and announced.
func (o *object) allows(at int, is string, intents map[string]bool) error {
	first := 0
	for i, c := range o.changes {
		if c.done >= 0 && c.done <= at {
			first = i
		}
	}
	for i := first; i < len(o.changes) && o.changes[i].began <= at; i++ {
		c := o.changes[i]
		if c.state != is {
			continue
		}
		if c.intent != "" && !intents[c.intent] {
			return fmt.Errorf("it was changed, and %s, which announces it, is not in the log", c.intent)
		}
		return nil
	}
	what := "half a change, or one that nobody asked for"
	if slices.ContainsFunc(o.changes[:first], func(c change) bool { return c.state == is }) {
		what = "an acknowledged change is lost"
	}
	return fmt.Errorf("%s: it is %.80q, and should be %.80q", what, is, o.changes[first].state)
}
