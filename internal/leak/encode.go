package leak

import (
	"bytes"
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// minBase64 is the length of the shortest run of base64 characters that a
// needle may have: four characters turn up by chance in any large blob.
const minBase64 = 5

// The functions below yield the spellings of a value one after the other, some
// more than once, in memory that the next one overwrites. What escapes single
// characters (JSON, URLs, markup, C and shells, quoted-printable), lists of
// numbers, dumps, and NULs between the characters have no spellings here: they
// are decoded, by the views.

// textForms yields what a text format makes of v that the views do not undo.
func textForms(v []byte, yield func([]byte)) {
	// A text that has what looks like an escape of one family, printed in
	// another one: its own is decoded along.
	for i := range allEscapes {
		yield(unescaped(v, allEscapes[:i]+allEscapes[i+1:]))
	}
	if words := bytes.Fields(v); len(words) > 1 {
		yield(bytes.Join(words, []byte(" "))) // echo $X
	}
	if bytes.IndexByte(v, '\'') >= 0 { // within single quotes of a shell
		yield(bytes.ReplaceAll(v, []byte(`'`), []byte(`'\''`)))
		yield(bytes.ReplaceAll(v, []byte(`'`), []byte(`'"'"'`)))
		yield(bytes.ReplaceAll(v, []byte(`'`), []byte(`'''`))) // the first of them, with the escape decoded
	}
	if bytes.ContainsFunc(v, func(r rune) bool { return r >= utf8.RuneSelf || r < ' ' }) {
		latinForms(v, yield)
		yield(caret(v))
	}
}

// latinForms yields v with the characters up to U+00FF as one byte each, as
// \xE9 and %E9 stand for U+00E9 in Python and JavaScript, and with each byte
// read as such a character, as binary strings are written.
func latinForms(v []byte, yield func([]byte)) {
	var b, c []byte
	for _, r := range string(v) {
		if r < 0x100 {
			b = append(b, byte(r))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	for _, x := range v {
		c = utf8.AppendRune(c, rune(x))
	}
	if utf8.Valid(v) {
		yield(b)
	}
	yield(c)
}

// caret returns v as cat -v prints it.
func caret(v []byte) (b []byte) {
	for _, c := range v {
		if c >= 0x80 {
			b = append(b, "M-"...)
			c &= 0x7f
			if c == '\n' || c == '\t' {
				b = append(b, '^', c^0x40)
				continue
			}
		}
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			b = append(b, '^')
			c ^= 0x40
		}
		b = append(b, c)
	}
	return b
}

// base64Forms yields v in both alphabets at the three alignments it can have
// inside a longer text. Characters that also encode a neighbouring byte are
// cut, so the rest is stable: at most six bits at either end stay visible. The
// spellings of v at the very end of the encoded text follow, with and without
// padding.
func base64Forms(v []byte, yield func([]byte)) {
	alignedForms(v, 6, base64.RawStdEncoding.AppendEncode, yield)
	alignedForms(v, 6, base64.RawURLEncoding.AppendEncode, yield)
}

func base32Forms(v []byte, yield func([]byte)) {
	alignedForms(v, 5, base32.StdEncoding.WithPadding(base32.NoPadding).AppendEncode, yield)
	alignedForms(v, 5, base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode, yield)
	yield(bytes.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).AppendEncode(nil, v)))
}

// alignedForms yields v in an encoding of so many bits in a character at every
// alignment.
func alignedForms(v []byte, bits int, encode func(dst, src []byte) []byte, yield func([]byte)) {
	whole := 3 // bytes in a group without padding
	if bits == 5 {
		whole = 5
	}
	group := 8 * whole / bits
	behind := append(make([]byte, whole-1, whole-1+len(v)), v...) // other bytes
	var b []byte
	for shift := range whole {
		b = encode(b[:0], behind[whole-1-shift:])
		head, end := (8*shift+bits-1)/bits, len(b)
		stable := (8*shift + 8*len(v)) / bits
		b = append(b, "======"[:(group-end%group)%group]...)
		for _, form := range [][]byte{b[head:stable], b[head:end], b[head:]} {
			if len(form) >= minBase64 {
				yield(form)
			}
		}
	}
}

func hexForms(v []byte, yield func([]byte)) {
	b := hex.AppendEncode(nil, v)
	yield(b)
	yield(bytes.ToUpper(b))
}

