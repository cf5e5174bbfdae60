// Package server is a Vault or OpenBao server as an action of its administration sees
// it: how it is asked, what is mounted there and what a token may do.
//
//	server.go  requests, names, and how they fail
//	mounts.go  engines and login methods
//	token.go   what the token may do
package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Action is an action and what carries it out.
type Action struct {
	keyturn.Action
	Do func(ctx context.Context, s *Server, a platform.Act) (platform.Acted, error)
}

// Server is the server as one action sees it.
type Server struct {
	Client *api.Client
	Mount  string // the name of the mount that leads to it
}

// Call sends one request and reads the answer's data into out, which may be nil.
func (s *Server) Call(ctx context.Context, method, path string, body, out any) error {
	return s.Client.Do(ctx, keyturn.Ref{}, method, path, "", body, out)
}

// Send sends one request and returns the whole answer; wrapped where wrap is set.
func (s *Server) Send(ctx context.Context, method, path string, body any, wrap time.Duration) (api.Answer, error) {
	return s.Client.Send(ctx, api.Request{Method: method, Path: path, Body: body, Wrap: wrap})
}

// NoHandler is what the server says where nothing is mounted.
const NoHandler = "no handler for route"

// Policies is where policies are.
const Policies = "sys/policies/acl"

// Names lists what is below a path, sorted; none where nothing is.
// NotFound, said with NoHandler, where nothing is mounted.
func (s *Server) Names(ctx context.Context, path string) ([]string, error) {
	var answer struct {
		Keys []string `json:"keys"`
	}
	err := s.Call(ctx, "LIST", path, nil, &answer)
	if errors.Is(err, keyturn.NotFound) && !api.Says(err, NoHandler) {
		return nil, nil
	}
	slices.Sort(answer.Keys)
	return answer.Keys, err
}

// None is a NotFound of something that Vault has no such one of, with the nearest
// of those it has.
func None(what, name string, have []string) error {
	e := keyturn.E(keyturn.NotFound, "no "+what+" "+words.Quoted(name), "")
	if near := keyturn.Nearest(name, slices.Values(have)); near != "" {
		e.Hint = "did you mean " + words.Quoted(near) + "?"
	} else if e.Hint = "there is none yet"; len(have) > 0 {
		e.Hint = "there are " + words.Some(have)
	}
	return e
}

// Set adds to body what was given: texts by their members, times in seconds.
func Set(body map[string]any, a platform.Act, texts, times map[string]string) {
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
	TTL    = keyturn.Input{Name: "ttl", Kind: keyturn.InputDuration, Short: "how long what it issues lives where nobody says it"}
	MaxTTL = keyturn.Input{Name: "max-ttl", Kind: keyturn.InputDuration, Short: "how long it may live at most"}
)
