// Package approval keeps the requests that wait for a person's yes, and the yes
// that was given: one approval is for one operation by one caller, once.
package approval

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Items yields the rows of a kind that have not expired.
	Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error]
	// UpdateItem replaces one row in one durable transaction: change gets the
	// row, or one without a body where there is none, and returns the new one; a
	// nil body removes it. An error of change leaves everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

// Kind is of the items that requests, and the yeses to them, are kept as.
const Kind = requestKind

const (
	requestKind = "request"
	// Window is how long a request can be approved, and an approval used.
	Window = time.Hour
	// MaxOpen is how many requests one caller may have open.
	MaxOpen = 100
	// MaxForm is the largest operation that can be asked for, in bytes of its
	// canonical form: more than that nobody can read.
	MaxForm = 64 << 10
	// skew is how far the clock may go back without closing what is open.
	skew = time.Minute
)

// Needs says what a yes takes.
type Needs struct {
	Approvals int    `json:"approvals"`
	From      string `json:"from,omitempty"`  // a principal or group that approvers must be
	Proof     string `json:"proof,omitempty"` // the weakest that is taken; "" takes any
}

// Yes is one person's approval.
type Yes struct {
	Actor keyturn.Actor `json:"actor"`
	Proof string        `json:"proof"`
	Time  time.Time     `json:"time"`
}

// Request is an operation that waits, as it is kept.
type Request struct {
	ID      string          `json:"id"`
	Actor   keyturn.Actor   `json:"actor"` // who asked
	Op      json.RawMessage `json:"op"`    // canonical form
	Hash    string          `json:"hash"`
	Reason  string          `json:"reason,omitempty"`
	Created time.Time       `json:"created"`
	Expires time.Time       `json:"expires"`
	Needs   Needs           `json:"needs"`
	Ruled   bool            `json:"ruled,omitempty"` // a rule asks for approvals; else none allows it
	Given   []Yes           `json:"given,omitempty"`
	// Held is the version of each reference that the platform held when the
	// first yes was given; "" for none. The yes is for these.
	Held map[string]string `json:"held,omitempty"`
	// Used is set when the operation has been carried out under this approval.
	Used bool `json:"used,omitempty"`
}

// Enough reports whether all approvals that are needed have been given.
func (r Request) Enough() bool { return len(r.Given) >= max(1, r.Needs.Approvals) }

// Book keeps requests. It is safe for concurrent use, by several processes too.
type Book struct {
	items Items
	now   func() time.Time
}

// NewBook returns the book kept in items; now is the clock, time.Now where nil.
func NewBook(items Items, now func() time.Time) *Book {
	if now == nil {
		now = time.Now
	}
	return &Book{items: items, now: now}
}

// Open yields the requests that can still be approved or used, oldest first.
func (b *Book) Open(ctx context.Context) ([]Request, error) {
	var out []Request
	for it, err := range b.items.Items(ctx, requestKind) {
		if err != nil {
			return nil, err
		}
		r, err := decode(it)
		if err != nil {
			return nil, err
		}
		if b.isOpen(r) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y Request) int { return x.Created.Compare(y.Created) })
	return out, nil
}

// isOpen reports whether r can still be approved or used. One from the future is
// not: a clock that jumps back makes no approval last longer.
func (b *Book) isOpen(r Request) bool {
	now := b.now()
	return !r.Used && now.Before(r.Expires) && !now.Add(skew).Before(r.Created)
}

// Ask returns the open request of actor for the operation, and makes one where
// there is none, so that asking again and again makes one request. Of several,
// made at the same moment, it is the one that most people have said yes to. One
// that was made when the rules asked for something else is none.
func (b *Book) Ask(ctx context.Context, actor keyturn.Actor, canonical []byte, hash keyturn.OpHash, reason string, needs Needs, ruled bool) (Request, error) {
	open, err := b.Open(ctx)
	if err != nil {
		return Request{}, err
	}
	if len(canonical) > MaxForm {
		return Request{}, denied("this operation is too large for a person to approve", "name fewer secrets or arguments at once")
	}
	mine := 0
	var best Request
	for _, r := range open {
		if !r.Actor.Same(actor) {
			continue
		}
		mine++
		if r.Hash == hash.String() && r.Needs == needs && r.Ruled == ruled && (best.ID == "" || len(r.Given) > len(best.Given)) {
			best = r
		}
	}
	if best.ID != "" {
		return best, nil
	}
	if mine >= MaxOpen {
		return Request{}, keyturn.E(keyturn.Denied, fmt.Sprintf("%s has %d requests waiting already", actor.Principal(), mine),
			"wait until some are answered or run out (an hour)")
	}
	now := b.now().UTC()
	r := Request{ID: newID(), Actor: actor, Op: canonical, Hash: hash.String(), Reason: reason,
		Created: now, Expires: now.Add(Window), Needs: needs, Ruled: ruled}
	err = b.items.UpdateItem(ctx, requestKind, r.ID, func(old keyturn.Item) (keyturn.Item, error) {
		if old.Body != nil {
			return old, keyturn.E(keyturn.Conflict, "two requests drew the same id", "try again")
		}
		return encode(r)
	})
	return r, err
}

