package keyturn

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible draws text of others so that two different texts never look the same to a
// person who decides about them. What shows as nothing, moves other text or joins another
// character is drawn as an escape, "\u{a0}", a byte that is no text as "\x{ff}", and
// three or more of the same in a row, plain spaces too, with their number: "\u{20×3}". A
// backslash that would read as the beginning of an escape is drawn as one. All other text
// stays as it is.
func Visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		one := s[:n]
		times := 1
		for strings.HasPrefix(s[times*n:], one) {
			times++
		}
		kind := "u"
		if r == utf8.RuneError && n == 1 {
			kind, r = "x", rune(one[0])
		}
		switch hidden := kind == "x" || unseen(r) || imitates(r, s[n:]); {
		case !hidden && (r != ' ' || times < 3):
			times = 1
			b.WriteString(one)
		case times < 3 || imitates(r, s[n:]):
			times = 1
			fmt.Fprintf(&b, `\%s{%x}`, kind, r)
		default:
			fmt.Fprintf(&b, `\%s{%x×%d}`, kind, r, times)
		}
		s = s[times*n:]
	}
	return b.String()
}

// unseen reports whether r is not seen as a character of its own.
func unseen(r rune) bool {
	switch {
	case r >= ' ' && r <= '~':
		return false
	case !unicode.IsGraphic(r), unicode.IsSpace(r), unicode.Is(unicode.Z, r):
		return true
	}
	switch r {
	case '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0', '\ufffd': // fillers, and what stands for no text
		return true
	}
	return unicode.Is(unicode.Inherited, r) // joins the letter before it, whatever its script
}

// imitates reports whether r, with rest behind it, could be taken for an escape.
func imitates(r rune, rest string) bool {
	switch r {
	case '\\':
		return strings.HasPrefix(rest, "u{") || strings.HasPrefix(rest, "x{")
	case '\u2216', '\u29f5', '\ufe68', '\uff3c': // other backslashes
		return true
	}
	return false
}
