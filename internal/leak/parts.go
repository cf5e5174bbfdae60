package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds how often a part of a value is itself taken apart.
const maxDepth = 4

// kind is what a part of a composite value is.
type kind uint8

const (
	// openLeaf is by its name what nobody takes for a secret: a host, a user, a port. It is
	// sought as anyLeaf is, but for a Strong needle not at all.
	openLeaf kind = iota
	// anyLeaf may be anything. It is sought if it has minPart bytes and is not weak.
	anyLeaf
	// likelySecret is sought if it is not weak, however short.
	likelySecret
	// surelySecret is, and where it is weak that is told.
	surelySecret
)

// addPart adds a part of a value, and its parts.
func (s *formSet) addPart(p []byte, k kind, depth int) {
	p = bytes.TrimSpace(p)
	if len(p) == 0 || k <= anyLeaf && len(p) < minPart {
		return
	}
	if k == openLeaf && hasUserinfo(p) {
		k = anyLeaf
	}
	if reason := weakness(p); reason != "" {
		if k == surelySecret && !isSwitch(p) {
			s.weaken(reason)
		}
		return
	}
	if s.sought(p, k) {
		s.addAll(p)
	}
	s.addParts(p, depth-1)
}

// sought reports whether a part of a value, which is not weak, is a needle of its own, and
// tells where it should be and cannot.
func (s *formSet) sought(part []byte, k kind) bool {
	switch {
	case !s.strong:
		return true
	case k == openLeaf:
		return false
	case Bits(part) < MinBits:
		s.weaken(TooWeak)
		return false
	}
	return true
}

// hasUserinfo reports whether a URL may hold a password.
func hasUserinfo(p []byte) bool {
	_, rest, ok := bytes.Cut(p, []byte("://"))
	return ok && bytes.IndexByte(rest, '@') >= 0
}

// weaken says that a secret part is not sought. The worst reason is kept.
func (s *formSet) weaken(r Reason) {
	switch {
	case r == TooShort:
		s.weak = PartTooShort
	case r == TooWeak && s.weak == "":
		s.weak = PartTooWeak
	case s.weak == "":
		s.weak = PartTooCommon
	}
}

// isSwitch reports whether p is what stands where there is no secret.
func isSwitch(p []byte) bool {
	switch strings.ToLower(string(p[:min(len(p), longestCommon)])) {
	case "true", "false", "yes", "no", "on", "off", "null", "nil", "none", "undefined", "enabled", "disabled", "~", `""`, "''", "{}", "[]":
		return true
	}
	return false
}

// addParts adds what can be printed of a composite value on its own: the
// members of a JSON document, the password in a URL, the lines of a text.
func (s *formSet) addParts(value []byte, depth int) {
	if depth == 0 || len(value) == 0 || isBlob(value) {
		return
	}
	part := func(p []byte, k kind) { s.addPart(p, k, depth) }
	if leaves(value, part) {
		return
	}
	if !bytes.ContainsAny(value, "\r\n") {
		lineParts(value, part)
		s.addDecoded(value, depth)
		return
	}
	netrc(value, part)
	inBlock := anyLeaf // of the line before, which opens a block
	armoured := false
	lines := bytes.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		indented := isBlank(line[0])
		line = bytes.TrimSpace(line)
		if len(line) == 0 || leaves(line, part) {
			continue
		}
		if inBlock > anyLeaf && indented {
			part(line, inBlock)
			continue
		}
		inBlock = anyLeaf
		if isArmour(line) {
			armoured = !armoured
			continue
		}
		if name, scalar, ok := assigned(line); ok {
			k := nameKind(name)
			switch {
			case opensBlock(scalar):
				inBlock = k
				continue
			case armoured: // a header of PEM
				k = openLeaf
			}
			part(scalar, k)
			continue
		}
		lineParts(line, part)
		if len(line) < minPart || structural(line) || weakness(line) != "" {
			continue
		}
		k := anyLeaf
		switch words := bytes.Fields(line); {
		case armoured && !isArmour(bytes.TrimSpace(lines[i-1])) && i+1 < len(lines) && isArmour(bytes.TrimSpace(lines[i+1])) && Bits(line) < MinBits: // the rest of a key, which tells nothing of it
			k = openLeaf
		case len(words) == 2: // "machine NAME", "HostName NAME"
			k = min(k, nameKind(words[0]))
		}
		if s.sought(line, k) {
			s.addText(line)
		}
	}
}

