package keyturn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scheme begins the canonical form of every reference.
const Scheme = "kt://"

// Limits of a reference's parts, in bytes before escaping. A platform's own
// rules are narrower.
const (
	MaxMount   = 63
	MaxName    = 2048
	MaxVersion = 256
	MaxField   = 512
)

// Ref names a secret, one of its versions, or one field of either. Its
// canonical form is
//
//	kt://<mount>/<name>?version=<v>#<field>
//
// with version and field optional. There is exactly one spelling for each
// reference: anything else is rejected, never repaired. The parts are held
// unescaped.
//
// Refs are comparable: equal refs name the same thing. The zero Ref names
// nothing.
type Ref struct {
	mount, name, version, field string
}

// ParseRef reads a reference, with "kt://" or without it. A spelling that is not
// canonical is Invalid, with the canonical one in the hint where there is one.
func ParseRef(s string) (Ref, error) {
	body := strings.TrimPrefix(s, Scheme)
	bad := func(why, hint string) (Ref, error) {
		return Ref{}, E(Invalid, "'"+Clean(s)+"' is not a reference: "+why, hint)
	}
	if len(s) > 3*(MaxName+MaxField+MaxVersion)+MaxMount {
		return Ref{}, E(Invalid, "this reference is too long", "a name may have 2048 bytes")
	}
	path, rawField, hasField := strings.Cut(body, "#")
	path, query, hasQuery := strings.Cut(path, "?")
	mount, rawName, ok := strings.Cut(path, "/")
	if !ok || rawName == "" {
		return bad("a mount and a name are needed", "write MOUNT/NAME, for instance local/myapp#password")
	}
	r := Ref{mount: mount}
	var err error
	if r.name, err = unescape(rawName); err != nil {
		return bad("its name has a broken escape", "% is written %25")
	}
	if hasQuery {
		v, ok := strings.CutPrefix(query, "version=")
		if !ok {
			return bad("after '?' only version is known", "write ?version=V, or use --version V")
		}
		if r.version, err = unescape(v); err != nil {
			return bad("its version has a broken escape", "% is written %25")
		}
		if v == "" {
			return bad("its version is empty", "leave ?version= out for the newest one")
		}
	}
	if hasField {
		if i := strings.Index(rawField, "?version="); i >= 0 {
			return bad("the version comes before the field", "write "+Quote(path+rawField[i:]+"#"+rawField[:i]))
		}
		if r.field, err = unescape(rawField); err != nil {
			return bad("its field has a broken escape", "% is written %25")
		}
		if rawField == "" {
			return bad("its field is empty", "leave # out for the whole secret")
		}
	}
	if err := r.check(); err != nil {
		return bad(err.Message, err.Hint)
	}
	if c := r.String(); c != Scheme+body {
		return bad("it is not in canonical form", "write "+Quote(c[len(Scheme):]))
	}
	return r, nil
}

// MustRef is ParseRef for constants; it panics on an error.
func MustRef(s string) Ref {
	r, err := ParseRef(s)
	if err != nil {
		panic(err)
	}
	return r
}

// NewRef makes a reference of unescaped parts; it is Invalid where one of them
// cannot stand in a reference.
func NewRef(mount, name string) (Ref, error) {
	r := Ref{mount: mount, name: name}
	if err := r.check(); err != nil {
		return Ref{}, E(Invalid, "'"+Clean(mount+"/"+name)+"' cannot be a reference: "+err.Message, err.Hint)
	}
	return r, nil
}

// Mount returns the name of the configured platform.
func (r Ref) Mount() string { return r.mount }

// Name returns the secret's name, unescaped.
func (r Ref) Name() string { return r.name }

// Version returns the version in the platform's own word; "" means the current.
func (r Ref) Version() string { return r.version }

// Field returns the field's name, unescaped; "" means the whole secret.
func (r Ref) Field() string { return r.field }

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// Secret returns r without version and field.
func (r Ref) Secret() Ref { return Ref{mount: r.mount, name: r.name} }

// WithVersion returns r at version v; "" is the current one. It is Invalid for a
// version that no reference can hold.
func (r Ref) WithVersion(v string) (Ref, error) {
	r.version = v
	if err := r.check(); err != nil {
		return Ref{}, err
	}
	return r, nil
}

// WithField returns r with field f; "" is the whole secret. It is Invalid for a
// field that no reference can hold.
func (r Ref) WithField(f string) (Ref, error) {
	r.field = f
	if err := r.check(); err != nil {
		return Ref{}, err
	}
	return r, nil
}

// Path returns mount and name without escapes' scheme: what rules match and what
// people type, "local/myapp/config".
func (r Ref) Path() string {
	if r.IsZero() {
		return ""
	}
	return r.mount + "/" + escape(r.name)
}

// Short returns the canonical form without "kt://", as people type it.
func (r Ref) Short() string { return strings.TrimPrefix(r.String(), Scheme) }

// String returns the canonical form; "" for the zero Ref.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	s := Scheme + r.Path()
	if r.version != "" {
		s += "?version=" + escape(r.version)
	}
	if r.field != "" {
		s += "#" + escape(r.field)
	}
	return s
}

// MarshalText returns the canonical form.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText takes the canonical form with its scheme, and nothing else; an
// empty text gives the zero Ref.
func (r *Ref) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*r = Ref{}
		return nil
	}
	p, err := ParseRef(string(b))
	if err != nil {
		return err
	}
	if p.String() != string(b) {
		return E(Invalid, "'"+Clean(string(b))+"' is not a canonical reference", "write "+p.String())
	}
	*r = p
	return nil
}

