package broker

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/keyturn/keyturn"
)

// intent returns the record of what c is about to do.
func (b *Broker) intent(c *call) keyturn.Record {
	actor := c.actor
	r := keyturn.Record{ID: c.id, Phase: keyturn.Intent, Actor: &actor, Door: c.from.Door, Op: c.form,
		OpHash: c.hash.String(), Rule: c.verdict.Where, Config: b.Judged, Approval: c.approval, Reason: limit(keyturn.Clean(c.from.Reason), 500)}
	if c.bare {
		r.Op, r.OpHash = bareForm(c.op), ""
	}
	if c.parent != nil {
		r.Parent = c.parent.id
	}
	return r
}

// outcome returns the record of what came of c.
func (c *call) outcome(res keyturn.Result, err error) keyturn.Record {
	r := outcomeOf(c.id, res, err)
	if r.Approval == "" {
		r.Approval = c.lateApproval
	}
	if end, ok := c.op.(keyturn.EndCommand); ok && len(end.Held) > 0 && !errors.Is(err, keyturn.NotFound) {
		r.Alarm = keyturn.Held
	}
	return r
}

// outcomeOf returns the record of what came of the operation with this id.
func outcomeOf(id string, res keyturn.Result, err error) keyturn.Record {
	r := keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
	if err != nil {
		e := keyturn.AsError(err)
		if errors.Is(err, context.Canceled) && !e.Unknown {
			r.Status = "interrupted" // by whoever asked, before anything was sent
			return r
		}
		r.Status, r.Code, r.Unknown = "error", e.Code, e.Unknown
		if e.Reason == keyturn.Held {
			r.Alarm = e.Reason
		}
		return r
	}
	switch res := res.(type) {
	case *keyturn.Changed:
		r.Version = res.Secret.Version
	case *keyturn.Performed:
		r.Change = recordedChange(&res.Told)
	case *keyturn.Copied:
		r.Version = res.To.Version
	case *keyturn.Described:
		r.Version = res.Secret.Version
	case *keyturn.Leased:
		r.Version = res.Lease.Native
	case *keyturn.LoggedIn:
		r.Identity, r.Accessor = short(res.Identity), short(res.Accessor)
	case *keyturn.LoggedOut:
		r.Identity, r.Accessor = short(res.Identity), short(res.Accessor)
	case *keyturn.Migrated:
		r.Version = res.Secret.Version
	case *keyturn.Revealed:
		r.Version = res.Secret.Version
	}
	return r
}

// short cuts a platform's own name to what a record keeps.
func short(s string) string { return limit(s, 512) }

// maxChange is how many bytes of a document one record keeps.
const maxChange = 256 << 10

// recordedChange returns the change of a platform's own document as a record keeps it:
// nil where the action changed no document, or only showed what it would change. Of a
// document that is too long it keeps only the name.
func recordedChange(told *keyturn.Told) *keyturn.TextChange {
	ch := told.Change
	switch {
	case ch == nil || ch.Before == ch.After || told.Policy != nil && !told.Policy.Applied:
		return nil
	case len(ch.Before)+len(ch.After) > maxChange:
		return &keyturn.TextChange{Name: ch.Name}
	}
	return ch
}

// shown returns a copy of e, which a platform may share, with clean text.
func shown(e *keyturn.Error) *keyturn.Error {
	out := *e
	out.Message, out.Hint = keyturn.Clean(e.Message), keyturn.CleanLines(e.Hint)
	out.Each = nil
	for _, each := range e.Each {
		out.Each = append(out.Each, shown(each))
	}
	return &out
}

// limit cuts s after n characters.
func limit(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// recordWrite records what came of a child that writes.
func (b *Broker) recordWrite(ctx context.Context, child *call, version string, err error) {
	record := child.outcome(nil, err)
	if err == nil {
		record.Version = version
	}
	b.Log.Later(ctx, record)
	child.recorded = true
}

// recordedAtEnd returns seq as the answer of c: c's outcome is recorded once the caller
// has ranged over it.
func recordedAtEnd[T any](b *Broker, c *call, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return once(seq, func(err error) error { return tell(c, err) },
		func(last error) { b.Log.Later(context.Background(), c.outcome(nil, last)) })
}

// once returns seq for one use, with each of its errors passed through tell. At the end it
// calls ended with the last error, even if the caller went on after that error. A panic of
// seq becomes the last error; a panic of the caller's loop stays the caller's.
func once[T any](seq iter.Seq2[T, error], tell func(error) error, ended func(last error)) iter.Seq2[T, error] {
	var begun atomic.Bool
	return func(yield func(T, error) bool) {
		var none T
		if begun.Swap(true) {
			yield(none, tell(keyturn.E(keyturn.Internal, "an answer was ranged over twice", "this is a bug: please report it")))
			return
		}
		var last error
		defer func() { ended(last) }()
		theirs, over := false, false // in the caller's loop, whose panics are the caller's; and after it
		defer func() {
			if theirs {
				return
			}
			if p := recover(); p != nil {
				last = crashed(p)
				if !over {
					yield(none, tell(last))
				}
			}
		}()
		for v, err := range seq {
			if theirs = true; err != nil {
				last = err
			}
			over = !yield(v, tell(err))
			if theirs = false; over {
				return
			}
		}
	}
}
