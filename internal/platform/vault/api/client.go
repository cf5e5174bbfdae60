// Package api sends requests to the HTTP API that HashiCorp Vault and OpenBao
// share: address, token, namespace and TLS of one mount, answers of bounded size,
// and errors by their codes, which never quote what was sent or answered.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Config says which server, and as whom.
type Config struct {
	// Address is "https://host:port", of a mount of the operator's configuration or
	// of VAULT_ADDR; a path in it is kept. Plain http is for loopback, or where
	// Insecure is set.
	Address   string
	Namespace string // "" for the root namespace
	Insecure  bool   // plain http to anywhere: the operator wrote it
	// Token returns the token to use; an error is returned as it is.
	Token func(ctx context.Context) (keyturn.Value, error)
	// TLS says how the server is known.
	TLS TLS
	// Transport sends requests; one made of TLS where nil.
	Transport http.RoundTripper
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

const (
	maxAnswer  = 64 << 20 // bytes of one answer
	maxMessage = 64 << 10 // of an error's
	timeout    = 60 * time.Second
)

// Client sends one request at a time for each of its callers; it is safe for
// concurrent use. It does not retry: Mount does.
type Client struct {
	base *url.URL
	Config
	http *http.Client
}

// New returns a client; nothing is sent yet. Invalid where c cannot be used.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, keyturn.E(keyturn.Invalid, "the address of this mount is not one of a server", "write address: https://vault.example.com:8200")
	}
	if u.Scheme == "http" && !c.Insecure && !loopback(u.Hostname()) {
		return nil, keyturn.E(keyturn.Invalid, "the address "+keyturn.Clean(u.Host)+" is reached without encryption", "write https://, or insecure: true in the operator's configuration where the network itself is safe")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		if c.Transport, err = c.TLS.transport(); err != nil {
			return nil, err
		}
	}
	return &Client{base: u, Config: c, http: &http.Client{
		Transport: c.Transport, Timeout: timeout,
		// A redirect could lead the token anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Request is one request of the API.
type Request struct {
	Ref       keyturn.Ref // that it is about, for errors; zero for none
	Method    string
	Path      string // below /v1/
	Query     string
	Body      any           // has a JSON form; nil for none
	Anonymous bool          // no token is sent: a login
	Wrap      time.Duration // the answer is to be response-wrapped for so long; 0: not
}

// Answer is what the server answered.
type Answer struct {
	Data          json.RawMessage `json:"data"`
	Auth          *Auth           `json:"auth"`
	Wrap          *Wrap           `json:"wrap_info"`
	LeaseID       string          `json:"lease_id"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
}

// Auth is the token that a login made.
type Auth struct {
	Token     string   `json:"client_token"`
	Accessor  string   `json:"accessor"`
	Policies  []string `json:"policies"`
	Duration  int      `json:"lease_duration"` // seconds; 0: for ever
	Renewable bool     `json:"renewable"`
}

// Wrap is a response that waits to be unwrapped once.
type Wrap struct {
	Token    string    `json:"token"`
	Accessor string    `json:"accessor"`
	TTL      int       `json:"ttl"` // seconds
	Created  time.Time `json:"creation_time"`
}

// Do sends one request about ref, zero for none, and reads the member "data" of
// the answer (or the answer itself, where it has none) into out, which may be nil. An
// answer of 404 that tells why (a deleted version) is read too.
func (c *Client) Do(ctx context.Context, ref keyturn.Ref, method, path, query string, body, out any) error {
	raw, err := c.raw(ctx, Request{Ref: ref, Method: method, Path: path, Query: query, Body: body})
	if out == nil || len(raw) == 0 || err != nil && keyturn.AsError(err).Code != keyturn.NotFound {
		return err
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if decodeErr := json.Unmarshal(raw, &envelope); decodeErr == nil && envelope.Data != nil && string(envelope.Data) != "null" {
		raw = envelope.Data
	} else if err != nil {
		return err
	}
	if decodeErr := json.Unmarshal(raw, out); decodeErr != nil && err == nil {
		return c.strange(ref)
	}
	return err
}

// Send sends one request and returns the whole answer.
func (c *Client) Send(ctx context.Context, r Request) (Answer, error) {
	var a Answer
	raw, err := c.raw(ctx, r)
	if err == nil && len(raw) > 0 && json.Unmarshal(raw, &a) != nil {
		err = c.strange(r.Ref)
	}
	return a, err
}

// strange is the error for an answer that is not Vault's.
func (c *Client) strange(ref keyturn.Ref) error {
	return keyturn.E(keyturn.Unavailable, "the answer of "+keyturn.Clean(c.base.Host)+" is not Vault's", "is the address right?").About(ref)
}

// raw sends one request and returns the body of its answer, of a NotFound too.
func (c *Client) raw(ctx context.Context, r Request) ([]byte, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, r.Ref, r.Method, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil || len(raw) > maxAnswer:
		return nil, c.unreachable(ctx, r.Ref, r.Method, errors.New("its answer was cut short, or is too large"))
	case resp.StatusCode >= 400:
		return raw, c.refused(r.Ref, r.Method, resp, raw)
	case resp.StatusCode >= 300:
		return nil, keyturn.E(keyturn.Unavailable, "the server "+keyturn.Clean(c.base.Host)+" sends us elsewhere",
			"write the address of the active server, or of the load balancer, into the mount").About(r.Ref)
	}
	return raw, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/v1/" + r.Path
	u.RawQuery = r.Query
	var send io.Reader
	if r.Body != nil {
		raw, err := json.Marshal(r.Body)
		if err != nil {
			return nil, keyturn.E(keyturn.Internal, "a request has no JSON form", "").About(r.Ref)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), send)
	if err != nil {
		return nil, keyturn.E(keyturn.Invalid, "no request can be made of this name", "").About(r.Ref)
	}
	if !r.Anonymous {
		token, err := c.Token(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Vault-Token", string(token.Reveal()))
	}
	req.Header.Set("X-Vault-Request", "true")
	if c.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.Namespace)
	}
	if r.Wrap > 0 {
		req.Header.Set("X-Vault-Wrap-TTL", strconv.Itoa(int(r.Wrap.Seconds())))
	}
	return req, nil
}

// unreachable is the error of a request without an answer. The transport's own
// text may hold the address, never a header.
func (c *Client) unreachable(ctx context.Context, ref keyturn.Ref, method string, err error) error {
	changes := method != http.MethodGet && method != "LIST"
	var sentTo *url.Error
	if errors.As(err, &sentTo) {
		err = sentTo.Err // its text would hold the whole address, with what a login sends in it
	}
	if ctx.Err() != nil {
		if !changes {
			return ctx.Err()
		}
		return &keyturn.Error{Code: keyturn.Unavailable, Ref: ref, Unknown: true, Err: ctx.Err(),
			Message: "the request was given up while it was under way", Hint: "look at 'keyturn history' whether it happened"}
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(c.base.Host)+" is not the server that it says to be: "+keyturn.Clean(cert.Err.Error()),
			"the mount's ca_cert names the authority of its certificate, server_name the name in it").About(ref)
	}
	var op *net.OpError
	sent := !(errors.As(err, &op) && op.Op == "dial")
	return &keyturn.Error{Code: keyturn.Unavailable, Ref: ref, Unknown: changes && sent, Err: err,
		Message: keyturn.Clean(c.base.Host) + " does not answer", Hint: "is the server up, and the address right? 'keyturn status' tells"}
}

// refused makes the error of an answer that is one. What the server says is
// looked at, and not quoted: it could repeat what was sent.
func (c *Client) refused(ref keyturn.Ref, method string, resp *http.Response, raw []byte) error {
	var answer struct {
		Errors []string `json:"errors"`
	}
	if len(raw) <= maxMessage {
		_ = json.Unmarshal(raw, &answer)
	}
	said := strings.Join(answer.Errors, "\n")
	e := &keyturn.Error{Ref: ref, Code: keyturn.Unavailable, Err: errors.New("status " + strconv.Itoa(resp.StatusCode))}
	server := keyturn.Clean(c.base.Host)
	switch resp.StatusCode {
	case http.StatusBadRequest:
		e.Code, e.Message = keyturn.Invalid, "the server refuses this request"
		switch {
		case strings.Contains(said, "check-and-set parameter did not match"):
			e.Code, e.Message, e.Hint = keyturn.Conflict, "it was written meanwhile", "look at it again with 'keyturn get'"
		case strings.Contains(said, "check-and-set parameter required"):
			e.Code, e.Message, e.Hint = keyturn.Conflict, "this engine takes a put only with the version that it replaces", "add --if-version"
		case strings.Contains(said, "missing client token"):
			e.Code, e.Message, e.Hint = keyturn.Expired, "no token is there for "+server, "keyturn login "+mountOf(ref)
		case strings.Contains(said, "too large"):
			e.Message, e.Hint = "the secret is larger than the server takes", "use several secrets"
		}
	case http.StatusForbidden:
		e.Code, e.By, e.Message = keyturn.Denied, "platform", "the token may not do this"
		if strings.Contains(said, "invalid token") || strings.Contains(said, "bad token") {
			e.Code, e.By, e.Message, e.Hint = keyturn.Expired, "", "the token for "+server+" has expired, was revoked, or is not one", "keyturn login "+mountOf(ref)
		}
	case http.StatusNotFound:
		e.Code, e.Message = keyturn.NotFound, "there is nothing of that name"
	case http.StatusMethodNotAllowed:
		e.Code, e.Message = keyturn.Unsupported, "the server cannot do that here"
	case http.StatusRequestEntityTooLarge:
		e.Code, e.Message, e.Hint = keyturn.Invalid, "the secret is larger than the server takes", "use several secrets"
	case http.StatusServiceUnavailable:
		e.Message = server + " is not available now"
		if strings.Contains(said, "sealed") {
			return Sealed(0, 0, 0).About(ref)
		}
	case http.StatusTooManyRequests:
		e.Message, e.Hint = server+" answers too many requests already", "try again in a moment"
	default:
		e.Message = server + " failed with status " + strconv.Itoa(resp.StatusCode)
		e.Unknown = resp.StatusCode >= 500 && method != http.MethodGet && method != "LIST"
	}
	return e
}

func mountOf(ref keyturn.Ref) string {
	if ref.IsZero() {
		return "MOUNT"
	}
	return ref.Mount()
}

// Sealed is the error of a sealed server: t of n key shares unseal it, and so
// many were given.
func Sealed(t, n, given int) *keyturn.Error {
	hint := "its operators unseal it with the threshold of keys: keyturn vault unseal"
	if t > 0 {
		hint = strconv.Itoa(given) + " of " + strconv.Itoa(t) + " keys were given (of " + strconv.Itoa(n) + "): keyturn vault unseal"
	}
	return keyturn.E(keyturn.Sealed, "the server is sealed", hint)
}
