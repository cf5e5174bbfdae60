package login

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// pocket is a Keeper without a disk.
type pocket struct {
	mu    sync.Mutex
	token platform.Token
	has   bool
	loads int
	keeps int
	after func() // another process, right after what is there was read
}

func (p *pocket) Load(context.Context) (platform.Token, error) {
	p.mu.Lock()
	defer func() {
		p.mu.Unlock()
		if p.after != nil {
			p.after()
		}
	}()
	if p.loads++; !p.has {
		return platform.Token{}, keyturn.E(keyturn.NotFound, "none", "")
	}
	return p.token, nil
}

func (p *pocket) Keep(_ context.Context, t platform.Token) (platform.Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.token
	p.token, p.has, p.keeps = t, true, p.keeps+1
	return before, nil
}

func (p *pocket) Renewed(_ context.Context, t platform.Token) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.has || !p.token.Value.Equal(t.Value) {
		return false, nil
	}
	p.token, p.keeps = t, p.keeps+1
	return true, nil
}

func (p *pocket) Forget(_ context.Context, t platform.Token) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.has = p.has && !p.token.Value.Equal(t.Value)
	return nil
}

// TestKept: a token near its end is renewed at the real server beside the request
// that needs it, once however many ask; one that has ended is not sent.
func TestKept(t *testing.T) {
	v := servers.VaultDev(t)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"default"}, "ttl": "1h"}, &made)
	now := time.Now()
	tok := platform.Token{Value: keyturn.NewValue([]byte(made.Auth.Token)), Identity: "anna", Issued: now.Add(-50 * time.Minute), Expires: now.Add(10 * time.Minute), Renewable: true}
	p := &pocket{token: tok, has: true}
	k := &Kept{Keeper: p, Config: api.Config{Address: v.Address}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got, err := k.Token(t.Context()); err != nil || !got.Equal(tok.Value) {
				t.Errorf("the token: %v", err)
			}
		})
	}
	all.Wait()
	k.Close(10 * time.Second)
	if p.keeps != 1 || p.token.Expires.Before(now.Add(50*time.Minute)) || p.token.Issued.Before(now) || !p.token.Value.Equal(tok.Value) || p.token.Identity != "anna" {
		t.Errorf("it was kept %d times, and ends at %v", p.keeps, p.token.Expires)
	}
	for range 100 {
		if _, err := k.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	k.Close(time.Second)
	if p.keeps != 1 || p.loads > 4 {
		t.Errorf("it was kept %d times and loaded %d times", p.keeps, p.loads)
	}

	// Somebody logged in anew while the old one was renewed: theirs stays.
	newer := platform.Token{Value: keyturn.NewValue([]byte("hvs.newer"))}
	_, _ = p.Keep(t.Context(), newer)
	k.renew(t.Context(), tok)
	if !p.token.Value.Equal(newer.Value) {
		t.Errorf("a renewal replaced a newer login")
	}

	for name, c := range map[string]struct {
		token platform.Token
		has   bool
		code  keyturn.Code
	}{
		"none":         {code: keyturn.NotFound},
		"ended":        {token: platform.Token{Identity: "anna", Expires: now.Add(-time.Second)}, has: true, code: keyturn.Expired},
		"without end":  {token: tokenOf(time.Time{}, true), has: true},
		"not renewed":  {token: tokenOf(now.Add(time.Minute), false), has: true},
		"cannot renew": {token: tokenOf(now.Add(time.Minute), true), has: true},
	} {
		p := &pocket{token: c.token, has: c.has}
		k := &Kept{Keeper: p, Config: api.Config{Address: v.Address}}
		_, err := k.Token(t.Context())
		k.Close(10 * time.Second)
		if c.code == "" && err != nil || c.code != "" && !errors.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
		if c.code == keyturn.Expired && !strings.Contains(err.Error(), "the login as anna ended at ") {
			t.Errorf("%s: %v", name, err)
		}
		if p.keeps != 0 {
			t.Errorf("%s: something was kept", name)
		}
	}
}

func tokenOf(ends time.Time, renewable bool) platform.Token {
	return platform.Token{Value: keyturn.NewValue([]byte("hvs.not-a-token")), Issued: time.Now().Add(-time.Hour), Expires: ends, Renewable: renewable}
}

