package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// sealActions show, unseal and seal the servers of a mount, mostly without a token.
func sealActions() []action {
	return []action{
		{Action: keyturn.Action{
			Name: "status", Operation: "get-seal-status", Short: "Show whether the server is sealed, and how far unsealing is", Reads: true,
			Columns: []string{"address", "sealed", "shares_given", "threshold", "shares", "role", "active_address", "initialized", "version", "storage", "seal", "cluster", "problem"},
			Long: `Show whether the server is sealed, how many key shares unseal it, of how many there
are, and how many were given; of one of a cluster whether it is active or stands by.
Of a mount with several addresses each server is shown. It needs no token.`,
			Example: "  keyturn vault status",
		}, Do: showSeal},
		{Action: keyturn.Action{
			Name: "unseal", Operation: "unseal-server", Short: "Unseal the server with key shares",
			Long: `Unseal the server. Key shares are asked for without echo, one after the other, until
the server is unsealed or you end it with Ctrl-C: shares that were given stay, and
another person can give the next one. It needs no token.

Of a mount with several addresses it is the first server that is sealed, then the
next one.

--share takes one share from a secret of keyturn's. --reset throws away the shares that
were given.`,
			Example: "  keyturn vault unseal\n  keyturn vault unseal --share local/unseal#one\n  keyturn vault unseal --reset",
			Inputs: []keyturn.Input{
				{Name: "share", Kind: keyturn.InputSecret, Short: "a key share"},
				{Name: "reset", Kind: keyturn.InputYes, Short: "throw away the shares that were given"},
			},
			Columns: []string{"sealed", "shares_given", "threshold", "shares"},
		}, Do: unsealServer},
		{Action: keyturn.Action{
			Name: "seal", Operation: "seal-server", Short: "Seal the server: nothing can be read until it is unsealed",
			Long: `Seal the server: it forgets its key, and nobody can read or write anything until enough
key shares unseal it. Of a cluster that is the active server, and another one takes
over. It asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault seal --yes",
			Asks:    "Seal the server? Nobody can use it until enough key shares are given",
		}, Do: sealServer},
	}
}

// sealItem returns how far unsealing is.
func sealItem(st api.State) map[string]any {
	return map[string]any{"sealed": st.Sealed, "shares_given": st.Progress, "threshold": st.T, "shares": st.N}
}

// sealSays says whether a server is sealed. It names the server where the mount has several.
func sealSays(c *api.Client, st api.State) string {
	the := serverName(c, st)
	switch {
	case st.Err != nil:
		return the + " does not answer"
	case !st.Initialized:
		return the + " is not initialized"
	case st.Sealed:
		return the + " is sealed: " + shareProgress(st)
	}
	return the + " is unsealed"
}

func serverName(c *api.Client, st api.State) string {
	if len(c.Nodes()) > 1 {
		return "the server " + st.Host()
	}
	return "the server"
}

func shareProgress(st api.State) string {
	return strconv.Itoa(st.Progress) + " of " + strconv.Itoa(st.T) + " key shares were given (of " + strconv.Itoa(st.N) + ")"
}

func showSeal(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	c := s.client
	states := c.States(ctx)
	if len(states) == 1 && states[0].Err != nil {
		return platform.Acted{}, states[0].Err
	}
	told := keyturn.Told{Single: len(states) == 1}
	var lines []string
	for _, st := range states {
		it := map[string]any{"address": st.Node}
		if told.Single {
			it = map[string]any{}
		}
		lines = append(lines, sealSays(c, st))
		if st.Err != nil {
			it["problem"] = keyturn.AsError(st.Err).Message
			told.Items = append(told.Items, it)
			continue
		}
		maps.Copy(it, sealItem(st))
		it["initialized"], it["version"], it["storage"], it["seal"] = st.Initialized, st.Version, st.Storage, st.Seal
		if st.Cluster != "" {
			it["cluster"] = st.Cluster
		}
		if st.HA {
			it["role"] = "standby"
			if st.Active {
				it["role"] = "active"
			}
			if st.ActiveAt != "" {
				it["active_address"] = st.ActiveAt
			}
		}
		told.Items = append(told.Items, it)
	}
	told.Says = strings.Join(lines, "; ")
	return platform.Acted{Told: told}, nil
}

// firstSealed returns the first server that can be unsealed. Where there is none, it
// returns the one of which most is known.
func firstSealed(states []api.State) api.State {
	best := states[0]
	for _, st := range states {
		if st.Err == nil && st.Initialized && st.Sealed {
			return st
		}
		if st.Err == nil && (best.Err != nil || st.Initialized && !best.Initialized) {
			best = st
		}
	}
	return best
}

func unsealServer(ctx context.Context, s *server, a platform.Act) (platform.Acted, error) {
	c := s.client
	st := firstSealed(c.States(ctx))
	body := map[string]any{}
	switch {
	case st.Err != nil:
		return platform.Acted{}, st.Err
	case !st.Initialized:
		return platform.Acted{}, keyturn.E(keyturn.Sealed, serverName(c, st)+" is not initialized: there are no key shares yet", "an operator does it once: vault operator init")
	case !st.Sealed:
		return platform.Acted{Told: keyturn.Told{Says: sealSays(c, st) + " already", Items: []map[string]any{sealItem(st)}, Single: true}}, nil
	case a.Args.Has("reset"):
		body["reset"] = true
	default:
		prompt := "Key share " + strconv.Itoa(st.Progress+1) + " of " + strconv.Itoa(st.T)
		if len(c.Nodes()) > 1 {
			prompt += " for " + st.Host()
		}
		share, err := a.Secret(ctx, "share", prompt)
		if err != nil {
			return platform.Acted{}, err
		}
		body["key"] = strings.TrimSpace(string(share.Reveal()))
	}
	now := api.State{Node: st.Node}
	err := c.Ask(ctx, api.Request{Method: http.MethodPut, Path: "sys/unseal", Body: body, Anonymous: true, Node: st.Node}, &now)
	switch {
	case errors.Is(err, keyturn.Invalid):
		return platform.Acted{}, shareRefused(ctx, c, st, err)
	case err != nil:
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: sealSays(c, now), Items: []map[string]any{sealItem(now)}, Single: true, More: now.Sealed && !a.Args.Has("reset")}}
	switch {
	case !now.Sealed || !out.More:
	case sharesDropped(st, now):
		out.Notices = []string{"the shares that were given before were thrown away meanwhile: they have to be given again"}
	case now.Progress == st.Progress:
		out.Notices = []string{"this share was given before: it does not count twice"}
	}
	if !now.Sealed && len(c.Nodes()) > 1 {
		if next := firstSealed(c.States(ctx)); next.Err == nil && next.Sealed && next.Node != now.Node {
			out.More = true
			out.Notices = append(out.Notices, sealSays(c, next))
		}
	}
	return out, nil
}

// sharesDropped reports whether the server threw shares away between two states, by the
// nonce of each attempt (https://developer.hashicorp.com/vault/api-docs/system/seal-status).
func sharesDropped(before, now api.State) bool {
	return before.Progress > 0 && (now.Nonce != before.Nonce || now.Progress < before.Progress)
}

// shareRefused returns the error for a share that the server refused. It asks the server
// for its state now to find the reason.
func shareRefused(ctx context.Context, c *api.Client, before api.State, err error) error {
	now, stateErr := c.State(ctx, before.Node)
	switch {
	case stateErr != nil:
		return keyturn.E(keyturn.Invalid, "the server did not take this key share, and does not say what it kept", "keyturn vault status").Because(err)
	case sharesDropped(before, now), before.T == 1:
		return keyturn.E(keyturn.Invalid, "these key shares do not unseal the server, and the server has thrown them all away",
			"one of them was wrong, or was given twice: begin anew with 'keyturn vault unseal'").Because(err)
	}
	return keyturn.E(keyturn.Invalid, "this is no key share of a server", "a share is text in base64 or hexadecimal, as 'vault operator init' printed it; "+shareProgress(now)).Because(err)
}

func sealServer(ctx context.Context, s *server, _ platform.Act) (platform.Acted, error) {
	c := s.client
	node := ""
	for _, st := range c.States(ctx) {
		if st.Active { // a standby refuses to be sealed
			node = st.Node
		}
	}
	if err := c.Ask(ctx, api.Request{Method: http.MethodPut, Path: "sys/seal", Node: node}, nil); err != nil {
		if errors.Is(err, keyturn.Denied) {
			e := *keyturn.AsError(err)
			e.Hint = `one of its policies has to hold: path "sys/seal" { capabilities = ["update", "sudo"] }`
			err = &e
		}
		return platform.Acted{}, err
	}
	st, err := c.State(ctx, node)
	if err != nil {
		return platform.Acted{Told: keyturn.Told{Says: "sealed the server"}}, nil
	}
	out := platform.Acted{Told: keyturn.Told{Says: "sealed " + serverName(c, st) + "; " + strconv.Itoa(st.T) + " of " + strconv.Itoa(st.N) + " key shares unseal it"}}
	if node != "" {
		out.Notices = []string{"it was the active one of a cluster: another server takes over, where one is unsealed"}
	}
	return out, nil
}
