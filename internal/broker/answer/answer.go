// Package answer is about what comes of an operation: what is recorded of it, and
// lists that are ranged over once. It is pure.
package answer

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/crash"
)

// Once is an answer that is ranged over, which can be done once: what is ranged over
// ends when the caller is done with it, and ended gets its last error then: that of a
// part, too, after which it went on. Errors pass through tell. A panic of whoever makes it is an error at its end.
func Once[T any](seq iter.Seq2[T, error], tell func(error) error, ended func(last error)) iter.Seq2[T, error] {
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
				last = crash.Of(p)
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

// Outcome is the record of what came of the operation of an id.
func Outcome(id string, res keyturn.Result, err error) keyturn.Record {
	r := keyturn.Record{ID: id, Phase: keyturn.Outcome, Status: "success"}
	if err != nil {
		e := keyturn.AsError(err)
		if errors.Is(err, context.Canceled) && !e.Unknown {
			r.Status = "interrupted" // by whoever asked, before anything was sent
			return r
		}
		r.Status, r.Code, r.Unknown = "error", e.Code, e.Unknown
		return r
	}
	switch res := res.(type) {
	case *keyturn.Changed:
		r.Version = res.Secret.Version
	case *keyturn.Performed:
		r.Change = Changed(&res.Told)
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

// short is a platform's own name as a record keeps it.
func short(s string) string { return Limit(s, 512) }

// maxChange is how much of a document one record keeps, in bytes.
const maxChange = 256 << 10

// Changed is the platform's own document that an action changed, for the record: nil
// where it changed none, or only showed what it would. Of one that is too long only
// its name is kept.
func Changed(told *keyturn.Told) *keyturn.TextChange {
	ch := told.Change
	switch {
	case ch == nil || ch.Before == ch.After || told.Policy != nil && !told.Policy.Applied:
		return nil
	case len(ch.Before)+len(ch.After) > maxChange:
		return &keyturn.TextChange{Name: ch.Name}
	}
	return ch
}

// Shown is a copy of e, since platforms may share theirs, with clean text.
func Shown(e *keyturn.Error) *keyturn.Error {
	out := *e
	out.Message, out.Hint = keyturn.Clean(e.Message), keyturn.CleanLines(e.Hint)
	out.Each = nil
	for _, each := range e.Each {
		out.Each = append(out.Each, Shown(each))
	}
	return &out
}

// Limit cuts s after n characters.
func Limit(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
