package leak

import (
	"bytes"
	"encoding/binary"
)

// Values are printed as lists of numbers ("68:65:6c", [104 101 108]) and in
// dumps, whose lines begin with an offset and may end with a gutter of text.

// The classes of the characters of a list. Whatever is in none ends it.
const (
	isNone      = 0
	isSome      = 4
	isSeparator = isSome
	isDigit     = isSome + 1
	isLetter    = isSome + 2 // of hex, or the x of 0x
)

// classes is data, not made at start-up.
var classes = [256]uint8{
	'\n': isSeparator, '\r': isSeparator, // in no event
	'0': isDigit, '1': isDigit, '2': isDigit, '3': isDigit, '4': isDigit, '5': isDigit, '6': isDigit, '7': isDigit, '8': isDigit, '9': isDigit,
	'a': isLetter, 'b': isLetter, 'c': isLetter, 'd': isLetter, 'e': isLetter, 'f': isLetter, 'x': isLetter,
	'A': isLetter, 'B': isLetter, 'C': isLetter, 'D': isLetter, 'E': isLetter, 'F': isLetter, 'X': isLetter,
	' ': isSeparator, '\t': isSeparator, ',': isSeparator, ':': isSeparator, ';': isSeparator, '-': isSeparator, '|': isSeparator, '.': isSeparator,
	'_': isSeparator, '/': isSeparator, '+': isSeparator, '[': isSeparator, ']': isSeparator, '(': isSeparator, ')': isSeparator,
	'{': isSeparator, '}': isSeparator, '<': isSeparator, '>': isSeparator, '"': isSeparator, '\'': isSeparator,
}

const (
	// minListed is the length of the shortest form that is looked for in lists.
	// Shorter values have forms of their own for the usual lists.
	minListed = 11

	// minList is the length of the shortest list with such a form in it, in hex
	// without separators. Any way to cut a text into words of eight bytes has one of
	// them within it.
	minList = 2*minListed - 1

	// minHead is what of a list must lie on the line where it begins.
	minHead = 4

	// maxSeparators is how many characters may separate two numbers, as in '104', '101'.
	maxSeparators = 4
)

// lists finds lists of numbers: one reading in hex, one in decimal.
type lists struct {
	filter       *filter // of the forms; nil if all is to be read
	hex, decimal list
	active       bool    // within what may be a list
	word         bool    // else: within a word that is no number
	events       []event // what may be a list, of this call
	text         []byte  // their text
	wordBefore   bool    // word, as it was before them
	length       int     // of what may be a list, up to minList
}

// look takes events, all that p, at the position at of the stream, is but for ends of
// lines. It feeds those that may have a list with a form in it.
func (l *lists) look(p []byte, at int64, events []event) {
	if l.active || len(l.events) > 0 {
		n := 0
		for n < len(p) && classes[p[n]] != isNone {
			n++
		}
		n = min(n+1, len(p))
		before := splitEvents(events, at+int64(n), l.feed)
		p, at, events = p[n:], at+int64(n), before
	}
	tail := len(p)
	for tail > 0 && classes[p[tail-1]] != isNone {
		tail--
	}
	for i := 0; ; {
		i = skipUnlisted(p[:tail], i)
		if i >= tail {
			break
		}
		n := i + 8
		for n > i && classes[p[n-1]] != isNone {
			n--
		}
		if n > i {
			i = n
			continue
		}
		from := i
		for from > 0 && classes[p[from-1]] != isNone {
			from--
		}
		for i += 8; i < tail && classes[p[i]] != isNone; {
			i++
		}
		if i-from >= minList && mayList(p[from:i]) && l.promising(p[from:i]) {
			l.feed(events)
			return
		}
	}
	if tail > 0 {
		l.word = isAlnum(p[tail-1])
		events = splitEvents(events, at+int64(tail), nil)
	}
	l.feed(events)
}

