package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/keyturn/keyturn"
)

// hideAll replaces, in the operations of records, the names of secrets by keyed
// tokens: who reads the log without the store's key sees which operations were
// about the same secret or folder, and not which one; names of fields, and labels,
// too. Mounts and versions stay.
// The hash of an operation is keyed too, or names could be guessed by it.
func (l *Log) hideAll(records []keyturn.Record) []keyturn.Record {
	key := l.derive("identifiers", 32)
	out := make([]keyturn.Record, len(records))
	for i, r := range records {
		if len(r.Op) > 0 {
			r.Op = hideOp(key, r.Op)
		}
		if r.OpHash != "" {
			r.OpHash = hex.EncodeToString(mac(key, "operation", r.OpHash))
		}
		if r.Change != nil { // its text is full of names
			r.Change = &keyturn.TextChange{Name: r.Change.Name}
		}
		out[i] = r
	}
	return out
}

// HidePrefix returns p with its path as it stands in records whose names are
// hidden, to look for them there.
func (l *Log) HidePrefix(p keyturn.Prefix) keyturn.Prefix {
	key := l.derive("identifiers", 32)
	hidden, err := keyturn.ParsePrefix(hideName(key, p.Mount(), p.Path()))
	if err != nil {
		return p // not reached: tokens are names
	}
	return hidden
}

// hideOp does so in every text of a canonical form that is a reference or a
// prefix, wherever it stands. What is no JSON, which no operation is, goes whole.
func hideOp(key, form []byte) []byte {
	var members any
	dec := json.NewDecoder(bytes.NewReader(form))
	dec.UseNumber()
	if err := dec.Decode(&members); err != nil {
		return nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(hideIn(key, members)); err != nil {
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func hideIn(key []byte, v any) any {
	switch v := v.(type) {
	case string:
		return hideText(key, v)
	case []any:
		for i := range v {
			v[i] = hideIn(key, v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			if kind, ok := plainNames[k]; ok {
				out[k] = hideAs(key, kind, member)
				continue
			}
			out[hideText(key, k)] = hideIn(key, member)
		}
		return out
	}
	return v
}

// plainNames are the members of operations that hold names without being references,
// and what they are names of.
var plainNames = map[string]string{"field": "field", "fields": "field", "public": "field", "labels": "label", "unlabel": "label",
	"file": "text"} // of an action: a policy, full of names

// hideAs replaces every text in v, the names of its members too.
func hideAs(key []byte, kind string, v any) any {
	switch v := v.(type) {
	case string:
		return token(key, kind, v)
	case []any:
		for i := range v {
			v[i] = hideAs(key, kind, v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			out[token(key, kind, k)] = hideAs(key, kind, member)
		}
		return out
	}
	return v
}

func hideText(key []byte, s string) string {
	if !strings.HasPrefix(s, keyturn.Scheme) {
		return s
	}
	if ref, err := keyturn.ParseRef(s); err == nil {
		hidden, err := keyturn.ParseRef(hideName(key, ref.Mount(), ref.Name()))
		if err == nil && ref.Version() != "" {
			hidden, err = hidden.WithVersion(ref.Version())
		}
		if err == nil && ref.Field() != "" {
			hidden, err = hidden.WithField(token(key, "field", ref.Field()))
		}
		if err == nil {
			return hidden.String()
		}
	}
	if p, err := keyturn.ParsePrefix(s); err == nil {
		if hidden, err := keyturn.ParsePrefix(hideName(key, p.Mount(), p.Path())); err == nil {
			return hidden.String()
		}
	}
	// An argument that only looks like a reference: it may hold a name all the same.
	return keyturn.Scheme + token(key, "text", s)
}

// hideName replaces each segment by itself, so that what lies below a prefix lies
// below it still. Where a name of many segments would grow too long, one token
// stands for its rest.
func hideName(key []byte, mount, path string) string {
	out := mount
	if path == "" {
		return out + "/"
	}
	for path != "" {
		segment, rest, _ := strings.Cut(path, "/")
		if len(out)-len(mount) > keyturn.MaxName-3*tokenSize {
			segment, rest = path, ""
		}
		out += "/" + token(key, "segment", segment)
		path = rest
	}
	return out
}

const tokenSize = len("hmac-") + 16

// token stands for one segment or field: 80 bits of an HMAC, in Crockford's
// base 32.
func token(key []byte, kind, s string) string {
	return "hmac-" + crockford.EncodeToString(mac(key, kind, s)[:10])
}

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func mac(key []byte, kind, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(kind + "\x00" + s))
	return h.Sum(nil)
}
