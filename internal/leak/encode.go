package leak

import (
	"bytes"
	"encoding/base64"
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

// base64Forms yields v in both alphabets at the three alignments it can have
// inside a longer text. Characters that also encode a neighbouring byte are
// cut, so the rest is stable: at most six bits at either end stay visible. The
// spellings of v at the very end of the encoded text follow, with and without
// padding.
func base64Forms(v []byte, yield func([]byte)) {
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			raw := []byte(enc.EncodeToString(append(make([]byte, shift, shift+len(v)), v...)))
			head := (8*shift + 5) / 6
			stable := (8*shift + 8*len(v)) / 6
			for _, form := range [][]byte{
				raw[head:stable],
				raw[head:],
				append(bytes.Clone(raw[head:]), "=="[:(4-len(raw)%4)%4]...),
			} {
				if len(form) >= minBase64 {
					yield(form)
				}
			}
		}
	}
}

func hexForms(v []byte, yield func([]byte)) {
	lower := []byte(hex.EncodeToString(v))
	yield(lower)
	yield(bytes.ToUpper(lower))
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
	for _, safe := range percentSafe[:styles(v, commonPercent, len(percentSafe))] {
		for _, digits := range []string{upperHex, lowerHex} {
			for _, space := range []string{"%20", "+"} {
				var b []byte
				for _, c := range v {
					switch {
					case isAlnum(c) || strings.IndexByte(safe, c) >= 0:
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
	for _, digits := range []string{upperHex, lowerHex} {
		for _, prefix := range []string{"%", `\u00`, `\x`} {
			var b []byte
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
	for _, style := range jsonStyles[:styles(v, commonJSON, len(jsonStyles))] {
		yield(style.append(nil, v))
	}
	plain := jsonStyle{digits: lowerHex}
	yield(plain.append(nil, plain.append(nil, v))) // a JSON document inside a JSON string
	quoted := strconv.Quote(string(v))
	yield([]byte(quoted[1 : len(quoted)-1]))
	quoted = strconv.QuoteToASCII(string(v))
	yield([]byte(quoted[1 : len(quoted)-1]))
}

func (s jsonStyle) append(b, v []byte) []byte {
	for len(v) > 0 {
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
	return b
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
	for _, table := range markup {
		yield([]byte(table.Replace(string(v))))
	}
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
	for _, table := range quoting {
		yield([]byte(table.Replace(string(v))))
	}
	var b []byte // printf %q
	for _, c := range v {
		if !isAlnum(c) && c < 0x80 && strings.IndexByte("-_./:@%+=", c) < 0 {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	yield(b)
}

// utf16Forms yields v in UTF-16 of both byte orders, reading bytes that are not
// UTF-8 as Latin-1.
func utf16Forms(v []byte, yield func([]byte)) {
	var units []uint16
	if utf8.Valid(v) {
		units = utf16.Encode([]rune(string(v)))
	} else {
		for _, c := range v {
			units = append(units, uint16(c))
		}
	}
	var little, big []byte
	for _, u := range units {
		little = append(little, byte(u), byte(u>>8))
		big = append(big, byte(u>>8), byte(u))
	}
	yield(little)
	yield(big)
}

// styles returns how many styles of a family v is sought in.
func styles(v []byte, common, all int) int {
	if len(v) > largeValue {
		return common
	}
	return all
}

func isAlnum(c byte) bool {
	return c-'0' < 10 || c|0x20-'a' < 26
}
