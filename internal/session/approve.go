package session

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
)

// Approve shows the person at the desk the whole request, and then approves it, for which
// the desk is asked for the person's passphrase. A rule that cannot be remembered is
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
			for _, l := range describe.ReviewOf(r, op.Remember).Lines() {
				s.How.Desk.Say("%s", l)
			}
		}
	}
	return Ask[*keyturn.Approved](ctx, s, op)
}
