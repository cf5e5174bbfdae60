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

// How often a call is tried, and the pauses between: a pause that doubles, of which a
// random part is waited, so that clients that failed together do not come back
// together (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
const (
	attempts   = 4
	firstPause = 150 * time.Millisecond
	// longestPause is the longest pause that a server may ask for.
	longestPause = 10 * time.Second
)

// Retry calls act until it returns anything but Unavailable, at most four times. A
// change whose outcome is unknown is not retried. Where the error's cause has a method
// RetryAfter, Retry waits at least that long, and gives up where that is longer than a
// person would wait. It also gives up where the cause has a method Final that returns
// true.
//
// Mount retries each call to a platform behind a network, except for a listing: there
// the platform retries each of its requests, and each try takes from the listing's
// budget (see Bounded).
func Retry[T any](ctx context.Context, act func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		if err := take(ctx); err != nil {
			var none T
			return none, err
		}
		out, err := act()
		var e *keyturn.Error
		if err == nil || !errors.As(err, &e) || e.Code != keyturn.Unavailable || e.Unknown {
			return out, err
		}
		var final interface{ Final() bool }
		if errors.As(e.Err, &final) && final.Final() {
			return out, err
		}
		var later interface{ RetryAfter() time.Duration }
		wait := time.Duration(0)
		if errors.As(e.Err, &later) {
			wait = later.RetryAfter()
		}
		if wait > longestPause || try == attempts || !pause(ctx, wait, firstPause<<(try-1)) {
			told := *e
			told.Message += " (tried " + strconv.Itoa(try) + times(try) + ")"
			if wait > longestPause {
				told.Hint = "it says: try again in " + wait.String()
			}
			return out, &told
		}
	}
}

func times(n int) string {
	if n == 1 {
		return " time"
	}
	return " times"
}

// pause waits for least plus a random part of d, at least half of it. It returns false
// where ctx ends first.
func pause(ctx context.Context, least, d time.Duration) bool {
	var b [8]byte
	_, _ = rand.Read(b[:])
	t := time.NewTimer(least + d/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(d/2+1)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retried is Retry for platforms behind a network, and a plain call for others.
func retried[T any](ctx context.Context, m *Mount, act func() (T, error)) (T, error) {
	if !m.spec.Remote {
		return act()
	}
	return Retry(ctx, act)
}

// The platform's reads, with retries.

func (m *Mount) get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	return retried(ctx, m, func() (keyturn.Secret, error) { return m.able.Get(ctx, ref) })
}

func (m *Mount) describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	return retried(ctx, m, func() (keyturn.Info, error) { return m.able.describer.Describe(ctx, ref) })
}

func (m *Mount) history(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	return retried(ctx, m, func() ([]keyturn.Info, error) { return m.able.historian.Versions(ctx, ref) })
}
