package platform

import (
	"context"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/retry"
)

// Retry is retry.Do. Mount does it around each thing it asks of a platform behind a
// network, but for a listing: there the platform does it around each of its requests.
func Retry[T any](ctx context.Context, act func() (T, error)) (T, error) {
	return retry.Do(ctx, act)
}

// retried is Retry on platforms behind a network.
func retried[T any](ctx context.Context, m *Mount, act func() (T, error)) (T, error) {
	if !m.spec.Remote {
		return act()
	}
	return Retry(ctx, act)
}

// The platform's reads, tried again.

func (m *Mount) get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	return retried(ctx, m, func() (keyturn.Secret, error) { return m.able.Get(ctx, ref) })
}

func (m *Mount) describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	return retried(ctx, m, func() (keyturn.Info, error) { return m.able.describer.Describe(ctx, ref) })
}

func (m *Mount) history(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	return retried(ctx, m, func() ([]keyturn.Info, error) { return m.able.historian.Versions(ctx, ref) })
}
