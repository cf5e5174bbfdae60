package journal

import (
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules"
)

const (
	requestKind = "request"
	// Window is how long a request can be approved, and an approval used.
	Window = time.Hour
	// MaxOpen is how many requests one caller may have open.
	MaxOpen = 100
	// MaxAllOpen is how many requests all agents and services together may have open: an
	// agent chooses its own name.
	MaxAllOpen = 1000
	// MaxForm is the largest operation that can be asked for, in bytes of its
	// canonical form: a person could not read a larger one.
	MaxForm = 64 << 10
	// skew is how far the clock may go back without closing open requests.
	skew = time.Minute
)

// Yes is one person's approval.
type Yes struct {
	Actor keyturn.Actor `json:"actor"`
	Proof string        `json:"proof"`
	Time  time.Time     `json:"time"`
}

// Request is an operation that waits for approval, as its row holds it.
type Request struct {
	ID      string          `json:"id"`
	Actor   keyturn.Actor   `json:"actor"` // who asked
	Op      json.RawMessage `json:"op"`    // canonical form
	Hash    string          `json:"hash"`
	Reason  string          `json:"reason,omitempty"`
	Created time.Time       `json:"created"`
	Expires time.Time       `json:"expires"`
	Needs   rules.Needs     `json:"needs"`
	Ruled   bool            `json:"ruled,omitempty"` // a rule asks for approvals; else no rule allows the operation
	Given   []Yes           `json:"given,omitempty"`
	// Held is the version of each reference that the platform held when the first
	// approval was given; "" for none. The approvals are for these versions.
	Held map[string]string `json:"held,omitempty"`
	// Used is set once the operation was carried out under this approval.
	Used bool `json:"used,omitempty"`
}

// kept is how long the row of r is kept: longer than the approval can be used, so
// that a clock that jumps back does not meet an id again that was used already.
func (r Request) kept() time.Time { return r.Expires.Add(24 * time.Hour) }

// Enough reports whether all approvals that are needed have been given.
func (r Request) Enough() bool { return len(r.Given) >= max(1, r.Needs.Approvals) }

// Approvals keeps the operations that wait for people's approval, and the approvals
// that were given: one approval is for one operation by one caller, once.
type Approvals struct {
	rows table[Request]
	now  func() time.Time
}

// Open returns the requests that can still be approved or used, oldest first.
func (a Approvals) Open(ctx context.Context) ([]Request, error) {
	rows, err := a.rows.all(ctx)
	if err != nil {
		return nil, err
	}
	var out []Request
	for _, r := range rows {
		if a.isOpen(r.content) {
			out = append(out, r.content)
		}
	}
	slices.SortFunc(out, func(x, y Request) int { return x.Created.Compare(y.Created) })
	return out, nil
}

// isOpen reports whether r can still be approved or used. A request from the future
// cannot: a clock that jumps back makes no approval last longer.
func (a Approvals) isOpen(r Request) bool {
	now := a.now()
	return !r.Used && now.Before(r.Expires) && !now.Add(skew).Before(r.Created)
}

// Ask returns actor's open request for an operation, and makes one where there is none:
// the same operation is the same request, also where several processes ask at the same
// moment. Of several from an older version it returns the one with the most approvals. A
// request that was made under other needs does not count. It is Denied where the caller,
// or all agents and services together, have too many open.
func (a Approvals) Ask(ctx context.Context, actor keyturn.Actor, canonical []byte, hash keyturn.OpHash, reason string, needs rules.Needs, ruled bool) (Request, error) {
	rows, err := a.rows.all(ctx)
	if err != nil {
		return Request{}, err
	}
	if len(canonical) > MaxForm {
		return Request{}, denied("this operation is too large for a person to approve", "name fewer secrets or arguments at once")
	}
	same := func(r Request) bool {
		return a.isOpen(r) && r.Actor.Same(actor) && r.Hash == hash.String() && r.Needs == needs && r.Ruled == ruled
	}
	taken := map[string]bool{}
	var best Request
	for _, r := range rows {
		if taken[r.id] = true; same(r.content) && (best.ID == "" || len(r.content.Given) > len(best.Given)) {
			best = r.content
		}
	}
	if best.ID != "" {
		return best, nil
	}
	mine, err := a.room(rows, actor, 1)
	if err != nil {
		return Request{}, err
	}
	now := a.now().UTC()
	r := Request{Actor: actor, Op: canonical, Hash: hash.String(), Reason: reason,
		Created: now, Expires: now.Add(Window), Needs: needs, Ruled: ruled}
	// Whoever asks for the same draws the same ids in the same order, and one row decides
	// which of several at the same moment makes the request. Ids that were used are passed
	// over while their rows are kept.
	made := false
	for n := 0; !made; n++ {
		if r.ID = requestID(r, n); taken[r.ID] {
			continue
		}
		var there *Request
		err = a.rows.update(ctx, r.ID, func(have *Request) (*Request, time.Time, error) {
			if there = have; have != nil {
				return nil, time.Time{}, errTaken
			}
			return &r, r.kept(), nil
		})
		switch {
		case err == nil:
			made = true
		case !errors.Is(err, errTaken):
			return Request{}, err
		case same(*there):
			return *there, nil
		default:
			taken[r.ID] = true
		}
	}
	if mine < MaxOpen/2 && len(rows) < MaxAllOpen/2 {
		return r, nil
	}
	// Others may have asked meanwhile: none stays beyond the bound.
	if rows, err = a.rows.all(ctx); err == nil {
		_, err = a.room(rows, actor, 0)
	}
	if err != nil {
		return Request{}, errors.Join(err, a.rows.drop(ctx, r.ID))
	}
	return r, nil
}

