package login

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// requirement is what a login is still to prove, where the server asks for a second
// factor (https://developer.hashicorp.com/vault/docs/auth/login-mfa): one method of
// each constraint.
type requirement struct {
	ID          string `json:"mfa_request_id"`
	Constraints map[string]struct {
		Any []factor `json:"any"`
	} `json:"mfa_constraints"`
}

// factor is one method of a second factor. One without a passcode is confirmed on a
// device, and the server waits for it.
type factor struct {
	Type     string `json:"type"` // "totp", "duo", "okta", "pingid"
	ID       string `json:"id"`
	Passcode bool   `json:"uses_passcode"`
}

// guesses is how often a passcode is asked for: it may have run out while it was typed.
const guesses = 3

// second proves the second factor that the server asks for, and returns its answer with
// the token. It asks for passcodes; Denied where there is nobody to ask, or the server
// does not take them.
func second(ctx context.Context, c *api.Client, raw json.RawMessage, ask func(context.Context, platform.Input) (keyturn.Value, error)) (api.Answer, error) {
	var need requirement
	if json.Unmarshal(raw, &need) != nil || need.ID == "" || len(need.Constraints) == 0 {
		return api.Answer{}, keyturn.E(keyturn.Unavailable, "the server asks for a second factor, and does not say which", "is it a newer Vault than this keyturn knows?")
	}
	for try := 1; ; try++ {
		payload := map[string][]string{}
		asked := false
		for _, name := range slices.Sorted(maps.Keys(need.Constraints)) {
			f, ok := choose(need.Constraints[name].Any)
			if !ok {
				return api.Answer{}, keyturn.E(keyturn.Unavailable, "the server asks for a second factor, and does not say which", "")
			}
			if !f.Passcode {
				payload[f.ID] = []string{}
				continue
			}
			code, err := passcode(ctx, c, f, try, ask)
			if err != nil {
				return api.Answer{}, err
			}
			payload[f.ID], asked = []string{code}, true
		}
		a, err := send(ctx, c, api.Request{Method: http.MethodPost, Path: "sys/mfa/validate", Anonymous: true,
			Body: map[string]any{"mfa_request_id": need.ID, "mfa_payload": payload}})
		e := keyturn.AsError(err)
		switch {
		case e == nil:
			return a, nil
		case e.Code != keyturn.Denied && e.Code != keyturn.Invalid && e.Code != keyturn.Expired:
			return api.Answer{}, err
		case e.Code == keyturn.Denied && asked && try < guesses:
			continue
		}
		out := keyturn.E(keyturn.Denied, "the server did not take your second factor", "log in once more; a passcode works once, and only for as long as it is shown").Because(err)
		out.By = "platform"
		return api.Answer{}, out
	}
}

// choose takes a method with a passcode before one that is confirmed elsewhere.
func choose(any []factor) (factor, bool) {
	for _, f := range any {
		if f.Passcode {
			return f, true
		}
	}
	if len(any) == 0 {
		return factor{}, false
	}
	return any[0], true
}

func passcode(ctx context.Context, c *api.Client, f factor, try int, ask func(context.Context, platform.Input) (keyturn.Value, error)) (string, error) {
	help := "the passcode of your second factor (" + keyturn.Clean(f.Type) + ")"
	if try > 1 {
		help = "that one was not taken: the next passcode (" + keyturn.Clean(f.Type) + ")"
	}
	var v keyturn.Value
	if ask != nil {
		var err error
		if v, err = ask(ctx, platform.Input{Name: "passcode", Help: help, Secret: true, Typed: true}); err != nil {
			return "", err
		}
	}
	code := strings.TrimSpace(string(v.Reveal()))
	if code == "" {
		mount := c.Mount
		if mount == "" {
			mount = "MOUNT"
		}
		return "", keyturn.E(keyturn.Denied, "this login takes a second factor, which a person types at a terminal",
			"log in at a terminal: keyturn login "+mount+" …\na service logs in by a method that needs none, for instance approle, jwt or kubernetes")
	}
	return code, nil
}
