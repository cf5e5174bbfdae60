// Package leases is the journal of the credentials that keyturn had made: a row
// before a platform is asked, the platform's name of the lease as soon as it is
// known and before a value leaves, and what became of its revocation. Whoever is
// killed in between leaves a row that the next start of keyturn goes on from.
package leases

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Item returns one row; NotFound where there is none.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
	// Items yields the rows of a kind that have not expired.
	Items(ctx context.Context, kind string) iter.Seq2[keyturn.Item, error]
	// UpdateItem replaces one row in one durable transaction: change gets the row,
	// or one without a body where there is none, and returns the new one; a nil
	// body removes it. An error of change leaves everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

const (
	kind = "lease"
	// slack is how long a row outlives its lease: clocks differ.
	slack = time.Minute
	// longest is how long a lease of which nothing is known is spoken of: Vault's
	// own limit where nobody sets one
	// (https://developer.hashicorp.com/vault/docs/configuration#max_lease_ttl).
	longest = 768 * time.Hour
	// A revocation that was refused is tried again after so long, then twice as
	// long, up to the last.
	firstPause = time.Minute
	lastPause  = time.Hour
)

// Row is a lease as the journal has it.
type Row struct {
	keyturn.LeaseInfo
	// Holder is the process that ends it; "" where somebody has to ask for that.
	Holder string    `json:"holder,omitempty"`
	Tries  int       `json:"tries,omitempty"` // to revoke it
	Next   time.Time `json:"next,omitzero"`   // no other try before
}

// Book is the journal. It is safe for concurrent use, by several processes too.
type Book struct {
	Items Items
	Now   func() time.Time
}

func (b Book) now() time.Time { return b.Now().UTC().Truncate(time.Second) }

// Ask writes down that a lease is about to be asked for.
func (b Book) Ask(ctx context.Context, l keyturn.LeaseInfo, holder string) error {
	return b.Items.UpdateItem(ctx, kind, l.ID, func(it keyturn.Item) (keyturn.Item, error) {
		l.State, l.Began = keyturn.LeaseAsked, b.now()
		return put(it, Row{LeaseInfo: l, Holder: holder})
	})
}

// Give writes down what the platform gave. A lease that is no command's is nobody's
// to end but by asking: it has no holder any more.
func (b Book) Give(ctx context.Context, id, native string, term time.Duration, renewable bool, fields []string) (keyturn.LeaseInfo, error) {
	return b.change(ctx, id, func(r *Row) error {
		r.State, r.Native, r.Renewable, r.Fields = keyturn.LeaseActive, native, renewable, fields
		b.extend(r, term)
		if !r.Run {
			r.Holder = ""
		}
		return nil
	})
}

// Renewed writes down a new term.
func (b Book) Renewed(ctx context.Context, id string, term time.Duration, renewable bool) (keyturn.LeaseInfo, error) {
	return b.change(ctx, id, func(r *Row) error {
		r.Renewable = renewable
		b.extend(r, term)
		return nil
	})
}

// Extend writes down a term that may have been given: the lease may go on so long.
func (b Book) Extend(ctx context.Context, id string, term time.Duration) error {
	_, err := b.change(ctx, id, func(r *Row) error {
		if end := b.now().Add(term); !r.Expires.IsZero() && r.Expires.Before(end) {
			r.Expires = end
		}
		return nil
	})
	return err
}

func (b Book) extend(r *Row, term time.Duration) {
	r.Seconds, r.Expires = int64(term/time.Second), time.Time{}
	if term > 0 {
		r.Expires = b.now().Add(term)
	}
}

// Lose writes down that nobody knows what became of an asking.
func (b Book) Lose(ctx context.Context, id string) error {
	_, err := b.change(ctx, id, func(r *Row) error {
		r.State, r.Holder = keyturn.LeaseUnknown, ""
		return nil
	})
	return err
}

// End begins a revocation: from here on it is tried until the platform says yes.
// Conflict where another process has begun one a moment ago, unless insist is set.
func (b Book) End(ctx context.Context, id string, insist bool) (keyturn.LeaseInfo, error) {
	return b.change(ctx, id, func(r *Row) error {
		if r.State == keyturn.LeaseRevoking && b.now().Before(r.Next) && !insist {
			return keyturn.E(keyturn.Conflict, "the lease "+id+" is being revoked already", "'keyturn lease list' shows what became of it")
		}
		r.State, r.Holder = keyturn.LeaseRevoking, ""
		r.Next = b.now().Add(min(firstPause<<min(r.Tries, 10), lastPause))
		r.Tries++
		return nil
	})
}

