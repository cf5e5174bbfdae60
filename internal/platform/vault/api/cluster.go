package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// A mount may name several addresses of one cluster. A request goes to the one that
// answered last. Where that one takes no connection, is sealed or knows no active
// server, the request has not begun, and the next address is asked. A standby that
// sends a request on to another of these addresses is followed, and to no other: the
// token goes where the operator said.

const (
	// maxHops is how often one request follows a redirect.
	maxHops = 4
	// leaderless is what a standby says that knows no active server: nothing was begun.
	leaderless = "active cluster node not found"
	// noForwarding asks a standby not to pass a request on to the active server by
	// itself, but to send us there
	// (https://developer.hashicorp.com/vault/docs/concepts/ha#client-redirection). It
	// does that also where passing on failed, when the active server may have done
	// already what was asked: for a change only a redirect that was asked for is known
	// to have done nothing.
	noForwarding = "X-Vault-No-Request-Forwarding"
)

// notBegun is the cause of an error after which nothing can have happened, so that
// another address may be asked.
type notBegun struct{ error }

// Unwrap returns the cause.
func (n notBegun) Unwrap() error { return n.error }

// nodes are the addresses, in their parts; Invalid where nothing may be sent to one.
func (c Config) nodes() ([]*url.URL, error) {
	var out []*url.URL
	for _, address := range append([]string{c.Address}, c.Others...) {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, keyturn.E(keyturn.Invalid, "the address of this mount is not one of a server", "write address: https://vault.example.com:8200")
		}
		if p := strings.TrimSuffix(u.Path, "/"); strings.HasSuffix(p, "/v1") || strings.HasSuffix(p, "/ui") {
			return nil, keyturn.E(keyturn.Invalid, "the address of this mount goes too far: keyturn adds /v1 by itself", "write "+keyturn.Clean(u.Scheme+"://"+u.Host+p[:len(p)-3]))
		}
		if u.Scheme == "http" && !c.Insecure && !wire.Loopback(u.Hostname()) {
			return nil, keyturn.E(keyturn.Invalid, "the address "+keyturn.Clean(u.Host)+" is reached without encryption", "write https://, or insecure: true in the operator's configuration where the network itself is safe")
		}
		if len(out) > 0 && u.Scheme != out[0].Scheme {
			return nil, keyturn.E(keyturn.Invalid, "one address of this mount is encrypted and another is not", "write https:// for all of them")
		}
		if !slices.ContainsFunc(out, func(o *url.URL) bool { return sameHost(o, u) }) {
			out = append(out, u)
		}
	}
	return out, nil
}

// Nodes lists the addresses, the mount's own first.
func (c *Client) Nodes() []string {
	var out []string
	for _, u := range c.nodes {
		out = append(out, u.String())
	}
	return out
}

