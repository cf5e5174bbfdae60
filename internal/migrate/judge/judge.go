// Package judge says whether a value is a secret, by its name and its shape, and why.
// The reasons quote nothing of the value. Where the package is unsure, its caller
// decides.
package judge

import (
	"bytes"
	"math"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Leaning is the judgement of a value.
type Leaning int

// The leanings.
const (
	Unsure Leaning = iota // nothing speaks for or against
	Stays                 // it is configuration, or too short to be kept secret
	Moves                 // it is a secret
)

// Verdict is a leaning and its reason.
type Verdict struct {
	Leaning Leaning
	Why     string // "name says password", "a boolean"; "" for Unsure
}

// Empty is the reason for an empty value.
const Empty = "empty"

// Of judges a value by its name and its shape, in this order: a value that can only be a
// secret moves, whatever its name; a value too short to be one stays; then the name
// decides; then other shapes.
func Of(name string, value []byte) Verdict {
	if len(value) == 0 {
		return Verdict{Stays, Empty}
	}
	if why := Certain(value); why != "" {
		if public(name) && why == aToken {
			return Verdict{Stays, "public by its name"}
		}
		return Verdict{Moves, why}
	}
	words := split(name)
	says := secretWord(words)
	if why := short(value); why != "" {
		if says != "" && why != Empty {
			why += ", though its name says " + says
		}
		return Verdict{Stays, why}
	}
	if public(name) {
		return Verdict{Stays, "public by its name"}
	}
	if publicValue(value) {
		return Verdict{Stays, "a public key or certificate"}
	}
	if why := configured(name, words); why != "" {
		return Verdict{Stays, why}
	}
	address := plainAddress(value)
	if says != "" && (says == "webhook" || !address || !bytes.Contains(value, []byte("://"))) {
		return Verdict{Moves, "name says " + says}
	}
	_, known := settings[strings.ToLower(string(value))]
	switch {
	case address:
		return Verdict{Stays, "an address without credentials"}
	case known:
		return Verdict{Stays, "well-known configuration"}
	case random(value):
		return Verdict{Moves, "long random text"}
	case isPath(value):
		return Verdict{Stays, "a path"}
	}
	return Verdict{}
}

const aToken = "a web token (JWT)"

var (
	webToken = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*$`)
	})
	number = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[+-]?[0-9][0-9_.,:/]{0,7} ?(ms|s|sec|m|min|h|hr|d|w|[kmgKMG]i?[bB]?|b|B|%|px)?$`)
	})
	hostPort = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+|\[[0-9a-fA-F:]+\]|[a-z0-9-]+:[0-9]{1,5})(:[0-9]{1,5})?$`)
	})
	someHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(localhost|(\*\.)?([a-zA-Z0-9-]+\.)+[a-zA-Z]{2,}|[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}(/[0-9]{1,3})?)$`)
	})
	pathLike = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(~|\.{1,2})?(/[A-Za-z0-9._@-]+)+/?$`) })
)

// prefixes begin the keys of well-known vendors, as the vendors document them.
var prefixes = []struct{ prefix, vendor string }{
	{"AKIA", "AWS"}, {"ASIA", "AWS"}, {"ghp_", "GitHub"}, {"gho_", "GitHub"}, {"ghu_", "GitHub"}, {"ghs_", "GitHub"},
	{"ghr_", "GitHub"}, {"github_pat_", "GitHub"}, {"glpat-", "GitLab"}, {"gldt-", "GitLab"}, {"glrt-", "GitLab"},
	{"xoxb-", "Slack"}, {"xoxp-", "Slack"}, {"xoxa-", "Slack"}, {"xoxr-", "Slack"}, {"xoxs-", "Slack"}, {"xapp-", "Slack"},
	{"sk_live_", "Stripe"}, {"sk_test_", "Stripe"}, {"rk_live_", "Stripe"}, {"rk_test_", "Stripe"}, {"whsec_", "Stripe"},
	{"SG.", "SendGrid"}, {"npm_", "npm"}, {"pypi-", "PyPI"}, {"dop_v1_", "DigitalOcean"}, {"dp.st.", "Doppler"}, {"dp.pt.", "Doppler"},
	{"hvs.", "Vault"}, {"hvb.", "Vault"}, {"AIza", "Google"}, {"ya29.", "Google"}, {"sk-ant-", "Anthropic"}, {"sk-proj-", "OpenAI"},
	{"shpat_", "Shopify"}, {"shpss_", "Shopify"}, {"AGE-SECRET-KEY-1", "age"}, {"NRAK-", "New Relic"}, {"lin_api_", "Linear"},
	{"PMAK-", "Postman"}, {"pscale_tkn_", "PlanetScale"}, {"pscale_pw_", "PlanetScale"}, {"ops_eyJ", "1Password"}, {"dckr_pat_", "Docker"},
}

// Certain returns the reason why a value is a secret whatever its name; "" if there is
// none.
func Certain(v []byte) string {
	s := strings.TrimSpace(string(v))
	if strings.Contains(s, "-----BEGIN ") && strings.Contains(s, "PRIVATE KEY") {
		return "a private key"
	}
	for _, p := range prefixes {
		if len(s) >= 16 && strings.HasPrefix(s, p.prefix) && !strings.ContainsAny(s, " \t\n") {
			return "a key of " + p.vendor + " by its beginning"
		}
	}
	if webToken().MatchString(s) {
		return aToken
	}
	if password(s) {
		return "an address with a password"
	}
	return ""
}

// password reports whether s is or contains a URL with a password.
func password(s string) bool {
	i := strings.Index(s, "://")
	if i <= 0 {
		return false
	}
	rest := s[i+3:]
	if n := strings.IndexAny(rest, "/?#\n"); n >= 0 && strings.LastIndexByte(rest[:n], '@') >= 0 {
		rest = rest[:n]
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return false
	}
	_, pass, ok := strings.Cut(rest[:at], ":")
	return ok && pass != ""
}

// short says why a value is too short to be a secret.
func short(v []byte) string {
	s := strings.ToLower(strings.TrimSpace(string(v)))
	switch s {
	case "":
		return Empty
	case "true", "false", "yes", "no", "on", "off", "enabled", "disabled", "t", "f", "y", "n":
		return "a boolean"
	}
	if number().Match(v) {
		return "a short number"
	}
	return ""
}

// configured returns the reason why a name is one of configuration; "" if it is not.
func configured(name string, words []string) string {
	if _, ok := wellKnown[strings.ToUpper(name)]; ok {
		return "well-known configuration"
	}
	if n := len(words); n > 1 {
		if _, ok := endings[words[n-1]]; ok {
			return "well-known configuration"
		}
	}
	for i, w := range words {
		if (w == "public" || w == "publishable") && i+1 < len(words) && words[i+1] == "key" {
			return "a public key by its name"
		}
	}
	return ""
}

// secretWord returns the word of a name that marks its value as a secret; "" for none.
// The last such word counts, because it says most.
func secretWord(words []string) string {
	for i := len(words) - 1; i >= 0; i-- {
		w := words[i]
		for _, part := range secretParts {
			if strings.Contains(w, part) {
				return part
			}
		}
		if _, ok := secretWords[w]; ok {
			return w
		}
		if i > 0 {
			if _, ok := secretPairs[words[i-1]+" "+w]; ok {
				return words[i-1] + " " + w
			}
		}
		if (w == "key" || w == "keys") && (i == len(words)-1 || words[i+1] == "base" || words[i+1] == "id") {
			if i > 0 {
				return words[i-1] + " " + w
			}
			return w
		}
	}
	return ""
}

// Collection reports whether a mapping of this name holds secrets under other names:
// "ConnectionStrings", "tokens".
func Collection(name string) bool {
	words := split(name)
	if n := len(words); n > 0 {
		_, ok := collections[words[n-1]]
		return ok || n > 1 && words[n-2] == "connection" && words[n-1] == "strings"
	}
	return false
}

// split returns the words of a name in lower case. A word ends at _ - . / : a space, or
// before a capital.
func split(name string) []string {
	var words []string
	start := 0
	flush := func(i int) {
		if i > start {
			words = append(words, strings.ToLower(name[start:i]))
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '_' || c == '-' || c == '.' || c == '/' || c == ' ' || c == ':':
			flush(i)
			start = i + 1
		case i > start && c >= 'A' && c <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z':
			flush(i)
			start = i
		}
	}
	flush(len(name))
	return words
}

// public reports whether a framework sends the variable to every browser.
func public(name string) bool {
	for _, p := range []string{"NEXT_PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "EXPO_PUBLIC_", "GATSBY_", "VUE_APP_", "PUBLIC_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func publicValue(v []byte) bool {
	for _, p := range []string{"-----BEGIN PUBLIC KEY", "-----BEGIN CERTIFICATE", "-----BEGIN RSA PUBLIC KEY", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-", "age1", "pk_live_", "pk_test_"} {
		if bytes.HasPrefix(v, []byte(p)) {
			return true
		}
	}
	return false
}

// plainAddress reports whether v is a list of hosts or URLs without credentials: none
// before the @, in the path or in the query.
func plainAddress(v []byte) bool {
	if len(v) > 2048 {
		return false
	}
	parts := strings.FieldsFunc(string(v), func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
	for _, part := range parts {
		if someHost().MatchString(part) || hostPort().MatchString(part) && strings.Contains(part, ":") {
			continue
		}
		u, err := url.Parse(part)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || strings.Contains(u.Host, "hooks.") {
			return false
		}
		for seg := range strings.SplitSeq(u.Path, "/") {
			if random([]byte(seg)) {
				return false
			}
		}
		for key, values := range u.Query() {
			if secretWord(split(key)) != "" || random([]byte(strings.Join(values, ""))) {
				return false
			}
		}
	}
	return len(parts) > 0
}

func isPath(v []byte) bool { return len(v) < 1024 && pathLike().Match(v) }

// random reports whether v looks random: 20 characters or more without a space, letters
// and digits, with more entropy than words have.
func random(v []byte) bool {
	if len(v) < 20 || len(v) > 1<<16 {
		return false
	}
	var count [256]int
	letters, digits := false, false
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			digits = true
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters = true
		case strings.IndexByte("+/=_-.~!@#$%^&*", c) < 0:
			return false
		}
		count[c]++
	}
	if !letters || !digits {
		return false
	}
	var bits float64
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(v))
			bits -= p * math.Log2(p)
		}
	}
	return bits >= 3.3
}
