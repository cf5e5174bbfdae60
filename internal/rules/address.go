package rules

import (
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
)

// The parts of an HTTP request that an http sink names. Each has one spelling; text
// that servers could read in two ways is refused.

// steering are headers that decide where a request goes or how its connection works:
// a value in one of them would be a second address.
var steering = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade",
	"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Forwarded", "X-Forwarded-Host", "X-Forwarded-For",
	"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "Content-Type", "Expect"}

// cleanPath reports whether p is an escaped path in its only spelling.
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

// checkHost says why h is not an exact host with an optional port, and what to write
// instead; both are empty for a host that is well written.
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

// parsePlace returns the canonical spelling of a place, header:NAME or body:FIELD, or
// says why s is none and what to write instead.
func parsePlace(s string) (place, why, hint string) {
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
