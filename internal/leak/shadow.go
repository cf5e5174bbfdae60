package leak

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

const (
	esc = 0x1b

	// maxSequence ends a terminal sequence that does not end by itself, so
	// that a stray introducer cannot hide the rest of the stream.
	maxSequence = 4 << 10

	// maxBlanks is how many blanks wait for the end of their line.
	maxBlanks = 256
)

// event is a piece of the stream that the stripper or a decoder lets through:
// text, or the end of a line if there is none.
type event struct {
	text []byte
	at   int64 // where the text lies in the stream
	end  int64 // 0 if each byte is its own; else text is one byte that stands for the stream from at to end
}

// mode is where a stripper stands in the grammar of terminal output.
type mode uint8

const (
	ground  mode = iota
	escaped      // after ESC
	control      // in a CSI sequence
	text         // in an OSC, DCS, SOS, PM or APC string
)

// stripper removes from a stream what a terminal does not show: escape
// sequences and control characters. CR, LF, VT, FF, NEL and the separators of
// Unicode end lines. The zero value stands at the start of a stream.
type stripper struct {
	mode   mode
	length int    // of the current escape sequence
	half   []byte // the beginning of a character that may be a control character
	odd    bool   // something was removed that is no end of a line
}

// strip appends what is left of p, which lies at the position at of the stream.
func (s *stripper) strip(p []byte, at int64, out []event) []event {
	for i := 0; i < len(p); {
		switch {
		case s.mode != ground:
			s.odd = true
			if s.sequence(p[i]) {
				i++
			}
			continue
		case len(s.half) > 0:
			s.half = append(s.half, p[i])
			switch kind, more := controlRune(s.half); {
			case more:
				i++
				continue
			case kind != 0:
				i++
				s.odd = true
				if kind == '\n' {
					out = append(out, event{})
				}
			default: // the last byte is looked at anew
				kept := s.half[:len(s.half)-1]
				out = append(out, event{text: kept, at: at + int64(i-len(kept))})
			}
			s.half = nil
			continue
		}
		end := i + indexControl(p[i:])
		if end > i {
			out = append(out, event{text: p[i:end:end], at: at + int64(i)})
		}
		if i = end; i == len(p) {
			break
		}
		switch c := p[i]; {
		case c == esc:
			s.mode, s.length, s.odd = escaped, 0, true
			i++
		case c == '\n' || c == '\r' || c == '\v' || c == '\f':
			s.odd = s.odd || c != '\n' && c != '\r'
			out = append(out, event{})
			i++
		case c >= 0x80:
			s.half = append(make([]byte, 0, 3), c)
			i++
		default:
			s.odd = true
			i++
		}
	}
	return out
}

// finish appends what waited for the next byte of the stream, which ends at at.
func (s *stripper) finish(at int64, out []event) []event {
	if len(s.half) > 0 {
		out = append(out, event{text: s.half, at: at - int64(len(s.half))})
		s.half = nil
	}
	return out
}

// controlRune says of the beginning of a character whether it is a control
// character (C1) or ends a line, which is '\n', or whether more is needed.
func controlRune(p []byte) (kind byte, more bool) {
	switch {
	case p[0] == 0xc2 && len(p) == 1, p[0] == 0xe2 && (len(p) == 1 || len(p) == 2 && p[1] == 0x80):
		return 0, true
	case p[0] == 0xc2 && p[1] == 0x85, p[0] == 0xe2 && len(p) == 3 && (p[2] == 0xa8 || p[2] == 0xa9):
		return '\n', false
	case p[0] == 0xc2 && p[1] < 0xa0 && p[1] >= 0x80:
		return 1, false
	}
	return 0, false
}

// Eight bytes of 1, and eight of 0x80, to look at eight bytes of a text at once. What
// that finds is looked at again, for a byte may be taken for one that it is not.
const ones, highs = 0x0101010101010101, 0x8080808080808080

// indexControl returns the index of the first byte that a stripper has to look
// at: a control character but TAB, or what may begin one; or len(p).
func indexControl(p []byte) int {
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		if (w|(w+ones)|(w-0x20*ones))&highs == 0 { // all are from 0x20 to 0x7e
			continue
		}
		del, c2, e2 := w^0x7f*ones, w^0xc2*ones, w^0xe2*ones
		found := ((w-0x20*ones)&^w | (del-ones)&^del | (c2-ones)&^c2 | (e2-ones)&^e2) & highs
		for found != 0 {
			at := i + bits.TrailingZeros64(found)/8
			if isControl(p[at]) {
				return at
			}
			found &= found - 1
		}
	}
	for ; i < len(p); i++ {
		if isControl(p[i]) {
			return i
		}
	}
	return len(p)
}

