package login

import (
	"context"

	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// send sends one request of a login. It tries again only while the server cannot have
// begun with the request: what the request holds may be good for one use.
func send(ctx context.Context, c *api.Client, r api.Request) (api.Answer, error) {
	return platform.Retry(ctx, func() (api.Answer, error) { return c.Send(ctx, r) })
}

// again calls act and tries again as send does.
func again(ctx context.Context, act func() error) error {
	_, err := platform.Retry(ctx, func() (struct{}, error) { return struct{}{}, act() })
	return err
}
