package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// minBase64 is the length of the shortest run of base64 characters that a
// needle may have: four characters turn up by chance in any large blob.
const minBase64 = 5

// The functions below yield the spellings of a value one after the other, some
// more than once, in memory that the next one overwrites.

// base64Forms yields v in both alphabets at the three alignments it can have
// inside a longer text. Characters that also encode a neighbouring byte are
// cut, so the rest is stable: at most six bits at either end stay visible. The
// spellings of v at the very end of the encoded text follow, with and without
// padding.
func base64Forms(v []byte, yield func([]byte)) {
	behind := append(make([]byte, 2, 2+len(v)), v...) // other bytes
	var b []byte
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			b = enc.AppendEncode(b[:0], behind[2-shift:])
			head, end := (8*shift+5)/6, len(b)
			stable := (8*shift + 8*len(v)) / 6
			b = append(b, "=="[:(4-end%4)%4]...)
			for _, form := range [][]byte{b[head:stable], b[head:end], b[head:]} {
				if len(form) >= minBase64 {
					yield(form)
				}
			}
		}
	}
}

func hexForms(v []byte, yield func([]byte)) {
	b := hex.AppendEncode(nil, v)
	yield(b)
	yield(bytes.ToUpper(b))
}

// percentSafe lists, for the encoders in use, the marks that they leave as they
// are: RFC 3986 and Go's QueryEscape, Python's quote, encodeURIComponent,
// encodeURI, Go's PathEscape, Go's userinfo, HTML forms, and PHP. Common styles
// come first; large values are sought in these only.
var percentSafe = []string{
	"-_.~", "-_.~/", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "-_.~$&+=:@", "-_.~$&+,;=", "*-._", "-_.", "",
}

const commonPercent = 2

// percentForms yields v percent-encoded where necessary.
func percentForms(v []byte, yield func([]byte)) {
	spaces := []string{"%20", "+"}
	if bytes.IndexByte(v, ' ') < 0 {
		spaces = spaces[:1]
	}
	var b []byte
	for _, safe := range percentSafe[:styles(v, commonPercent, len(percentSafe))] {
		for _, digits := range []string{upperHex, lowerHex} {
			for _, space := range spaces {
				b = b[:0]
				for i := 0; i < len(v); i++ {
					n := plain(v[i:])
					b = append(b, v[i:i+n]...)
					if i += n; i == len(v) {
						break
					}
					switch c := v[i]; {
					case strings.IndexByte(safe, c) >= 0:
						b = append(b, c)
					case c == ' ':
						b = append(b, space...)
					default:
						b = append(b, '%', digits[c>>4], digits[c&15])
					}
				}
				yield(b)
			}
		}
	}
}

// escapedForms yields v with every byte escaped: %XX, \u00XX and \xXX.
func escapedForms(v []byte, yield func([]byte)) {
	b := make([]byte, 0, len(`\u00XX`)*len(v))
	for _, digits := range []string{upperHex, lowerHex} {
		for _, prefix := range []string{"%", `\u00`, `\x`} {
			b = b[:0]
			for _, c := range v {
				b = append(append(b, prefix...), digits[c>>4], digits[c&15])
			}
			yield(b)
		}
	}
}

// jsonStyle is one way of writing a JSON string.
type jsonStyle struct {
	digits string // for \uXXXX
	marks  string // printable characters written as \uXXXX
	slash  bool   // "/" is written `\/`
	ascii  bool   // so is everything beyond ASCII
}

// jsonStyles are those of most libraries, then of Go, Python, PHP, and then all
// other combinations, as .NET, Java and Rails have them.
var jsonStyles = func() []jsonStyle {
	all := []jsonStyle{
		{lowerHex, "", false, false},
		{lowerHex, "<>&", false, false},
		{lowerHex, "", false, true},
		{lowerHex, "", true, true},
	}
	for _, digits := range []string{lowerHex, upperHex} {
		for _, marks := range []string{"", "<>&", `<>&'`, `<>&'"`, "<>&'\"+`"} {
			for _, slash := range []bool{false, true} {
				for _, ascii := range []bool{false, true} {
					all = append(all, jsonStyle{digits, marks, slash, ascii})
				}
			}
		}
	}
	return all
}()

const commonJSON = 4