func isControl(c byte) bool {
	return c < 0x20 && c != '\t' || c == 0x7f || c == 0xc2 || c == 0xe2
}

// sequence takes one byte inside an escape sequence. It reports false, and
// leaves the sequence, if c is not part of it.
func (s *stripper) sequence(c byte) bool {
	s.length++
	switch {
	case s.length > maxSequence:
		return s.leave(false)
	case c == 0x18 || c == 0x1a: // CAN, SUB
		return s.leave(true)
	case c == esc: // also the first half of ESC \, which ends a string
		s.mode = escaped
		return true
	}
	switch s.mode {
	case escaped:
		return s.second(c)
	case control:
		if c >= 0x40 {
			return s.leave(c < 0x7f)
		}
		return true
	default: // text
		if c == '\n' {
			return s.leave(false)
		}
		if c == 0x07 { // BEL
			return s.leave(true)
		}
		return true
	}
}

// second takes a byte after ESC.
func (s *stripper) second(c byte) bool {
	switch {
	case c == '[':
		s.mode = control
	case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
		s.mode = text
	case c >= 0x20 && c < 0x30: // intermediate, as in ESC ( B
		s.mode = escaped
	default:
		return s.leave(c >= 0x30 && c < 0x7f)
	}
	return true
}

// leave ends the sequence, and returns its argument.
func (s *stripper) leave(taken bool) bool {
	s.mode = ground
	return taken
}

// view is what is left of the stream for one reading of it. What wrapping adds
// is removed: the ends of lines, blanks before them, and the indent and the
// marks of quotes and comments ("> ", "# ") after them.
type view struct {
	state   uint32  // of the automaton, after all that was scanned
	scanned int64   // length of what was scanned
	text    []byte  // what comes after it
	offsets offsets // of the text, and of what may belong to an occurrence before it
	decoded int64   // length up to the last byte that a decoder made

	begin  bool // at the begin of a line
	flood  bool // after more blanks than can wait
	mark   cell // a mark at the begin of a line that waits for a blank; none if its c is 0
	blanks []cell

	cuts []int // in text, which no occurrence crosses
}

// cell is one byte of a view.
type cell struct {
	c       byte
	at, end int64
}

// feed appends events.
func (v *view) feed(events []event) {
	for _, e := range events {
		switch {
		case e.text == nil:
			v.newline()
		case e.end != 0:
			v.decode(cell{e.text[0], e.at, e.end})
		default:
			v.run(e.text, e.at)
		}
	}
}

func (v *view) length() int64 { return v.scanned + int64(len(v.text)) }

func (v *view) newline() {
	v.unmark()
	v.begin, v.flood, v.blanks = true, false, v.blanks[:0]
}

// unmark keeps a mark that no blank follows.
func (v *view) unmark() {
	if v.mark.c != 0 {
		v.keep(v.mark)
		v.mark.c = 0
	}
}

// run appends bytes that follow on one another in the stream.
func (v *view) run(p []byte, at int64) {
	if v.begin && v.mark.c == 0 {
		n := 0
		for n < len(p) && isBlank(p[n]) {
			n++
		}
		if p, at = p[n:], at+int64(n); len(p) > 0 && p[0] != '>' && p[0] != '#' {
			v.begin = false
		}
	}
	for len(p) > 0 && (v.begin || v.flood || v.mark.c != 0 || len(v.blanks) > 0) {
		v.put(cell{p[0], at, at + 1})
		p, at = p[1:], at+1
	}
	n := len(p)
	for n > 0 && isBlank(p[n-1]) {
		n--
	}
	if n > 0 {
		v.offsets.add(v.length(), at)
		v.text = append(v.text, p[:n]...)
	}
	for ; n < len(p); n++ {
		v.put(cell{p[n], at + int64(n), at + int64(n) + 1})
	}
}

// put appends one byte that is no control character of the stream but may be
// one that a decoder found.
func (v *view) put(c cell) {
	switch {
	case c.c == '\n' || c.c == '\r' || c.c == '\v' || c.c == '\f':
		v.newline()
	case c.c < 0x20 && c.c != '\t' || c.c == 0x7f:
	case isBlank(c.c):
		switch {
		case v.mark.c != 0:
			v.mark.c = 0
		case v.begin:
		case v.flood:
			v.keep(c)
		default:
			if v.blanks = append(v.blanks, c); len(v.blanks) > maxBlanks {
				v.flush()
				v.flood = true
			}
		}
	case v.begin && v.mark.c == 0 && (c.c == '>' || c.c == '#'):
		v.mark = c
	default:
		v.unmark()
		v.flush()
		v.begin, v.flood = false, false
		v.keep(c)
	}
}

