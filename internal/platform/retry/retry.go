// Package retry tries again what failed for want of an answer.
package retry

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
	// longestPause is how long a server may have us wait before we ask it again.
	longestPause = 10 * time.Second
)

// Do calls act until it does not fail with Unavailable, at most four times. A
// change whose outcome is not known is not tried again. Where the error's cause has
// a method RetryAfter, as long as that is waited for at least; where that is too
// long for somebody who waits, act is not tried again; nor where it has a method
// Final that says that it would be in vain.
func Do[T any](ctx context.Context, act func() (T, error)) (T, error) {
	for try := 1; ; try++ {
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

// pause waits for least and a random part of d, at least half of it; false where
// ctx ends before.
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