func (r Ref) check() *Error {
	if err := checkMount(r.mount); err != nil {
		return err
	}
	if err := checkSegments(r.name); err != nil {
		return err
	}
	for _, p := range []struct {
		what, s string
		max     int
	}{{"name", r.name, MaxName}, {"version", r.version, MaxVersion}, {"field", r.field, MaxField}} {
		if len(p.s) > p.max {
			return E(Invalid, "its "+p.what+" is too long", "")
		}
		if !utf8.ValidString(p.s) {
			return E(Invalid, "its "+p.what+" is not valid UTF-8", "names are text")
		}
	}
	return nil
}

func checkMount(m string) *Error {
	ok := m != "" && len(m) <= MaxMount && m[0] >= 'a' && m[0] <= 'z'
	for i := 0; ok && i < len(m); i++ {
		c := m[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return E(Invalid, "a mount is named with a-z, 0-9 and -, beginning with a letter", "'keyturn list' shows the mounts")
	}
	return nil
}

// checkSegments refuses what could be a second spelling of a name, or a pattern
// of rules: rejecting beats repairing.
func checkSegments(name string) *Error {
	for seg := range strings.SplitSeq(name, "/") {
		switch seg {
		case "":
			return E(Invalid, "its name has an empty segment or a slash at its end", "a name looks like myapp/config")
		case ".", "..":
			return E(Invalid, "its name has a '.' or '..' segment", "write the name itself, without steps")
		case "*", "**":
			return E(Invalid, "'"+seg+"' cannot be a segment of a name", "patterns belong in rules; 'keyturn list' takes a prefix")
		}
	}
	return nil
}

func mustEscape(r rune) bool {
	return r == '%' || r == '?' || r == '#' || r == ' ' || unicode.IsControl(r)
}

func escape(s string) string {
	if strings.IndexFunc(s, mustEscape) < 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, r := range s {
		if !mustEscape(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", Invalid
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", Invalid
		}
		out = append(out, byte(hi<<4|lo))
		i += 2
	}
	return string(out), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// Quote returns s as a POSIX shell would need it: itself where it is made of
// harmless characters, else in single quotes.
func Quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("_-./:=@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Prefix names the secrets of a mount at and below a path of whole segments:
// the prefix kt://local/my/ holds local/my and local/my/app, but not
// local/myapp. An empty path holds the whole mount. Prefixes are comparable.
type Prefix struct {
	mount, path string
}

// ParsePrefix reads MOUNT, MOUNT/ or MOUNT/PATH, with a slash at its end or
// without, and with "kt://" or without. Escapes are those of a Ref.
func ParsePrefix(s string) (Prefix, error) {
	body := strings.TrimPrefix(s, Scheme)
	mount, raw, _ := strings.Cut(body, "/")
	raw = strings.TrimSuffix(raw, "/")
	if raw == "" {
		if err := checkMount(mount); err != nil {
			return Prefix{}, E(Invalid, "'"+Clean(s)+"' is not a prefix: "+err.Message, err.Hint)
		}
		if strings.HasSuffix(body, "//") {
			return Prefix{}, E(Invalid, "'"+Clean(s)+"' is not a prefix: empty segment", "write "+mount+"/")
		}
		return Prefix{mount: mount}, nil
	}
	r, err := ParseRef(mount + "/" + raw)
	if err != nil {
		return Prefix{}, err
	}
	if r.version != "" || r.field != "" {
		return Prefix{}, E(Invalid, "'"+Clean(s)+"' is not a prefix: it has a version or a field",
			"write "+Quote(r.Path())+", or 'keyturn history' for the versions of one secret")
	}
	return Prefix{mount: r.mount, path: r.name}, nil
}

// Mount returns the name of the configured platform.
func (p Prefix) Mount() string { return p.mount }

// Path returns the path below the mount, unescaped and without a slash at its
// end; "" for the whole mount.
func (p Prefix) Path() string { return p.path }

// IsZero reports whether p names nothing.
func (p Prefix) IsZero() bool { return p == Prefix{} }

// Holds reports whether the secret of r is p's path or lies below it.
func (p Prefix) Holds(r Ref) bool { return p.mount == r.mount && Under(p.path, r.name) }

// Under reports whether name is path or lies below it by whole segments; every
// name lies under the empty path.
func Under(path, name string) bool {
	if path == "" {
		return true
	}
	rest, ok := strings.CutPrefix(name, path)
	return ok && (rest == "" || rest[0] == '/')
}

// String returns the canonical form, "kt://local/my/"; "" for the zero Prefix.
func (p Prefix) String() string {
	switch {
	case p.IsZero():
		return ""
	case p.path == "":
		return Scheme + p.mount + "/"
	}
	return Scheme + p.mount + "/" + escape(p.path) + "/"
}

// MarshalText returns the canonical form.
func (p Prefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes the canonical form, and nothing else; an empty text gives
// the zero Prefix.
func (p *Prefix) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = Prefix{}
		return nil
	}
	q, err := ParsePrefix(string(b))
	if err != nil {
		return err
	}
	if q.String() != string(b) {
		return E(Invalid, "'"+Clean(string(b))+"' is not a canonical prefix", "write "+q.String())
	}
	*p = q
	return nil
}

// Publish returns the command by which a person declares the field of r to be no secret.
func (r Ref) Publish() string {
	field := Quote(r.field)
	return "keyturn put " + Quote(r.Secret().Short()) + " " + field + " --public " + field + " --merge"
}