// mayList reports whether p, digits and separators, has the digits of a list with a form in
// it, in hex, or as many numbers.
func mayList(p []byte) bool {
	digits, numbers, before := 0, 0, uint8(isSeparator)
	for _, c := range p {
		class := classes[c]
		if class != isSeparator {
			digits++
			if before == isSeparator {
				numbers++
			}
		}
		before = class
	}
	return digits >= 2*minListed || numbers >= minListed
}

// splitEvents returns the events from the position at of the stream on. It hands those
// before to do.
func splitEvents(events []event, at int64, do func([]event)) []event {
	i := len(events) // of the first behind
	for i > 0 && (events[i-1].text == nil || events[i-1].at >= at) {
		i--
	}
	if i == 0 {
		return events
	}
	last := &events[i-1]
	whole := *last
	n := min(int(at-last.at), len(last.text))
	last.text = whole.text[:n:n]
	if do != nil {
		do(events[:i])
	}
	if n == len(whole.text) {
		return events[i:]
	}
	*last = event{text: whole.text[n:], at: at}
	return events[i-1:]
}

// feed takes events and appends what their numbers say to the views.
func (l *lists) feed(events []event) {
	for _, e := range events {
		switch {
		case e.text != nil:
			l.run(e.text, e.at)
		case l.length > 0 && l.length < minHead:
			l.drop()
			l.word = false
		case l.active:
			l.hex.newline()
			l.decimal.newline()
		case len(l.events) > 0:
			l.events = append(l.events, e)
		default:
			l.word = false
		}
	}
	if len(l.events) > 0 {
		l.read()
		l.active = true
	}
}

func (l *lists) run(p []byte, at int64) {
	for i := 0; i < len(p); {
		if l.active || len(l.events) > 0 {
			end := i
			for end < len(p) && classes[p[end]] != isNone {
				end++
			}
			if l.take(event{text: p[i:end:end], at: at + int64(i)}); end < len(p) {
				l.stop()
				l.word = isAlnum(p[end])
			}
			i = end + 1
			continue
		}
		from := skipUnlisted(p, i)
		for from > 0 && classes[p[from-1]] != isNone {
			from--
		}
		if from > 0 {
			l.word = isAlnum(p[from-1])
		}
		if from == len(p) {
			return
		}
		end, digits := from, 0
		for ; end < len(p); end++ {
			class := classes[p[end]]
			if class == isNone {
				break
			}
			if class >= isDigit {
				digits++
			}
		}
		if end == len(p) || digits >= 2*minListed || digits >= minListed && end-from-digits >= minListed-1 {
			l.wordBefore = l.word
			l.take(event{text: p[from:end:end], at: at + int64(from)})
		}
		if i = end; i < len(p) {
			l.stop()
			l.word = isAlnum(p[i])
			i++
		}
	}
}

// skipUnlisted returns where, from i on, the next eight bytes are that may lie within a list
// of minList characters, or len(p), where one may be that goes on behind p.
func skipUnlisted(p []byte, i int) int {
	for ; i+8 <= len(p); i += 8 {
		letters := (binary.LittleEndian.Uint64(p[i:]) | 0x20*ones) &^ highs
		if (letters+(0x80-'g')*ones)&^(letters+(0x80-'x')*ones)&highs == 0 { // none from g to w
			return i
		}
	}
	return len(p)
}

// take takes a part of what may be a list.
func (l *lists) take(e event) {
	l.length = min(l.length+len(e.text), minList)
	if !l.active {
		l.events = append(l.events, e)
		return
	}
	l.hex.run(e.text, e.at)
	l.decimal.run(e.text, e.at)
}

// stop ends what may be a list. Unless it began in an earlier call, it is read
// only if it may have a form in it.
func (l *lists) stop() {
	if len(l.events) > 0 && l.length >= minList && (l.filter == nil || l.promising(l.collected())) {
		l.read()
		l.active = true
	}
	l.drop()
}

// drop ends what may be a list.
func (l *lists) drop() {
	l.events, l.length = l.events[:0], 0
	if l.active {
		l.hex.stop()
		l.decimal.stop()
		l.active = false
	}
}

// collected returns the text of what was collected.
func (l *lists) collected() []byte {
	l.text = joined(l.text[:0], l.events)
	return l.text
}

