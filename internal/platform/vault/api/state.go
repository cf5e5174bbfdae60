package api

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
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

	Wire Wire // how it was reached

	Node string // the address of the mount that was asked
	Err  error  // why it could not be asked: nothing else is known then
}

// State asks one of Nodes about itself; "" for whichever answers.
func (c *Client) State(ctx context.Context, node string) (State, error) {
	s := State{Node: node}
	if err := c.Ask(ctx, Request{Method: http.MethodGet, Path: "sys/seal-status", Anonymous: true, Node: node}, &s); err != nil {
		return State{Node: node, Err: err}, err
	}
	if w, ok := c.seen.Load(node); ok {
		s.Wire = w.(Wire)
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

// Wire is what the last answer of a server told beside what it said.
type Wire struct {
	TLS  keyturn.TLSInfo
	Date time.Time // by the server's clock, to the second; zero where it did not say
	At   time.Time // when that came
}

// Ahead is how far the server's clock is ahead of ours, to the second; nil where it
// is not known.
func (w Wire) Ahead() *time.Duration {
	if w.Date.IsZero() {
		return nil
	}
	d := w.Date.Add(time.Second / 2).Sub(w.At).Round(time.Second) // its seconds are cut off
	return &d
}

// saw keeps what an answer of a node tells beside what it says.
func (c *Client) saw(node *url.URL, resp *http.Response) {
	w := Wire{TLS: keyturn.TLSInfo{Version: "none"}, At: c.Now()}
	if t := resp.TLS; t != nil {
		w.TLS.Version = tls.VersionName(t.Version)
		if len(t.PeerCertificates) > 0 {
			w.TLS.Ends = t.PeerCertificates[0].NotAfter.UTC()
		}
	}
	w.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	c.seen.Store(node.String(), w)
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
