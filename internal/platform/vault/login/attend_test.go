package login

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// TestAttend: while somebody attends to it a token outlives its first term at the real
// server; why another one does not is told once, with its end.
func TestAttend(t *testing.T) {
	v := servers.VaultDev(t)
	create := func(members map[string]any) platform.Token {
		var made struct {
			Auth struct {
				Token    string `json:"client_token"`
				Duration int    `json:"lease_duration"`
			}
		}
		members["no_default_policy"] = members["policies"] != nil
		v.Call(http.MethodPost, "auth/token/create", members, &made)
		now := time.Now()
		return platform.Token{Value: keyturn.NewValue([]byte(made.Auth.Token)), Issued: now, Expires: now.Add(time.Duration(made.Auth.Duration) * time.Second), Renewable: members["renewable"] != false}
	}
	works := func(k *Kept, tok platform.Token) bool {
		c, err := api.New(k.Config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = known(t.Context(), c, tok.Value)
		return err == nil
	}
	for name, c := range map[string]struct {
		members map[string]any
		watch   bool
		lives   bool   // after 8 seconds
		why     string // "": nothing is told
	}{
		"renewed":        {members: map[string]any{"ttl": "3s", "explicit_max_ttl": "1h"}, lives: true},
		"its longest":    {members: map[string]any{"ttl": "3s", "explicit_max_ttl": "5s"}, why: "the login has reached its longest time"},
		"not renewable":  {members: map[string]any{"ttl": "5s", "renewable": false}, why: "the login cannot be renewed"},
		"without right":  {members: map[string]any{"ttl": "5s", "policies": []string{"nothing"}}, why: "the login could not be renewed (the token may not do this)"},
		"somebody's":     {members: map[string]any{"ttl": "5s"}, watch: true, why: "the token in VAULT_TOKEN is not keyturn's to renew"},
		"somebody's own": {members: map[string]any{"ttl": "10h"}, watch: true, lives: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := create(c.members)
			p := &pocket{token: tok, has: !c.watch}
			k := &Kept{Keeper: p, Config: api.Config{Address: v.Address}}
			var mu sync.Mutex
			var told []End
			tell := func(e End) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, e)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			begun := time.Now()
			if c.watch {
				k.Watch(ctx, tok.Value, "VAULT_TOKEN", time.Minute, tell)
			} else {
				k.Attend(ctx, time.Minute, tell)
			}
			if c.why == "" && !c.watch && ctx.Err() == nil {
				t.Errorf("it was given up")
			}
			<-ctx.Done()
			if got := works(k, tok); got != c.lives {
				t.Errorf("after eight seconds it works: %v", got)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case c.why == "" && len(told) > 0:
				t.Errorf("told: %v", told)
			case c.why != "" && (len(told) != 1 || !strings.HasPrefix(told[0].Why, c.why)):
				t.Errorf("told: %v, want %q", told, c.why)
			case c.why != "" && (told[0].At.Before(begun.Add(3*time.Second)) || told[0].At.After(begun.Add(7*time.Second))):
				t.Errorf("told that it ends %v after it began", told[0].At.Sub(begun))
			}
			if name == "renewed" && p.keeps < 2 {
				t.Errorf("what was renewed was kept %d times", p.keeps)
			}
		})
	}
}

// TestAttendDown: while the server is away it is tried again, and told once.
func TestAttendDown(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	v := servers.VaultDev(t)
	v.Kill()
	now := time.Now()
	k := &Kept{Keeper: &pocket{token: platform.Token{Value: keyturn.NewValue([]byte("hvs.not-a-token")), Issued: now, Expires: now.Add(2 * time.Second), Renewable: true}, has: true},
		Config: api.Config{Address: v.Address}}
	var told []End
	k.Attend(t.Context(), 0, func(e End) { told = append(told, e) })
	if len(told) != 1 || !strings.HasPrefix(told[0].Why, "the login could not be renewed yet (") {
		t.Errorf("told: %v", told)
	}
	if d := time.Since(now); d < 1900*time.Millisecond || d > 10*time.Second {
		t.Errorf("it was given up after %v", d)
	}
}