// flush keeps the blanks that waited.
func (v *view) flush() {
	for _, c := range v.blanks {
		v.keep(c)
	}
	v.blanks = v.blanks[:0]
}

func (v *view) keep(c cell) {
	v.begin = false
	v.offsets.put(v.length(), c.at, c.end)
	v.text = append(v.text, c.c)
}

// finish keeps what waited for the next byte of the stream.
func (v *view) finish() {
	v.unmark()
	v.flush()
}

// decode appends one byte that a decoder made.
func (v *view) decode(c cell) {
	v.put(c)
	v.decoded = v.length()
}

// cut says that what comes does not belong to what came.
func (v *view) cut() {
	if len(v.text) == 0 && v.state == root && len(v.blanks) == 0 && v.mark.c == 0 {
		v.begin, v.flood = false, false
		return
	}
	v.finish()
	v.begin, v.flood = false, false
	if n := len(v.cuts); len(v.text) == 0 && v.state == root || n > 0 && v.cuts[n-1] == len(v.text) {
		return
	}
	v.cuts = append(v.cuts, len(v.text))
}

// waits returns where the bytes begin that are not in the view yet and may be
// the begin of an occurrence, or limit if there are none.
func (v *view) waits(a *automaton, limit int64) int64 {
	if v.mark.c != 0 {
		return min(limit, v.mark.at)
	}
	if len(v.blanks) > 0 && (a.roots[' '] != root || a.roots['\t'] != root) {
		return min(limit, v.blanks[0].at)
	}
	return limit
}

// follows makes v, whose reading was that of w so far, go its own way.
func (v *view) follows(w *view) {
	segments, blanks := v.offsets.segments[:0], v.blanks[:0]
	text := v.text[:0]
	*v = *w
	v.offsets.segments = append(segments, w.offsets.segments...)
	v.blanks = append(blanks, w.blanks...)
	v.text = text
	v.decoded = 0
}

// same reports whether v, all scanned, reads from now on what w reads.
func (v *view) same(w *view, hold uint32) bool {
	return v.state == w.state && v.length()-v.decoded >= int64(hold) && v.begin == w.begin && v.flood == w.flood &&
		v.mark == w.mark && slices.Equal(v.blanks, w.blanks)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// stripped returns what is left of p, a form, in the shadow view.
func stripped(p []byte) []byte {
	if indexControl(p) == len(p) {
		return p
	}
	var s stripper
	var v view
	v.feed(s.finish(0, s.strip(p, 0, nil)))
	v.finish()
	return v.text
}

// index is bytes.IndexByte, with len(p) for a byte that does not occur.
func index(p []byte, c byte) int {
	if i := bytes.IndexByte(p, c); i >= 0 {
		return i
	}
	return len(p)
}

// offsets maps positions in a view to positions in the stream. Each segment
// begins where kept bytes do not follow directly on one another.
type offsets struct {
	segments []segment
}

// segment says where a view's bytes from the position view on lie. If end is
// not 0, it is one byte, which stands for the stream up to end.
type segment struct{ view, stream, end int64 }

// add says that the byte kept at position view is the one at stream.
func (o *offsets) add(view, stream int64) {
	if n := len(o.segments); n > 0 && o.segments[n-1].end == 0 && o.segments[n-1].stream-o.segments[n-1].view == stream-view {
		return
	}
	o.segments = append(o.segments, segment{view, stream, 0})
}

// put says that the byte kept at position view stands for the stream from start to end.
func (o *offsets) put(view, start, end int64) {
	if end == start+1 {
		o.add(view, start)
		return
	}
	o.segments = append(o.segments, segment{view, start, end})
}

// start returns the position in the stream of the byte kept at view.
func (o *offsets) start(view int64) int64 {
	s := o.segments[o.find(view)]
	if s.end != 0 {
		return s.stream
	}
	return s.stream + view - s.view
}

// end returns the position in the stream behind the byte kept at view.
func (o *offsets) end(view int64) int64 {
	if s := o.segments[o.find(view)]; s.end != 0 {
		return s.end
	}
	return o.start(view) + 1
}

// find returns the index of the segment that view lies in.
func (o *offsets) find(view int64) int {
	return sort.Search(len(o.segments), func(i int) bool { return o.segments[i].view > view }) - 1
}

// forget drops what is only needed for positions before view, once that is
// worth the copying.
func (o *offsets) forget(view int64) {
	if i := o.find(view); i > len(o.segments)/2 {
		o.segments = slices.Delete(o.segments, 0, i)
	}
}