// rareForms yields v in encodings that are rare for long values.
func rareForms(v []byte, yield func([]byte)) {
	if isHex(v) {
		digits := bytes.Map(func(r rune) rune {
			if r == '-' || r == ':' {
				return -1
			}
			return r
		}, v)
		for _, b := range [][]byte{v, digits} {
			yield(bytes.ToLower(b))
			yield(bytes.ToUpper(b))
		}
	}
	wide := utf16Forms(v)
	for _, b := range wide {
		if !isASCII(v) {
			yield(b)
		}
	}
	if len(v) < minListed {
		listForms(v, yield)
	}
	if len(v) < minPart {
		return
	}
	base64Forms(wide[0], yield)
	twiceBase64(v, yield)
	base32Forms(v, yield)
	ended := append(bytes.Clone(v), '\n') // as echo gives it to an encoder
	for _, b := range [][]byte{v, ended} {
		yield(base58(b))
	}
	base85Forms(v, ended, yield)
	overstruck(v, yield)
}

// listForms yields v as a list of numbers.
func listForms(v []byte, yield func([]byte)) {
	for _, style := range []string{"%02x :-,", "%02X :-,", "0x%02x ,", "%d ,"} {
		format, separators, _ := strings.Cut(style, " ")
		for _, separator := range append(strings.Split(separators, ""), " ", ", ") {
			var b []byte
			for i, c := range v {
				if i > 0 {
					b = append(b, separator...)
				}
				b = fmt.Appendf(b, format, c)
			}
			yield(b)
		}
	}
}

// twiceBase64 yields base64 of base64: of v alone, in lines or not, and of v
// inside a longer text.
func twiceBase64(v []byte, yield func([]byte)) {
	for _, tail := range []string{"", "\n"} {
		once := base64.StdEncoding.AppendEncode(nil, append(bytes.Clone(v), tail...))
		base64Forms(once, yield)
		if len(once) > 76 {
			var lines []byte
			for len(once) > 76 {
				lines = append(append(lines, once[:76]...), '\n')
				once = once[76:]
			}
			base64Forms(append(lines, once...), yield)
		}
	}
	alignedForms(v, 6, base64.RawStdEncoding.AppendEncode, func(once []byte) { base64Forms(once, yield) })
}

// base58 returns v in the alphabet of Bitcoin, which has no 0, O, I and l.
func base58(v []byte) []byte {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	b := bytes.Repeat([]byte{digits[0]}, len(v)-len(bytes.TrimLeft(v, "\x00")))
	for _, c := range []byte(new(big.Int).SetBytes(v).Text(58)) {
		b = append(b, digits[strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV", c)])
	}
	return b
}

// base85Forms yields v and ended in Ascii85 and in the alphabet of Git and
// Python, alone and at every alignment.
func base85Forms(v, ended []byte, yield func([]byte)) {
	const other = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
	both := func(v []byte) {
		if len(v) < 4 {
			return
		}
		b := make([]byte, ascii85.MaxEncodedLen(len(v)))
		b = b[:ascii85.Encode(b, v)]
		yield(b)
		if bytes.IndexByte(b, 'z') >= 0 {
			return
		}
		for i, c := range b {
			b[i] = other[c-'!']
		}
		yield(b)
	}
	both(v)
	both(ended)
	for shift := range 4 {
		if rest := v[shift:]; len(rest) >= 8 {
			both(rest[:len(rest)&^3])
		}
	}
}

// overstruck yields v bold and underlined, as nroff does it, less the backspaces.
func overstruck(v []byte, yield func([]byte)) {
	var bold, under []byte
	for len(v) > 0 {
		_, n := utf8.DecodeRune(v)
		bold = append(append(bold, v[:n]...), v[:n]...)
		under = append(append(under, '_'), v[:n]...)
		v = v[n:]
	}
	yield(bold)
	yield(under)
}

// utf16Forms returns v in UTF-16 of both byte orders, reading bytes that are not
// UTF-8 as Latin-1.
func utf16Forms(v []byte) [2][]byte {
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
	var forms [2][]byte
	for i, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, u := range units {
			forms[i] = order.AppendUint16(forms[i], u)
		}
	}
	return forms
}

// isHex reports whether v is hex digits, letters among them, perhaps with
// hyphens or colons, so that case says nothing.
func isHex(v []byte) bool {
	letters := false
	for _, c := range v {
		switch {
		case c == '-' || c == ':':
		case hexDigit(c) < 0:
			return false
		default:
			letters = letters || c > '9'
		}
	}
	return letters && len(v) >= minPart
}

func isASCII(v []byte) bool {
	for _, c := range v {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