// Refuse writes down why the platform did not revoke a lease.
func (b Book) Refuse(ctx context.Context, id string, why keyturn.Code) error {
	_, err := b.change(ctx, id, func(r *Row) error {
		r.Problem = why
		return nil
	})
	return err
}

// Drop forgets a lease that has ended, or was never given.
func (b Book) Drop(ctx context.Context, id string) error {
	return b.Items.UpdateItem(ctx, kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		it.Body = nil
		return it, nil
	})
}

// Find returns the lease of an id on ref; NotFound where there is none, also where
// it is on another secret.
func (b Book) Find(ctx context.Context, ref keyturn.Ref, id string) (Row, error) {
	if id == "" {
		return Row{}, Missing(id)
	}
	it, err := b.Items.Item(ctx, kind, id)
	if errors.Is(err, keyturn.NotFound) {
		return Row{}, Missing(id)
	}
	if err != nil {
		return Row{}, err
	}
	r, err := read(it)
	if err == nil && r.Ref != ref {
		return Row{}, Missing(id)
	}
	return r, err
}

// Any reports whether there is a lease of a mount that has not ended, as far as is known.
func (b Book) Any(ctx context.Context, mount string) (bool, error) {
	rows, err := b.List(ctx)
	return slices.ContainsFunc(rows, func(r Row) bool { return r.Ref.Mount() == mount }), err
}

// List returns all leases that have not ended as far as is known, oldest first.
func (b Book) List(ctx context.Context) ([]Row, error) {
	var out []Row
	for it, err := range b.Items.Items(ctx, kind) {
		if err != nil {
			return nil, err
		}
		r, err := read(it)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Row) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Missing is the error of a lease that is not there, or is nobody else's to see.
func Missing(id string) error {
	return keyturn.E(keyturn.NotFound, "no lease '"+keyturn.Clean(id)+"'", "'keyturn lease list' shows those that keyturn took and that have not ended")
}

// Due reports whether a row is the work of whoever looks at it: its holder, as holds
// tells, is no more, or a revocation is to be tried again.
func (b Book) Due(r Row, holds func(holder string) bool) bool {
	if b.now().Before(r.Next) {
		return false
	}
	return r.State == keyturn.LeaseRevoking || r.Holder != "" && !holds(r.Holder)
}

// PutOff has no other try to revoke a lease begin before next.
func (b Book) PutOff(ctx context.Context, id string, next time.Time) error {
	_, err := b.change(ctx, id, func(r *Row) error {
		if r.Next.Before(next) {
			r.Next = next
		}
		return nil
	})
	return err
}

func (b Book) change(ctx context.Context, id string, change func(*Row) error) (keyturn.LeaseInfo, error) {
	var out keyturn.LeaseInfo
	err := b.Items.UpdateItem(ctx, kind, id, func(it keyturn.Item) (keyturn.Item, error) {
		if it.Body == nil {
			return it, Missing(id)
		}
		r, err := read(it)
		if err == nil {
			err = change(&r)
		}
		if err != nil {
			return it, err
		}
		out = r.LeaseInfo
		return put(it, r)
	})
	return out, err
}

// put makes a row, which goes by itself when its lease is over at the platform: not
// while a revocation waits for its answer, nor while somebody holds it, who ends it.
func put(it keyturn.Item, r Row) (keyturn.Item, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return it, keyturn.E(keyturn.Internal, "a lease has no form", "").Because(err)
	}
	it.Body, it.Expires = body, time.Time{}
	switch {
	case r.State == keyturn.LeaseActive && !r.Expires.IsZero() && r.Holder == "":
		it.Expires = r.Expires.Add(slack)
	case r.State == keyturn.LeaseUnknown:
		it.Expires = r.Began.Add(longest)
	}
	return it, nil
}

func read(it keyturn.Item) (Row, error) {
	var r Row
	if err := json.Unmarshal(it.Body, &r); err != nil || r.ID != it.ID {
		return Row{}, keyturn.E(keyturn.Corrupt, "the journal of leases cannot be read", "the secrets themselves are whole")
	}
	return r, nil
}
