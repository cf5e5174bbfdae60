package answer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// Encode returns doc as indented JSON with a newline at its end. What a terminal or a
// model could take for something else (control, bidirectional and zero-width
// characters) is escaped; the document means the same.
func Encode(doc any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, keyturn.E(keyturn.Internal, "the answer has no JSON form", "").Because(err)
	}
	return visible(b.Bytes()), nil
}

// visible escapes what a terminal or a model could take for something else:
// control, bidirectional and zero-width characters, which in JSON stand in
// strings only. The document means the same.
func visible(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for _, r := range string(doc) {
		if r < 0x7f || keyturn.Clean(string(r)) == string(r) {
			out = utf8.AppendRune(out, r)
		} else if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// Success begins the document of an operation that went well.
func Success(operation string, r keyturn.Receipt) Document {
	return Document{Operation: operation, Platform: r.Platform, Mount: r.Mount, Status: "success", AuditID: r.AuditID}
}

// SecretOf is what is known of a version, without any value.
func SecretOf(info keyturn.Info) Secret {
	d := Secret{Ref: info.Ref.String(), Path: info.Path, Version: VersionOf(info.Version), Created: Stamp(info.Created),
		Current: false, Expires: Stamp(info.Expires), Ends: Stamp(info.Ends), Fields: info.Fields, Public: info.Public}
	if info.State != keyturn.Live {
		d.State = string(info.State)
	} else if d.Labels = info.Labels; info.Labels == nil {
		d.Labels = map[string]string{}
	}
	return d
}

// VersionOf is a number where the platform counts, else the platform's word.
func VersionOf(v string) any {
	if n, err := strconv.ParseInt(v, 10, 53); err == nil && strconv.FormatInt(n, 10) == v && n > 0 {
		return n
	}
	if v == "" {
		return nil
	}
	return v
}

// Stamp is a time in UTC to the second; "" for none.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// MountOf is a mount and, where it was asked, how it is.
func MountOf(m keyturn.MountInfo, verbose bool) Mount {
	d := Mount{Mount: m.Mount, Platform: m.Platform, Target: m.Target}
	if h := m.Health; h != nil {
		d.Reachable, d.Sealed, d.Identity, d.Detail = &h.Reachable, &h.Sealed, h.Identity, h.Detail
		d.Source = h.Source
		d.Server, d.Policies, d.Expires = h.Server, h.Policies, Stamp(h.Expires)
		if h.Identity != "" && m.Platform != "local" {
			d.Renewable = &h.Renewable
		}
		if !h.Expires.IsZero() {
			d.TTL = int64(time.Until(h.Expires) / time.Second)
		}
		if h.Ahead != nil {
			ahead := int64(*h.Ahead / time.Second)
			d.Ahead = &ahead
		}
		if h.TLS != nil {
			d.TLS = &TLS{Version: h.TLS.Version, Ends: Stamp(h.TLS.Ends)}
		}
		if h.Err != nil {
			e := ErrorOf(h.Err, verbose)
			d.Error = &e
		}
	}
	return d
}
