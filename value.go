package keyturn

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf8"
)

const redacted = "[redacted]"

// Value is the content of one field of a secret. It cannot be printed, logged
// or marshalled: every such attempt yields "[redacted]". The zero Value is
// empty.
//
// The bytes sit behind a func, because fmt and other printers walk unexported
// fields by reflection and would print a byte slice; they cannot look inside a
// closure. [Value.Reveal] is the only way in, and a test of the repository
// allows it in a short list of files only.
//
// A Value is immutable and safe for concurrent use.
type Value struct {
	reveal func() []byte
}

// NewValue returns a Value that holds a copy of b.
func NewValue(b []byte) Value {
	own := append(make([]byte, 0, len(b)), b...)
	return Value{reveal: func() []byte { return own }}
}

// Reveal returns the bytes. They belong to the Value: the caller must neither
// change nor keep them longer than it needs.
func (v Value) Reveal() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// Len returns the length in bytes. A length tells something about a value:
// use it for limits, never in a message.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal reports whether two values hold the same bytes, in time that depends on
// their lengths only.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare(v.Reveal(), w.Reveal()) == 1
}

// IsText reports whether the value is valid UTF-8.
func (v Value) IsText() bool { return utf8.Valid(v.Reveal()) }

// JSONKind says what JSON text the value is, other than a string: "number",
// "boolean", "null", "list", "object"; "" for everything else.
func (v Value) JSONKind() string {
	b := v.Reveal()
	if !json.Valid(b) {
		return ""
	}
	switch b = bytes.TrimSpace(b); b[0] {
	case '"':
		return ""
	case '{':
		return "object"
	case '[':
		return "list"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// String implements fmt.Stringer; it says "[redacted]".
func (Value) String() string { return redacted }

// GoString implements fmt.GoStringer; it says "[redacted]".
func (Value) GoString() string { return redacted }

// Format implements fmt.Formatter for every verb and flag; it says "[redacted]".
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer; it says "[redacted]".
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, and so JSON, XML and YAML; it
// says "[redacted]".
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText always fails, so that a redacted text is never taken for a
// value.
func (*Value) UnmarshalText([]byte) error {
	return E(Internal, "a value cannot be decoded", "")
}
