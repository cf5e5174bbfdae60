package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/admin/words"
)

// Capabilities asks what a token may do, by path.
func (s *Server) Capabilities(ctx context.Context, at string, body map[string]any) (map[string][]string, error) {
	var answer map[string]any
	if err := s.Call(ctx, http.MethodPost, at, body, &answer); err != nil {
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

// May refuses what this token lacks a capability for.
func (s *Server) May(ctx context.Context, at, capability string) error {
	have, err := s.Capabilities(ctx, "sys/capabilities-self", map[string]any{"paths": []string{at}})
	if err != nil || slices.Contains(have[at], "root") || slices.Contains(have[at], capability) {
		return err
	}
	e := keyturn.E(keyturn.Denied, "your token may not change "+keyturn.Clean(at), words.Lacks(at, `"`+capability+`"`)+"; nothing was done")
	e.By = "platform"
	return e
}
