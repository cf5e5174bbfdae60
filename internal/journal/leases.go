package journal

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	leaseKind = "lease"
	// leaseSlack is how long a row outlives its lease: clocks differ.
	leaseSlack = time.Minute
	// longestLease is how long a lease is listed whose platform never said how long it
	// lasts: Vault's own limit where nobody sets one
	// (https://developer.hashicorp.com/vault/docs/configuration#max_lease_ttl).
	longestLease = 768 * time.Hour
	// A revocation that the platform refused is tried again after firstPause, then
	// after twice as long each time, up to lastPause.
	firstPause = time.Minute
	lastPause  = time.Hour
)

// LeaseRow is a lease, as its row holds it.
type LeaseRow struct {
	keyturn.LeaseInfo
	// Holder is the process that revokes the lease when it ends; "" where somebody has
	// to ask for that.
	Holder string    `json:"holder,omitempty"`
	Tries  int       `json:"tries,omitempty"` // so many times its revocation was tried
	Next   time.Time `json:"next,omitzero"`   // its revocation is not tried again before
}

// Leases keeps the credentials that keyturn had platforms make: a row before a platform
// is asked, the platform's name of the lease as soon as it is known and before a value
// leaves, and what became of its revocation. A process that is killed in between leaves
// a row that the next start of keyturn goes on from.
type Leases struct {
	rows table[LeaseRow]
	now  func() time.Time
}

// Now returns the time as rows hold it: in UTC and whole seconds.
func (l Leases) Now() time.Time { return l.now().UTC().Truncate(time.Second) }

// Ask records that a platform is about to be asked for a lease.
func (l Leases) Ask(ctx context.Context, lease keyturn.LeaseInfo, holder string) error {
	return l.rows.update(ctx, lease.ID, func(*LeaseRow) (*LeaseRow, time.Time, error) {
		lease.State, lease.Began = keyturn.LeaseAsked, l.Now()
		row := LeaseRow{LeaseInfo: lease, Holder: holder}
		return &row, row.kept(), nil
	})
}

// Give records what the platform gave. A lease that no command takes loses its holder:
// it is revoked only when somebody asks for that.
func (l Leases) Give(ctx context.Context, id, native string, term time.Duration, renewable bool, fields []string) (keyturn.LeaseInfo, error) {
	return l.change(ctx, id, func(r *LeaseRow) error {
		r.State, r.Native, r.Renewable, r.Fields = keyturn.LeaseActive, native, renewable, fields
		l.extend(r, term)
		if !r.Run {
			r.Holder = ""
		}
		return nil
	})
}

// Renewed records a new term.
func (l Leases) Renewed(ctx context.Context, id string, term time.Duration, renewable bool) (keyturn.LeaseInfo, error) {
	return l.change(ctx, id, func(r *LeaseRow) error {
		r.Renewable = renewable
		l.extend(r, term)
		return nil
	})
}

// Extend records a term that the platform may have given: the lease may last so long.
func (l Leases) Extend(ctx context.Context, id string, term time.Duration) error {
	_, err := l.change(ctx, id, func(r *LeaseRow) error {
		if end := l.Now().Add(term); !r.Expires.IsZero() && r.Expires.Before(end) {
			r.Expires = end
		}
		return nil
	})
	return err
}

func (l Leases) extend(r *LeaseRow, term time.Duration) {
	r.Seconds, r.Expires = int64(term/time.Second), time.Time{}
	if term > 0 {
		r.Expires = l.Now().Add(term)
	}
}

// Lose records that nobody knows whether the platform gave a lease.
func (l Leases) Lose(ctx context.Context, id string) error {
	_, err := l.change(ctx, id, func(r *LeaseRow) error {
		r.State, r.Holder = keyturn.LeaseUnknown, ""
		return nil
	})
	return err
}

// End records that a revocation begins: from here on it is tried until the platform
// accepts it. Conflict where another process has just begun one, unless insist is set.
func (l Leases) End(ctx context.Context, id string, insist bool) (keyturn.LeaseInfo, error) {
	return l.change(ctx, id, func(r *LeaseRow) error {
		if r.State == keyturn.LeaseRevoking && l.Now().Before(r.Next) && !insist {
			return keyturn.E(keyturn.Conflict, "the lease "+id+" is being revoked already", "'keyturn lease list' shows what became of it")
		}
		r.State, r.Holder = keyturn.LeaseRevoking, ""
		r.Next = l.Now().Add(min(firstPause<<min(r.Tries, 10), lastPause))
		r.Tries++
		return nil
	})
}

