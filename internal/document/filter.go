package document

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

const (
	filterNames = "json, url, base64, shell and yaml"
	maxFilters  = 8
)

// filters turn the bytes of a value into text that is safe in its place. They
// return why they cannot, without quoting what they were given, and never
// change their input.
var filters = map[string]func([]byte) (out []byte, bad string){
	"json": toJSON, "url": toURL, "base64": toBase64, "shell": toShell, "yaml": toYAML,
}

const notText = "it is not valid UTF-8"

// toJSON makes a complete JSON string, quotes included. <, > and & stay;
// U+2028 and U+2029, which JavaScript once took for line ends, are escaped.
func toJSON(b []byte) ([]byte, string) {
	if !utf8.Valid(b) {
		return nil, notText
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(string(b)); err != nil {
		return nil, "it cannot be written as JSON"
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), ""
}

// toURL escapes everything but the unreserved characters of RFC 3986, so that
// the value can be any one component of a URL.
func toURL(b []byte) ([]byte, string) {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return out, ""
}

// toBase64 makes standard base64 with padding, on one line.
func toBase64(b []byte) ([]byte, string) {
	return base64.StdEncoding.AppendEncode(nil, b), ""
}

// toShell makes one word for a POSIX shell, in single quotes.
func toShell(b []byte) ([]byte, string) {
	if bytes.IndexByte(b, 0) >= 0 {
		return nil, "it has a zero byte"
	}
	out := append(make([]byte, 0, len(b)+2), '\'')
	out = append(out, bytes.ReplaceAll(b, []byte(`'`), []byte(`'\''`))...)
	return append(out, '\''), ""
}

var yamlEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, 0: `\0`,
	'\a': `\a`, '\b': `\b`, '\v': `\v`, '\f': `\f`, 0x1B: `\e`,
}

// toYAML makes a double-quoted scalar of YAML 1.2, on one line and in ASCII.
func toYAML(b []byte) ([]byte, string) {
	if !utf8.Valid(b) {
		return nil, notText
	}
	out := append(make([]byte, 0, len(b)+2), '"')
	for _, r := range string(b) {
		esc, ok := yamlEscapes[r]
		switch {
		case ok:
			out = append(out, esc...)
		case r >= 0x20 && r < 0x7F:
			out = append(out, byte(r))
		case r < 0x100:
			out = appendHex(out, 'x', r, 2)
		case r < 0x10000:
			out = appendHex(out, 'u', r, 4)
		default:
			out = appendHex(out, 'U', r, 8)
		}
	}
	return append(out, '"'), ""
}

// appendHex appends an escape of so many hexadecimal digits.
func appendHex(out []byte, kind byte, r rune, digits int) []byte {
	const hex = "0123456789ABCDEF"
	out = append(out, '\\', kind)
	for i := digits - 1; i >= 0; i-- {
		out = append(out, hex[r>>(4*i)&15])
	}
	return out
}
