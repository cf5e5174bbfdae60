package leak

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"unicode/utf8"
)

// MinBits is how many bits of guess entropy a value needs to be sought for somebody who
// may not see it and can have text shown: what is guessed in fewer tries than that would
// be confirmed by its marker.
const MinBits = 64

// Bits estimates from below how many bits of guessing a value takes: log2 of the tries of
// somebody who knows how values like it are made. It knows character classes, words (by
// their pairs of letters, so of most languages in Latin letters), words with digits for
// letters, repetitions, sequences, rows of a keyboard, years and dates. It errs on the low
// side: a random text of 22 letters and digits or of 32 hex digits has more than [MinBits],
// a PIN of any usual length, a word with a number behind it or four words in a row have
// not. White space around a value does not count.
//
// It is an estimate by form alone. A value that was published, or is made of names that
// the guesser knows, is worth less than any form can tell.
func Bits(value []byte) float64 {
	v := bytes.TrimSpace(value)
	if !utf8.Valid(v) {
		return binaryBits(v)
	}
	if len(v) > largeValue {
		v = v[:largeValue] // which has enough, or says the same over and over
	}
	if commonWords()[string(plainWord(v))] {
		return 0
	}
	if isIBAN(v) {
		return 40
	}
	perChar := math.Log2(alphabet(v))
	bits := 0.0
	for i := 0; i < len(v); {
		n, cost := token(v, i, perChar)
		bits += cost
		i += n
	}
	return bits
}

// token returns how long the longest cheap piece at v[i:] is, at least one byte, and what
// it takes to guess that; perChar is what a byte takes that belongs to no piece.
func token(v []byte, i int, perChar float64) (n int, cost float64) {
	n, cost = 1, perChar
	if c := v[i]; c < utf8.RuneSelf && !isAlnum(c) { // marks stand between words, and where they are expected
		cost = 3
		if strings.IndexByte("-._@ ", c) >= 0 || bytes.IndexByte(v[:i], c) >= 0 {
			cost = 1
		}
	}
	saves := 0.0
	try := func(length int, bits float64) {
		if s := float64(length)*perChar - bits; s > saves {
			n, cost, saves = length, bits, s
		}
	}
	try(repeated(v, i), 8)
	if run := stepped(v, i); run >= 3 {
		try(run, perChar+4)
	}
	if run := onKeyboard(v, i); run >= 4 {
		try(run, 8)
	}
	if run := numerals(v[i:]); run >= 3 && (i == 0 || !numeral(v[i-1])) {
		switch {
		case run == 4 && isYear(v[i:]):
			try(run, 6)
		case (run == 8 || run == 6) && isDate(v[i:i+run]):
			try(run, 15)
		default:
			// Long numbers are those of accounts, phones and cards: much of them is known.
			try(run, min(float64(run)*math.Log2(10), 30+float64(run)))
		}
	}
	if run := between(v, i); run > 0 { // db, iam, com
		try(run, 2+1.5*float64(run))
	} else if run, leet := word(v, i); run > 0 {
		// The first letters tell the word; each further one adds little.
		bits := 4 + 1.2*float64(run)
		if run <= longestCommon && commonWords()[strings.ToLower(string(v[i:i+run]))] {
			bits = 6
		}
		try(run, bits+leet)
	}
	if v[i] == '.' && commonDomain(v[i:]) {
		try(len(v)-i, 4)
	}
	return n, cost
}

// between returns how long the two or three letters of one case at i are if they stand
// alone between marks; 0 for none.
func between(v []byte, i int) int {
	n := 0
	for i+n < len(v) && isLatin(v[i+n]) && isUpper(v[i+n]) == isUpper(v[i]) {
		n++
	}
	if n != 2 && n != 3 || i > 0 && strings.IndexByte("-._@ ", v[i-1]) < 0 || i+n < len(v) && strings.IndexByte("-._@ ", v[i+n]) < 0 {
		return 0
	}
	return n
}

