package login

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// End says when a token ends, and why nobody makes it live on.
type End struct {
	At  time.Time
	Why string // a sentence without its full stop
}

const (
	early    = time.Hour              // so long before its end a token is spoken of, at least
	wake     = time.Minute            // the clock is looked at so often: a machine may sleep
	soon     = 2 * time.Second        // after a renewal that gave less than the last
	shortest = 200 * time.Millisecond // between two tries
	longest  = 30 * time.Second       // between two tries to do what failed
)

// Attend renews the token that is kept now until ctx ends, each time after two thirds of
// what the token has left, because leases that were made with it end with it. Another
// login meanwhile does not change which token is renewed. Where the token cannot be
// renewed, Attend calls tell once, as soon as the token has less left than need, or an
// hour.
func (k *Kept) Attend(ctx context.Context, need time.Duration, tell func(End)) {
	t, err := k.Load(ctx)
	if err != nil || t.Expires.IsZero() {
		return
	}
	told := false
	say := func(why string) {
		if !told {
			told = true
			tell(End{t.Expires, why})
		}
	}
	last, pause := "", time.Duration(0) // why it cannot live on; before another try
	if !t.Renewable {
		last = "the login cannot be renewed"
	}
	for {
		left := t.Expires.Sub(k.now())
		if last != "" {
			if k.until(ctx, t.Expires.Add(-max(need, early))) {
				say(last)
			}
			return
		}
		if pause == 0 {
			pause = max(left*2/3, shortest)
		}
		if !k.until(ctx, k.now().Add(pause)) {
			return
		}
		if now, err := k.Load(ctx); err == nil && now.Value.Equal(t.Value) && now.Expires.After(t.Expires) {
			t, pause = now, 0 // another process was faster
			continue
		}
		longer, err := k.again(ctx, t)
		switch now := k.now(); {
		case ctx.Err() != nil:
			return
		case err != nil && !passing(err):
			say("the login could not be renewed (" + keyturn.Clean(keyturn.AsError(err).Message) + ")")
			return
		case err != nil && !now.Before(t.Expires):
			return
		case err != nil:
			say("the login could not be renewed yet (" + keyturn.Clean(keyturn.AsError(err).Message) + ")")
			pause = between(t.Expires.Sub(now))
		case longer.Expires.Before(t.Expires.Add(time.Second)):
			last = "the login has reached its longest time"
		default:
			pause = 0
			if longer.Expires.Sub(now) < t.Expires.Sub(t.Issued)-time.Second {
				pause = soon // to see whether there is more to come
			}
			t, told = longer, false
		}
	}
}

// passing reports whether what failed may go well a moment later.
func passing(err error) bool {
	return errors.Is(err, keyturn.Unavailable) || errors.Is(err, keyturn.Sealed)
}

// until waits until a time of k's clock; false where ctx ends before.
func (k *Kept) until(ctx context.Context, at time.Time) bool {
	for {
		left := at.Sub(k.now())
		if left <= 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(min(left, wake))
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
}

// Watch tells once, when a token of somebody else, which is theirs to renew, has less
// left than need, or an hour. It returns then, or when ctx ends, or where the token
// tells nothing of itself.
func (k *Kept) Watch(ctx context.Context, token keyturn.Value, whose string, need time.Duration, tell func(End)) {
	c, err := api.New(k.Config)
	if err != nil {
		return
	}
	for {
		t, err := known(ctx, c, token)
		if err != nil || t.Expires.IsZero() {
			return
		}
		at := t.Expires.Add(-max(need, early))
		if !at.After(k.now()) {
			tell(End{t.Expires, "the token in " + whose + " is not keyturn's to renew"})
			return
		}
		if !k.until(ctx, at) {
			return
		}
	}
}
