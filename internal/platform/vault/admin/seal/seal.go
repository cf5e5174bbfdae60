// Package seal shows, unseals and seals the servers of a mount: the part of Vault's
// administration that asks one server about itself, mostly without a token.
package seal

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

// Action is an action and what carries it out.
type Action struct {
	keyturn.Action
	Do func(ctx context.Context, c *api.Client, a platform.Act) (platform.Acted, error)
}

// Actions are all of them.
func Actions() []Action {
	return []Action{
		{keyturn.Action{
			Name: "status", Operation: "get-seal-status", Short: "Show whether the server is sealed, and how far unsealing is", Reads: true,
			Columns: []string{"address", "sealed", "shares_given", "threshold", "shares", "role", "active_address", "initialized", "version", "storage", "seal", "cluster", "problem"},
			Long: `Show whether the server is sealed, how many key shares unseal it, of how many there
are, and how many were given; of one of a cluster whether it is active or stands by.
Of a mount with several addresses each server is shown. It needs no token.`,
			Example: "  keyturn vault status",
		}, status},
		{keyturn.Action{
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
		}, unseal},
		{keyturn.Action{
			Name: "seal", Operation: "seal-server", Short: "Seal the server: nothing can be read until it is unsealed",
			Long: `Seal the server: it forgets its key, and nobody can read or write anything until enough
key shares unseal it. Of a cluster that is the active server, and another one takes
over. It asks on a terminal, and needs --yes elsewhere.`,
			Example: "  keyturn vault seal --yes",
			Asks:    "Seal the server? Nobody can use it until enough key shares are given",
		}, seal},
	}
}

// item is what unsealing has to do with.
func item(st api.State) map[string]any {
	return map[string]any{"sealed": st.Sealed, "shares_given": st.Progress, "threshold": st.T, "shares": st.N}
}

// says names the server where the mount has several.
func says(c *api.Client, st api.State) string {
	the := named(c, st)
	switch {
	case st.Err != nil:
		return the + " does not answer"
	case !st.Initialized:
		return the + " is not initialized"
	case st.Sealed:
		return the + " is sealed: " + progress(st)
	}
	return the + " is unsealed"
}

func named(c *api.Client, st api.State) string {
	if len(c.Nodes()) > 1 {
		return "the server " + st.Host()
	}
	return "the server"
}

func progress(st api.State) string {
	return strconv.Itoa(st.Progress) + " of " + strconv.Itoa(st.T) + " key shares were given (of " + strconv.Itoa(st.N) + ")"
}

func status(ctx context.Context, c *api.Client, _ platform.Act) (platform.Acted, error) {
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
		lines = append(lines, says(c, st))
		if st.Err != nil {
			it["problem"] = keyturn.AsError(st.Err).Message
			told.Items = append(told.Items, it)
			continue
		}
		maps.Copy(it, item(st))
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

// sealedOne is the first server that can be unsealed; the one that tells most where
// there is none.
func sealedOne(states []api.State) api.State {
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

func unseal(ctx context.Context, c *api.Client, a platform.Act) (platform.Acted, error) {
	st := sealedOne(c.States(ctx))
	body := map[string]any{}
	switch {
	case st.Err != nil:
		return platform.Acted{}, st.Err
	case !st.Initialized:
		return platform.Acted{}, keyturn.E(keyturn.Sealed, named(c, st)+" is not initialized: there are no key shares yet", "an operator does it once: vault operator init")
	case !st.Sealed:
		return platform.Acted{Told: keyturn.Told{Says: says(c, st) + " already", Items: []map[string]any{item(st)}, Single: true}}, nil
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
		return platform.Acted{}, refused(ctx, c, st, err)
	case err != nil:
		return platform.Acted{}, err
	}
	out := platform.Acted{Told: keyturn.Told{Says: says(c, now), Items: []map[string]any{item(now)}, Single: true, More: now.Sealed && !a.Args.Has("reset")}}
	switch {
	case !now.Sealed || !out.More:
	case anew(st, now):
		out.Notices = []string{"the shares that were given before were thrown away meanwhile: they have to be given again"}
	case now.Progress == st.Progress:
		out.Notices = []string{"this share was given before: it does not count twice"}
	}
	if !now.Sealed && len(c.Nodes()) > 1 {
		if next := sealedOne(c.States(ctx)); next.Err == nil && next.Sealed && next.Node != now.Node {
			out.More = true
			out.Notices = append(out.Notices, says(c, next))
		}
	}
	return out, nil
}

// anew reports whether shares that were given were thrown away between two states, by
// the nonce of each attempt (https://developer.hashicorp.com/vault/api-docs/system/seal-status).
func anew(before, now api.State) bool {
	return before.Progress > 0 && (now.Nonce != before.Nonce || now.Progress < before.Progress)
}

// refused says why a share was, by what the server says of itself now.
func refused(ctx context.Context, c *api.Client, before api.State, err error) error {
	now, stateErr := c.State(ctx, before.Node)
	switch {
	case stateErr != nil:
		return keyturn.E(keyturn.Invalid, "the server did not take this key share, and does not say what it kept", "keyturn vault status").Because(err)
	case anew(before, now), before.T == 1:
		return keyturn.E(keyturn.Invalid, "these key shares do not unseal the server, and the server has thrown them all away",
			"one of them was wrong, or was given twice: begin anew with 'keyturn vault unseal'").Because(err)
	}
	return keyturn.E(keyturn.Invalid, "this is no key share of a server", "a share is text in base64 or hexadecimal, as 'vault operator init' printed it; "+progress(now)).Because(err)
}

func seal(ctx context.Context, c *api.Client, _ platform.Act) (platform.Acted, error) {
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
	out := platform.Acted{Told: keyturn.Told{Says: "sealed " + named(c, st) + "; " + strconv.Itoa(st.T) + " of " + strconv.Itoa(st.N) + " key shares unseal it"}}
	if node != "" {
		out.Notices = []string{"it was the active one of a cluster: another server takes over, where one is unsealed"}
	}
	return out, nil
}