// commonDomain reports whether v is what the names of many hosts end in.
func commonDomain(v []byte) bool {
	switch string(bytes.ToLower(v[:min(len(v), 32)])) {
	case ".iam.gserviceaccount.com", ".gserviceaccount.com", ".googleapis.com", ".googleusercontent.com", ".rds.amazonaws.com", ".amazonaws.com",
		".cloudapp.azure.com", ".windows.net", ".database.windows.net", ".onmicrosoft.com", ".example.com", ".svc.cluster.local":
		return true
	}
	return false
}

// isIBAN reports whether v is the number of a bank account: its check digits are right.
func isIBAN(v []byte) bool {
	v = bytes.ReplaceAll(v, []byte(" "), nil)
	if len(v) < 15 || len(v) > 34 || !isUpper(v[0]) || !isUpper(v[1]) || !numeral(v[2]) || !numeral(v[3]) {
		return false
	}
	rest := 0
	for i := range v {
		switch c := v[(i+4)%len(v)]; {
		case numeral(c):
			rest = (rest*10 + int(c-'0')) % 97
		case isUpper(c):
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1
}

// alphabet returns how many characters one would try at each place of v.
func alphabet(v []byte) float64 {
	var lower, upper, digit, other, high float64
	hex := true
	seen := [256]bool{}
	for _, c := range v {
		switch {
		case c-'a' < 26:
			lower = 26
		case c-'A' < 26:
			upper = 26
		case numeral(c):
			digit = 10
		case c >= utf8.RuneSelf:
			high = 32
		case !seen[c]:
			other++
		}
		if !seen[c] && isAlnum(c) && !numeral(c) && c|0x20 > 'f' {
			hex = false
		}
		seen[c] = true
	}
	if hex && digit > 0 && (lower > 0) != (upper > 0) {
		return 16
	}
	return max(lower+upper+digit+other+high, 2)
}

// binaryBits is for what is no text: as many bits as its different bytes can tell.
func binaryBits(v []byte) float64 {
	var count [256]int
	for _, c := range v {
		count[c]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			bits -= float64(n) * math.Log2(float64(n)/float64(len(v)))
		}
	}
	return bits
}

// plainWord returns v in lower case with letters for the digits that stand for them,
// without the digits and marks behind it.
func plainWord(v []byte) []byte {
	out := bytes.TrimRight(bytes.ToLower(v), "0123456789!?.,#*-_+=@$")
	for i, c := range out {
		out[i] = letterFor(c)
	}
	return out
}

// letterFor returns the lower-case letter that c stands for in a password.
func letterFor(c byte) byte {
	if i := strings.IndexByte("0134578@$!", c); i >= 0 {
		return "oleastbasi"[i]
	}
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// repeated returns how long the text at i is that stands before i already; 0 where that
// is shorter than three bytes.
func repeated(v []byte, i int) int {
	best := 0
	for from := max(0, i-128); from < i; from++ {
		n := 0
		for i+n < len(v) && v[from+n] == v[i+n] {
			n++
		}
		best = max(best, n)
	}
	if best < 3 {
		return 0
	}
	return best
}

// stepped returns how long the run at i is in which each byte follows the one before by
// the same step of -1, 0 or 1: aaaa, abcd, 4321.
func stepped(v []byte, i int) int {
	if i+1 >= len(v) {
		return 1
	}
	step := int(v[i+1]) - int(v[i])
	if step < -1 || step > 1 {
		return 1
	}
	n := 2
	for i+n < len(v) && int(v[i+n])-int(v[i+n-1]) == step {
		n++
	}
	return n
}

var rows = []string{"qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890", "1qaz2wsx3edc4rfv", "!@#$%^&*()"}

// onKeyboard returns how long the run at i is that lies in a row of a keyboard, in either
// direction.
func onKeyboard(v []byte, i int) int {
	best := 0
	for _, row := range rows {
		at := strings.IndexByte(row, v[i]|(v[i]&0x40)>>1)
		for _, step := range []int{1, -1} {
			n := 0
			for at >= 0 && i+n < len(v) && at+n*step >= 0 && at+n*step < len(row) && v[i+n]|(v[i+n]&0x40)>>1 == row[at+n*step] {
				n++
			}
			best = max(best, n)
		}
	}
	return best
}

func numeral(c byte) bool { return c-'0' < 10 }

func numerals(v []byte) int {
	n := 0
	for n < len(v) && numeral(v[n]) {
		n++
	}
	return n
}

func isYear(v []byte) bool { return v[0] == '1' && v[1] == '9' || v[0] == '2' && v[1] == '0' }

// isDate reports whether six or eight digits are a day in one of the usual orders.
func isDate(v []byte) bool {
	two := func(i, most int) bool {
		n := int(v[i]-'0')*10 + int(v[i+1]-'0')
		return n >= 1 && n <= most
	}
	if len(v) == 8 {
		if isYear(v) && two(4, 12) && two(6, 31) {
			return true
		}
		return isYear(v[4:]) && (two(0, 12) && two(2, 31) || two(0, 31) && two(2, 12))
	}
	return two(0, 31) && two(2, 12) || two(0, 12) && two(2, 31) || two(2, 12) && two(4, 31)
}

// word returns how long the word at i is, 0 for none, and what its spelling adds: a
// capital, digits for letters. A word begins and ends where letters do, or where a
// capital follows a small letter; it is of one case, perhaps after a capital, and three in
// four of its pairs of letters are pairs that words have.
func word(v []byte, i int) (length int, spelling float64) {
	if i > 0 && isLatin(v[i-1]) && !(isUpper(v[i]) && !isUpper(v[i-1])) {
		return 0, 0 // within letters
	}
	n, capital := 0, 0.0
	for i+n < len(v) && isUpper(v[i+n]) {
		n++
	}
	if n > 0 {
		capital = 1
	}
	if n <= 1 {
		for i+n < len(v) && isLatin(v[i+n]) && !isUpper(v[i+n]) {
			n++
		}
	}
	if n >= 4 && isWord(v[i:i+n]) {
		return n, capital
	}
	// Digits and marks for letters, with letters on both sides: p4ssw0rd.
	m, leet := 0, 0
	for i+m < len(v) && letterFor(v[i+m])-'a' < 26 && (m == 0 || !isUpper(v[i+m])) {
		if !isLatin(v[i+m]) {
			leet++
		}
		m++
	}
	for m > 0 && !isLatin(v[i+m-1]) {
		m, leet = m-1, leet-1
	}
	if m >= 6 && leet > 0 && 3*leet <= m && isWord(v[i:i+m]) {
		return m, 4 + 0.8*float64(m) + 2*float64(leet)
	}
	return 0, 0
}

// isWord reports whether three in four pairs of letters in v are those of words; in short
// ones a letter may be doubled.
func isWord(v []byte) bool {
	pairs, good := wordPairs(), 0
	for i := 1; i < len(v); i++ {
		if a, b := letterFor(v[i-1]), letterFor(v[i]); a == b && len(v) <= 8 || pairs[int(a-'a')*26+int(b-'a')] {
			good++
		}
	}
	return good*4 >= (len(v)-1)*3
}

func isLatin(c byte) bool { return (c|0x20)-'a' < 26 }
func isUpper(c byte) bool { return c-'A' < 26 }

// wordPairs are the pairs of letters that make up most of what people write: for each
// first letter those that follow it often.
var wordPairs = sync.OnceValue(func() (set [26 * 26]bool) {
	follow := [26]string{"bcdgilmnprstuy", "aeilorsu", "aehiklortu", "aeiorsu", "acdelmnprstvxy", "aefilortu", "aehilnoru",
		"aeiort", "acdegilmnorstv", "aeou", "aeiln", "adeilosuy", "abeiopsu", "acdegiostu", "dfilmnoprstuvw", "aehiloprt",
		"u", "adeikmnorsty", "acehimoptuw", "aehiorstu", "abcegilmnprst", "aeio", "aehino", "aceipt", "aelos", "aeio"}
	for first, letters := range follow {
		for _, c := range letters {
			set[first*26+int(c-'a')] = true
		}
	}
	return set
})
