package login

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// unwrap opens the secret id of an AppRole at auth/PATH that is wrapped in a token,
// which can be done once (https://developer.hashicorp.com/vault/docs/concepts/response-wrapping).
// Before it is opened the server says who made what is in it: anybody who may wrap could
// have put something else there. Conflict where it does not open.
func unwrap(ctx context.Context, c *api.Client, path string, token keyturn.Value) (keyturn.Value, error) {
	var made struct {
		Path string `json:"creation_path"`
	}
	look := api.Request{Method: http.MethodPost, Path: "sys/wrapping/lookup", Body: map[string]string{"token": string(token.Reveal())}, Anonymous: true}
	if err := c.Ask(ctx, look, &made); err != nil {
		return keyturn.Value{}, shut(err)
	}
	within := strings.TrimPrefix(made.Path, strings.Trim(c.Namespace, "/")+"/")
	role, ofRole := strings.CutPrefix(within, "auth/"+path+"/role/")
	if role, last, _ := strings.Cut(role, "/"); !ofRole || role == "" || last != "secret-id" && last != "custom-secret-id" {
		return keyturn.Value{}, keyturn.E(keyturn.Conflict, "what this token wraps was not made as a secret id of auth/"+keyturn.Clean(path),
			"it was not opened: ask whoever gave it to you, or say where AppRole is enabled (--path)")
	}
	own, err := as(c, token)
	if err != nil {
		return keyturn.Value{}, err
	}
	var held struct {
		SecretID string `json:"secret_id"`
	}
	if err := own.Do(ctx, keyturn.Ref{}, http.MethodPost, "sys/wrapping/unwrap", "", nil, &held); err != nil {
		return keyturn.Value{}, shut(err)
	}
	if held.SecretID == "" {
		return keyturn.Value{}, keyturn.E(keyturn.Conflict, "the token was opened, and there was no secret id in it", "get another one from whoever made it")
	}
	return keyturn.NewValue([]byte(held.SecretID)), nil
}

// shut is err of a token that was to be opened.
func shut(err error) error {
	switch e := keyturn.AsError(err); {
	case e.Unknown:
		return keyturn.E(keyturn.Unavailable, "whether the token was opened is not known: "+e.Message, "try once more; where it opens no more, get another one").Because(err)
	case e.Code == keyturn.Invalid, e.Code == keyturn.Expired, e.Code == keyturn.Denied:
		return keyturn.E(keyturn.Conflict, "the token opens nothing: it was opened already, its time is over, or it wraps nothing",
			"if you did not open it, somebody else has the secret id: destroy it ('keyturn vault approle secret-ids ROLE' lists the accessors), and find out who\nmake another one: keyturn vault approle secret-id ROLE --wrap 60s").Because(err)
	}
	return err
}

// wrapped logs in with a secret id that waits in a wrapping token. The token is good for
// one opening, so that a login that the server could not answer is tried again at once.
func wrapped(ctx context.Context, c *api.Client, path string, r Request) (platform.Token, error) {
	id, err := unwrap(ctx, c, path, r.Inputs["secret-id"])
	if err != nil {
		return platform.Token{}, err
	}
	body := map[string]string{"role_id": string(r.Inputs["role-id"].Reveal()), "secret_id": string(id.Reveal())}
	t, err := platform.Retry(ctx, func() (platform.Token, error) { return exchange(ctx, c, r, path, "/login", body) })
	if err != nil {
		e := *keyturn.AsError(err)
		e.Message = "the secret id was unwrapped, but " + e.Message
		if errors.Is(err, keyturn.Denied) {
			e.Hint = "check --role-id; the token opens no more: get another one"
		} else {
			e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "the token opens no more: get another one"
		}
		return t, &e
	}
	return t, nil
}

// looksWrapped reports whether what was given for a secret id looks like a token: most
// likely one that wraps it.
func looksWrapped(v keyturn.Value) bool {
	s := string(v.Reveal())
	return strings.HasPrefix(s, "hvs.") || strings.HasPrefix(s, "s.") || strings.HasPrefix(s, "hvb.")
}