// read reads what was collected.
func (l *lists) read() {
	l.hex.begin(l.wordBefore)
	l.decimal.begin(l.wordBefore)
	for _, e := range l.events {
		if e.text == nil {
			l.hex.newline()
			l.decimal.newline()
			continue
		}
		l.hex.run(e.text, e.at)
		l.decimal.run(e.text, e.at)
	}
	l.events = l.events[:0]
}

// promising reports whether p, read in either base, has four bytes that a form begins
// with.
func (l *lists) promising(p []byte) bool {
	hex, decimal := grams{filter: l.filter}, grams{filter: l.filter}
	var pair, number uint32
	half, minus, width, gap := false, false, 0, 0
	for _, c := range p {
		if classes[c] != isSeparator {
			if half = !half; half {
				pair = uint32(hexDigit(c) & 15)
			} else if hex.push(byte(pair<<4 | uint32(hexDigit(c)&15))) {
				return true
			}
			number = number*10 + uint32(c-'0')
			width++
			gap = 0
			continue
		}
		if width > 0 && decimal.number(number, width, minus) {
			return true
		}
		minus = c == '-' && gap > 0
		half, number, width = false, 0, 0
		if gap++; c == '\n' || c == '\r' {
			gap, minus = 1, false
		}
	}
	return width > 0 && decimal.number(number, width, minus)
}

// grams looks for four bytes that a form begins with in what a view would keep.
type grams struct {
	filter *filter
	last   uint32 // four bytes
	count  int    // of the bytes so far
	before byte
}

func (g *grams) number(value uint32, width int, minus bool) bool {
	if width > 3 || value > 255 {
		return false
	}
	if minus {
		value = -value
	}
	return g.push(byte(value))
}

// push takes the next byte and reports whether a form may begin with the last four.
func (g *grams) push(c byte) bool {
	before := g.before
	g.before = c
	lineEnd := c >= '\n' && c <= '\r'
	switch {
	case lineEnd && isBlank(before), before >= '\n' && before <= '\r' && (isBlank(c) || c == '>' || c == '#'):
		return true // which of them the view keeps is not told here
	case c < 0x20 && c != '\t' || c == 0x7f:
		if !lineEnd {
			g.before = before
		}
		return false
	}
	g.last = g.last>>8 | uint32(c)<<24
	if g.count++; g.count < gram {
		return false
	}
	return g.filter.knows(g.last)
}

// finish takes the end of the stream.
func (l *lists) finish() {
	if l.active {
		l.stop()
	}
}

// waits returns where a number begins that is not complete, or limit.
func (l *lists) waits(limit int64) int64 {
	if l.active {
		for _, m := range []*list{&l.hex, &l.decimal} {
			if m.state == inNumber {
				limit = min(limit, m.at)
			}
		}
	}
	return limit
}

// list reads numbers in one base.
type list struct {
	view       *view
	decimal    bool
	state      listState
	count      int   // of digits in the current number, or of separators
	value      int   // of the current number
	at         int64 // where it begins
	pairs      bool  // in hex: a number before it in the same word
	prefixed   bool  // in hex: 0x stands before it
	minus      bool  // the last separator was a minus sign after another one
	newLine    bool  // blanks do not count as separators
	lastEnd    int64
	separators int
}

type listState uint8

const (
	inSeparators listState = iota
	inNumber
	inWord // that is no number
)

func (l *list) begin(word bool) {
	*l = list{view: l.view, decimal: l.decimal}
	if word {
		l.state = inWord
	}
}

func (l *list) stop() {
	l.endNumber()
	l.view.cut()
}

func (l *list) newline() {
	l.endNumber()
	l.state, l.newLine, l.separators, l.minus = inSeparators, true, 1, false
}

