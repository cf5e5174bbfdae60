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
	Mount     string // the name of the mount, for hints; "" where it has none
	Insecure  bool   // plain http to anywhere: the operator wrote it
	// Token returns the token to use; an error is returned as it is.
	Token func(ctx context.Context) (keyturn.Value, error)
	// Anew says how to get another one, where the server does not take it, for hints;
	// "keyturn login MOUNT" where nil.
	Anew func(ctx context.Context) string
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
	u, err := c.base()
	if err != nil {
		return nil, err
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

// base is the address, in its parts; Invalid where nothing may be sent there.
func (c Config) base() (*url.URL, error) {
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, keyturn.E(keyturn.Invalid, "the address of this mount is not one of a server", "write address: https://vault.example.com:8200")
	}
	if u.Scheme == "http" && !c.Insecure && !Loopback(u.Hostname()) {
		return nil, keyturn.E(keyturn.Invalid, "the address "+keyturn.Clean(u.Host)+" is reached without encryption", "write https://, or insecure: true in the operator's configuration where the network itself is safe")
	}
	return u, nil
}

// Loopback reports whether a host is this machine, by its name or address.
func Loopback(host string) bool {
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
	Changes   bool          // something is made by it, though it only reads
	Wrap      time.Duration // the answer is to be response-wrapped for so long; 0: not
}

// changes reports whether a request that was sent may have changed something.
func (r Request) changes() bool {
	return r.Changes || r.Method != http.MethodGet && r.Method != "LIST"
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
	// MFA is set where there is no token yet: a second factor is asked for.
	MFA json.RawMessage `json:"mfa_requirement"`
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
	return c.Ask(ctx, Request{Ref: ref, Method: method, Path: path, Query: query, Body: body}, out)
}

// Ask is Do of any request.
func (c *Client) Ask(ctx context.Context, r Request, out any) error {
	raw, err := c.raw(ctx, r)
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
		return c.strange(r)
	}
	return err
}

// Send sends one request and returns the whole answer.
func (c *Client) Send(ctx context.Context, r Request) (Answer, error) {
	var a Answer
	raw, err := c.raw(ctx, r)
	if err == nil && len(raw) > 0 && json.Unmarshal(raw, &a) != nil {
		err = c.strange(r)
	}
	return a, err
}

// strange is the error for an answer that is not Vault's: what it changed is not
// known.
func (c *Client) strange(r Request) error {
	return &keyturn.Error{Code: keyturn.Unavailable, Ref: r.Ref, Unknown: r.changes(),
		Message: "the answer of " + keyturn.Clean(c.base.Host) + " is not Vault's", Hint: "is the address right?"}
}

// raw sends one request and returns the body of its answer, of a NotFound too.
func (c *Client) raw(ctx context.Context, r Request) ([]byte, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, r, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil || len(raw) > maxAnswer:
		return nil, c.unreachable(ctx, r, errors.New("its answer was cut short, or is too large"))
	case resp.StatusCode >= 400:
		return raw, c.refused(ctx, r, resp, raw)
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
func (c *Client) unreachable(ctx context.Context, r Request, err error) error {
	ref, changes := r.Ref, r.changes()
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
func (c *Client) refused(ctx context.Context, r Request, resp *http.Response, raw []byte) error {
	ref := r.Ref
	var answer struct {
		Errors []string `json:"errors"`
	}
	if len(raw) <= maxMessage {
		_ = json.Unmarshal(raw, &answer)
	}
	said := strings.Join(answer.Errors, "\n")
	e := &keyturn.Error{Ref: ref, Code: keyturn.Unavailable, Err: &Refusal{Status: resp.StatusCode, says: func(match func(string) bool) bool { return match(said) }}}
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
			e.Code, e.Message, e.Hint = keyturn.Expired, "no token is there for "+server, c.anew(ctx, ref)
		case strings.Contains(said, "unknown role"), strings.Contains(said, "lease not found"):
			e.Code, e.Message = keyturn.NotFound, "there is nothing of that name"
		case strings.Contains(said, "past the max TTL"):
			e.Code, e.Message = keyturn.Unsupported, "it has reached its longest time"
		case strings.Contains(said, "lease is not renewable"):
			e.Code, e.Message = keyturn.Unsupported, "this lease cannot be renewed"
		case strings.Contains(said, "too large"):
			e.Message, e.Hint = "the secret is larger than the server takes", "use several secrets"
		}
	case http.StatusForbidden:
		e.Code, e.By, e.Message, e.Hint = keyturn.Denied, "platform", "the token may not do this", missing(r)
		if strings.Contains(said, "invalid token") || strings.Contains(said, "bad token") {
			e.Code, e.By, e.Message, e.Hint = keyturn.Expired, "", "the token for "+server+" has expired, was revoked, or is not one", c.anew(ctx, ref)
		} else {
			c.lacking(ctx, r, e)
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
			return c.sealed(ctx, r)
		}
	case http.StatusTooManyRequests:
		e.Message, e.Hint = server+" answers too many requests already", "try again in a moment"
		e.Err = throttled(resp.Header.Get("Retry-After"))
	case http.StatusPreconditionFailed: // https://developer.hashicorp.com/vault/docs/enterprise/consistency
		e.Message, e.Hint = server+" does not hold yet what was written before", "try again in a moment"
	case 472: // these two: https://developer.hashicorp.com/vault/api-docs/system/health
		e.Message, e.Hint = server+" is a secondary for disaster recovery, which answers nobody", "write the address of the primary into the mount"
	case 473:
		e.Message, e.Hint = server+" is a standby that does not answer this", "write the address of the active server, or of the load balancer, into the mount"
	default:
		e.Message = server + " failed with status " + strconv.Itoa(resp.StatusCode)
		e.Unknown = resp.StatusCode >= 500 && r.changes()
	}
	return e
}

