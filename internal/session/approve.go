package session

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
)

// Approve shows the person at the desk the whole request, and then approves it, for which
// the desk is asked for the person's passphrase: NotFound where the person cannot be
// shown it. A rule that cannot be remembered is
// refused before that. It is for doors whose person sits at the Desk; a page shows
// describe.ReviewOf itself.
func Approve(ctx context.Context, s *Session, op keyturn.ApproveRequest) (*keyturn.Approved, error) {
	if s.Actor.Kind == keyturn.Person { // the Service refuses the others
		res, err := keyturn.Do[*keyturn.Requests](ctx, s.Service, keyturn.ListRequests{})
		if err != nil {
			return nil, err
		}
		for _, r := range res.Requests {
			if r.ID != op.ID {
				continue
			}
			if op.Remember {
				if err := describe.Rememberable(r); err != nil {
					return nil, err
				}
			}
			if err := Show(ctx, s.How.Desk, describe.ReviewOf(r, op.Remember).Lines()); err != nil {
				return nil, err
			}
			return Ask[*keyturn.Approved](ctx, s, op)
		}
		// Nobody says yes to what was not shown, also where it is asked for just now.
		return nil, keyturn.E(keyturn.NotFound, "no open request '"+keyturn.Clean(op.ID)+"'",
			"requests run out after an hour and are used once; 'keyturn approve' lists the open ones")
	}
	return Ask[*keyturn.Approved](ctx, s, op)
}