func (l *list) run(p []byte, at int64) {
	for i, c := range p {
		pos := at + int64(i)
		if classes[c] != isSeparator {
			if l.state == inSeparators {
				l.state, l.count, l.value, l.at = inNumber, 0, 0, pos
				l.pairs, l.prefixed = false, false
				l.newLine = false
			}
			if l.state == inNumber {
				l.digit(c, pos)
			}
			continue
		}
		if l.state != inSeparators {
			l.endNumber()
			l.state, l.separators, l.minus = inSeparators, 0, false
		}
		if l.newLine && isBlank(c) {
			continue
		}
		l.minus = c == '-' && l.separators > 0
		if l.separators++; l.separators == maxSeparators+1 {
			l.view.cut()
		}
	}
}

// digit takes a digit or letter of a number.
func (l *list) digit(c byte, pos int64) {
	if l.decimal {
		l.value = l.value*10 + int(c-'0')
		if l.count++; classes[c] != isDigit || l.count > 3 || l.value > 255 {
			l.state = inWord
			l.view.cut()
		}
		l.lastEnd = pos + 1
		return
	}
	if c|0x20 == 'x' {
		if l.count == 1 && l.value == 0 && !l.pairs && !l.prefixed {
			l.count, l.prefixed = 0, true
			return
		}
		l.state = inWord
		l.view.cut()
		return
	}
	if l.count == 0 && l.pairs {
		l.at = pos
	}
	l.value = l.value<<4 | hexDigit(c)
	if l.count++; l.count == 2 {
		l.view.decode(cell{byte(l.value), l.at, pos + 1})
		l.count, l.value, l.pairs = 0, 0, true
	}
	l.lastEnd = pos + 1
}

// endNumber ends the number under way, if there is one.
func (l *list) endNumber() {
	if l.state != inNumber {
		return
	}
	l.state = inSeparators
	switch {
	case l.decimal:
		if l.minus && l.value > 0 && l.value <= 128 {
			l.value = 256 - l.value
		}
		l.view.decode(cell{byte(l.value), l.at, l.lastEnd})
	case l.count == 0:
	case l.prefixed && !l.pairs: // 0x9
		l.view.decode(cell{byte(l.value), l.at, l.lastEnd})
	default:
		l.view.cut()
	}
}

// maxRow is the length of the longest line of a dump.
const maxRow = 512

// dumps finds the lines of xxd, hexdump and od. What a line says can depend on
// its end, and so does what of it belongs to an occurrence: if it has a gutter
// of text, all that follows.
type dumps struct {
	first, second *view // of words: the bytes as written, and reversed; of bytes: octal, and decimal
	line          []byte
	at            []int64 // where the bytes of line lie
	other         bool    // this line is none of a dump
}

func (d *dumps) feed(events []event) {
	for _, e := range events {
		switch {
		case e.text == nil:
			d.newline()
		case !d.other:
			d.run(e.text, e.at)
		}
	}
}

func (d *dumps) run(p []byte, at int64) {
	if len(d.line) == 0 && p[0] != ' ' && (hexDigit(p[0]) < 0 || len(p) > 6 && (hexDigit(p[4]) < 0 || hexDigit(p[5]) < 0)) || len(d.line)+len(p) > maxRow {
		d.reject()
		return
	}
	for i, c := range p {
		d.line = append(d.line, c)
		d.at = append(d.at, at+int64(i))
		if len(d.line) == 24 {
			if _, ok := readRow(d.line, true); !ok {
				d.reject()
				return
			}
		}
	}
}

func (d *dumps) reject() {
	d.other = true
	d.clear()
}

func (d *dumps) clear() {
	clear(d.line)
	d.line, d.at = d.line[:0], d.at[:0]
}

// newline takes the end of a line.
func (d *dumps) newline() {
	if d.other {
		d.first.cut()
		d.second.cut()
		d.other = false
		return
	}
	if r, ok := readRow(d.line, false); ok {
		d.put(d.first, r.first, r.gutter)
		d.put(d.second, r.second, r.gutter)
	} else {
		d.first.cut()
		d.second.cut()
	}
	d.clear()
}

// put appends numbers to one of the views, which a line without any ends.
func (d *dumps) put(v *view, numbers []number, gutter bool) {
	for _, n := range numbers {
		end := d.at[n.end-1] + 1
		if gutter {
			end = d.at[len(d.at)-1] + 1
		}
		v.decode(cell{n.c, d.at[n.at], end})
	}
}

