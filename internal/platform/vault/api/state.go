package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// State is what one server tells of itself to anybody
// (https://developer.hashicorp.com/vault/api-docs/system/seal-status,
// https://developer.hashicorp.com/vault/api-docs/system/leader).
type State struct {
	Initialized bool   `json:"initialized"`
	Sealed      bool   `json:"sealed"`
	T           int    `json:"t"`        // so many key shares unseal it,
	N           int    `json:"n"`        // of so many,
	Progress    int    `json:"progress"` // and so many were given
	Nonce       string `json:"nonce"`    // of this attempt: another one once the shares were thrown away
	Seal        string `json:"type"`     // "shamir", or a service that unseals it
	Version     string `json:"version"`
	Storage     string `json:"storage_type"`
	Cluster     string `json:"cluster_name"`

	// What an unsealed server tells of its cluster; zero where it is none.
	HA       bool      // it can be one of several
	Active   bool      // it is the one that answers; the others stand by
	ActiveAt string    // the address of the active one; "" where none is known
	Since    time.Time // that Active has been

	Peer wire.Peer // of the last answer

	Node string // the address of the mount that was asked
	Err  error  // why it could not be asked: nothing else is known then
}

// State asks one of Nodes about itself; "" for whichever answers.
func (c *Client) State(ctx context.Context, node string) (State, error) {
	s := State{Node: node}
	if err := c.Ask(ctx, Request{Method: http.MethodGet, Path: "sys/seal-status", Anonymous: true, Node: node}, &s); err != nil {
		return State{Node: node, Err: err}, err
	}
	if p, ok := c.peers.Load(node); ok {
		s.Peer = p.(wire.Peer)
	}
	if s.Sealed || !s.Initialized {
		return s, nil
	}
	var l struct {
		HA     bool      `json:"ha_enabled"`
		Self   bool      `json:"is_self"`
		Since  time.Time `json:"active_time"`
		Leader string    `json:"leader_address"`
	}
	// That a server tells nothing of its cluster is no failure.
	if err := c.Ask(ctx, Request{Method: http.MethodGet, Path: "sys/leader", Anonymous: true, Node: node}, &l); err == nil && l.HA {
		s.HA, s.Active, s.ActiveAt = true, l.Self, keyturn.Clean(l.Leader)
		if l.Self {
			s.Since = l.Since.UTC()
		}
	}
	return s, nil
}

// States asks all of Nodes at once, and answers in their order.
func (c *Client) States(ctx context.Context) []State {
	nodes := c.Nodes()
	out := make([]State, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { out[i], _ = c.State(ctx, n) })
	}
	wg.Wait()
	return out
}

// Host is the node's, for people.
func (s State) Host() string {
	if u, err := (Config{Address: s.Node, Insecure: true}).nodes(); err == nil {
		return keyturn.Clean(u[0].Host)
	}
	return "the server"
}
