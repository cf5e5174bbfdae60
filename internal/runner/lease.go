package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/session"
)

const (
	revokeLimit = 15 * time.Second       // for all leases of a command, when it has ended
	shortPause  = 200 * time.Millisecond // between tries to renew: at least, and at most
	longPause   = 30 * time.Second
)

// leases are those of a command that runs. Each is renewed after two thirds of its
// time, as is the login that took it, and all are revoked when the command has ended.
// They use one session throughout, so that nobody is asked for a passphrase twice.
type leases struct {
	plan    *Plan
	session *session.Session
	ctx     context.Context // of the operations
	all     []keyturn.LeaseInfo
	stop    context.CancelFunc
	renew   sync.WaitGroup
}

// begin starts to renew the leases.
func (l *leases) begin() {
	ctx, stop := context.WithCancel(l.ctx)
	l.stop = stop
	by := map[string][]keyturn.LeaseInfo{}
	for _, lease := range l.all {
		l.renew.Go(func() { l.keep(ctx, lease) })
		by[lease.Ref.Mount()] = append(by[lease.Ref.Mount()], lease)
	}
	for mount, list := range by {
		l.renew.Go(func() { l.attend(ctx, mount, list) })
	}
}

// attend keeps the login to a mount alive until ctx ends, since leases end with it.
func (l *leases) attend(ctx context.Context, mount string, list []keyturn.LeaseInfo) {
	if l.session.Attend == nil {
		return
	}
	var longest time.Duration
	var names []string
	for _, lease := range list {
		longest = max(longest, lease.Term())
		names = append(names, keyturn.Clean(lease.Ref.Short()))
	}
	l.session.Attend(ctx, mount, longest, func(end time.Time, why string) {
		l.plan.say("note: %s: it ends at %s, and with it what the command was given of %s", why, describe.When(end), strings.Join(names, ", "))
	})
}

// keep renews one lease until ctx ends or the lease cannot be renewed, and says once
// that it cannot.
func (l *leases) keep(ctx context.Context, lease keyturn.LeaseInfo) {
	if lease.Seconds == 0 {
		return
	}
	name, term := keyturn.Clean(lease.Ref.Short()), lease.Term()
	end := time.Now().Add(term)
	if !lease.Renewable {
		l.plan.say("note: the lease of %s cannot be renewed: it ends at %s", name, describe.When(end))
		return
	}
	told := false
	for next := end.Add(-term / 3); wait(ctx, time.Until(next)); {
		try, cancel := context.WithDeadline(ctx, end)
		res, err := keyturn.Do[*keyturn.Leased](try, l.session.Service, keyturn.RenewLease{Ref: lease.Ref, ID: lease.ID})
		cancel()
		now := time.Now()
		switch {
		case ctx.Err() != nil: // the command has ended
			return
		case err == nil:
			term = res.Lease.Term()
			if term > 0 && now.Add(term).Before(end.Add(time.Second)) {
				l.plan.say("note: the lease of %s has reached its longest time: it ends at %s", name, describe.When(end))
				return
			}
			if term == 0 {
				return
			}
			end = now.Add(term)
			next, told = end.Add(-term/3), false
			continue
		case !told:
			told = true
			e := keyturn.AsError(err)
			l.plan.say("note: the lease of %s could not be renewed: %s", name, keyturn.Clean(e.Message))
			l.plan.say("  it ends at %s; what the command was given works no more then", describe.When(end))
			if !passing(e.Code) {
				return
			}
		case now.After(end):
			return
		}
		next = now.Add(min(max(end.Sub(now)/4, shortPause), longPause))
	}
}

// passing reports whether what failed with code may go well a moment later.
func passing(code keyturn.Code) bool {
	return slices.Contains([]keyturn.Code{keyturn.Unavailable, keyturn.Sealed, keyturn.Expired}, code)
}

// wait waits for d; false where ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// end stops renewing the leases and revokes them. A lease that cannot be revoked now
// stays in the journal, and the next start of keyturn tries again.
func (l *leases) end() {
	l.stop()
	l.renew.Wait()
	ctx, cancel := context.WithTimeout(l.ctx, revokeLimit)
	defer cancel()
	for _, lease := range l.all {
		_, err := keyturn.Do[*keyturn.Leased](ctx, l.session.Service, keyturn.RevokeLease{Ref: lease.Ref, ID: lease.ID})
		if err == nil || errors.Is(err, keyturn.NotFound) {
			continue
		}
		e := keyturn.AsError(err)
		l.plan.say("keyturn: %s: %s", e.Code, keyturn.CleanLines(e.Message))
		if e.Hint != "" {
			l.plan.say("  %s", keyturn.CleanLines(e.Hint))
		}
	}
}
