package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// capabilityLimit is how long the question may take that only makes an error
// better.
const capabilityLimit = 5 * time.Second

const capabilitiesSelf = "sys/capabilities-self"

// lacking completes the Denied error of a request: which capability its token
// lacks on the path, by Vault's own names
// (https://developer.hashicorp.com/vault/docs/concepts/policies#capabilities). The
// server is asked what the token may do there, which every token may by its default
// policy; where even that is refused, the error stays as it is.
func (c *Client) lacking(ctx context.Context, r Request, e *keyturn.Error) {
	needs := needed(r)
	if r.Anonymous || r.Path == capabilitiesSelf || strings.HasPrefix(r.Path, "sys/internal/") || len(needs) == 0 {
		return
	}
	on := " on " + keyturn.Clean(r.Path)
	ctx, cancel := context.WithTimeout(ctx, capabilityLimit)
	defer cancel()
	has, err := c.capabilities(ctx, r.Path)
	if err != nil {
		return
	}
	lacks := slices.DeleteFunc(slices.Clone(needs), func(n string) bool { return slices.Contains(has, n) })
	switch {
	case slices.Contains(has, "root") || len(lacks) == 0 && slices.Contains(has, "sudo"):
		e.Hint = "its policies allow this path: a parameter, a control group or a second factor is missing"
	case len(lacks) == 0:
		e.Hint = "the token lacks 'sudo'" + on + ", or its policies refuse one of the parameters"
	default:
		e.Hint = "the token lacks '" + strings.Join(lacks, "' and '") + "'" + on + "\n" + e.Hint
	}
}

// needed lists the capabilities of which a request needs one: which of create and
// update depends on whether something is there.
func needed(r Request) []string {
	switch r.Method {
	case http.MethodGet:
		return []string{"read"}
	case "LIST":
		return []string{"list"}
	case http.MethodDelete:
		return []string{"delete"}
	case http.MethodPatch:
		return []string{"patch"}
	case http.MethodPost, http.MethodPut:
		return []string{"create", "update"}
	}
	return nil
}

// capabilities asks what the token may do on a path.
func (c *Client) capabilities(ctx context.Context, path string) ([]string, error) {
	reading := c.answers.Begin()
	defer reading.End()
	raw, err := c.raw(ctx, Request{Method: http.MethodPost, Path: capabilitiesSelf, Body: map[string][]string{"paths": {path}}}, reading)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Capabilities []string `json:"capabilities"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, c.strange(Request{Method: http.MethodGet})
	}
	return answer.Capabilities, nil
}
