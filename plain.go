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
func PlainAddress(s string) bool { return everyReading(s, plainAddress) }

// everyReading reports whether plain holds for s, and for s with its escapes read, as
// often as there are any: %2570 is %70 once it was read. It is false for more than
// three.
func everyReading(s string, plain func(string) bool) bool {
	for range 3 {
		if !plain(s) {
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
	return plainFilled(strings.ReplaceAll(s, Placeholder, filled))
}

// plainFilled is plainAddress for an address in which filled stands for Placeholder.
func plainFilled(s string) bool {
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

var (
	// anyScheme is the beginning of an address within a text.
	anyScheme = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)
	// loginAt and oracleAt are the beginning of an address without a scheme:
	// user:password@ and user/password@ with a port or a service behind the host.
	loginAt  = regexp.MustCompile(`^[^\s:/@]+:\S*@`)
	oracleAt = regexp.MustCompile(`^[^\s:/@]+/\S+@\S*[:/(]`)
	// hostAt is a host behind a login: @tcp(db), @db:5432.
	hostAt = regexp.MustCompile(`@(?:[A-Za-z0-9]*\(|[^\s@'"]+:[0-9])`)
	// quotedMember is what follows the closing quote of a member's name, up to its text.
	quotedMember = regexp.MustCompile(`(?i)^\s*[=:]\s*[a-z0-9_&]*['"$]([^'"]*)`)
)

// PlainText reports whether a text holds no password, as far as that can be seen
// without knowing what the text is: a name, an address, statements of a database, or a
// whole document, such as a policy. It finds the passwords that PlainAddress and
// PlainStatements find, wherever they stand in the text.
func PlainText(s string) bool { return everyReading(s, plainText) }

func plainText(s string) bool {
	if strings.Contains(s, filled) {
		return false
	}
	s = strings.TrimSpace(strings.ReplaceAll(s, Placeholder, filled))
	if !plainDocument(s) {
		return false
	}
	for line := range strings.Lines(s) {
		if !plainWords(line) {
			return false
		}
	}
	return strings.ContainsAny(s, "\r\n") || plainLine(s)
}

// plainDocument is PlainStatements for a text that may be something else: there the
// quote behind the word may close a quoted text, "auth/users/password", instead of
// opening a password.
func plainDocument(s string) bool {
	const word = len("password")
	for at := 0; ; {
		m := written.FindStringSubmatchIndex(s[at:])
		if m == nil {
			return true
		}
		begin, end := at+m[0], at+m[0]+word // of the word, where it is that one
		if strings.EqualFold(s[begin:end], "password") && closes(s, begin, end) {
			if q := quotedMember.FindStringSubmatch(s[end+1:]); q != nil && q[1] != filled {
				return false
			}
		} else if s[at+m[2]+1:at+m[3]] != filled {
			return false
		}
		at = end
	}
}

// closes reports whether a quote follows s[begin:end] and closes a text that begins on
// the same line.
func closes(s string, begin, end int) bool {
	if end == len(s) || s[end] != '"' && s[end] != '\'' {
		return false
	}
	line := s[strings.LastIndexByte(s[:begin], '\n')+1 : begin]
	return strings.Count(line, s[end:end+1])%2 == 1
}

// plainWords looks for addresses among the words of a line.
func plainWords(line string) bool {
	for _, m := range anyScheme.FindAllStringIndex(line, -1) {
		rest, ends := line[m[0]:], " \t\r\n"
		if m[0] > 0 && strings.ContainsRune("\"'`", rune(line[m[0]-1])) {
			ends = line[m[0]-1 : m[0]] // it is quoted
		}
		if i := strings.IndexAny(rest, ends); i >= 0 {
			rest = rest[:i]
		}
		if !plainFilled(strings.TrimRight(rest, ".,:;)")) {
			return false
		}
	}
	for _, word := range strings.Fields(line) {
		word = strings.TrimPrefix(strings.Trim(word, "\"'`<>(),;"), "mailto:")
		if strings.Contains(word, "://") || !loginAt.MatchString(word) && !oracleAt.MatchString(word) {
			continue
		}
		if !userInfo.MatchString(word[:strings.LastIndexByte(word, '@')]) {
			return false
		}
	}
	return true
}

// plainLine looks at a text of one line as an address, where it looks like one.
func plainLine(s string) bool {
	if scheme.MatchString(s) || hostAt.MatchString(s) {
		return plainFilled(s)
	}
	for _, m := range secretWord.FindAllStringIndex(s, -1) {
		value := s[m[1]:]
		if !strings.Contains(s[m[0]:m[1]], "=") || value == "" || strings.ContainsRune("[{", rune(value[0])) {
			continue
		}
		if !filledIn.MatchString(value) {
			return false
		}
	}
	return true
}
