package leak

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

const (
	// largeValue is the size above which a value is not sought in rare
	// encodings. Nobody prints a key store in base58, and these forms are many.
	largeValue = 512

	// maxBytes bounds what Compile works on. Forms share their beginnings, so
	// they may have more bytes than the automaton has states.
	maxBytes = 4 * maxNodes
)

// form is one byte sequence to be replaced by the marker of a label.
type form struct {
	bytes []byte
	label uint32 // index of the needle
}

// formSet collects the forms of needles.
type formSet struct {
	forms []form
	text  int // index of the first form of the text being added
	label uint32
	size  int      // bytes in forms; beyond maxBytes the set is incomplete and useless
	store [][]byte // what the forms lie in; there is room in the last one
	weak  Reason   // why a secret part of the needle being added is no form
	// strong leaves out parts of less than MinBits and those that are open, open the value
	// as a whole
	strong, open bool
}

// addNeedle adds every form of value and of its parts. White space around the
// value is not sought: a secret is often stored with a final line break and
// printed without, and the line break is better kept in the output. It returns
// why a part that is secret is not sought, or "".
func (s *formSet) addNeedle(value []byte, label uint32) Reason {
	s.label, s.weak = label, ""
	value = bytes.TrimSpace(value)
	if !s.open {
		s.addAll(value)
	}
	s.addParts(value, maxDepth)
	return s.weak
}

// addText adds v and what the views make of it in textual formats.
func (s *formSet) addText(v []byte) {
	s.text = len(s.forms)
	s.add(v)
	if bytes.IndexByte(v, ' ') >= 0 {
		s.add(bytes.ReplaceAll(v, []byte(" "), []byte("+"))) // in a query
		s.addWrapped(v)
	}
	if plain(v) < len(v) && !isBlob(v) {
		textForms(v, s.add)
	}
}

// addWrapped adds v without one of its first blanks: at the end of a line it is
// not in the shadow.
func (s *formSet) addWrapped(v []byte) {
	for i := 1; i < min(len(v), 64); i++ {
		if v[i] == ' ' && v[i-1] != ' ' {
			rest := bytes.TrimLeft(v[i:], " ")
			s.add(append(v[:i:i], rest...))
		}
	}
}

// addAll adds v in every known spelling.
func (s *formSet) addAll(v []byte) {
	s.addText(v)
	base64Forms(v, s.add)
	hexForms(v, s.add)
	if len(v) <= largeValue {
		rareForms(v, s.add)
	}
}

// add adds a copy of one form, and what the views make of it: only so can a
// form with line breaks be found there.
func (s *formSet) add(f []byte) {
	if len(f) < minForm || s.size > maxBytes || s.has(f) {
		return
	}
	s.keep(f)
	if indexControl(f) == len(f) {
		return // it is the same
	}
	var decoded view // what a decoder makes is no terminal sequence
	for _, c := range f {
		decoded.put(cell{c: c})
	}
	decoded.finish()
	for _, flat := range [][]byte{stripped(f), decoded.text} {
		if len(flat) >= minPart && len(flat) < len(f) && !s.has(flat) {
			s.keep(flat)
		}
	}
}

// has reports whether f is a form of this text already: most spellings of most
// values are the value itself.
func (s *formSet) has(f []byte) bool {
	return slices.ContainsFunc(s.forms[s.text:], func(g form) bool { return bytes.Equal(g.bytes, f) })
}

// keep copies f. Memory is taken in blocks, which need not be moved as the set grows.
func (s *formSet) keep(f []byte) {
	last := len(s.store) - 1
	if last < 0 || cap(s.store[last])-len(s.store[last]) < len(f) {
		s.store = append(s.store, make([]byte, 0, max(len(f), s.size, 4<<10)))
		last++
	}
	block := append(s.store[last], f...)
	s.forms = append(s.forms, form{block[len(block)-len(f):], s.label})
	s.store[last] = block
	s.size += len(f)
}

func isBlob(v []byte) bool { return len(v) > largeValue && !utf8.Valid(v) }

// wipe overwrites the forms.
func (s *formSet) wipe() {
	for _, block := range s.store {
		clear(block)
	}
}
