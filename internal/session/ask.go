package session

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
)

// Ask does op. Where it needs an approval and How.Wait is set, Ask tells which one,
// and tries again until the approval has come or the time is over. Each try is
// recorded, so Ask tries seldom.
func Ask[R keyturn.Result](ctx context.Context, s *Session, op keyturn.Op) (R, error) {
	res, err := keyturn.Do[R](ctx, s.Service, op)
	if err == nil || s.How.Wait <= 0 {
		return res, err
	}
	end := time.Now().Add(s.How.Wait)
	for pause := 5 * time.Second; err != nil && time.Now().Before(end); pause = 15 * time.Second {
		e := keyturn.AsError(err)
		if e.Approval == nil {
			return res, err
		}
		if pause == 5*time.Second {
			s.How.Desk.Say("waiting for an approval: keyturn approve %s   (%s)", e.Approval.ID, e.Approval.Fingerprint)
		}
		select {
		case <-ctx.Done():
			return res, ctx.Err()
		case <-time.After(min(pause, time.Until(end))):
		}
		res, err = keyturn.Do[R](ctx, s.Service, op)
	}
	return res, err
}
