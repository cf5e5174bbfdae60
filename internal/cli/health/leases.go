package health

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/session"
)

// leases are those that should have ended, and those that nobody can end.
func leases(ctx context.Context, s *session.Session) ([]session.Unfinished, error) {
	res, err := keyturn.Do[*keyturn.Leases](ctx, s.Service, keyturn.ListLeases{})
	if err != nil {
		return nil, err
	}
	var out []session.Unfinished
	for _, l := range res.Leases {
		what := "the lease " + l.ID + " of " + l.Ref.Short() + ", taken " + command.When(l.Began) + ", "
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
