package leak

import (
	"bytes"
	"encoding/binary"
	"html"
	"math/bits"
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
	chained  bool   // the last was a byte of quoted-printable
	made     []byte // the texts of events
}

// decode appends to out what the events are with their escapes decoded. The
// texts are good until the next call.
func (u *unescaper) decode(in, out []event) []event {
	u.made = u.made[:0]
	for _, e := range in {
		switch {
		case e.text == nil:
			out = u.settle(true, out)
			out = append(out, event{})
		case e.end != 0:
			if len(u.pending) > 0 || strings.IndexByte(u.families, e.text[0]) >= 0 {
				u.hold(cell{e.text[0], e.at, e.end})
				out = u.settle(false, out)
			} else {
				u.chained = false
				out = append(out, e)
			}
		default:
			out = u.run(e.text, e.at, out)
		}
	}
	return out
}

func (u *unescaper) run(p []byte, at int64, out []event) []event {
	i := 0
	for i < len(p) && len(u.pending) > 0 {
		u.hold(cell{p[i], at + int64(i), at + int64(i) + 1})
		out = u.settle(false, out)
		i++
	}
	from := i // of what passes
	pass := func() {
		if i > from {
			u.chained = false
			out = append(out, event{text: p[from:i:i], at: at + int64(from)})
		}
	}
	for {
		if i += indexEscape(p[i:]); i == len(p) {
			break
		}
		if strings.IndexByte(u.families, p[i]) < 0 {
			i++
			continue
		}
		made := len(u.made)
		var n int
		var more bool
		chained := u.chained && from == i
		u.made, n, more = escape(u.made, p[i:min(i+maxEntity, len(p))], chained)
		switch {
		case n > 0:
			pass()
			u.chained = p[i] == '='
			out = u.appendMade(out, made, at+int64(i), at+int64(i+n))
			i += n
			from = i
		case more && len(p)-i < maxEntity:
			pass()
			for ; i < len(p); i++ {
				u.hold(cell{p[i], at + int64(i), at + int64(i) + 1})
			}
			return out
		default:
			i++
		}
	}
	pass()
	return out
}

// appendMade appends what was made since made, each byte for the stream from at to end.
func (u *unescaper) appendMade(out []event, made int, at, end int64) []event {
	for i := made; i < len(u.made); i++ {
		out = append(out, event{text: u.made[i : i+1 : i+1], at: at, end: end})
	}
	return out
}

func (u *unescaper) hold(c cell) {
	u.pending = append(u.pending, c)
	u.bytes = append(u.bytes, c.c)
}

// finish takes the end of the stream.
func (u *unescaper) finish(out []event) []event { return u.settle(true, out) }

// settle decides about what is pending as far as it can be decided; final says
// that nothing follows on the line. A backslash or an equals sign there says
// that the line goes on.
func (u *unescaper) settle(final bool, out []event) []event {
	done := 0
	for done < len(u.pending) {
		rest := u.bytes[done:]
		var n int
		var more bool
		made := len(u.made)
		if strings.IndexByte(u.families, rest[0]) >= 0 {
			if final && len(rest) == 1 && (rest[0] == '\\' || rest[0] == '=') {
				done++
				break
			}
			if u.made, n, more = escape(u.made, rest, u.chained); more && !final {
				break
			}
		}
		first := u.pending[done]
		if n == 0 {
			u.chained = false
			u.made = append(u.made, first.c)
			e := event{text: u.made[made : made+1 : made+1], at: first.at}
			if first.end != first.at+1 {
				e.end = first.end
			}
			out = append(out, e)
			done++
			continue
		}
		u.chained = rest[0] == '='
		out = u.appendMade(out, made, first.at, u.pending[done+n-1].end)
		done += n
	}
	u.pending = append(u.pending[:0], u.pending[done:]...)
	u.bytes = append(u.bytes[:0], u.bytes[done:]...)
	return out
}

