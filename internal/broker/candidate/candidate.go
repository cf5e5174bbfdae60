// Package candidate keeps values, encrypted, until the one put that they are
// for: an operation names them by an id, so it can be hashed, approved and
// recorded without them.
package candidate

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Items yields the rows of a kind that have not expired.
	Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error]
	// UpdateItem replaces one row in one durable transaction: change gets the row,
	// or one without a body where there is none, and returns the new one; a nil body
	// removes it. An error of change leaves everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

// Kind is of the items that candidates are kept as.
const Kind = kind

const (
	kind = "candidate"
	// Max is how many candidates one caller may have waiting.
	Max = 100
	// Life is how long an unused candidate is kept.
	Life = 24 * time.Hour
	// Of one candidate; platforms have limits of their own.
	maxFields  = 1000
	maxBytes   = 16 << 20
	maxWaiting = 8 << 20 // bytes that an agent's or service's candidates may take up
)

// candidate is a set of values as it is kept.
type candidate struct {
	Ref   string            `json:"ref"`
	Owner string            `json:"owner"`
	Data  map[string][]byte `json:"data"`
}

// Seal keeps values for one put on ref by actor, and returns the id to name them
// by. The same values by the same caller give the same id while they wait. It is
// Invalid for what is too much or cannot be a field, and Denied where the caller
// has too many waiting. It is durable when it returns.
func Seal(ctx context.Context, items Items, now time.Time, actor keyturn.Actor, ref keyturn.Ref, values map[string]keyturn.Value) (string, error) {
	if err := check(ref, values); err != nil {
		return "", err
	}
	want := candidate{Ref: ref.Secret().String(), Owner: actor.Principal(), Data: map[string][]byte{}}
	for f, v := range values {
		want.Data[f] = v.Reveal()
	}
	mine, waiting := 0, 0
	for it, err := range items.Items(ctx, kind) {
		if err != nil {
			return "", err
		}
		have, err := read(it)
		if err != nil {
			return "", err
		}
		if have.Owner != want.Owner {
			continue
		}
		waiting += len(it.Body)
		if mine++; have.Ref == want.Ref && maps.EqualFunc(have.Data, want.Data, func(x, y []byte) bool { return string(x) == string(y) }) {
			return it.ID, nil
		}
	}
	if mine >= Max || actor.Kind != keyturn.Person && waiting > maxWaiting {
		return "", keyturn.E(keyturn.Denied, fmt.Sprintf("%s has %d values waiting already", want.Owner, mine),
			"have some of the waiting requests answered; unused values vanish after a day")
	}
	body, err := json.Marshal(want)
	if err != nil {
		return "", keyturn.E(keyturn.Internal, "a candidate has no form", "")
	}
	id := keyturn.NewID(now)
	err = items.UpdateItem(ctx, kind, id, func(keyturn.Item) (keyturn.Item, error) {
		return keyturn.Item{ID: id, Body: body, Expires: now.Add(Life)}, nil
	})
	return id, err
}

// Take returns the values of a candidate and removes it, in one transaction: of
// several puts that name it exactly one gets them. It is NotFound where there is
// none, also where it is another caller's or was sealed for another secret: not
// even its existence is told.
func Take(ctx context.Context, items Items, actor keyturn.Actor, ref keyturn.Ref, id string) (map[string]keyturn.Value, error) {
	values := map[string]keyturn.Value{}
	err := items.UpdateItem(ctx, kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		gone := keyturn.E(keyturn.NotFound, "the sealed values are no longer there", "give the values again")
		if it.Body == nil {
			return it, gone
		}
		have, err := read(it)
		if err != nil {
			return it, err
		}
		if have.Owner != actor.Principal() || have.Ref != ref.Secret().String() {
			return it, gone
		}
		for f, data := range have.Data {
			values[f] = keyturn.NewValue(data)
		}
		it.Body = nil
		return it, nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// read opens a row. A cause could quote it, so there is none.
func read(it keyturn.Item) (candidate, error) {
	var c candidate
	if err := json.Unmarshal(it.Body, &c); err != nil {
		return c, keyturn.E(keyturn.Corrupt, "a sealed candidate cannot be read", "")
	}
	return c, nil
}

// check bounds what is kept for later, whoever asks. Nothing in its errors tells
// the size of a value.
func check(ref keyturn.Ref, values map[string]keyturn.Value) error {
	if len(values) > maxFields {
		return keyturn.E(keyturn.Invalid, fmt.Sprintf("a secret has at most %d fields", maxFields), "use several secrets")
	}
	total := 0
	for f, v := range values {
		if _, err := ref.WithField(f); err != nil || f == "" {
			return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(f)+"' cannot be the name of a field", "name it with text, not too long")
		}
		total += v.Len()
	}
	if total > maxBytes {
		return keyturn.E(keyturn.Invalid, "these values are together too large to be kept", "use several secrets")
	}
	return nil
}