// isArmour reports whether a line begins or ends what is in PEM.
func isArmour(line []byte) bool {
	return bytes.HasPrefix(line, []byte("-----")) && bytes.HasSuffix(line, []byte("-----"))
}

// leaves calls part for each string and number in value and reports whether
// value is a JSON object or array.
func leaves(value []byte, part func([]byte, kind)) bool {
	if value[0] != '{' && value[0] != '[' {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var doc any
	if decoder.Decode(&doc) != nil || decoder.Decode(new(any)) != io.EOF {
		return false
	}
	var walk func(any, kind)
	walk = func(node any, k kind) {
		switch node := node.(type) {
		case map[string]any:
			_, pair := node["value"]
			for name, child := range node {
				below := nameKind([]byte(name))
				if pair && strings.EqualFold(name, "key") {
					below = openLeaf // {"key": NAME, "value": …}
				}
				if _, object := child.(map[string]any); object {
					below = anyLeaf
				}
				walk(child, below)
			}
		case []any:
			for _, child := range node {
				walk(child, k)
			}
		case string:
			part([]byte(node), k)
		case json.Number:
			part([]byte(node), k)
		}
	}
	walk(doc, anyLeaf)
	return true
}

// lineParts calls part for what is secret in a line: in a URL, a connection
// string, a header, a pair of user and password.
func lineParts(line []byte, part func([]byte, kind)) {
	if name, scalar, ok := assigned(line); ok && nameKind(name) > anyLeaf && !bytes.ContainsAny(scalar, ";& ") {
		part(scalar, nameKind(name))
	}
	switch {
	case credentials(line, part):
	case bytes.Contains(line, []byte("://")):
		urlParts(line, part)
	default:
		pairParts(line, part)
	}
	members(line, part)
}

// percentParts calls part for p and for what it is if it is percent-encoded.
func percentParts(p []byte, k kind, part func([]byte, kind)) {
	part(p, k)
	if bytes.IndexByte(p, '%') >= 0 {
		if decoded, err := url.PathUnescape(string(p)); err == nil {
			part([]byte(decoded), k)
		}
	}
}

// urlParts calls part for the userinfo of a URL and for what in its path is no
// word: the address of a webhook is its secret.
func urlParts(value []byte, part func([]byte, kind)) {
	scheme, rest, _ := bytes.Cut(value, []byte("://"))
	authority := rest
	if end := bytes.IndexAny(rest, "/?# \t"); end >= 0 {
		authority = rest[:end]
	}
	// A password may hold what should have been encoded.
	if at := bytes.LastIndexByte(rest, '@'); at > len(authority) && bytes.IndexByte(authority, ':') >= 0 &&
		!bytes.ContainsAny(rest[:at], " \t?") && !bytes.Contains(authority, []byte("@")) && !isPort(authority) {
		authority = rest[:at+1]
	}
	if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
		switch user, password, ok := bytes.Cut(authority[:at], []byte(":")); {
		case ok && len(password) > 0:
			percentParts(password, surelySecret, part)
		case !ok && !isUserScheme(scheme):
			percentParts(user, surelySecret, part)
		}
	}
	pathParts(rest, part)
}

// isPort reports whether an authority ends in a port.
func isPort(authority []byte) bool {
	i := bytes.LastIndexByte(authority, ':')
	return len(bytes.Trim(authority[i+1:], "0123456789")) == 0
}

// isUserScheme reports whether a lone userinfo of such a URL is a user's name.
func isUserScheme(scheme []byte) bool {
	if i := bytes.LastIndexAny(scheme, " \t\"'=:"); i >= 0 {
		scheme = scheme[i+1:]
	}
	base, _, _ := strings.Cut(strings.ToLower(string(scheme)), "+")
	switch base {
	case "postgres", "postgresql", "mysql", "mariadb", "mongodb", "sqlserver", "mssql", "oracle", "cockroachdb", "clickhouse", "jdbc", "tcp", "ssh", "sftp", "ftp", "ftps",
		"smb", "smtp", "smtps", "imap", "imaps", "ldap", "ldaps", "amqp", "amqps", "git", "svn", "rsync":
		return true
	}
	return false
}