// begins says which bytes begin an escape; it is data, not made at start-up.
var begins = [256]bool{'\\': true, '%': true, '&': true, '=': true}

// escape appends to b what the escape at the head of p stands for and returns
// its length, 0 if there is none; more says that it depends on what follows p.
// chained says that a byte in quoted-printable stands before it.
func escape(b, p []byte, chained bool) (text []byte, n int, more bool) {
	if len(p) == 1 {
		return b, 0, true
	}
	switch p[0] {
	case '%':
		if p[1] == 'u' {
			return unit(b, p, 2)
		}
		return hexByte(b, p, 1)
	case '=':
		return quotedByte(b, p, chained)
	case '&':
		return entity(b, p)
	}
	switch c := p[1]; {
	case c == 'x' && len(p) == 2:
		return b, 0, true
	case (c == 'x' || c == 'u') && len(p) > 2 && p[2] == '{':
		return braced(b, p)
	case c == 'x':
		return hexByte(b, p, 2)
	case c == 'u' && len(p) == 2:
		return b, 0, true
	case c == 'u':
		return unit(b, p, 2)
	case c == 'U':
		return digits(b, p, 2, 8)
	case c >= '0' && c <= '7':
		return octal(b, p)
	case isAlnum(c):
		if i := strings.IndexByte("abefnrtvE", c); i >= 0 {
			return append(b, "\a\b\x1b\f\n\r\t\v\x1b"[i]), 2, false
		}
		return b, 0, false
	case c < 0x80:
		return append(b, c), 2, false
	}
	return b, 0, false
}

// quotedByte decodes =HH. A printable character is written so only where every
// one is, but for the equals sign: "status=200" is none.
func quotedByte(b, p []byte, chained bool) (text []byte, n int, more bool) {
	value, n, more := hexDigits(p, 1, 2)
	if n == 0 {
		return b, 0, more
	}
	if isPlainQuoted(byte(value)) && !chained {
		if len(p) == n {
			return b, 0, true
		}
		if p[n] != '=' {
			return b, 0, false
		}
	}
	return append(b, byte(value)), n, false
}

// isPlainQuoted reports whether quoted-printable need not write c as =HH.
func isPlainQuoted(c byte) bool { return c >= 0x20 && c < 0x7f && c != '=' }

// hexByte decodes two digits at i.
func hexByte(b, p []byte, i int) (text []byte, n int, more bool) {
	value, n, more := hexDigits(p, i, 2)
	if n == 0 {
		return b, 0, more
	}
	return append(b, byte(value)), n, false
}

// digits decodes a character given by so many digits at i.
func digits(b, p []byte, i, count int) (text []byte, n int, more bool) {
	value, n, more := hexDigits(p, i, count)
	if n == 0 || value > utf8.MaxRune {
		return b, 0, more
	}
	return utf8.AppendRune(b, rune(value)), n, false
}