// errTaken says that there is a row of an id.
var errTaken = errors.New("there is a request of this id")

// room refuses where actor may not have so many requests more, beside those of rows, and
// returns how many it has.
func (a Approvals) room(rows []row[Request], actor keyturn.Actor, more int) (mine int, err error) {
	all := 0
	for _, r := range rows {
		if !a.isOpen(r.content) {
			continue
		}
		if r.content.Actor.Same(actor) {
			mine++
		}
		if r.content.Actor.Kind != keyturn.Person {
			all++
		}
	}
	who, most := actor.Principal(), MaxOpen
	switch {
	case mine+more > MaxOpen:
	case actor.Kind != keyturn.Person && all+more > MaxAllOpen:
		who, most = "agents and services together", MaxAllOpen
	default:
		return mine, nil
	}
	e := keyturn.E(keyturn.Denied, fmt.Sprintf("%s may have %d requests waiting, and no more", who, most), "wait until some are answered or run out (an hour)")
	e.By = "rule"
	return mine, e
}

// Find returns an open request; NotFound where there is none of that id.
func (a Approvals) Find(ctx context.Context, id string) (Request, error) {
	open, err := a.Open(ctx)
	if err != nil {
		return Request{}, err
	}
	i := slices.IndexFunc(open, func(r Request) bool { return r.ID == id })
	if i < 0 {
		return Request{}, gone(id)
	}
	return open[i], nil
}

// Approve adds one person's approval, given for the versions that the platform holds
// now. It is Denied for the requester, and Conflict for a second approval by the same
// person, or where the platform no longer holds the versions of the first approval.
func (a Approvals) Approve(ctx context.Context, id string, yes Yes, held map[string]string) (Request, error) {
	return a.update(ctx, id, func(r *Request) error {
		if r.Actor.Same(yes.Actor) {
			return denied("nobody approves their own request", "another person has to")
		}
		if slices.ContainsFunc(r.Given, func(y Yes) bool { return y.Actor.Same(yes.Actor) }) {
			return keyturn.E(keyturn.Conflict, "you have approved "+id+" already", "another person has to say yes too")
		}
		if len(r.Given) > 0 && !sameVersions(r.Held, held) {
			return keyturn.E(keyturn.Conflict, "the secrets have changed since the first approval", "the operation has to be asked for again")
		}
		yes.Time = a.now().UTC()
		r.Given, r.Held = append(r.Given, yes), held
		return nil
	})
}

// Raise changes what a request needs: the approver's rules may ask for more than the
// requester's did. The new needs are both(kept, needs), where kept is what the row
// holds at that moment, so that of two people who approve at the same time neither
// undoes what the other raised.
func (a Approvals) Raise(ctx context.Context, id string, needs rules.Needs, both func(kept, needs rules.Needs) rules.Needs) error {
	_, err := a.update(ctx, id, func(r *Request) error {
		r.Needs = both(r.Needs, needs)
		return nil
	})
	return err
}

// Use spends an approval, which can be spent once. held are the versions that the
// platform holds now; it is Conflict where those are not the approved ones.
func (a Approvals) Use(ctx context.Context, id string, hash keyturn.OpHash, held map[string]string) (Request, error) {
	return a.update(ctx, id, func(r *Request) error {
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
func (a Approvals) Drop(ctx context.Context, id string) error {
	return a.rows.drop(ctx, id)
}

// update changes an open request; NotFound where there is none of that id.
func (a Approvals) update(ctx context.Context, id string, change func(*Request) error) (Request, error) {
	var r Request
	err := a.rows.update(ctx, id, func(have *Request) (*Request, time.Time, error) {
		if have == nil || !a.isOpen(*have) {
			return nil, time.Time{}, gone(id)
		}
		if err := change(have); err != nil {
			return nil, time.Time{}, err
		}
		r = *have
		return have, r.kept(), nil
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

// requestID returns the n-th id for a request: what is asked for, by whom and under which
// needs decides it. It is short enough to type: eight characters of 30, about 39 bits.
func requestID(r Request, n int) string {
	const letters = "23456789abcdefghjkmnpqrstvwxyz"
	about, _ := json.Marshal([]any{r.Actor.Kind, r.Actor.Name, r.Hash, r.Needs, r.Ruled, n}) // never fails: text and numbers
	digest := sha512.Sum512(about)
	out := make([]byte, 0, 8)
	for _, b := range digest {
		if b < 240 && len(out) < 8 { // 8 × 30: no letter is likelier than another
			out = append(out, letters[int(b)%len(letters)])
		}
	}
	return string(out)
}
