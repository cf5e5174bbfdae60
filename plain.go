package keyturn

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Placeholder stands for a password in an address or in statements of a database, as
// Vault's plugins fill it in
// (https://developer.hashicorp.com/vault/api-docs/secret/databases).
const Placeholder = "{{password}}"

// filled stands for Placeholder while a text is looked at.
const filled = "\x01"

var (
	scheme  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://`) })
	escaped = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%[0-9A-Fa-f]{2}`) })
	// userInfo is what may be before the last @: a user, and the placeholder.
	userInfo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^:/?#=;,&\s@\x01]*([:/]\x01)?$`) })
	// secretWord is a member that holds a secret, up to what it holds.
	secretWord = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)[a-z_]*(pass|pwd|secret|token|credential)[a-z_]*["']?\s*[=:]\s*`)
	})
	// filledIn is what such a member may hold.
	filledIn = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^["']?\x01(["'\s&;,)@]|$)`) })
	// written is a password in statements: a text in quotes behind the words that set one.
	written = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(?:password|identified\b[^;'"]*\b(?:by|as|using))\b["']?[\s=:(]*(?:password[\s=:(]*)?[a-z0-9_&]*(['"$][^'"]*)`)
	})
)

// PlainAddress reports whether an address of a server holds no password, so that it
// can be part of an operation: Placeholder may stand for one. What it cannot tell it
// takes for a password.
func PlainAddress(s string) bool { return everyReading(s, plainAddress) }

// everyReading reports whether plain holds for s, and for s with its escapes read, as
// often as there are any: %2570 is %70 once it was read. It is false for more than
// three.
func everyReading(s string, plain func(string) bool) bool {
	for range 3 {
		if !plain(s) {
			return false
		}
		read := escaped().ReplaceAllStringFunc(s, func(x string) string {
			b, _ := strconv.ParseUint(x[1:], 16, 8)
			return string([]byte{byte(b)})
		})
		if read == s {
			return true
		}
		s = read
	}
	return false
}

func plainAddress(s string) bool {
	if strings.Contains(s, filled) {
		return false
	}
	return plainFilled(strings.ReplaceAll(s, Placeholder, filled))
}

// plainFilled is plainAddress for an address in which filled stands for Placeholder.
func plainFilled(s string) bool {
	rest := s[len(scheme().FindString(s)):]
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && !userInfo().MatchString(rest[:i]) {
		return false
	}
	for _, m := range secretWord().FindAllStringIndex(rest, -1) {
		if !filledIn().MatchString(rest[m[1]:]) {
			return false
		}
	}
	return true
}

// PlainStatements reports whether statements of a database hold no password, so that
// they can be part of an operation: Placeholder may stand for one.
func PlainStatements(s string) bool {
	if strings.Contains(s, filled) {
		return false
	}
	s = strings.ReplaceAll(s, Placeholder, filled)
	for _, m := range written().FindAllStringSubmatch(s, -1) {
		if m[1][1:] != filled {
			return false
		}
	}
	return true
}

// loginURL matches an address within a text up to the @ behind a login; the group is the
// password.
var loginURL = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:"']*:([^\s/?#"']*)@`)
})

// PlainText reports whether a text of any kind (a name, a description, a document such as a
// policy) holds no address with a password: no scheme://user:password@, wherever it stands.
// Placeholder may stand for the password. For a text that is known to be an address or
// statements PlainAddress and PlainStatements find more.
func PlainText(s string) bool {
	return everyReading(s, func(s string) bool {
		for _, m := range loginURL().FindAllStringSubmatch(s, -1) {
			if m[1] != "" && m[1] != Placeholder {
				return false
			}
		}
		return true
	})
}
