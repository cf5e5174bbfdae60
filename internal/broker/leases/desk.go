package leases

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Issuer is the mount that leases come from; platform.Mount is one.
type Issuer interface {
	Lease(ctx context.Context, ref keyturn.Ref) (platform.Leased, error)
	Renew(ctx context.Context, ref keyturn.Ref, id string, term time.Duration) (platform.Term, error)
	Revoke(ctx context.Context, ref keyturn.Ref, id string) error
	Ended(ctx context.Context, ref keyturn.Ref, id string) (bool, error)
}

// Holders tell processes that live from those that do not.
type Holders interface {
	// Hold makes this process known, and returns its name: the same each time.
	Hold() (name string, err error)
	// Holds reports whether the process of that name lives. It never says no of one
	// that does.
	Holds(name string) bool
}

// Desk takes, renews and revokes leases, and keeps the journal around each step.
type Desk struct {
	Book
	Holders Holders // nil: what a killed process leaves is not looked for
}

// Take has a credential made. Before the platform is asked the journal knows that
// it is, and before the values are returned it knows what was given; where it does
// not, the credential is revoked at once. A credential that has no lease, so that
// nothing can be revoked, has a zero Native.
func (d Desk) Take(ctx context.Context, m Issuer, l keyturn.LeaseInfo) (keyturn.LeaseInfo, map[string]keyturn.Value, error) {
	holder := ""
	if d.Holders != nil {
		var err error
		if holder, err = d.Holders.Hold(); err != nil {
			return l, nil, err
		}
	}
	if err := d.Ask(ctx, l, holder); err != nil {
		return l, nil, err
	}
	got, err := m.Lease(ctx, l.Ref)
	ctx = context.WithoutCancel(ctx) // what was made is made
	if err != nil {
		var e *keyturn.Error
		if errors.As(err, &e) && e.Unknown {
			return l, nil, errors.Join(err, d.Lose(ctx, l.ID))
		}
		return l, nil, errors.Join(err, d.Drop(ctx, l.ID))
	}
	l.Fields = slices.Sorted(maps.Keys(got.Values))
	if got.ID == "" {
		return l, got.Values, d.Drop(ctx, l.ID)
	}
	l, err = d.Give(ctx, l.ID, got.ID, got.For, got.Renewable, l.Fields)
	if err != nil {
		return l, nil, errors.Join(err, m.Revoke(ctx, l.Ref, got.ID))
	}
	return l, got.Values, nil
}

// Renew asks for a longer time; a term of 0 is as long as the last one. A lease that
// the platform does not know any more is dropped.
func (d Desk) Renew(ctx context.Context, m Issuer, r Row, term time.Duration) (keyturn.LeaseInfo, error) {
	if r.State != keyturn.LeaseActive {
		return r.LeaseInfo, keyturn.E(keyturn.Conflict, "the lease "+r.ID+" is "+r.State+", and cannot be renewed", "take another one: keyturn lease create "+keyturn.Quote(r.Ref.Short()))
	}
	if term == 0 {
		term = r.Term()
	}
	got, err := m.Renew(ctx, r.Ref, r.Native, term)
	if errors.Is(err, keyturn.NotFound) {
		return r.LeaseInfo, errors.Join(keyturn.E(keyturn.NotFound, "the lease "+r.ID+" has ended at the platform", "take another one: keyturn lease create "+keyturn.Quote(r.Ref.Short())).Because(err),
			d.Drop(context.WithoutCancel(ctx), r.ID))
	}
	if e := keyturn.AsError(err); e != nil {
		if e.Unknown || e.Code == keyturn.Unavailable { // the platform may have said yes
			err = errors.Join(err, d.Extend(context.WithoutCancel(ctx), r.ID, term))
		}
		return r.LeaseInfo, err
	}
	return d.Renewed(context.WithoutCancel(ctx), r.ID, got.For, got.Renewable)
}

// Revoke ends a lease. What the platform refuses stays in the journal. With insist
// it is tried now, whoever else has just tried.
func (d Desk) Revoke(ctx context.Context, m Issuer, r Row, insist bool) (keyturn.LeaseInfo, error) {
	switch {
	case r.State == keyturn.LeaseUnknown, r.State == keyturn.LeaseAsked && (d.Holders == nil || r.Holder == "" || !d.Holders.Holds(r.Holder)):
		return r.LeaseInfo, keyturn.E(keyturn.Unsupported, "nobody knows under which name the platform gave the lease "+r.ID+", if it did",
			"it ends by itself when its time is over; to have it listed no more: keyturn lease revoke "+r.ID+" --forget")
	case r.State == keyturn.LeaseAsked:
		return r.LeaseInfo, keyturn.E(keyturn.Conflict, "the lease "+r.ID+" is being taken", "wait until it is there: keyturn lease list")
	}
	l, err := d.End(ctx, r.ID, insist)
	if err != nil {
		return l, err
	}
	err = d.revoke(ctx, m, r)
	ctx = context.WithoutCancel(ctx)
	if err == nil {
		return l, d.Drop(ctx, r.ID)
	}
	e := *keyturn.AsError(err)
	if logErr := d.Refuse(ctx, r.ID, e.Code); logErr != nil {
		e.Err = errors.Join(e.Err, logErr)
	}
	e.Message = "the lease " + r.ID + " was not revoked: " + e.Message
	if e.Hint != "" {
		e.Hint += "\n"
	}
	e.Hint += "it stays in 'keyturn lease list', and keyturn tries again when it is next started"
	return l, &e
}

// revoke asks the platform to end a lease. Of one whose time is over it asks first
// whether there still is one: who may look it up may not be allowed to revoke it, and
// nothing is left to revoke.
func (d Desk) revoke(ctx context.Context, m Issuer, r Row) error {
	if !r.Expires.IsZero() && r.Expires.Before(d.now()) {
		switch ended, err := m.Ended(ctx, r.Ref, r.Native); {
		case ended, errors.Is(err, keyturn.Unavailable), errors.Is(err, keyturn.Sealed):
			return err
		}
	}
	return m.Revoke(ctx, r.Ref, r.Native)
}
