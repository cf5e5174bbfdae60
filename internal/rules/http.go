package rules

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

const maxHTTP = 2500 // bytes

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

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
		return Endpoint{}, keyturn.E(keyturn.Invalid, quote(s)+" is not an http sink: "+why, hint)
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
		if seg != single && seg != deep && strings.Contains(seg, "*") {
			return bad("'*' stands for a whole segment", "write * or ** between slashes")
		}
		if seg == deep && len(e.path) > 0 && e.path[len(e.path)-1] == deep {
			continue
		}
		e.path = append(e.path, seg)
	}
	if len(e.path) > maxSegments {
		return bad("its path has too many segments", "it may have 128; ** stands for any number")
	}
	probe := "/" + strings.ReplaceAll(path, "*", "x")
	if !cleanPath(probe) {
		return bad("its path is not in canonical form", "write it as it stands in an address: no '.', '..' or empty segment, no query, escaped only where needed")
	}
	var why, hint string
	if e.place, why, hint = parsePlace(parts[2]); why != "" {
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
	if place, why, _ := parsePlace(r.Place); why != "" || place != e.place {
		return false
	}
	// A slash at the end makes an empty last segment, which "*" does not match.
	return patternOf(e.path).matchPath(strings.Split(r.Path[1:], "/"))
}
