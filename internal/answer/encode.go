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

// Encode returns doc as indented JSON with a newline at its end. Characters that could
// mislead a terminal or a model (control, bidirectional and zero-width) are escaped; the
// document means the same.
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

// visible escapes control, bidirectional and zero-width characters, which JSON holds in
// strings only.
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

// VersionOf returns a version as a number where the platform counts, else as the
// platform's own name; nil for none.
func VersionOf(v string) any {
	if n, err := strconv.ParseInt(v, 10, 53); err == nil && strconv.FormatInt(n, 10) == v && n > 0 {
		return n
	}
	if v == "" {
		return nil
	}
	return v
}

// Stamp returns a time in UTC to the second; "" for the zero time.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}