// throttled is the cause of an answer that came too soon, with what the server said
// of when to ask again: seconds, "" for nothing.
type throttled string

// Error implements error.
func (throttled) Error() string { return "status 429" }

// RetryAfter is what Mount waits for; 0 where the server said nothing.
func (t throttled) RetryAfter() time.Duration {
	n, err := strconv.Atoi(string(t))
	if err != nil || n < 0 || n > 24*60*60 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// sealed is the error of a sealed server, with how far it is unsealed where it says
// so.
func (c *Client) sealed(ctx context.Context, r Request) error {
	var s struct {
		T        int `json:"t"`
		N        int `json:"n"`
		Progress int `json:"progress"`
	}
	if r.Path != "sys/seal-status" {
		if raw, err := c.raw(ctx, Request{Ref: r.Ref, Method: http.MethodGet, Path: "sys/seal-status", Anonymous: true}); err == nil {
			_ = json.Unmarshal(raw, &s)
		}
	}
	return Sealed(s.T, s.N, s.Progress).About(r.Ref)
}

// missing names the permission that a request needs, as Vault's policies write it
// (https://developer.hashicorp.com/vault/docs/concepts/policies#capabilities).
func missing(r Request) string {
	if r.Anonymous {
		return ""
	}
	needs := map[string]string{http.MethodGet: `"read"`, "LIST": `"list"`, http.MethodDelete: `"delete"`, http.MethodPatch: `"patch"`}[r.Method]
	if needs == "" {
		needs = `"create", "update"`
	}
	return "one of its policies has to hold: path \"" + keyturn.Clean(r.Path) + "\" { capabilities = [" + needs + "] }"
}

// Refusal is the cause of an error that the server answered. Its text is the status
// alone; what the server said can be asked about, and not be read.
type Refusal struct {
	Status int
	says   func(match func(said string) bool) bool
}

// Error implements error.
func (r *Refusal) Error() string { return "status " + strconv.Itoa(r.Status) }

// Says reports whether err is an answer in which the server said a phrase, as it is
// written.
func Says(err error, phrase string) bool {
	return Matches(err, func(said string) bool { return strings.Contains(said, phrase) })
}

// Matches reports whether err is an answer in which the server said what match takes.
func Matches(err error, match func(said string) bool) bool {
	var r *Refusal
	return errors.As(err, &r) && r.says(match)
}

func (c *Client) anew(ctx context.Context, ref keyturn.Ref) string {
	if c.Anew != nil {
		return c.Anew(ctx)
	}
	return "keyturn login " + c.mountOf(ref)
}

func (c *Client) mountOf(ref keyturn.Ref) string {
	switch {
	case !ref.IsZero():
		return ref.Mount()
	case c.Mount != "":
		return c.Mount
	}
	return "MOUNT"
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
