package login

import (
	"context"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Kept is the token that is kept for one server and namespace. It lives on while
// it is used: where less than a third of its life is left it is renewed, beside
// the request that needs it and not before it. It is safe for concurrent use.
type Kept struct {
	platform.Keeper
	Config api.Config // of the server; its Token is not asked

	mu     sync.Mutex
	token  platform.Token
	err    error     // of loading it
	loaded time.Time // when; zero: not yet
	busy   bool      // it is being renewed, by this process
	pause  time.Time // renewing it was tried: not again before
	work   sync.WaitGroup
}

// fresh is how long a token that was loaded is taken as it is: another process may
// log in or out meanwhile.
const fresh = 5 * time.Second

// Token returns the token. NotFound where there is none, Expired where it has run out.
func (k *Kept) Token(ctx context.Context) (keyturn.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if k.loaded.IsZero() || now.Sub(k.loaded) > fresh || now.Before(k.loaded) {
		if k.token, k.err = k.Load(ctx); ctx.Err() != nil {
			return keyturn.Value{}, ctx.Err()
		}
		k.loaded = now
	}
	t := k.token
	switch {
	case k.err != nil:
		return keyturn.Value{}, k.err
	case ended(t, now):
		return keyturn.Value{}, keyturn.E(keyturn.Expired, "the login as "+keyturn.Clean(t.Identity)+" ended at "+t.Expires.UTC().Format(time.RFC3339), "")
	}
	if t.Renewable && !k.busy && !now.Before(k.pause) && within(t, now, 3) {
		k.busy = true
		k.work.Go(func() { k.renew(context.WithoutCancel(ctx), t) })
	}
	return t.Value, nil
}

func ended(t platform.Token, now time.Time) bool {
	return !t.Expires.IsZero() && !now.Before(t.Expires)
}

// within reports whether less than 1/parts of the life of t is left.
func within(t platform.Token, now time.Time, parts int) bool {
	return !t.Expires.IsZero() && t.Expires.Sub(now) < t.Expires.Sub(t.Issued)/time.Duration(parts)
}

// renewal is how long it may take to renew a token.
const renewal = 10 * time.Second

// renew makes t live on. Where it fails it is tried again after a pause; that it never
// succeeds is seen when it ends.
func (k *Kept) renew(ctx context.Context, t platform.Token) {
	ctx, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	_, _ = platform.Retry(ctx, func() (platform.Token, error) { return k.again(ctx, t) })
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.busy, k.pause = false, now.Add(between(t.Expires.Sub(now)))
}

// between is the pause before another try to make a token live on that has so much left.
func between(left time.Duration) time.Duration { return min(max(left/4, shortest), longest) }

// again makes t live on, and keeps it where it is still the one that is kept.
func (k *Kept) again(ctx context.Context, t platform.Token) (platform.Token, error) {
	try, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	c, err := api.New(k.Config)
	if err != nil {
		return t, err
	}
	if t, err = Renew(try, c, t); err != nil {
		return t, err
	}
	ctx = context.WithoutCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	// Another process may have logged in or out meanwhile: its token stays.
	if still, err := k.Renewed(ctx, t); err == nil && still {
		k.token, k.loaded = t, k.now()
	}
	return t, nil
}

// Keep implements platform.Keeper.
func (k *Kept) Keep(ctx context.Context, t platform.Token) (platform.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded, k.pause = time.Time{}, time.Time{}
	return k.Keeper.Keep(ctx, t)
}

// Forget implements platform.Keeper.
func (k *Kept) Forget(ctx context.Context, t platform.Token) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = time.Time{}
	return k.Keeper.Forget(ctx, t)
}

// Close waits up to limit for a renewal that is under way. Where little is left of the
// token's life it waits for as long as a renewal may take: the next command would know
// nothing of a token that the server renewed and nobody kept.
func (k *Kept) Close(limit time.Duration) {
	k.mu.Lock()
	if k.busy && within(k.token, k.now(), 6) {
		limit = max(limit, renewal)
	}
	k.mu.Unlock()
	done := make(chan struct{})
	go func() { k.work.Wait(); close(done) }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

func (k *Kept) now() time.Time {
	if k.Config.Now == nil {
		return time.Now()
	}
	return k.Config.Now()
}