// jsonForms yields v as it stands between the quotes of a JSON or Go string.
func jsonForms(v []byte, yield func([]byte)) {
	var b []byte
	for _, style := range jsonStyles[:styles(v, commonJSON, len(jsonStyles))] {
		b = style.append(b[:0], v)
		yield(b)
	}
	usual := jsonStyle{digits: lowerHex}
	yield(usual.append(nil, usual.append(b[:0], v))) // a JSON document inside a JSON string
	b = strconv.AppendQuote(b[:0], string(v))
	yield(b[1 : len(b)-1])
	b = strconv.AppendQuoteToASCII(b[:0], string(v))
	yield(b[1 : len(b)-1])
}

func (s jsonStyle) append(b, v []byte) []byte {
	for {
		n := plain(v)
		b, v = append(b, v[:n]...), v[n:]
		if len(v) == 0 {
			return b
		}
		r, size := utf8.DecodeRune(v)
		short := strings.IndexByte("\"\\\b\f\n\r\t", v[0])
		switch {
		case r < utf8.RuneSelf && strings.IndexByte(s.marks, v[0]) >= 0:
			b = s.appendUnit(b, uint16(r))
		case short >= 0:
			b = append(b, '\\', `"\bfnrt`[short])
		case r == '/' && s.slash:
			b = append(b, `\/`...)
		case r < 0x20:
			b = s.appendUnit(b, uint16(r))
		case (r == '\u2028' || r == '\u2029') && s.marks != "", r >= utf8.RuneSelf && s.ascii && size > 1:
			for _, unit := range utf16.AppendRune(nil, r) {
				b = s.appendUnit(b, unit)
			}
		default:
			b = append(b, v[:size]...)
		}
		v = v[size:]
	}
}

func (s jsonStyle) appendUnit(b []byte, u uint16) []byte {
	return append(b, '\\', 'u', s.digits[u>>12], s.digits[u>>8&15], s.digits[u>>4&15], s.digits[u&15])
}

// markup holds the entity tables of XML and HTML writers: text only, then with
// quotes as browsers, Go, XML, and Python write them, then Go's encoding/xml.
var markup = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;"),
}

func markupForms(v []byte, yield func([]byte)) {
	replaced(v, markup, yield)
}

// quoting holds what shells do to a word, in source or in the trace of set -x:
// the two ways to put a single quote into single quotes, double quotes, and
// the $'...' of bash.
var quoting = []*strings.Replacer{
	strings.NewReplacer(`'`, `'\''`),
	strings.NewReplacer(`'`, `'"'"'`),
	strings.NewReplacer(`"`, `\"`, `\`, `\\`, "$", `\$`, "`", "\\`"),
	strings.NewReplacer(`'`, `\'`, `\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x1b", `\E`),
}

func shellForms(v []byte, yield func([]byte)) {
	replaced(v, quoting, yield)
	var b []byte // printf %q
	for _, c := range v {
		if !isAlnum(c) && c < 0x80 && strings.IndexByte("-_./:@%+=", c) < 0 {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	yield(b)
}

// replaced yields what tables make of v, where that is not v.
func replaced(v []byte, tables []*strings.Replacer, yield func([]byte)) {
	text := string(v)
	for _, table := range tables {
		if other := table.Replace(text); other != text {
			yield([]byte(other))
		}
	}
}

// utf16Forms yields v in UTF-16 of both byte orders, reading bytes that are not
// UTF-8 as Latin-1.
func utf16Forms(v []byte, yield func([]byte)) {
	units := make([]uint16, 0, len(v))
	if utf8.Valid(v) {
		for _, r := range string(v) {
			units = utf16.AppendRune(units, r)
		}
	} else {
		for _, c := range v {
			units = append(units, uint16(c))
		}
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := make([]byte, 0, 2*len(units))
		for _, u := range units {
			b = order.AppendUint16(b, u)
		}
		yield(b)
	}
}

// styles returns how many styles of a family v is sought in.
func styles(v []byte, common, all int) int {
	if len(v) > largeValue {
		return common
	}
	return all
}

// plain returns how many letters and digits v begins with. No text format
// changes any.
func plain(v []byte) int {
	for i, c := range v {
		if !isAlnum(c) {
			return i
		}
	}
	return len(v)
}

func isAlnum(c byte) bool {
	return c-'0' < 10 || c|0x20-'a' < 26
}