func (d *dumps) finish() { d.newline() }

// waits returns where the line under way begins if it may be one of a dump, or
// limit, and how many bytes it says so far.
func (d *dumps) waits(limit int64) (int64, int) {
	if len(d.line) == 0 {
		return limit, 0
	}
	r, ok := readRow(d.line, true)
	if !ok || r.at < 0 {
		return limit, 0
	}
	return min(limit, d.at[r.at]), max(len(r.first), len(r.second))
}

// row is what a line of a dump says.
type row struct {
	at            int // where its first number begins
	first, second []number
	gutter        bool // text follows the numbers
}

// number is a byte in a row.
type number struct {
	c       byte
	at, end int
}

// readRow reads a line of a dump, or so much of one as there is so far.
func readRow(line []byte, partial bool) (r row, ok bool) {
	n := 0
	for n < len(line) && hexDigit(line[n]) >= 0 {
		n++
	}
	switch {
	case n == len(line):
		return row{at: -1}, n <= 16 // the last line of a dump has the offset only
	case n == 0 && line[0] == '*':
		return row{at: -1}, len(line) == 1
	case n == 0 && line[0] != ' ', n > 0 && n < 6, n > 16:
		return row{}, false
	case line[n] == ':':
		return xxdRow(line, n+1, partial)
	case line[n] != ' ':
		return row{}, false
	}
	if r, ok = odRow(line, n, partial); ok {
		return r, true
	}
	return cellRow(line, n, partial)
}

// xxdRow reads what comes after the colon: groups of hex or bits, two blanks,
// and a gutter.
func xxdRow(line []byte, n int, partial bool) (r row, ok bool) {
	for n < len(line) && line[n] == ' ' {
		n++
	}
	r.at = n
	if n == len(line) {
		r.at = -1
	}
	bits := true
	for n < len(line) && line[n] != ' ' {
		end := n + index(line[n:], ' ')
		group := line[n:end]
		if partial && end == len(line) {
			break
		}
		bits = bits && len(group) == 8 && len(bytes.Trim(group, "01")) == 0
		if !bits && !hexGroup(group) {
			return row{}, false
		}
		r.words(line, n, end, 16, bits)
		if n = end; n < len(line) {
			n++
		}
	}
	for n < len(line) && line[n] == ' ' {
		n++
	}
	if n < len(line) && !partial {
		r.gutter = true
		return r, len(r.first) > 0 && len(line)-n <= len(r.first)
	}
	return r, partial || len(r.first) > 0
}

// words appends the bytes of a word of a dump, as they are written and reversed.
func (r *row) words(line []byte, at, end, base int, bits bool) {
	word := line[at:end]
	from := len(r.first)
	switch {
	case bits:
		c := byte(0)
		for _, d := range word {
			c = c<<1 | d&1
		}
		r.first = append(r.first, number{c, at, end})
	case base == 8:
		v := 0
		for _, d := range word {
			v = v<<3 | int(d&7)
		}
		r.first = append(r.first, number{byte(v), at, end}, number{byte(v >> 8), at, end})
		return
	default:
		for i := 0; i+1 < len(word); i += 2 {
			r.first = append(r.first, number{byte(hexDigit(word[i])<<4 | hexDigit(word[i+1])), at, end})
		}
	}
	for i := len(r.first) - 1; i >= from; i-- {
		r.second = append(r.second, r.first[i])
	}
}

func hexGroup(p []byte) bool {
	if len(p)%2 != 0 || len(p) > 16 {
		return false
	}
	for _, c := range p {
		if hexDigit(c) < 0 {
			return false
		}
	}
	return true
}

