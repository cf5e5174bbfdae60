package leak

import (
	"bytes"
	"html"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The families of escapes, by the characters that begin them.
const (
	backslashes = `\` // JSON and its kin, C, shells, octal
	percents    = "%" // URLs, JavaScript's escape
	entities    = "&" // HTML, XML
	printables  = "=" // quoted-printable
	allEscapes  = backslashes + percents + entities + printables
)

// maxEntity bounds an HTML entity, and so any escape.
const maxEntity = 32

// unescaper decodes the escapes of its families, whichever come. What is none
// passes as it is.
type unescaper struct {
	families string
	pending  []cell // what may be an escape, or a part of one
	bytes    []byte // their bytes
}

// decode appends to out what the events are with their escapes decoded.
func (u *unescaper) decode(in, out []event) []event {
	for _, e := range in {
		switch {
		case e.text == nil:
			out = u.newline(out)
		case e.end != 0:
			out = u.take(cell{e.text[0], e.at, e.end}, out)
		default:
			out = u.run(e.text, e.at, out)
		}
	}
	return out
}

func (u *unescaper) run(p []byte, at int64, out []event) []event {
	for i := 0; i < len(p); {
		if len(u.pending) > 0 {
			out = u.take(cell{p[i], at + int64(i), at + int64(i) + 1}, out)
			i++
			continue
		}
		end := bytes.IndexAny(p[i:], u.families)
		if end < 0 {
			return append(out, event{text: p[i:], at: at + int64(i)})
		}
		if end > 0 {
			out = append(out, event{text: p[i : i+end], at: at + int64(i)})
			i += end
		}
		u.hold(cell{p[i], at + int64(i), at + int64(i) + 1})
		i++
	}
	return out
}

func (u *unescaper) hold(c cell) {
	u.pending = append(u.pending, c)
	u.bytes = append(u.bytes, c.c)
}

// take takes the next byte, where an escape may be under way.
func (u *unescaper) take(c cell, out []event) []event {
	if len(u.pending) == 0 && strings.IndexByte(u.families, c.c) < 0 {
		return appendCell(out, c)
	}
	u.hold(c)
	return u.settle(false, out)
}

// newline takes the end of a line, which ends what is under way: a backslash
// or an equals sign before it says that the line goes on.
func (u *unescaper) newline(out []event) []event {
	out = u.settle(true, out)
	return append(out, event{})
}

// finish takes the end of the stream.
func (u *unescaper) finish(out []event) []event { return u.settle(true, out) }

// settle decides about what is pending as far as it can be decided; final says
// that nothing follows on the line.
func (u *unescaper) settle(final bool, out []event) []event {
	done := 0
	for done < len(u.pending) {
		rest := u.bytes[done:]
		if strings.IndexByte(u.families, rest[0]) < 0 {
			out = appendCell(out, u.pending[done])
			done++
			continue
		}
		if final && len(rest) == 1 && (rest[0] == '\\' || rest[0] == '=') {
			done++ // a soft end of a line
			break
		}
		text, n, more := escape(rest)
		if more && !final {
			break
		}
		if n == 0 || more {
			out = appendCell(out, u.pending[done])
			done++
			continue
		}
		at, end := u.pending[done].at, u.pending[done+n-1].end
		for i := range text {
			out = append(out, event{text: text[i : i+1 : i+1], at: at, end: end})
		}
		done += n
	}
	u.pending = append(u.pending[:0], u.pending[done:]...)
	u.bytes = append(u.bytes[:0], u.bytes[done:]...)
	return out
}

func appendCell(out []event, c cell) []event {
	e := event{text: []byte{c.c}, at: c.at}
	if c.end != c.at+1 {
		e.end = c.end
	}
	return append(out, e)
}

// escape decodes the escape at the head of p and returns its length, 0 if there
// is none; more says that it depends on what follows p.
func escape(p []byte) (text []byte, n int, more bool) {
	if len(p) == 1 {
		return nil, 0, true
	}
	switch p[0] {
	case '%':
		if p[1] == 'u' {
			return unit(p, 2)
		}
		return hexByte(p, 1)
	case '=':
		return hexByte(p, 1)
	case '&':
		return entity(p)
	}
	switch c := p[1]; {
	case c == 'x' && len(p) == 2:
		return nil, 0, true
	case (c == 'x' || c == 'u') && len(p) > 2 && p[2] == '{':
		return braced(p)
	case c == 'x':
		return hexByte(p, 2)
	case c == 'u' && len(p) == 2:
		return nil, 0, true
	case c == 'u':
		return unit(p, 2)
	case c == 'U':
		return digits(p, 2, 8)
	case c >= '0' && c <= '7':
		return octal(p)
	case isAlnum(c):
		if i := strings.IndexByte("abefnrtvE", c); i >= 0 {
			return []byte("\a\b\x1b\f\n\r\t\v\x1b")[i : i+1], 2, false
		}
		return nil, 0, false
	case c < 0x80:
		return []byte{c}, 2, false
	}
	return nil, 0, false
}

// hexByte decodes two digits at i.
func hexByte(p []byte, i int) (text []byte, n int, more bool) {
	value, n, more := hexDigits(p, i, 2)
	if n == 0 {
		return nil, 0, more
	}
	return []byte{byte(value)}, n, false
}

// digits decodes a character given by so many digits at i.
func digits(p []byte, i, count int) (text []byte, n int, more bool) {
	value, n, more := hexDigits(p, i, count)
	if n == 0 || value > utf8.MaxRune {
		return nil, 0, more
	}
	return utf8.AppendRune(nil, rune(value)), n, false
}

// unit decodes four digits at i, a unit of UTF-16, or two of them that make one character.
func unit(p []byte, i int) (text []byte, n int, more bool) {
	high, n, more := hexDigits(p, i, 4)
	if n == 0 || !utf16.IsSurrogate(rune(high)) {
		return digits(p, i, 4)
	}
	for j, c := range p[:i] {
		if n+j == len(p) {
			return nil, 0, true
		}
		if p[n+j] != c {
			return nil, 0, false
		}
	}
	low, m, more := hexDigits(p, n+i, 4)
	if m == 0 {
		return nil, 0, more
	}
	return utf8.AppendRune(nil, utf16.DecodeRune(rune(high), rune(low))), m, false
}

// hexDigits reads so many digits at i and returns where they end, 0 if they are none.
func hexDigits(p []byte, i, count int) (value uint32, n int, more bool) {
	for ; count > 0; count-- {
		if i == len(p) {
			return 0, 0, true
		}
		d := hexDigit(p[i])
		if d < 0 {
			return 0, 0, false
		}
		value = value<<4 | uint32(d)
		i++
	}
	return value, i, false
}

// braced decodes \u{H…} and \x{H…}.
func braced(p []byte) (text []byte, n int, more bool) {
	value := uint32(0)
	for i := 3; i < 3+9; i++ {
		if i == len(p) {
			return nil, 0, true
		}
		if p[i] == '}' && i > 3 && value <= utf8.MaxRune {
			return utf8.AppendRune(nil, rune(value)), i + 1, false
		}
		d := hexDigit(p[i])
		if d < 0 {
			break
		}
		value = value<<4 | uint32(d)
	}
	return nil, 0, false
}

// octal decodes one to three digits after a backslash.
func octal(p []byte) (text []byte, n int, more bool) {
	value := 0
	for n = 1; n < 4; n++ {
		if n == len(p) {
			return nil, 0, true
		}
		if p[n] < '0' || p[n] > '7' {
			break
		}
		value = value<<3 | int(p[n]-'0')
	}
	return []byte{byte(value)}, n, false
}

// entity decodes &NAME;, &#N; and &#xH;.
func entity(p []byte) (text []byte, n int, more bool) {
	for i := 1; i < maxEntity; i++ {
		if i == len(p) {
			return nil, 0, true
		}
		switch c := p[i]; {
		case c == ';' && i > 1:
			whole := string(p[:i+1])
			if decoded := html.UnescapeString(whole); decoded != whole {
				return []byte(decoded), i + 1, false
			}
			return nil, 0, false
		case c == '#' && i == 1, isAlnum(c):
		default:
			return nil, 0, false
		}
	}
	return nil, 0, false
}

// hexDigit returns the value of a digit, or -1.
func hexDigit(c byte) int {
	switch {
	case c-'0' < 10:
		return int(c - '0')
	case c|0x20-'a' < 6:
		return int(c|0x20-'a') + 10
	}
	return -1
}

// mayDecode reports whether an escape may begin in p; what begins one at the
// end of p, or before something that may be removed, counts.
func mayDecode(p []byte) bool {
	for _, family := range []byte(allEscapes) {
		for rest := p; ; {
			i := bytes.IndexByte(rest, family)
			if i < 0 {
				break
			}
			rest = rest[i+1:]
			if family == '\\' || len(rest) == 0 || isControl(rest[0]) ||
				family == '&' && (rest[0] == '#' || isAlnum(rest[0])) ||
				family != '&' && (rest[0] == 'u' || hexDigit(rest[0]) >= 0 && (len(rest) == 1 || isControl(rest[1]) || hexDigit(rest[1]) >= 0)) {
				return true
			}
		}
	}
	return false
}

// mayDecodeEvents is mayDecode for what a decoder let through.
func mayDecodeEvents(events []event) bool {
	return slices.ContainsFunc(events, func(e event) bool { return len(e.text) > 0 && mayDecode(e.text) })
}

// unescaped returns p, a value, with the escapes of the families decoded.
func unescaped(p []byte, families string) []byte {
	if !bytes.ContainsAny(p, families) {
		return p
	}
	u := unescaper{families: families}
	var out []byte
	for _, e := range u.finish(u.decode([]event{{text: p}}, nil)) {
		out = append(out, e.text...)
	}
	return out
}