// pathParts looks at the path of a URL without its scheme.
func pathParts(rest []byte, part func([]byte, kind)) {
	host, path, ok := bytes.Cut(rest, []byte("/"))
	if !ok {
		return
	}
	if end := bytes.IndexAny(path, "?# \t"); end >= 0 {
		path = path[:end]
	}
	hook := isHook(host)
	segments := bytes.Split(bytes.TrimRight(path, "/"), []byte("/"))
	for i, segment := range segments {
		switch last := i == len(segments)-1; {
		case hook && last && i > 0:
			percentParts(segment, surelySecret, part)
		case hook && bytes.ContainsAny(segment, "0123456789"), isRandom(segment):
			percentParts(segment, likelySecret, part)
		}
		hook = hook || isHook(segment)
	}
}

func isHook(p []byte) bool {
	lower := bytes.ToLower(p)
	return bytes.Contains(lower, []byte("hook")) || bytes.HasPrefix(lower, []byte("api.telegram.org"))
}

// isRandom reports whether p looks made by a generator: long, and no words.
func isRandom(p []byte) bool {
	if len(p) < 16 {
		return false
	}
	var digits, upper, lower int
	for _, c := range p {
		switch {
		case c-'0' < 10:
			digits++
		case c-'A' < 26:
			upper++
		case c-'a' < 26:
			lower++
		case strings.IndexByte("-_:.~", c) < 0:
			return false
		}
	}
	return digits >= 2 && upper+lower >= 4 || upper >= 4 && lower >= 4
}

// credentials calls part for the credentials in an Authorization header and
// reports whether line is one, or what stands in one.
func credentials(line []byte, part func([]byte, kind)) bool {
	words := bytes.Fields(line)
	if len(words) == 3 && len(words[0]) > 1 && words[0][len(words[0])-1] == ':' {
		words = words[1:]
	}
	if len(words) != 2 {
		return false
	}
	switch strings.ToLower(string(words[0][:min(len(words[0]), longestCommon)])) {
	case "bearer", "basic", "token", "apikey", "negotiate":
		part(words[1], surelySecret)
		return true
	}
	return false
}

// pairParts calls part for the password in user:password, in user:password@host
// and in a line of a .pgpass.
func pairParts(line []byte, part func([]byte, kind)) {
	user, password, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(user) == 0 || len(password) == 0 || bytes.ContainsAny(user, " \t/={[\"'") {
		return
	}
	if at := bytes.LastIndexByte(password, '@'); at > 0 && !bytes.ContainsAny(password[:at], " \t") && at+1 < len(password) {
		percentParts(password[:at], surelySecret, part) // a DSN without a scheme
		return
	}
	if bytes.ContainsAny(line, " \t") {
		return
	}
	if fields := bytes.SplitN(line, []byte(":"), 5); len(fields) == 5 && (isPort(fields[1]) || string(fields[1]) == "*") {
		part(fields[4], surelySecret)
		return
	}
	switch {
	case bytes.IndexByte(password, ':') >= 0: // more than a pair: an ARN, an address
		part(password, likelySecret)
	case len(password) <= 5 && len(bytes.Trim(password, "0123456789.")) == 0: // a port, a version
	case len(user) == 1 && (password[0] == '\\' || password[0] == '/'): // a path of Windows
	case !isName(user):
		part(password, likelySecret)
	default:
		part(password, surelySecret)
	}
}

// isName reports whether p may be the name of a user: not that of a host, nor a
// piece of a generated password.
func isName(p []byte) bool {
	for _, c := range p {
		if !isAlnum(c) && c != '_' && c != '-' {
			return false
		}
	}
	return len(p) < 16 && !(p[0]-'0' < 10)
}