// Refuse records why the platform did not revoke a lease.
func (l Leases) Refuse(ctx context.Context, id string, why keyturn.Code) error {
	_, err := l.change(ctx, id, func(r *LeaseRow) error {
		r.Problem = why
		return nil
	})
	return err
}

// Drop removes the row of a lease that has ended, or was never given.
func (l Leases) Drop(ctx context.Context, id string) error {
	return l.rows.drop(ctx, id)
}

// Find returns the lease of an id on ref; NotFound where there is none, and also where
// the lease is on another secret.
func (l Leases) Find(ctx context.Context, ref keyturn.Ref, id string) (LeaseRow, error) {
	if id == "" {
		return LeaseRow{}, NoLease(id)
	}
	r, err := l.rows.get(ctx, id)
	if errors.Is(err, keyturn.NotFound) || err == nil && r.Ref != ref {
		return LeaseRow{}, NoLease(id)
	}
	return r, err
}

// Any reports whether, as far as is known, a lease of a mount has not ended.
func (l Leases) Any(ctx context.Context, mount string) (bool, error) {
	rows, err := l.List(ctx)
	return slices.ContainsFunc(rows, func(r LeaseRow) bool { return r.Ref.Mount() == mount }), err
}

// List returns the leases that, as far as is known, have not ended, oldest first.
func (l Leases) List(ctx context.Context) ([]LeaseRow, error) {
	rows, err := l.rows.all(ctx)
	if err != nil {
		return nil, err
	}
	var out []LeaseRow
	for _, r := range rows {
		out = append(out, r.content)
	}
	slices.SortFunc(out, func(x, y LeaseRow) int { return cmp.Or(x.Began.Compare(y.Began), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// NoLease is the error, NotFound, of a lease that is not there or that the caller may
// not know of.
func NoLease(id string) error {
	return keyturn.E(keyturn.NotFound, "no lease '"+keyturn.Clean(id)+"'", "'keyturn lease list' shows those that keyturn took and that have not ended")
}

// Due reports whether a lease is to be revoked now by whoever finds its row: its
// holder, as holds reports, lives no more, or its revocation is to be tried again.
func (l Leases) Due(r LeaseRow, holds func(holder string) bool) bool {
	if l.Now().Before(r.Next) {
		return false
	}
	return r.State == keyturn.LeaseRevoking || r.Holder != "" && !holds(r.Holder)
}

// PutOff lets no other try to revoke a lease begin before next.
func (l Leases) PutOff(ctx context.Context, id string, next time.Time) error {
	_, err := l.change(ctx, id, func(r *LeaseRow) error {
		if r.Next.Before(next) {
			r.Next = next
		}
		return nil
	})
	return err
}

// change changes the row of a lease; NotFound where there is none.
func (l Leases) change(ctx context.Context, id string, change func(*LeaseRow) error) (keyturn.LeaseInfo, error) {
	var out keyturn.LeaseInfo
	err := l.rows.update(ctx, id, func(have *LeaseRow) (*LeaseRow, time.Time, error) {
		if have == nil {
			return nil, time.Time{}, NoLease(id)
		}
		if err := change(have); err != nil {
			return nil, time.Time{}, err
		}
		out = have.LeaseInfo
		return have, have.kept(), nil
	})
	return out, err
}

// kept is how long the row of r is kept, zero for ever. It is dropped by itself once
// its lease is over at the platform, but not while a revocation waits for the
// platform's answer, nor while a process holds the lease, which revokes it.
func (r LeaseRow) kept() time.Time {
	switch {
	case r.State == keyturn.LeaseActive && !r.Expires.IsZero() && r.Holder == "":
		return r.Expires.Add(leaseSlack)
	case r.State == keyturn.LeaseUnknown:
		return r.Began.Add(longestLease)
	}
	return time.Time{}
}
