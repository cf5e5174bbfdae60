package rules

import (
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/rules/pattern"
	"github.com/keyturn/keyturn/internal/rules/quote"
)

const maxHTTP = 2500 // bytes

var (
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	// Headers that steer the connection or where a request goes: a value there
	// would be a second address.
	steering = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade",
		"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Forwarded", "X-Forwarded-Host", "X-Forwarded-For",
		"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "Content-Type", "Expect"}
)

// Endpoint is a parsed http sink: which HTTPS requests may carry a value, and
// where in them.
//
//	METHOD HOST[:PORT]/PATH PLACE
//	POST api.github.com/repos/acme/** header:Authorization
//
// The host is exact. In the path, "*" is exactly one segment, which is not
// empty, and "**" any number of them. A query is not part of it. PLACE is
// header:NAME or body:FIELD; an address may be logged by anyone, so it never
// holds a value.
type Endpoint struct {
	method, host string
	path         []string
	place        string
}

// HTTPRequest is a request that would carry a value, in the words of an Endpoint.
type HTTPRequest struct {
	Method string // upper case
	Host   string // lower case, with the port unless that is 443
	Path   string // escaped as package url does, without query
	Place  string // header:NAME or body:FIELD
}

// ParseEndpoint reads an http sink; Invalid with the reason where it is none.
func ParseEndpoint(s string) (Endpoint, error) {
	bad := func(why, hint string) (Endpoint, error) {
		return Endpoint{}, keyturn.E(keyturn.Invalid, quote.Text(s)+" is not an http sink: "+why, hint)
	}
	if len(s) > maxHTTP || keyturn.Clean(s) != s {
		return bad("it is too long or has control characters", "it may have 2500 bytes")
	}
	parts := strings.Split(s, " ")
	if len(parts) != 3 {
		return bad("it has three parts with one blank between them", "write METHOD HOST/PATH PLACE, for instance: POST api.github.com/repos/acme/** header:Authorization")
	}
	if !slices.Contains(methods, parts[0]) {
		return bad("unknown method", "known are "+strings.Join(methods, ", ")+"; write one sink for each")
	}
	if strings.Contains(parts[1], "://") {
		return bad("it has a scheme", "leave it out: it is always https")
	}
	host, path, ok := strings.Cut(parts[1], "/")
	if !ok {
		return bad("a path is missing", "write "+host+"/** for every path")
	}
	if why, hint := checkHost(host); why != "" {
		return bad(why, hint)
	}
	e := Endpoint{method: parts[0], host: host}
	for seg := range strings.SplitSeq(path, "/") {
		if seg != pattern.Single && seg != pattern.Deep && strings.Contains(seg, "*") {
			return bad("'*' stands for a whole segment", "write * or ** between slashes")
		}
		if seg == pattern.Deep && len(e.path) > 0 && e.path[len(e.path)-1] == pattern.Deep {
			continue
		}
		e.path = append(e.path, seg)
	}
	if len(e.path) > pattern.MaxSegments {
		return bad("its path has too many segments", "it may have 128; ** stands for any number")
	}
	probe := "/" + strings.ReplaceAll(path, "*", "x")
	if !cleanPath(probe) {
		return bad("its path is not in canonical form", "write it as it stands in an address: no '.', '..' or empty segment, no query, escaped only where needed")
	}
	var why, hint string
	if e.place, why, hint = checkPlace(parts[2]); why != "" {
		return bad(why, hint)
	}
	return e, nil
}

// Match reports whether r may carry the value. A request that is not in the form
// that HTTPRequest asks for matches nothing.
func (e Endpoint) Match(r HTTPRequest) bool {
	if e.method == "" || r.Method != e.method || r.Host != e.host || !cleanPath(r.Path) {
		return false
	}
	if place, why, _ := checkPlace(r.Place); why != "" || place != e.place {
		return false
	}
	// A slash at the end makes an empty last segment, which "*" does not match.
	return pattern.Of(e.path).MatchPath(strings.Split(r.Path[1:], "/"))
}

// cleanPath reports whether an escaped path has one spelling only: what a server
// could read in two ways is refused.
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' || len(p) > 8192 || strings.ContainsAny(p, "?#\\;") {
		return false
	}
	plain, err := url.PathUnescape(p)
	if err != nil || strings.ContainsAny(plain, "\\") || keyturn.Clean(plain) != plain ||
		(&url.URL{Path: plain}).EscapedPath() != p {
		return false
	}
	segs := strings.Split(plain[1:], "/")
	for i, seg := range segs {
		if seg == "." || seg == ".." || seg == "" && i < len(segs)-1 {
			return false
		}
	}
	return true
}

// checkHost says why h is not an exact host with an optional port.
func checkHost(h string) (why, hint string) {
	name, port, hasPort := strings.Cut(h, ":")
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return "its port is not one", "write HOST:PORT with a port of 1 to 65535"
		}
		if n == 443 {
			return "443 is the port anyway", "leave :443 out"
		}
	}
	if strings.Contains(name, "*") {
		return "the host is exact", "write one sink for each host"
	}
	if name == "" || len(name) > 253 {
		return "the host is missing or too long", "write HOST/PATH"
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		ok := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for i := 0; ok && i < len(label); i++ {
			c := label[i]
			ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
		}
		if !ok {
			return "its host is not in canonical form", "write it in lower case, without user, trailing dot or brackets; other scripts as xn--"
		}
		last = label
	}
	if last[0] >= '0' && last[0] <= '9' {
		// 0x7f.1 and 2130706433 are addresses too.
		if a, err := netip.ParseAddr(name); err != nil || a.String() != name {
			return "its host looks like an address but is none", "write an IPv4 address as 192.0.2.1"
		}
	}
	return "", ""
}

// checkPlace returns the canonical spelling of a place, or why it is none.
func checkPlace(s string) (place, why, hint string) {
	kind, name, _ := strings.Cut(s, ":")
	switch {
	case kind == "query" || kind == "path" || kind == "url":
		return "", "an address must not hold a value", "addresses are logged: use header:NAME or body:FIELD"
	case kind != "header" && kind != "body":
		return "", "unknown place", "write header:NAME or body:FIELD"
	case name == "" || len(name) > 256:
		return "", "the place has no name, or too long a one", "write " + kind + ":NAME"
	case kind == "body":
		if keyturn.Clean(name) != name || strings.ContainsAny(name, " *") {
			return "", "the field's name is not a plain word", "write body:FIELD"
		}
		return s, "", ""
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "", "the header's name is not one", "write for instance header:Authorization"
		}
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if slices.Contains(steering, name) {
		return "", "the header " + name + " steers the request", "a value goes into Authorization or a header of the service's own"
	}
	return "header:" + name, "", ""
}
