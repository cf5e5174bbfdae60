package leases

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
)

// Cleaner is whose words and deeds a Tidy takes.
type Cleaner struct {
	Reaches func(Row) bool                  // whether its mount is here, and where it was
	Shows   func(ref keyturn.Ref) bool      // whether the caller may know its name
	Revoke  func(keyturn.RevokeLease) error // through the door
}

// Tidy revokes what processes that were killed have left behind, and what a platform
// would not revoke before and may be asked again by now. It returns a sentence about
// each, in words that the caller may know. Where a mount's platform does not answer,
// nothing else is asked of that mount until the lease that was tried is due again: who
// waits for a command waits for that once.
func (d Desk) Tidy(ctx context.Context, c Cleaner) (told []string) {
	if d.Holders == nil {
		return nil
	}
	rows, err := d.List(ctx)
	if err != nil {
		return nil // what is asked for next says so
	}
	silent := map[string]time.Time{} // by mount, until when
	for _, r := range rows {
		if next := silent[r.Ref.Mount()]; !next.IsZero() {
			if d.Due(r, d.Holders.Holds) {
				_ = d.PutOff(context.WithoutCancel(ctx), r.ID, next) // else it is tried at the next start
			}
			continue
		}
		if !d.Due(r, d.Holders.Holds) || !c.Reaches(r) {
			continue
		}
		which := "a lease"
		if c.Shows(r.Ref) {
			which = "the lease " + r.ID + " of " + keyturn.Quote(r.Ref.Short())
		}
		if r.State == keyturn.LeaseAsked {
			if d.Lose(ctx, r.ID) == nil {
				told = append(told, "a keyturn that was killed may have taken "+which+", whose name nobody knows: it ends by itself; 'keyturn lease list' shows it")
			}
			continue
		}
		switch e := keyturn.AsError(c.Revoke(keyturn.RevokeLease{Ref: r.Ref, ID: r.ID})); {
		case e == nil && r.State == keyturn.LeaseRevoking:
			told = append(told, "revoked "+which+", which could not be revoked before")
		case e == nil:
			told = append(told, "revoked "+which+", which a run that was killed had left behind")
		case e.Code != keyturn.Conflict && e.Code != keyturn.NotFound: // else another process is at it
			if e.Code == keyturn.Unavailable || e.Code == keyturn.Sealed {
				if tried, err := d.Find(context.WithoutCancel(ctx), r.Ref, r.ID); err == nil {
					silent[r.Ref.Mount()] = tried.Next
				}
			}
			told = append(told, which+" was left behind, and cannot be revoked yet ("+string(e.Code)+"); 'keyturn lease list' shows it")
		}
	}
	return told
}