// unit decodes four digits at i, a unit of UTF-16, or two of them that make one character.
func unit(b, p []byte, i int) (text []byte, n int, more bool) {
	high, n, _ := hexDigits(p, i, 4)
	if n == 0 || !utf16.IsSurrogate(rune(high)) {
		return digits(b, p, i, 4)
	}
	for j, c := range p[:i] {
		if n+j == len(p) {
			return b, 0, true
		}
		if p[n+j] != c {
			return b, 0, false
		}
	}
	low, m, more := hexDigits(p, n+i, 4)
	if m == 0 {
		return b, 0, more
	}
	return utf8.AppendRune(b, utf16.DecodeRune(rune(high), rune(low))), m, false
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
func braced(b, p []byte) (text []byte, n int, more bool) {
	value := uint32(0)
	for i := 3; i < 3+9; i++ {
		if i == len(p) {
			return b, 0, true
		}
		if p[i] == '}' && i > 3 && value <= utf8.MaxRune {
			return utf8.AppendRune(b, rune(value)), i + 1, false
		}
		d := hexDigit(p[i])
		if d < 0 {
			break
		}
		value = value<<4 | uint32(d)
	}
	return b, 0, false
}

// octal decodes one to three digits after a backslash.
func octal(b, p []byte) (text []byte, n int, more bool) {
	value := 0
	for n = 1; n < 4; n++ {
		if n == len(p) {
			return b, 0, true
		}
		if p[n] < '0' || p[n] > '7' {
			break
		}
		value = value<<3 | int(p[n]-'0')
	}
	return append(b, byte(value)), n, false
}

// entity decodes &NAME;, &#N; and &#xH;.
func entity(b, p []byte) (text []byte, n int, more bool) {
	for i := 1; i < maxEntity; i++ {
		if i == len(p) {
			return b, 0, true
		}
		switch c := p[i]; {
		case c == ';' && i > 1:
			whole := string(p[:i+1])
			if decoded := html.UnescapeString(whole); decoded != whole {
				return append(b, decoded...), i + 1, false
			}
			return b, 0, false
		case c == '#' && i == 1, isAlnum(c):
		default:
			return b, 0, false
		}
	}
	return b, 0, false
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

// indexEscape returns the index of the first byte of p that begins an escape, or len(p).
func indexEscape(p []byte) int {
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:]) &^ highs
		backslash, equals, both := w^'\\'*ones, w^'='*ones, (w+ones|ones)^('&'|1)*ones
		found := ((backslash-ones)&^backslash | (equals-ones)&^equals | (both-ones)&^both) & highs
		for found != 0 {
			at := i + bits.TrailingZeros64(found)/8
			if begins[p[at]] {
				return at
			}
			found &= found - 1
		}
	}
	for ; i < len(p); i++ {
		if begins[p[i]] {
			return i
		}
	}
	return len(p)
}

// mayDecode reports whether an escape may begin in p; what begins one at the
// end of p, or before something that may be removed, counts.
func mayDecode(p []byte) bool {
	for {
		i := indexEscape(p)
		if i == len(p) {
			return false
		}
		if mayFollow(p[i], p[i+1:]) {
			return true
		}
		p = p[i+1:]
	}
}

// mayFollow reports whether an escape that began with c may go on with p.
func mayFollow(c byte, p []byte) bool {
	if c == '\\' || len(p) == 0 || isControl(p[0]) {
		return true
	}
	if c == '&' {
		n := 0
		for n < len(p) && n < maxEntity && (p[n] == '#' || isAlnum(p[n])) {
			n++
		}
		return n == len(p) || n > 0 && (p[n] == ';' || isControl(p[n]))
	}
	if c == '%' && p[0] == 'u' {
		return true
	}
	high := hexDigit(p[0])
	if high < 0 || len(p) == 1 || isControl(p[1]) {
		return high >= 0
	}
	low := hexDigit(p[1])
	return low >= 0 && (c != '=' || !isPlainQuoted(byte(high<<4|low)) || len(p) == 2 || p[2] == '=' || isControl(p[2]))
}

// joined appends the texts of events to b; the ends of lines are line breaks.
func joined(b []byte, events []event) []byte {
	for _, e := range events {
		if e.text == nil {
			b = append(b, '\n')
		} else {
			b = append(b, e.text...)
		}
	}
	return b
}

// mayDecodeAgain is mayDecode for what a decoder made, text and its events. Only where it
// made something, or at the end, is there an escape that was none before.
func mayDecodeAgain(text []byte, events []event) bool {
	at, done := 0, 0
	look := func(end int) bool {
		for i := max(done, end-maxEntity); ; i++ {
			if i += indexEscape(text[i:end]); i == end {
				done = end
				return false
			}
			if mayFollow(text[i], text[i+1:]) {
				return true
			}
		}
	}
	for _, e := range events {
		at += max(len(e.text), 1)
		if e.end != 0 && look(at) {
			return true
		}
	}
	return look(len(text))
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
