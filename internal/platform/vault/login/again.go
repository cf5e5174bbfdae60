package login

import (
	"context"

	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// send sends one request of a login, tried again as Mount does elsewhere: not where the
// server may have begun with it, since what it takes may be good for once.
func send(ctx context.Context, c *api.Client, r api.Request) (api.Answer, error) {
	return platform.Retry(ctx, func() (api.Answer, error) { return c.Send(ctx, r) })
}

// again is send of anything.
func again(ctx context.Context, act func() error) error {
	_, err := platform.Retry(ctx, func() (struct{}, error) { return struct{}{}, act() })
	return err
}
