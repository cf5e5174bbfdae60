package keyturn

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MixedScripts reports whether a segment of a name (segments end at "/") mixes letters of
// several scripts, as "pаypal" with a Cyrillic а does: people cannot tell such names from
// others by looking at them. marked is the name with the code point behind each letter
// that is of another script than the first letter of its segment: "pа‹U+0430›ypal".
//
// The idea and the sets are those of Unicode's "Highly Restrictive" level
// (https://www.unicode.org/reports/tr39/#Restriction_Level_Detection), stated plainly:
// digits, punctuation and combining marks belong to no script, and all letters of a
// segment are of one script, or of those of one of Latin with Han, Hiragana and Katakana;
// Latin with Han and Bopomofo; Latin with Han and Hangul. Letters that only imitate
// others (mathematical and full-width ones) count as a script of their own.
func MixedScripts(name string) (marked string, mixed bool) {
	if isASCII(name) {
		return name, false
	}
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		first, seen := -1, uint64(0)
		var b strings.Builder
		for _, r := range segment {
			b.WriteRune(r)
			s := scriptOf(r)
			if s < 0 {
				continue
			}
			if seen |= 1 << s; first < 0 {
				first = s
			}
			if s != first {
				fmt.Fprintf(&b, "‹U+%04X›", r)
			}
		}
		if !together(seen) {
			segments[i], mixed = b.String(), true
		}
	}
	return strings.Join(segments, "/"), mixed
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// The scripts that may stand together come first, and then those of today's languages and
// those with letters that look like Latin ones. All others count as one.
const (
	latin = iota
	han
	hiragana
	katakana
	bopomofo
	hangul
)

func scripts() [33]*unicode.RangeTable {
	return [...]*unicode.RangeTable{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
		unicode.Arabic, unicode.Armenian, unicode.Bengali, unicode.Cherokee, unicode.Coptic, unicode.Cyrillic, unicode.Devanagari, unicode.Ethiopic,
		unicode.Georgian, unicode.Greek, unicode.Gujarati, unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada, unicode.Khmer, unicode.Lao,
		unicode.Lisu, unicode.Malayalam, unicode.Myanmar, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Thaana,
		unicode.Thai, unicode.Tibetan, unicode.Runic}
}

const (
	otherScript = 40 // a letter of any other script
	imitation   = 41 // a letter that only imitates another
)

// scriptOf returns a number for the script of a letter; -1 for what belongs to none.
func scriptOf(r rune) int {
	switch {
	case r < utf8.RuneSelf && unicode.IsLetter(r):
		return latin
	case r < utf8.RuneSelf || !unicode.IsLetter(r):
		return -1
	case r >= 0xff21 && r <= 0xff5a, unicode.Is(unicode.Common, r) && !unicode.Is(unicode.Lm, r):
		return imitation
	case unicode.In(r, unicode.Common, unicode.Inherited):
		return -1
	}
	for i, table := range scripts() {
		if unicode.Is(table, r) {
			return i
		}
	}
	return otherScript
}

// together reports whether letters of these scripts may stand in one segment.
func together(seen uint64) bool {
	if seen&(seen-1) == 0 { // one, or none
		return true
	}
	for _, set := range []uint64{1<<latin | 1<<han | 1<<hiragana | 1<<katakana, 1<<latin | 1<<han | 1<<bopomofo, 1<<latin | 1<<han | 1<<hangul} {
		if seen&^set == 0 {
			return true
		}
	}
	return false
}

// MixedScripts is the function MixedScripts for the name and the field of r: marked is r
// as it is typed, where no escape is shown.
func (r Ref) MixedScripts() (marked string, mixed bool) {
	name, inName := MixedScripts(r.name)
	field, inField := MixedScripts(r.field)
	if marked = r.mount + "/" + name; field != "" {
		marked += "#" + field
	}
	return marked, inName || inField
}
