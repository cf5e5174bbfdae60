// Package lease takes dynamic credentials from Vault's engines (database, AWS, RabbitMQ,
// …), and renews and revokes their leases
// (https://developer.hashicorp.com/vault/docs/concepts/lease). An engine answers each
// read with a new credential and its lease.
package lease

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
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

// mysql is how the driver of MySQL and MariaDB writes what the database refuses
// (https://github.com/go-sql-driver/mysql, MySQLError).
var mysql = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`Error \d+ \([0-9A-Z]{5}\): `) })

// refusedTake adds what the refusal of a read means here. What the engine says of its
// role, or of a database that it did not reach, leaves nothing that could be revoked.
func refusedTake(ref keyturn.Ref, path string, err error) error {
	engine, role, of := strings.Cut(path, "/creds/")
	command := func(words string) string { return "keyturn vault " + words + at(engine) + on(ref) }
	look := command("database role read " + keyturn.Quote(role))
	e := *keyturn.AsError(err)
	role = "'" + keyturn.Clean(role) + "'"
	switch {
	case of && api.Says(err, "unknown role"):
		e.Message, e.Hint = "there is no role "+role+" at "+keyturn.Clean(engine), "'"+command("database role list")+"' lists the roles"
	case of && api.Says(err, "is not an allowed role"):
		e.Code, e.By, e.Unknown = keyturn.Denied, "platform", false
		e.Message, e.Hint = "the role "+role+" may not use its connection", "allowed_roles of the connection has to hold it; which connection that is: "+look
	case of && api.Says(err, "failed to find entry for connection"):
		e.Code, e.Unknown = keyturn.Conflict, false
		e.Message, e.Hint = "the connection of the role "+role+" is not there", look
	case of && api.Says(err, "failed to execute query"): // of PostgreSQL, all in one transaction
		e.Code, e.Unknown = keyturn.Conflict, false
		e.Message, e.Hint = "the database refuses the statements of the role "+role, look
	case of && api.Matches(err, mysql().MatchString):
		e.Code, e.Unknown = keyturn.Conflict, false
		e.Message = "the database refuses the statements of the role " + role
		e.Hint = look + "\nthis kind of database undoes nothing: a user that the first of them made is still there, without a lease"
	case api.Says(err, "connection refused"), api.Says(err, "no such host"):
		e.Unknown = false
		e.Message, e.Hint = "the database behind "+keyturn.Clean(engine)+" does not answer the server", "does it run? "+command("database list")
	case e.Code == keyturn.NotFound:
		e.Message, e.Hint = "nothing makes credentials at "+keyturn.Clean(path), "write ENGINE/creds/ROLE; '"+command("engines")+"' lists the engines"
	case e.Code == keyturn.Unsupported:
		e.Message = "nothing is made by reading " + keyturn.Clean(path)
		e.Hint = "what an engine makes when it is written to (a certificate, a signature) keyturn does not take"
	case e.Code == keyturn.Invalid:
		e.Hint = "is it the path of a role's credentials, as in database/creds/ROLE?"
	case e.Code == keyturn.Unavailable:
		if e.Hint == "" {
			e.Hint = "does the database behind the engine answer? The server's own log tells more"
		}
	default:
		return err
	}
	return e.About(ref)
}

// at and on say where the engine and the server are, where that is not their usual place.
func at(engine string) string {
	if engine == "database" {
		return ""
	}
	return " --path " + keyturn.Quote(keyturn.Clean(engine))
}

func on(ref keyturn.Ref) string {
	if ref.Mount() == "vault" {
		return ""
	}
	return " --mount " + ref.Mount()
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