// members calls part for the members of a connection string, a query or a list
// of assignments whose names say that they are secret: "k=v;k=v", "?k=v&k=v",
// "k='v' k=v", "host,k=v,k=v".
func members(line []byte, part func([]byte, kind)) {
	first := bytes.IndexByte(line, '=')
	if first < 0 {
		return
	}
	query := bytes.IndexByte(line, '?')
	separator := byte(' ')
	switch {
	case query >= 0 && query < first && bytes.IndexByte(line[:query], ' ') < 0:
		line = line[query+1:]
		if end := bytes.IndexAny(line, "# "); end >= 0 {
			line = line[:end]
		}
		separator = '&'
	case bytes.IndexByte(line, ';') >= 0:
		separator = ';'
	case bytes.IndexByte(line, '&') >= 0 && bytes.IndexByte(line, ' ') < 0:
		separator = '&'
	case bytes.IndexByte(line, ',') >= 0 && bytes.IndexByte(line, ' ') < 0:
		separator = ','
	}
	for len(line) > 0 {
		var member []byte
		member, line = cutMember(line, separator)
		name, value, ok := bytes.Cut(member, []byte("="))
		if !ok {
			continue
		}
		if k := nameKind(bytes.TrimSpace(name)); k > anyLeaf {
			percentParts(unquoted(bytes.TrimSpace(value)), k, part)
		}
	}
}

// cutMember cuts line at the first separator outside of quotes.
func cutMember(line []byte, separator byte) (member, rest []byte) {
	quote := byte(0)
	for i, c := range line {
		switch {
		case quote != 0:
			if c == quote && line[i-1] != '\\' {
				quote = 0
			}
		case c == separator:
			return line[:i], line[i+1:]
		case (c == '\'' || c == '"') && i > 0 && (line[i-1] == '=' || line[i-1] == ' '):
			quote = c
		}
	}
	if quote != 0 { // a quote that is none
		if i := bytes.IndexByte(line, separator); i >= 0 {
			return line[:i], line[i+1:]
		}
	}
	return line, nil
}