// TestRenewalUndoesNothing: whatever another process does while a token is renewed, and
// at whatever moment, stays.
func TestRenewalUndoesNothing(t *testing.T) {
	now := time.Now()
	old := platform.Token{Value: keyturn.NewValue([]byte("hvs.old")), Renewable: true, Issued: now.Add(-time.Hour), Expires: now.Add(time.Minute)}
	newer := platform.Token{Value: keyturn.NewValue([]byte("hvs.newer"))}
	for what, other := range map[string]func(p *pocket){
		"a logout": func(p *pocket) { _ = p.Forget(t.Context(), old) },
		"a login":  func(p *pocket) { _, _ = p.Keep(t.Context(), newer) },
	} {
		for _, moment := range []string{"before the answer", "after a look"} {
			p := &pocket{token: old, has: true}
			var asked, came atomic.Bool // the server, another process
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Store(true); moment == "before the answer" {
					came.Store(true)
					other(p)
				}
				_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.old","lease_duration":3600,"renewable":true}}`)
			}))
			if moment == "after a look" {
				p.after = func() {
					if asked.Load() {
						came.Store(true)
						other(p)
					}
				}
			}
			k := &Kept{Keeper: p, Config: api.Config{Address: s.URL}}
			if _, err := k.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.Close(10 * time.Second)
			s.Close()
			p.after = nil
			switch got, err := p.Load(t.Context()); {
			case !asked.Load():
				t.Errorf("nothing was renewed")
			case !came.Load(): // a renewal that does not look leaves no moment
			case what == "a logout" && err == nil, what == "a login" && (err != nil || !got.Value.Equal(newer.Value)):
				t.Errorf("%s %s was undone: %v", what, moment, err)
			}
		}
	}
}

// TestRenewalFails: a renewal that fails is tried again a while later, not at each
// request and not never.
func TestRenewalFails(t *testing.T) {
	var asked atomic.Int64
	var well atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.old","lease_duration":3600,"renewable":true}}`)
	}))
	defer s.Close()
	clock := time.Now()
	p := &pocket{token: platform.Token{Value: keyturn.NewValue([]byte("hvs.old")), Renewable: true, Issued: clock.Add(-40 * time.Minute), Expires: clock.Add(15 * time.Minute)}, has: true}
	k := &Kept{Keeper: p, Config: api.Config{Address: s.URL, Now: func() time.Time { return clock }}}
	use := func(times int) int64 {
		t.Helper()
		before := asked.Load()
		for range times {
			if _, err := k.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.Close(10 * time.Second)
		}
		return asked.Load() - before
	}
	once := use(1)
	if more := use(20); once == 0 || more != 0 {
		t.Errorf("asked %d times at first, and %d times right after that", once, more)
	}
	clock, p.keeps = clock.Add(time.Minute), 0
	well.Store(true)
	if use(1); p.keeps != 1 || !p.token.Expires.Equal(clock.Add(time.Hour).UTC()) {
		t.Errorf("one failure ended renewing: it ends at %v", p.token.Expires)
	}
	if n := use(20); n != 0 {
		t.Errorf("it was renewed %d times more", n)
	}
}

// TestSlowRenewal: what a slow server has renewed is kept by a command that has little
// time left; one with more of it does not wait.
func TestSlowRenewal(t *testing.T) {
	const slow = 500 * time.Millisecond
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(slow)
		_, _ = io.WriteString(w, `{"auth":{"client_token":"hvs.old","lease_duration":3600,"renewable":true}}`)
	}))
	defer s.Close()
	for left, waits := range map[time.Duration]bool{19 * time.Minute: false, 9 * time.Minute: true} {
		now := time.Now()
		p := &pocket{token: platform.Token{Value: keyturn.NewValue([]byte("hvs.old")), Renewable: true, Issued: now.Add(left - time.Hour), Expires: now.Add(left)}, has: true}
		k := &Kept{Keeper: p, Config: api.Config{Address: s.URL}}
		if _, err := k.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.Close(10 * time.Millisecond)
		p.mu.Lock()
		kept := p.keeps
		p.mu.Unlock()
		if took := time.Since(now); (kept == 1) != waits || waits && took < slow || !waits && took > slow-100*time.Millisecond {
			t.Errorf("with %v left: kept %d times after %v", left, kept, took)
		}
		k.Close(10 * time.Second)
	}
}

// TestKeptClose: a renewal that hangs keeps nobody waiting for long.
func TestKeptClose(t *testing.T) {
	k := &Kept{}
	release := make(chan struct{})
	k.work.Go(func() { <-release })
	start := time.Now()
	k.Close(10 * time.Millisecond)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	close(release)
	k.Close(10 * time.Second)
}
