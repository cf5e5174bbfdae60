package vault

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/platform/vault/login"
)

// Status implements platform.Statuser: sealed or not, and whose token it is. Of a
// mount with several addresses one unsealed server is enough, and what the others are
// is told.
func (p *Platform) Status(ctx context.Context) keyturn.Health {
	states := p.client.States(ctx)
	best := states[0]
	for _, s := range states {
		if rank(s) > rank(best) {
			best = s
		}
	}
	var h keyturn.Health
	if best.Err != nil {
		h.Err = keyturn.AsError(best.Err)
		return h
	}
	h.Reachable, h.Sealed, h.Detail = true, best.Sealed, detail(best, states)
	h.Server, h.Ahead, h.TLS = best.Version, best.Peer.Ahead(), &best.Peer.TLS
	switch {
	case !best.Initialized:
		h.Err = keyturn.E(keyturn.Sealed, "this server is not initialized", "an operator does it once: vault operator init")
	case best.Sealed:
		h.Err = api.Sealed(best.T, best.N, best.Progress)
	default:
		// Its accessor stays out: who may revoke tokens by it needs no more.
		var self struct {
			Name      string    `json:"display_name"`
			Policies  []string  `json:"policies"`
			Identity  []string  `json:"identity_policies"`
			Expires   time.Time `json:"expire_time"`
			TTL       int       `json:"ttl"`
			Renewable bool      `json:"renewable"`
		}
		err := p.client.Do(ctx, keyturn.Ref{}, http.MethodGet, "auth/token/lookup-self", "", nil, &self)
		h.Identity, h.Err = self.Name, keyturn.AsError(err)
		if p.tokens != nil {
			h.Source = p.tokens.source(ctx)
		}
		h.Policies, h.Renewable = slices.Concat(self.Policies, self.Identity), self.Renewable
		if !self.Expires.IsZero() { // by the server's clock, which may not be ours
			h.Expires = login.Ends(p.client.Now(), max(self.TTL, 1))
		}
	}
	return h
}

// rank says which of several servers tells most of the mount.
func rank(s api.State) int {
	switch {
	case s.Err != nil:
		return 0
	case !s.Initialized:
		return 1
	case s.Sealed:
		return 2
	case s.HA && !s.Active:
		return 3
	}
	return 4
}

// detail is the server's version and, where it is one of a cluster, what each of the
// mount's addresses is.
func detail(best api.State, states []api.State) string {
	out := []string{"version " + keyturn.Clean(best.Version)}
	if len(states) == 1 {
		switch {
		case best.Active:
			out = append(out, "active")
		case best.HA && best.ActiveAt != "":
			out = append(out, "standby, active is "+best.ActiveAt)
		case best.HA:
			out = append(out, "standby, no server is active")
		}
		return strings.Join(out, ", ")
	}
	for _, s := range states {
		is := "is standby"
		switch {
		case s.Err != nil:
			is = "does not answer"
		case !s.Initialized:
			is = "is not initialized"
		case s.Sealed:
			is = "is sealed"
		case s.Active || !s.HA:
			is = "is active"
		}
		out = append(out, s.Host()+" "+is)
	}
	return strings.Join(out, ", ")
}
