// Package api sends requests to the HTTP API that HashiCorp Vault and OpenBao share.
// Its errors have keyturn's codes, and never quote a request or an answer.
//
//	client.go      requests, answers, errors
//	settings.go    the settings of a mount
//	cluster.go     several addresses of one cluster, redirects
//	capability.go  what a token lacks
//	state.go       what a server tells about itself
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
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/wire"
)

// Config says which server is asked, and with which token.
type Config struct {
	// Address is "https://host:port", of a mount of the operator's configuration or
	// of VAULT_ADDR; a path in it is kept. Plain http is for loopback, or where
	// Insecure is set.
	Address string
	// Others are further addresses of the same cluster; only the operator's configuration
	// can name them. A request to Address may be sent to them: see cluster.go.
	Others    []string
	Namespace string // "" for the root namespace
	Mount     string // the name of the mount, for hints; "" where it has none
	Insecure  bool   // plain http to anywhere: the operator wrote it
	// Environment is set where Vault's own variables made this Config, and not the
	// operator's configuration. Hints then name the variables.
	Environment bool
	// Token returns the token to use. A request returns its error unchanged.
	Token func(ctx context.Context) (keyturn.Value, error)
	// Anew returns the command that gets another token, for hints where the server refuses
	// this one; "keyturn login MOUNT" where nil.
	Anew func(ctx context.Context) string
	// TLS, Proxy and AnyProxy are those of wire.Options.
	TLS      wire.TLS
	Proxy    string
	AnyProxy bool
	// Transport sends requests; where nil, one is made of TLS and the proxy.
	Transport http.RoundTripper
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

const timeout = 60 * time.Second // of one request

// Client sends requests. It is safe for concurrent use. It does not retry: Mount does.
type Client struct {
	Config
	nodes   []*url.URL // Address and the others
	last    atomic.Int32
	peers   sync.Map // wire.Peer by the address of a node
	answers *wire.Answers
	http    *http.Client
}

// New returns a client; nothing is sent yet. Invalid where c cannot be used.
func New(c Config) (*Client, error) {
	nodes, err := c.nodes()
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		if c.Transport, err = (wire.Options{TLS: c.TLS, Proxy: c.Proxy, AnyProxy: c.AnyProxy}).Transport(); err != nil {
			return nil, err
		}
	}
	return &Client{nodes: nodes, Config: c, answers: wire.NewAnswers(), http: &http.Client{
		Transport: c.Transport, Timeout: timeout,
		// A redirect could lead the token anywhere: cluster.go looks at each.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Request is one request of the API.
type Request struct {
	Ref       keyturn.Ref // of the secret, for errors; zero for none
	Method    string
	Path      string // below /v1/
	Query     string
	Body      any           // has a JSON form; nil for none
	Anonymous bool          // without a token, as for a login
	Changes   bool          // the server makes something, though the method only reads
	Wrap      time.Duration // lifetime of the response-wrapped answer; 0: not wrapped
	Node      string        // one of Nodes, to be asked about itself; "" for any node
}

// changes reports whether the request may change something on the server.
func (r Request) changes() bool {
	return r.Changes || r.Method != http.MethodGet && r.Method != "LIST"
}

// The most bytes of an answer. The largest secret of a server with raft storage, 1 MiB,
// is at most 6 MiB as JSON (https://developer.hashicorp.com/vault/docs/internals/limits).
const (
	maxAnswer  = 8 << 20
	maxListing = 32 << 20  // names of one folder
	maxLogin   = 1 << 20   // of requests without a token, and all about tokens
	maxMessage = 256 << 10 // of an error
)

// limit returns the most bytes of an answer to r.
func (r Request) limit(status int) int64 {
	switch {
	case status >= http.StatusMultipleChoices:
		return maxMessage
	case r.Method == "LIST":
		return maxListing
	case r.Anonymous, strings.HasPrefix(r.Path, "auth/"):
		return maxLogin
	}
	return maxAnswer
}

// Answer is the answer to a request.
type Answer struct {
	Data          json.RawMessage `json:"data"`
	Auth          *Auth           `json:"auth"`
	Wrap          *Wrap           `json:"wrap_info"`
	LeaseID       string          `json:"lease_id"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
}

// Auth is the token that a login returns.
type Auth struct {
	Token     string   `json:"client_token"`
	Accessor  string   `json:"accessor"`
	Policies  []string `json:"policies"`
	Duration  int      `json:"lease_duration"` // seconds; 0: for ever
	Renewable bool     `json:"renewable"`
	// MFA is set instead of a token where the server wants a second factor.
	MFA json.RawMessage `json:"mfa_requirement"`
}

// Wrap is a wrapped response, which can be unwrapped once.
type Wrap struct {
	Token    string    `json:"token"`
	Accessor string    `json:"accessor"`
	TTL      int       `json:"ttl"` // seconds
	Created  time.Time `json:"creation_time"`
	Within   string    `json:"wrapped_accessor"` // of what is wrapped, where that has one
}

// Do sends one request about ref, zero for none, and decodes the member "data" of the
// answer (or the answer itself, where it has none) into out, which may be nil. It also
// decodes an answer of 404 that has data, as for a deleted version.
func (c *Client) Do(ctx context.Context, ref keyturn.Ref, method, path, query string, body, out any) error {
	return c.Ask(ctx, Request{Ref: ref, Method: method, Path: path, Query: query, Body: body}, out)
}

// Ask is Do for any request. It returns Unavailable where the answer is not Vault's: the
// page of a gateway, for instance.
func (c *Client) Ask(ctx context.Context, r Request, out any) error {
	reading := c.answers.Begin()
	defer reading.End()
	raw, err := c.raw(ctx, r, reading)
	if out == nil || err != nil && keyturn.AsError(err).Code != keyturn.NotFound {
		return err
	}
	if len(raw) == 0 && err == nil {
		return c.strange(r) // something was asked for
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
	reading := c.answers.Begin()
	defer reading.End()
	raw, err := c.raw(ctx, r, reading)
	if err == nil && len(raw) > 0 && json.Unmarshal(raw, &a) != nil {
		err = c.strange(r)
	}
	return a, err
}

// sound reports whether a successful answer can be Vault's: empty with status 204, or a
// JSON object without errors.
func sound(status int, raw []byte) bool {
	if len(raw) == 0 {
		return status == http.StatusNoContent
	}
	var answer struct {
		Errors []json.RawMessage `json:"errors"`
	}
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) && json.Unmarshal(raw, &answer) == nil && len(answer.Errors) == 0
}

// strange returns the error for an answer that is not Vault's. The outcome of a change is
// unknown then.
func (c *Client) strange(r Request) error { return c.strangeOf(r, c.nodes[c.last.Load()]) }

func (c *Client) strangeOf(r Request, node *url.URL) error {
	return &keyturn.Error{Code: keyturn.Unavailable, Ref: r.Ref, Unknown: r.changes(), Err: wire.Final(errStrange),
		Message: "the answer of " + keyturn.Clean(node.Host) + " is not Vault's", Hint: "is the address right, and nothing between that answers for it?"}
}

// tooLarge returns the error for an answer that is larger than its limit.
func (c *Client) tooLarge(r Request, node *url.URL) error {
	return &keyturn.Error{Code: keyturn.Unavailable, Ref: r.Ref, Unknown: r.changes(), Err: wire.Final(errTooLarge),
		Message: "the answer of " + keyturn.Clean(node.Host) + " is too large", Hint: "is it Vault that answers there?"}
}

var errTooLarge = errors.New("no answer of Vault's is so large")

var errStrange = errors.New("it is not what Vault answers to this")

func (c *Client) request(ctx context.Context, r Request, node *url.URL) (*http.Request, error) {
	u := *node
	u.Path = pathAt(node, r)
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
			return nil, c.tokenless(ctx, r, node, err)
		}
		if !visible(token) {
			return nil, keyturn.E(keyturn.Invalid, "the token for "+keyturn.Clean(node.Host)+" has a space, a line break or another character that no token has",
				"was something copied along with it?").About(r.Ref)
		}
		req.Header.Set("X-Vault-Token", string(token.Reveal()))
	}
	req.Header.Set("X-Vault-Request", "true")
	if r.Method == http.MethodPatch { // https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#patch-metadata
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	if c.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.Namespace)
	}
	if r.Wrap > 0 {
		req.Header.Set("X-Vault-Wrap-TTL", strconv.Itoa(int(r.Wrap.Seconds())))
	}
	return req, nil
}

// visible reports whether v has only characters that a header can hold.
func visible(v keyturn.Value) bool {
	for _, b := range v.Reveal() {
		if b <= ' ' || b == 0x7f {
			return false
		}
	}
	return true
}

// unreachable returns the error of a request that got no answer.
func (c *Client) unreachable(ctx context.Context, r Request, node *url.URL, err error) error {
	ref, changes := r.Ref, r.changes()
	if ctx.Err() != nil {
		if !changes {
			return ctx.Err()
		}
		return &keyturn.Error{Code: keyturn.Unavailable, Ref: ref, Unknown: true, Err: ctx.Err(),
			Message: "the request was given up while it was under way", Hint: "look at 'keyturn history' whether it happened"}
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(node.Host)+" is not the server that it says to be: "+keyturn.Clean(cert.Err.Error()),
			c.setting("ca_cert")+" names the authority of its certificate, "+c.setting("server_name")+" the name in it").About(ref).Because(wire.Final(cert))
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		hint := c.setting("address") + " has to be http://" + keyturn.Clean(node.Host)
		if !wire.Loopback(node.Hostname()) {
			hint = "have the server speak TLS; where the network itself is safe, write http:// and insecure: true in the operator's configuration"
		}
		return keyturn.E(keyturn.Invalid, keyturn.Clean(node.Host)+" does not speak https", hint).About(ref).Because(wire.Cause(err))
	}
	who := "where it asks who you are, " + c.setting("client_cert") + " and " + c.setting("client_key") + " say so"
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // an alert of TLS: the request was not read
		return keyturn.E(keyturn.Unavailable, keyturn.Clean(node.Host)+" refuses the connection: "+keyturn.Clean(op.Err.Error()),
			who).About(ref).Because(wire.Final(wire.Cause(err)))
	}
	var by wire.ProxyRefusal
	if errors.As(err, &by) {
		return keyturn.E(keyturn.Unavailable, "the proxy on the way to "+keyturn.Clean(node.Host)+" does not connect us (status "+strconv.Itoa(int(by))+")",
			"is "+c.proxySetting()+" right, and may it go there?").About(ref).Because(wire.Final(by))
	}
	sent, cause := true, wire.Cause(err)
	var slow net.Error
	var header tls.RecordHeaderError
	if errors.As(err, &slow) && slow.Timeout() || errors.As(err, &header) { // long enough, or the same again
		cause = wire.Final(cause)
	}
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		sent, cause = false, notBegun{cause}
	}
	hint := "is the server up, and the address right? 'keyturn status' tells"
	if sent && node.Scheme == "https" && c.TLS.ClientCert == "" { // it may have closed before its alert was read
		hint += "; " + who
	}
	return &keyturn.Error{Code: keyturn.Unavailable, Ref: ref, Unknown: changes && sent, Err: cause,
		Message: keyturn.Clean(node.Host) + " does not answer", Hint: hint}
}

// refused returns the error for an answer with an error status. It reads the server's
// text and does not quote it: the text could repeat the request.
func (c *Client) refused(ctx context.Context, r Request, node *url.URL, resp *http.Response, raw []byte) error {
	ref := r.Ref
	var answer struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(raw, &answer)
	said := strings.Join(answer.Errors, "\n")
	e := &keyturn.Error{Ref: ref, Code: keyturn.Unavailable, Err: &Refusal{Status: resp.StatusCode, says: func(match func(string) bool) bool { return match(said) }}}
	server := keyturn.Clean(node.Host)
	switch resp.StatusCode {
	case http.StatusBadRequest:
		e.Code, e.Message = keyturn.Invalid, "the server refuses this request"
		switch {
		case bytes.Contains(raw, []byte(plainToTLS)) && node.Scheme == "http":
			e.Message, e.Hint = server+" speaks https", c.setting("address")+" has to be https://"+server
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
		} else if r.Anonymous {
			e.Message, e.Hint = server+" refuses this", "is the address right? Vault asks for no token here"
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
			return c.sealed(ctx, r, node)
		}
	case http.StatusTooManyRequests:
		e.Message, e.Hint = server+" answers too many requests already", "try again in a moment"
		e.Err = wire.Throttled(resp.Header.Get("Retry-After"))
	case http.StatusPreconditionFailed: // https://developer.hashicorp.com/vault/docs/enterprise/consistency
		e.Message, e.Hint = server+" does not hold yet what was written before", "try again in a moment"
	case 472: // these two: https://developer.hashicorp.com/vault/api-docs/system/health
		e.Message, e.Hint = server+" is a secondary for disaster recovery, which answers nobody", "write the address of the primary into the mount"
	case 473:
		e.Message, e.Hint = server+" is a standby that does not answer this", "write the address of the active server, or of the load balancer, into the mount"
	default:
		if strings.Contains(said, leaderless) {
			e.Message, e.Hint = server+" is a standby, and knows no active server", "one is elected in a few seconds, where most of the cluster is up and unsealed: 'keyturn status' tells"
			e.Err = notBegun{e.Err}
			break
		}
		e.Message = server + " failed with status " + strconv.Itoa(resp.StatusCode)
		e.Unknown = resp.StatusCode >= 500 && r.changes()
	}
	return e
}

// plainToTLS is the answer of a Go server that speaks https to a request over http.
const plainToTLS = "HTTP request to an HTTPS server"

// setting names one of Settings, for hints: its variable or its key.
func (c *Client) setting(key string) string {
	for _, s := range Settings {
		if s.Key == key && c.Environment && s.Variable != "" {
			return s.Variable
		}
	}
	return "the mount's " + key
}

// proxySetting names the setting or variable of the proxy, for hints.
func (c *Client) proxySetting() string {
	if c.Proxy == "" {
		return "HTTPS_PROXY"
	}
	return c.setting("proxy")
}

// sealed returns the error of a sealed server, with the progress of unsealing where the
// server tells it.
func (c *Client) sealed(ctx context.Context, r Request, node *url.URL) error {
	var s State
	if r.Path != "sys/seal-status" {
		s, _ = c.State(ctx, node.String())
	}
	return Sealed(s.T, s.N, s.Progress).About(r.Ref)
}

// tokenless returns the error of a request for which there is no token. Where the server
// is sealed, or the address has the wrong scheme, that is the error: nobody could log in.
func (c *Client) tokenless(ctx context.Context, r Request, node *url.URL, err error) error {
	if !errors.Is(err, keyturn.Expired) {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, capabilityLimit)
	defer cancel()
	switch s, asked := c.State(limited, node.String()); {
	case asked == nil && s.Sealed:
		return Sealed(s.T, s.N, s.Progress).About(r.Ref)
	case errors.Is(asked, keyturn.Invalid): // the address says the wrong scheme
		return asked
	}
	return err
}

// missing returns the policy that a request needs, as a hint
// (https://developer.hashicorp.com/vault/docs/concepts/policies#capabilities).
func missing(r Request) string {
	if r.Anonymous {
		return ""
	}
	needs := map[string]string{http.MethodGet: `"read"`, "LIST": `"list"`, http.MethodDelete: `"delete"`, http.MethodPatch: `"patch"`}[r.Method]
	if needs == "" {
		needs = `"create", "update"`
	}
	return Grant(r.Path, needs)
}

// Grant returns, for hints, the policy that grants capabilities, written "a", "b", on a
// path. It is HCL to paste only where the path means itself in a policy; for a path with
// quotes, globs or templates Grant uses words
// (https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax).
func Grant(path, capabilities string) string {
	if path != keyturn.Clean(path) || strings.ContainsAny(path, "\"\\*+") || strings.Contains(path, "${") || strings.Contains(path, "{{") {
		return "one of its policies has to allow " + strings.ReplaceAll(capabilities, "\"", "'") + " on this path; its name has characters that mean something else in a policy"
	}
	return "one of its policies has to hold: path \"" + path + "\" { capabilities = [" + capabilities + "] }"
}

// Refusal is the cause where the server answered with an error. Its text is only the
// status. Callers can match the server's text (Says, Matches) and cannot read it.
type Refusal struct {
	Status int
	says   func(match func(said string) bool) bool
}

// Error implements error.
func (r *Refusal) Error() string { return "status " + strconv.Itoa(r.Status) }

// Says reports whether err is a Refusal whose text has a phrase.
func Says(err error, phrase string) bool {
	return Matches(err, func(said string) bool { return strings.Contains(said, phrase) })
}

// Matches reports whether err is a Refusal whose text match accepts.
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

// Sealed returns the error of a sealed server. t of n key shares unseal the server, and
// given is how many it has.
func Sealed(t, n, given int) *keyturn.Error {
	hint := "its operators unseal it with the threshold of keys: keyturn vault unseal"
	if t > 0 {
		hint = strconv.Itoa(given) + " of " + strconv.Itoa(t) + " keys were given (of " + strconv.Itoa(n) + "): keyturn vault unseal"
	}
	return keyturn.E(keyturn.Sealed, "the server is sealed", hint)
}
