package platform

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
)

// Issuer makes credentials for one asking, and takes them back. What it makes is no
// secret that is kept: Get and Describe of such a name are Unsupported.
type Issuer interface {
	// Issues reports whether a name is one of credentials that Lease makes, or may
	// be: it asks what manages the name, and reads nothing there.
	Issues(ctx context.Context, ref keyturn.Ref) (bool, error)
	// Lease has a credential made. NotFound where nothing of that name makes any.
	// Where the platform's answer is not known, the error's Unknown is set.
	Lease(ctx context.Context, ref keyturn.Ref) (Leased, error)
	// Renew asks for a term from now on, of about so long, and returns the one that
	// was given, which may be shorter. NotFound where the lease has ended, Unsupported
	// where it cannot be renewed.
	Renew(ctx context.Context, ref keyturn.Ref, id string, term time.Duration) (Term, error)
	// Revoke ends a lease: when it returns, the credential works no more. One that has
	// ended already is no error.
	Revoke(ctx context.Context, ref keyturn.Ref, id string) error
	// Ended reports whether the platform holds a lease no more. It only reads.
	Ended(ctx context.Context, ref keyturn.Ref, id string) (bool, error)
}

// Term is how long a lease is good for.
type Term struct {
	For       time.Duration // from the answer on, whole seconds; 0: it has no end
	Renewable bool
}

// Leased is a credential as Lease makes it.
type Leased struct {
	ID     string // the platform's name of the lease; "" where it gives none, and nothing can be revoked
	Values map[string]keyturn.Value
	Term
}

// Issued reports of each of refs whether it is made anew for each asking. What
// cannot be told is said to be kept: reading it will tell why. Where the platform could
// not be asked at all, however often it was tried, failed says so, and reading it would
// only try as often once more.
func (m *Mount) Issued(ctx context.Context, refs []keyturn.Ref) (made []bool, failed []error) {
	made, failed = make([]bool, len(refs)), make([]error, len(refs))
	if m.able.issuer == nil {
		return made, failed
	}
	var secrets []keyturn.Ref
	for _, ref := range refs {
		if s := ref.Secret(); !slices.Contains(secrets, s) {
			secrets = append(secrets, s)
		}
	}
	type known struct {
		made bool
		err  error
	}
	all := map[keyturn.Ref]known{}
	var mu sync.Mutex
	eachOf(len(secrets), func(i int) {
		if m.guard(ctx, secrets[i]) != nil {
			return
		}
		yes, err := retried(ctx, m, func() (bool, error) { return m.able.issuer.Issues(ctx, secrets[i]) })
		k := known{made: yes && err == nil}
		if errors.Is(err, keyturn.Unavailable) {
			k.err = m.fault(secrets[i], err, false)
		}
		mu.Lock()
		defer mu.Unlock()
		all[secrets[i]] = k
	})
	for i, ref := range refs {
		made[i], failed[i] = all[ref.Secret()].made, all[ref.Secret()].err
	}
	return made, failed
}

// Lease has a credential made. It is tried again only where nothing was made for
// sure.
func (m *Mount) Lease(ctx context.Context, ref keyturn.Ref) (Leased, error) {
	if err := m.leasing(ctx, ref); err != nil {
		return Leased{}, err
	}
	if ref.Version() != "" || ref.Field() != "" {
		return Leased{}, keyturn.E(keyturn.Invalid, "a lease is of a whole secret, which is made now", "write "+keyturn.Quote(ref.Secret().Short())).About(ref)
	}
	l, err := retried(ctx, m, func() (Leased, error) { return m.able.issuer.Lease(ctx, ref) })
	if err != nil {
		return Leased{}, m.leaseFault(ref, err, true)
	}
	return l, nil
}

// Renew asks for a longer time of a lease.
func (m *Mount) Renew(ctx context.Context, ref keyturn.Ref, id string, term time.Duration) (Term, error) {
	if err := m.leasing(ctx, ref); err != nil {
		return Term{}, err
	}
	t, err := retried(ctx, m, func() (Term, error) { return m.able.issuer.Renew(ctx, ref, id, term) })
	if err != nil {
		return Term{}, m.leaseFault(ref, err, false)
	}
	return t, nil
}

// Revoke ends a lease. To do it twice does no harm, so that it is tried again also
// where the first outcome is not known.
func (m *Mount) Revoke(ctx context.Context, ref keyturn.Ref, id string) error {
	if err := m.leasing(ctx, ref); err != nil {
		return err
	}
	_, err := retried(ctx, m, func() (struct{}, error) {
		err := m.able.issuer.Revoke(ctx, ref, id)
		if e := keyturn.AsError(err); e != nil && e.Code == keyturn.Unavailable && ctx.Err() == nil {
			known := *e
			known.Unknown = false
			return struct{}{}, &known
		}
		return struct{}{}, err
	})
	if err != nil {
		return m.leaseFault(ref, err, false)
	}
	return nil
}

// Ended reports whether the platform holds a lease no more.
func (m *Mount) Ended(ctx context.Context, ref keyturn.Ref, id string) (bool, error) {
	if err := m.leasing(ctx, ref); err != nil {
		return false, err
	}
	yes, err := retried(ctx, m, func() (bool, error) { return m.able.issuer.Ended(ctx, ref, id) })
	if err != nil {
		return false, m.leaseFault(ref, err, false)
	}
	return yes, nil
}

// leasing is the first thing that each method about leases does.
func (m *Mount) leasing(ctx context.Context, ref keyturn.Ref) error {
	if m.able.issuer == nil {
		return m.cannot(ref, "make credentials for one asking", "what is kept is read as it is: 'keyturn get "+shell(ref)+"'")
	}
	return m.guard(ctx, ref)
}

// leaseFault is fault with the way on of a lease, which has no history.
func (m *Mount) leaseFault(ref keyturn.Ref, err error, made bool) error {
	e := *keyturn.AsError(m.fault(ref, err, made))
	if e.Unknown && made {
		e.Hint = "a credential may have been made; it ends by itself when its time is over"
	} else if e.Unknown {
		e.Hint = "'keyturn lease list' shows what is known of it"
	}
	return &e
}
