// Package lease asks engines of Vault for credentials that are made anew for each
// asking (database, AWS, RabbitMQ, …), and renews and revokes them
// (https://developer.hashicorp.com/vault/docs/concepts/lease). The engine answers a
// read with the credential and the lease that it lives by.
package lease

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// kept are the types of engines whose paths are no credentials: they keep what was
// written to them, or belong to the server itself.
var kept = []string{"kv", "generic", "cubbyhole", "system", "identity", "token"}

// Makes reports whether an engine of a type makes credentials, as far as its type
// tells.
func Makes(engine string) bool {
	return engine != "" && !slices.Contains(kept, engine) && !strings.HasPrefix(engine, "ns_")
}

// Take reads a path of such an engine, and with it has a credential made. Its
// fields are as the engine names them: text as it is, anything else as JSON.
func Take(ctx context.Context, c *api.Client, ref keyturn.Ref, path string) (platform.Leased, error) {
	a, err := c.Send(ctx, api.Request{Ref: ref, Method: http.MethodGet, Path: path, Changes: true})
	if err != nil {
		return platform.Leased{}, refusedTake(ref, path, err)
	}
	var data map[string]json.RawMessage
	if len(a.Data) == 0 || json.Unmarshal(a.Data, &data) != nil || len(data) == 0 {
		return platform.Leased{ID: a.LeaseID}, keyturn.E(keyturn.NotFound, "there are no credentials at "+path, "").About(ref)
	}
	out := platform.Leased{ID: a.LeaseID, Values: make(map[string]keyturn.Value, len(data)), Term: term(a)}
	for f, raw := range data {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			raw = []byte(text)
		}
		out.Values[f] = keyturn.NewValue(raw)
	}
	return out, nil
}

func term(a api.Answer) platform.Term {
	return platform.Term{For: time.Duration(a.LeaseDuration) * time.Second, Renewable: a.Renewable}
}

// refusedTake adds what the refusal of a read means here.
func refusedTake(ref keyturn.Ref, path string, err error) error {
	e := *keyturn.AsError(err)
	switch e.Code {
	case keyturn.NotFound:
		e.Message = "nothing makes credentials at " + path
	case keyturn.Unsupported:
		e.Message = "nothing is made by reading " + path
		e.Hint = "what an engine makes when it is written to (a certificate, a signature) keyturn does not take"
	case keyturn.Invalid:
		e.Hint = "is it the path of a role's credentials, as in database/creds/ROLE?"
	case keyturn.Unavailable:
		if e.Hint == "" {
			e.Hint = "does the database behind the engine answer? The server's own log tells more"
		}
	default:
		return err
	}
	return e.About(ref)
}

// Renew asks for a longer term of a lease.
func Renew(ctx context.Context, c *api.Client, ref keyturn.Ref, id string, want time.Duration) (platform.Term, error) {
	a, err := c.Send(ctx, api.Request{Ref: ref, Method: http.MethodPut, Path: "sys/leases/renew",
		Body: map[string]any{"lease_id": id, "increment": int64(want / time.Second)}})
	if e := keyturn.AsError(err); e != nil {
		told := *e
		// To ask again does no harm: the term is counted from the answer on.
		told.Unknown = false
		return platform.Term{}, &told
	}
	return term(a), nil
}

// Revoke ends a lease, and waits until the engine has taken the credential away. The
// server says the same of a lease that it does not know.
func Revoke(ctx context.Context, c *api.Client, ref keyturn.Ref, id string) error {
	_, err := c.Send(ctx, api.Request{Ref: ref, Method: http.MethodPut, Path: "sys/leases/revoke",
		Body: map[string]any{"lease_id": id, "sync": true}})
	if e := keyturn.AsError(err); e != nil && e.Code == keyturn.Invalid {
		// What the engine's own revocation says comes as a bad request.
		return keyturn.E(keyturn.Unavailable, "the engine could not take the credential away", "does the database behind the engine answer? The server's own log tells more").About(ref).Because(err)
	}
	return err
}