func sameHost(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// pathAt is the path of a request at a node.
func pathAt(node *url.URL, r Request) string {
	return strings.TrimSuffix(node.Path, "/") + "/v1/" + r.Path
}

// redirect is an answer that sends us elsewhere: to the node of that number, or to
// none where it is not one of ours or asks for something else.
type redirect struct{ to int }

// raw sends one request, to as many addresses as it takes, and returns the body of
// the answer, of a NotFound too.
func (c *Client) raw(ctx context.Context, r Request, reading *wire.Reading) ([]byte, error) {
	queue := c.order(r)
	direct := len(c.nodes) > 1 && r.changes()
	var failed error // of those that were asked before, the one that tells most
	for hops := 0; ; {
		at := queue[0]
		queue = queue[1:]
		raw, to, err := c.once(ctx, r, c.nodes[at], direct, reading)
		switch {
		case to != nil && to.to >= 0 && hops < maxHops && (direct || !r.changes()):
			hops++
			queue = append([]int{to.to}, slices.DeleteFunc(queue, func(n int) bool { return n == to.to })...)
			continue
		case to != nil && direct: // let it be passed on
			direct, queue = false, append([]int{at}, queue...)
			continue
		case to != nil:
			return nil, c.sentAway(r, c.nodes[at], *to)
		}
		var nothing notBegun
		if e := keyturn.AsError(err); e == nil || e.Code != keyturn.Sealed && !errors.As(e.Err, &nothing) {
			if e != nil && e.Code == keyturn.Unavailable {
				at = (at + 1) % len(c.nodes) // whoever tries again asks another one first
			}
			if r.Node == "" {
				c.last.Store(int32(at))
			}
			return raw, err
		}
		if failed == nil || tells(err) > tells(failed) {
			failed = err
		}
		if len(queue) == 0 || ctx.Err() != nil {
			return nil, failed
		}
	}
}

// tells ranks what is known of a cluster from one of its nodes.
func tells(err error) int {
	var answered *Refusal
	switch {
	case errors.Is(err, keyturn.Sealed):
		return 2
	case errors.As(keyturn.AsError(err).Err, &answered):
		return 1
	}
	return 0
}

// order is in which order the nodes are asked: the one that answered last, then the
// others as they are written.
func (c *Client) order(r Request) []int {
	last := int(c.last.Load())
	var out []int
	for i, u := range c.nodes {
		switch {
		case r.Node != "" && r.Node == u.String():
			return []int{i}
		case i == last:
			out = append([]int{i}, out...)
		default:
			out = append(out, i)
		}
	}
	return out
}

// once sends one request to one node. It returns the redirect that was answered, nil
// for any other answer.
func (c *Client) once(ctx context.Context, r Request, node *url.URL, direct bool, reading *wire.Reading) ([]byte, *redirect, error) {
	req, err := c.request(ctx, r, node)
	if err != nil {
		return nil, nil, err
	}
	if direct {
		req.Header.Set(noForwarding, "true")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.unreachable(ctx, r, node, err)
	}
	defer resp.Body.Close()
	c.peers.Store(node.String(), wire.PeerOf(resp, c.Now()))
	raw, err := reading.Read(req.Context(), resp, r.limit(resp.StatusCode))
	switch {
	case errors.Is(err, wire.ErrTooLarge) && resp.StatusCode < 300:
		return nil, nil, c.tooLarge(r, node)
	case err != nil && !errors.Is(err, wire.ErrTooLarge):
		return nil, nil, c.unreachable(ctx, r, node, err)
	case resp.StatusCode >= 400:
		return raw, nil, c.refused(ctx, r, node, resp, raw)
	case resp.StatusCode >= 300:
		return nil, c.redirected(r, resp), nil
	case !sound(resp.StatusCode, raw):
		return nil, nil, c.strangeOf(r, node)
	}
	return raw, nil, nil
}

// redirected reads where an answer sends us. Only 307 and 308 keep the method and the
// body (https://www.rfc-editor.org/rfc/rfc9110#section-15.4.8).
func (c *Client) redirected(r Request, resp *http.Response) *redirect {
	to := &redirect{to: -1}
	u, err := resp.Location()
	if err != nil {
		return to
	}
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect || u.User != nil {
		return to
	}
	to.to = slices.IndexFunc(c.nodes, func(n *url.URL) bool {
		return sameHost(n, u) && (u.Path == pathAt(n, r) || u.Path == "/v1/"+r.Path)
	})
	return to
}

// sentAway is the error for a redirect that is not followed. Where to is not repeated:
// the server could put there what it was sent. Of a change it is not known whether it
// happened: the server may have tried to pass it on before.
func (c *Client) sentAway(r Request, node *url.URL, to redirect) error {
	e := &keyturn.Error{Code: keyturn.Unavailable, Ref: r.Ref, Unknown: r.changes(),
		Message: "the server " + keyturn.Clean(node.Host) + " sends us elsewhere, to no address of this mount",
		Hint:    "name all servers of the cluster in the operator's configuration of the mount: addresses: [\"https://…\"]; 'keyturn vault status' tells which one is active"}
	if to.to < 0 {
		e.Err = wire.Final(errors.New("a redirect to no address of the mount"))
	} else {
		e.Message = "the servers of this mount send us from one to another, and none answers"
		e.Hint = "is one of them active? 'keyturn status' tells"
	}
	return e
}