// unquoted returns p without the quotes around it, and without the backslashes
// that libpq wants within them.
func unquoted(p []byte) []byte {
	if n := len(p); n >= 2 && p[0] == p[n-1] && (p[0] == '"' || p[0] == '\'') {
		p = bytes.ReplaceAll(p[1:n-1], []byte(`\'`), []byte(`'`))
		return bytes.ReplaceAll(p, []byte(`\\`), []byte(`\`))
	}
	return p
}

// netrc calls part for the passwords in a .netrc.
func netrc(value []byte, part func([]byte, kind)) {
	if !bytes.Contains(value, []byte("machine")) && !bytes.Contains(value, []byte("login")) {
		return
	}
	words := bytes.Fields(value)
	for i, w := range words {
		if string(w) == "password" && i > 1 && i+1 < len(words) && (string(words[i-2]) == "login" || string(words[i-2]) == "machine" || string(words[i-2]) == "account") {
			part(words[i+1], surelySecret)
		}
	}
}

// addDecoded adds what a value is if it is text in base64: user:password as in
// basic authentication and Docker's configuration, or another composite.
func (s *formSet) addDecoded(value []byte, depth int) {
	trimmed := bytes.TrimRight(value, "=")
	if len(trimmed) < 6 || len(value)-len(trimmed) > 2 {
		return
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		decoded, err := enc.AppendDecode(nil, trimmed)
		if err != nil || !isText(decoded) {
			continue
		}
		s.addPart(decoded, anyLeaf, depth)
		if text := bytes.TrimSpace(decoded); len(text) < minPart && len(text) > 0 {
			s.addParts(text, depth-1)
		}
		return
	}
}

// isText reports whether p is something that somebody may have typed.
func isText(p []byte) bool {
	return utf8.Valid(p) && !bytes.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' })
}

var assignment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:export |- )?["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?(?:=|\s*:\s+|\s+=\s+)([^=].*)$`)
})

// assigned returns K and V from a line such as K=V, export K='V' or "k: V".
func assigned(line []byte) (name, scalar []byte, ok bool) {
	m := assignment().FindSubmatch(line)
	if m == nil {
		return nil, nil, false
	}
	scalar = m[2]
	if n := len(scalar); n >= 2 && scalar[0] == scalar[n-1] && (scalar[0] == '"' || scalar[0] == '\'') {
		scalar = scalar[1 : n-1]
	}
	return m[1], scalar, true
}

// opensBlock reports whether a scalar of YAML is on the lines that follow.
func opensBlock(scalar []byte) bool {
	return len(scalar) <= 3 && (scalar[0] == '|' || scalar[0] == '>') && len(bytes.Trim(scalar[1:], "+-0123456789")) == 0
}

// structural reports whether a line belongs to the frame of a document and
// says nothing: a [section], a "key:" that opens a block.
func structural(line []byte) bool {
	return line[0] == '[' && line[len(line)-1] == ']' ||
		line[len(line)-1] == ':'
}

// maxName bounds the name of a member.
const maxName = 128

// nameKind says what the name of a member says of its value. The last word
// decides: db_password, accessToken and X-API-Key are secret, token_url,
// PASSWORD_MIN_LENGTH and public_key are not.
func nameKind(name []byte) kind {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	words := splitName(name)
	if len(words) == 0 {
		return anyLeaf
	}
	last := words[len(words)-1]
	before := ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch last {
	case "password", "passwd", "pwd", "pass", "passphrase", "passcode", "secret", "token", "apikey", "credential", "pin",
		"pins", "pincode", "otp", "totp", "mnemonic", "cvv", "cvc", "passcodes", "passphrases",
		"passwords", "secrets", "tokens", "apikeys", "credentials", "requirepass", "authtoken", "accesskey", "secretkey", "privatekey", "accountkey", "masterkey",
		"dbpassword", "pgpassword", "userpassword", "clientsecret", "accesstoken", "bearer":
		return surelySecret
	case "key", "keys":
		switch before {
		case "public", "primary", "foreign", "partition", "sort", "host":
			return anyLeaf
		case "":
			return likelySecret
		}
		return surelySecret
	case "auth", "authorization", "jwt", "cookie", "sig", "signature", "salt", "sas", "seed", "mfa":
		return likelySecret
	case "code", "codes", "phrase", "words", "number":
		switch before {
		case "pin", "otp", "totp", "mfa", "2fa", "recovery", "backup", "verification", "security", "access", "reset", "unlock", "seed", "mnemonic", "secret":
			return surelySecret
		}
	case "host", "hostname", "hosts", "server", "machine", "address", "addr", "endpoint", "url", "uri", "port", "domain",
		"user", "username", "login", "email", "mail", "account", "database", "db", "dbname", "schema", "region", "zone", "bucket", "project", "tenant",
		"type", "engine", "driver", "scheme", "protocol", "scope", "scopes", "name", "issuer", "audience", "version", "mode", "path",
		"created", "updated", "expires", "expiry", "expiration", "timestamp":
		return openLeaf
	case "id", "identifier":
		switch before {
		case "client", "project", "tenant", "account", "user", "app", "application", "subscription", "database", "cluster", "instance":
			return openLeaf
		}
	case "at", "in", "on":
		switch before {
		case "created", "updated", "expires", "issued", "rotated":
			return openLeaf
		}
	}
	return anyLeaf
}

// Open reports whether a value is, by the name of its field, what nobody takes for a secret:
// a host, a user, a URL without a password.
func Open(field string, value []byte) bool {
	return nameKind([]byte(field)) == openLeaf && !hasUserinfo(value)
}

// Declarable reports whether somebody may be told how to declare a field to be no secret:
// neither its name says that it is one, nor does a URL in it hold a password.
func Declarable(field string, value []byte) bool {
	return nameKind([]byte(field)) <= anyLeaf && !hasUserinfo(value)
}

// splitName returns the words of a name, in lower case.
func splitName(name []byte) (words []string) {
	word := []byte{}
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = word[:0]
		}
	}
	for i, c := range name {
		switch {
		case c-'A' < 26:
			// accessKey, and the K of AWSKey
			if i > 0 && (name[i-1]-'a' < 26 || name[i-1]-'0' < 10 || name[i-1]-'A' < 26 && i+1 < len(name) && name[i+1]-'a' < 26) {
				end()
			}
			word = append(word, c|0x20)
		case isAlnum(c):
			word = append(word, c)
		default:
			end()
		}
	}
	end()
	return words
}
