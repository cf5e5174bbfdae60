package platform

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
)

// What is tried again, how often, and how long between: a random part of a pause
// that doubles, so that many clients that failed together do not come back
// together (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
const (
	attempts   = 4
	firstPause = 150 * time.Millisecond
)

// retried calls act until it does not fail with Unavailable, at most four times,
// on platforms behind a network. A change whose outcome is not known is not tried
// again.
func retried[T any](ctx context.Context, m *Mount, act func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		out, err := act()
		var e *keyturn.Error
		if err == nil || !m.spec.Remote || !errors.As(err, &e) || e.Code != keyturn.Unavailable || e.Unknown {
			return out, err
		}
		if try == attempts || !pause(ctx, firstPause<<(try-1)) {
			told := *e
			told.Message += " (tried " + strconv.Itoa(try) + " times)"
			return out, &told
		}
	}
}

// pause waits for a random part of d, at least half of it; false where ctx ends
// before.
func pause(ctx context.Context, d time.Duration) bool {
	var b [8]byte
	_, _ = rand.Read(b[:])
	t := time.NewTimer(d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d/2+1)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
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
