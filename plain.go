package keyturn

import (
	"regexp"
	"strconv"
	"strings"
)

// Placeholder stands for a password in an address or in statements of a database, as
// Vault's plugins fill it in
// (https://developer.hashicorp.com/vault/api-docs/secret/databases).
const Placeholder = "{{password}}"

// filled stands for Placeholder while a text is looked at.
const filled = "\x01"

var (
	scheme  = regexp.MustCompile(`^(?i:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://`)
	escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// userInfo is what may be before the last @: a user, and the placeholder.
	userInfo = regexp.MustCompile(`^[^:/?#=;,&\s@\x01]*([:/]\x01)?$`)
	// secretWord is a member that holds a secret, up to what it holds.
	secretWord = regexp.MustCompile(`(?i)[a-z_]*(pass|pwd|secret|token|credential)[a-z_]*["']?\s*[=:]\s*`)
	// filledIn is what such a member may hold.
	filledIn = regexp.MustCompile(`^["']?\x01(["'\s&;,)@]|$)`)
	// written is a password in statements: a text in quotes behind the words that set one.
	written = regexp.MustCompile(`(?i)\b(?:password|identified\b[^;'"]*\b(?:by|as|using))\b["']?[\s=:(]*(?:password[\s=:(]*)?[a-z0-9_&]*(['"$][^'"]*)`)
)

// PlainAddress reports whether an address of a server holds no password, so that it
// can be part of an operation: Placeholder may stand for one. What it cannot tell it
// takes for a password.
func PlainAddress(s string) bool {
	for range 3 { // %2570 is %70 once it was read
		if !plainAddress(s) {
			return false
		}
		read := escaped.ReplaceAllStringFunc(s, func(x string) string {
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
	s = strings.ReplaceAll(s, Placeholder, filled)
	rest := s[len(scheme.FindString(s)):]
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && !userInfo.MatchString(rest[:i]) {
		return false
	}
	for _, m := range secretWord.FindAllStringIndex(rest, -1) {
		if !filledIn.MatchString(rest[m[1]:]) {
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
	for _, m := range written.FindAllStringSubmatch(s, -1) {
		if m[1][1:] != filled {
			return false
		}
	}
	return true
}
