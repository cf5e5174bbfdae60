package leak

import (
	"bytes"
	"slices"
	"sort"
)

const (
	esc = 0x1b

	// maxSequence ends a terminal sequence that does not end by itself, so
	// that a stray introducer cannot hide the rest of the stream.
	maxSequence = 4 << 10
)

// mode is where a stripper stands in the grammar of terminal output.
type mode uint8

const (
	ground    mode = iota
	lineStart      // after CR or LF: an indent is removed
	escaped        // after ESC
	control        // in a CSI sequence
	text           // in an OSC, DCS, SOS, PM or APC string
)

// stripper removes from a stream what a terminal does not show and what
// wrapping adds: escape sequences, CR, LF, and blanks after either. The zero
// value stands at the start of a stream, in the middle of a line.
type stripper struct {
	mode   mode
	line   bool // whether the escape sequence began at the start of a line
	length int  // of the current escape sequence
}

// bytes returns what is left of p.
func (s *stripper) bytes(p []byte) (kept []byte) {
	s.strip(p, func(run []byte, _ int) { kept = append(kept, run...) })
	return kept
}

// strip calls keep for each run of p that is left, with its offset.
func (s *stripper) strip(p []byte, keep func(run []byte, at int)) {
	nextEsc, nextCR := 0, 0 // lower bounds; found lazily, most text has neither
	for i := 0; i < len(p); {
		switch s.mode {
		case ground:
			if nextEsc <= i {
				nextEsc = i + index(p[i:], esc)
			}
			if nextCR <= i {
				nextCR = i + index(p[i:], '\r')
			}
			end := min(nextEsc, nextCR)
			end = i + index(p[i:end], '\n')
			if end > i {
				keep(p[i:end], i)
			}
			if i = end; i < len(p) {
				s.open(p[i])
				i++
			}
		case lineStart:
			if c := p[i]; c == ' ' || c == '\t' {
				i++
			} else if c == '\r' || c == '\n' || c == esc {
				s.open(c)
				i++
			} else {
				s.mode = ground
			}
		default:
			if s.sequence(p[i]) {
				i++
			}
		}
	}
}

// open takes the byte that ends a run of kept bytes.
func (s *stripper) open(c byte) {
	if c == esc {
		s.line = s.mode == lineStart
		s.mode, s.length = escaped, 0
	} else {
		s.mode = lineStart
	}
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

// leave returns to where the sequence began, and returns its argument.
func (s *stripper) leave(taken bool) bool {
	s.mode = ground
	if s.line {
		s.mode = lineStart
	}
	return taken
}

// index is bytes.IndexByte, with len(p) for a byte that does not occur.
func index(p []byte, c byte) int {
	if i := bytes.IndexByte(p, c); i >= 0 {
		return i
	}
	return len(p)
}

// offsets maps positions in the shadow view to positions in the stream. Each
// segment begins where kept bytes do not follow directly on one another.
type offsets struct {
	segments []segment
}

type segment struct{ view, stream int64 }

// add says that the byte kept at position view is the one at stream.
func (o *offsets) add(view, stream int64) {
	if n := len(o.segments); n > 0 && o.segments[n-1].stream-o.segments[n-1].view == stream-view {
		return
	}
	o.segments = append(o.segments, segment{view, stream})
}

// stream returns the position in the stream of the byte kept at view.
func (o *offsets) stream(view int64) int64 {
	s := o.segments[o.find(view)]
	return s.stream + view - s.view
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