// odRow reads what od and hexdump print: numbers of one width, and perhaps a
// gutter in |…| or >…<.
func odRow(line []byte, n int, partial bool) (r row, ok bool) {
	var words []number // without their c
	hex, octal, decimal, width := true, true, true, 0
	large := false
	for {
		for n < len(line) && line[n] == ' ' {
			n++
		}
		if n == len(line) {
			break
		}
		if line[n] == '|' || line[n] == '>' {
			r.gutter = true
			break
		}
		end := n + index(line[n:], ' ')
		if partial && end == len(line) {
			if len(words) == 0 {
				words = append(words, number{at: n})
			}
			if line[n] == '-' {
				n++
			}
			for ; n < end; n++ {
				if hexDigit(line[n]) < 0 {
					return row{}, false
				}
			}
			break
		}
		word := line[n:end]
		if width == 0 {
			width = len(word)
		}
		hex = hex && len(word) == width && hexGroup(word)
		octal = octal && len(word) == width && (width == 3 || width == 6) && len(bytes.Trim(word, "01234567")) == 0
		value, isDecimal := decimalWord(word)
		decimal = decimal && isDecimal
		large = large || value > 255
		if !hex && !octal && !decimal {
			return row{}, false
		}
		words = append(words, number{at: n, end: end})
		n = end
	}
	if len(words) == 0 {
		return row{at: -1}, partial
	}
	r.at = words[0].at
	if words[0].end == 0 {
		return r, true
	}
	for _, w := range words {
		word := line[w.at:w.end]
		switch {
		case hex && (width == 2 || width == 4 || width == 8 || width == 16):
			r.words(line, w.at, w.end, 16, false)
		case octal && width == 6:
			r.words(line, w.at, w.end, 8, false)
		case octal:
			r.first = append(r.first, number{word[0]&3<<6 | word[1]&7<<3 | word[2]&7, w.at, w.end})
		}
	}
	if decimal && (!hex || width == 2) {
		r.second = r.second[:0]
		for _, w := range words {
			value, _ := decimalWord(line[w.at:w.end])
			r.second = append(r.second, number{byte(value), w.at, w.end})
			if large {
				r.second = append(r.second, number{byte(value >> 8), w.at, w.end})
			}
		}
	}
	return r, true
}

// decimalWord reads a number of one or two bytes; one that is negative is a byte.
func decimalWord(p []byte) (value int, ok bool) {
	negative := len(p) > 1 && p[0] == '-'
	if negative {
		p = p[1:]
	}
	if len(p) > 5 {
		return 0, false
	}
	for _, c := range p {
		if c-'0' > 9 {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	if negative {
		return (256 - value) & 0xff, value <= 128
	}
	return value, value <= 0xffff
}

// cellRow reads the characters that od -c, od -a and hexdump -c print, four
// columns for each.
func cellRow(line []byte, n int, partial bool) (r row, ok bool) {
	r.at = n + len(line[n:]) - len(bytes.TrimLeft(line[n:], " "))
	if r.at == len(line) {
		r.at = -1
	}
	for ; n+4 <= len(line); n += 4 {
		word := bytes.TrimLeft(line[n:n+4], " ")
		c, known := cellByte(word)
		if !known {
			return row{}, false
		}
		if c != 0 {
			r.first = append(r.first, number{c, n + 4 - max(len(word), 1), n + 4})
		}
	}
	if n < len(line) {
		return r, partial && line[n] == ' '
	}
	return r, len(r.first) > 0
}

// cellByte returns the byte that a cell names, 0 for a control character but
// TAB and LF.
func cellByte(word []byte) (c byte, ok bool) {
	switch len(word) {
	case 0:
		return ' ', true
	case 1:
		return word[0], true
	case 2:
		switch {
		case word[0] == '\\':
			switch word[1] {
			case 'n':
				return '\n', true
			case 't':
				return '\t', true
			}
			return 0, true
		case string(word) == "sp":
			return ' ', true
		case string(word) == "nl":
			return '\n', true
		case string(word) == "ht":
			return '\t', true
		}
	case 3:
		if len(bytes.Trim(word, "01234567")) == 0 {
			return word[0]&3<<6 | word[1]&7<<3 | word[2]&7, true
		}
	}
	for _, d := range word {
		if d < 'a' || d > 'z' {
			return 0, false
		}
	}
	return 0, len(word) < 4
}
