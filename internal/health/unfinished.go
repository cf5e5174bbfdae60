package health

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/migrate"
	"github.com/keyturn/keyturn/internal/session"
)

// unfinished warns of work that was cut short: migrations, leases, and the other kinds of
// work that the session lists.
func (r *Report) unfinished(ctx context.Context, s *session.Session) {
	lists := append([]session.UnfinishedWork{func(ctx context.Context) ([]session.Unfinished, error) { return migrate.Unfinished(ctx, s) },
		func(ctx context.Context) ([]session.Unfinished, error) { return leases(ctx, s) }}, s.Unfinished...)
	for _, list := range lists {
		found, err := list(ctx)
		if err != nil {
			if keyturn.AsError(err).Code != keyturn.Denied { // what the caller may not know is left out
				r.bad("unfinished", err)
			}
			continue
		}
		for _, u := range found {
			r.Warn("unfinished", u.Next, "%s", u.What)
		}
	}
}

// leases lists the leases that should have ended and have not, and those that nobody can
// end because their name is not known.
func leases(ctx context.Context, s *session.Session) ([]session.Unfinished, error) {
	res, err := keyturn.Do[*keyturn.Leases](ctx, s.Service, keyturn.ListLeases{})
	if err != nil {
		return nil, err
	}
	var out []session.Unfinished
	for _, l := range res.Leases {
		what := "the lease " + l.ID + " of " + l.Ref.Short() + ", taken " + describe.When(l.Began) + ", "
		switch {
		case l.State == keyturn.LeaseUnknown:
			out = append(out, session.Unfinished{What: what + "may have been given to a keyturn that was killed; nobody knows its name, and it ends by itself",
				Next: "keyturn lease revoke " + l.ID + " --forget   (to have it listed no more)"})
		case l.State == keyturn.LeaseRevoking && l.Problem != "":
			out = append(out, session.Unfinished{What: what + "is to end, and the platform has not ended it (" + string(l.Problem) + ")", Next: "keyturn lease revoke " + l.ID})
		case l.State == keyturn.LeaseRevoking:
			out = append(out, session.Unfinished{What: what + "is to end, and it is not known that it has", Next: "keyturn lease revoke " + l.ID})
		}
	}
	return out, nil
}