// Find returns an open request; NotFound where there is none of that id.
func (b *Book) Find(ctx context.Context, id string) (Request, error) {
	open, err := b.Open(ctx)
	if err != nil {
		return Request{}, err
	}
	i := slices.IndexFunc(open, func(r Request) bool { return r.ID == id })
	if i < 0 {
		return Request{}, gone(id)
	}
	return open[i], nil
}

// Approve adds one person's yes, with the versions that the platform holds now.
// It is Denied for whoever asked, Conflict for a second yes by the same person,
// or where the platform no longer holds what the first yes was given for.
func (b *Book) Approve(ctx context.Context, id string, yes Yes, held map[string]string) (Request, error) {
	return b.update(ctx, id, func(r *Request) error {
		if r.Actor.Same(yes.Actor) {
			return denied("nobody approves their own request", "another person has to")
		}
		if slices.ContainsFunc(r.Given, func(y Yes) bool { return y.Actor.Same(yes.Actor) }) {
			return keyturn.E(keyturn.Conflict, "you have approved "+id+" already", "another person has to say yes too")
		}
		if len(r.Given) > 0 && !sameVersions(r.Held, held) {
			return keyturn.E(keyturn.Conflict, "the secrets have changed since the first approval", "the operation has to be asked for again")
		}
		yes.Time = b.now().UTC()
		r.Given, r.Held = append(r.Given, yes), held
		return nil
	})
}

// Raise asks for more than was asked for when the request was made: whoever
// approves may see rules that whoever asked did not bring along. Both returns what
// satisfies two Needs; it is given what is kept at that moment, so that of two who
// approve at once neither undoes what the other raised.
func (b *Book) Raise(ctx context.Context, id string, needs Needs, both func(kept, needs Needs) Needs) error {
	_, err := b.update(ctx, id, func(r *Request) error {
		r.Needs = both(r.Needs, needs)
		return nil
	})
	return err
}

// Use takes an approval: it can be taken once. held are the versions that the
// platform holds now; Conflict where they are not those approved.
func (b *Book) Use(ctx context.Context, id string, hash keyturn.OpHash, held map[string]string) (Request, error) {
	return b.update(ctx, id, func(r *Request) error {
		switch {
		case r.Hash != hash.String():
			return denied("this approval is for another operation", "")
		case !r.Enough():
			return keyturn.E(keyturn.Pending, id+" is not approved yet", "")
		case !sameVersions(r.Held, held):
			return keyturn.E(keyturn.Conflict, "the secrets have changed since "+id+" was approved", "the operation has to be approved again")
		}
		r.Used = true
		return nil
	})
}

// Drop removes a request, for instance one whose approval no longer fits.
func (b *Book) Drop(ctx context.Context, id string) error {
	return b.items.UpdateItem(ctx, requestKind, id, func(it keyturn.Item) (keyturn.Item, error) {
		it.Body = nil
		return it, nil
	})
}

func (b *Book) update(ctx context.Context, id string, change func(*Request) error) (Request, error) {
	var r Request
	err := b.items.UpdateItem(ctx, requestKind, id, func(it keyturn.Item) (keyturn.Item, error) {
		if it.Body == nil {
			return it, gone(id)
		}
		var err error
		if r, err = decode(it); err != nil {
			return it, err
		}
		if !b.isOpen(r) {
			return it, gone(id)
		}
		if err := change(&r); err != nil {
			return it, err
		}
		return encode(r)
	})
	return r, err
}

func denied(message, hint string) *keyturn.Error {
	e := keyturn.E(keyturn.Denied, message, hint)
	e.By = "person"
	return e
}

func gone(id string) *keyturn.Error {
	return keyturn.E(keyturn.NotFound, "no open request '"+keyturn.Clean(id)+"'",
		"requests run out after an hour and are used once; 'keyturn approve' lists the open ones")
}

func sameVersions(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func encode(r Request) (keyturn.Item, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return keyturn.Item{}, err
	}
	// Kept longer than it can be used, so that a clock that jumps back does not
	// meet an id again that was used already.
	return keyturn.Item{ID: r.ID, Body: body, Expires: r.Expires.Add(24 * time.Hour)}, nil
}

func decode(it keyturn.Item) (Request, error) {
	var r Request
	if err := json.Unmarshal(it.Body, &r); err != nil || r.ID != it.ID {
		return r, keyturn.E(keyturn.Corrupt, "a request for approval cannot be read", "").Because(errors.Join(err))
	}
	return r, nil
}

// newID is short enough to type: eight characters of 30, about 39 bits.
func newID() string {
	const letters = "23456789abcdefghjkmnpqrstvwxyz"
	out := make([]byte, 0, 8)
	for len(out) < 8 {
		var b [1]byte
		_, _ = rand.Read(b[:])
		if b[0] < 240 { // 8 × 30: no letter is likelier than another
			out = append(out, letters[int(b[0])%len(letters)])
		}
	}
	return string(out)
}
