package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// action is an action and the function that carries it out.
type action struct {
	keyturn.Action
	Do func(ctx context.Context, s *server, a platform.Act) (platform.Acted, error)
}

// server is the server for one action.
type server struct {
	client *api.Client
	mount  string // the name of the mount that leads to it
}

// call sends one request and decodes the answer's data into out, which may be nil.
func (s *server) call(ctx context.Context, method, path string, body, out any) error {
	return s.client.Do(ctx, keyturn.Ref{}, method, path, "", body, out)
}

// send sends one request and returns the whole answer. With wrap the server wraps it.
func (s *server) send(ctx context.Context, method, path string, body any, wrap time.Duration) (api.Answer, error) {
	return s.client.Send(ctx, api.Request{Method: method, Path: path, Body: body, Wrap: wrap})
}

// noHandler is in the server's error where nothing is mounted at a path.
const noHandler = "no handler for route"

// policyPath is the path of policies.
const policyPath = "sys/policies/acl"

// names lists the names below a path, sorted; none where nothing is there. It returns
// NotFound, with noHandler, where nothing is mounted.
func (s *server) names(ctx context.Context, path string) ([]string, error) {
	var answer struct {
		Keys []string `json:"keys"`
	}
	err := s.call(ctx, "LIST", path, nil, &answer)
	if errors.Is(err, keyturn.NotFound) && !api.Says(err, noHandler) {
		return nil, nil
	}
	slices.Sort(answer.Keys)
	return answer.Keys, err
}

// notFound returns NotFound for a name, with the nearest of the names that exist.
func notFound(what, name string, have []string) error {
	e := keyturn.E(keyturn.NotFound, "no "+what+" "+quoted(name), "")
	if near := keyturn.Nearest(name, slices.Values(have)); near != "" {
		e.Hint = "did you mean " + quoted(near) + "?"
	} else if e.Hint = "there is none yet"; len(have) > 0 {
		e.Hint = "there are " + joinSome(have)
	}
	return e
}

// setMembers adds the given inputs to a request's body. texts and times map an input to
// its member; times are written in seconds.
func setMembers(body map[string]any, a platform.Act, texts, times map[string]string) {
	for input, member := range texts {
		if a.Args.Has(input) {
			body[member] = a.Args.Text(input)
		}
	}
	for input, member := range times {
		if a.Args.Has(input) {
			body[member] = a.Args.Seconds(input)
		}
	}
}

// Inputs that several actions take.
var (
	ttlInput    = keyturn.Input{Name: "ttl", Kind: keyturn.InputDuration, Short: "how long what it issues lives where nobody says it"}
	maxTTLInput = keyturn.Input{Name: "max-ttl", Kind: keyturn.InputDuration, Short: "how long it may live at most"}
)

// capabilities asks the server what a token may do, by path.
func (s *server) capabilities(ctx context.Context, at string, body map[string]any) (map[string][]string, error) {
	var answer map[string]any
	if err := s.call(ctx, http.MethodPost, at, body, &answer); err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for p, v := range answer {
		list, _ := v.([]any)
		for _, c := range list {
			if c, ok := c.(string); ok {
				out[p] = append(out[p], c)
			}
		}
	}
	return out, nil
}

// requireCapability returns Denied where this token lacks a capability on a path.
func (s *server) requireCapability(ctx context.Context, at, capability string) error {
	have, err := s.capabilities(ctx, "sys/capabilities-self", map[string]any{"paths": []string{at}})
	if err != nil || slices.Contains(have[at], "root") || slices.Contains(have[at], capability) {
		return err
	}
	e := keyturn.E(keyturn.Denied, "your token may not change "+keyturn.Clean(at), api.Grant(at, `"`+capability+`"`)+"; nothing was done")
	e.By = "platform"
	return e
}
