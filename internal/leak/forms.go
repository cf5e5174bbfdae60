package leak

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"unicode/utf8"
)

const (
	// largeValue is the size above which a value is not sought in rare styles
	// of an encoding, with every byte escaped, or in UTF-16. Nobody prints a
	// key store in \u00XX, and these forms are many and long.
	largeValue = 512

	// maxDepth bounds how often a part of a value is itself taken apart.
	maxDepth = 4

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
	// strong leaves out parts of less than MinBits, whole those that are not secret
	strong, whole bool
	size          int      // bytes in forms; beyond maxBytes the set is incomplete and useless
	store         [][]byte // what the forms lie in; there is room in the last one
}

// addNeedle adds every form of value and of its parts. White space around the
// value is not sought: a secret is often stored with a final line break and
// printed without, and the line break is better kept in the output.
func (s *formSet) addNeedle(value []byte, label uint32) {
	s.label = label
	value = bytes.TrimSpace(value)
	s.addAll(value)
	s.addParts(value, maxDepth)
}

// addParts adds what can be printed of a composite value on its own: the
// leaves of a JSON document, the password in a URL, the lines of a text.
func (s *formSet) addParts(value []byte, depth int) {
	if depth == 0 || isBlob(value) {
		return
	}
	part := func(p []byte) {
		if p = bytes.TrimSpace(p); len(p) >= minPart && s.sought(p) {
			s.addAll(p)
			s.addParts(p, depth-1)
		}
	}
	if !s.whole && leaves(value, part) {
		return
	}
	if password := urlPassword(value); len(password) > 0 {
		part(password)
		if decoded, err := url.PathUnescape(string(password)); err == nil {
			part([]byte(decoded))
		}
	}
	if s.whole || !bytes.ContainsAny(value, "\r\n") {
		return
	}
	for line := range bytes.FieldsFuncSeq(value, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || leaves(line, part) {
			continue
		}
		if scalar, ok := assigned(line); ok {
			part(scalar)
		} else if len(line) >= minPart && !structural(line) && s.sought(line) {
			s.addText(line)
		}
	}
}

// sought reports whether a part of a value is a needle of its own.
func (s *formSet) sought(part []byte) bool {
	return weakness(part) == "" && (!s.strong || Bits(part) >= MinBits)
}

// guessable reports whether value, or what is secret of it, has less than MinBits: of a
// URL with a password that is the password, since the rest is known or soon found.
func guessable(value []byte) bool {
	value = bytes.TrimSpace(value)
	if Bits(value) < MinBits {
		return true
	}
	password := urlPassword(value)
	return len(password) > 0 && Bits(password) < MinBits
}

// leaves calls part for each string and number in value and reports whether
// value is a JSON object or array.
func leaves(value []byte, part func([]byte)) bool {
	if value[0] != '{' && value[0] != '[' {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var doc any
	if decoder.Decode(&doc) != nil || decoder.Decode(new(any)) != io.EOF {
		return false
	}
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		case string:
			part([]byte(node))
		case json.Number:
			part([]byte(node))
		}
	}
	walk(doc)
	return true
}

// urlPassword returns the password in the userinfo of a URL, as written.
func urlPassword(value []byte) []byte {
	_, rest, ok := bytes.Cut(value, []byte("://"))
	if !ok {
		return nil
	}
	if end := bytes.IndexAny(rest, "/?# \r\n"); end >= 0 {
		rest = rest[:end]
	}
	at := bytes.LastIndexByte(rest, '@')
	if at < 0 {
		return nil
	}
	_, password, _ := bytes.Cut(rest[:at], []byte(":"))
	return password
}

var assignment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:export |- )?["']?[A-Za-z_][A-Za-z0-9_.-]*["']?(?:=|\s*:\s+|\s+=\s+)([^=].*)$`)
})

// assigned returns V from a line such as K=V, export K='V' or "k: V".
func assigned(line []byte) (scalar []byte, ok bool) {
	m := assignment().FindSubmatch(line)
	if m == nil {
		return nil, false
	}
	scalar = m[1]
	if n := len(scalar); n >= 2 && scalar[0] == scalar[n-1] && (scalar[0] == '"' || scalar[0] == '\'') {
		scalar = scalar[1 : n-1]
	}
	return scalar, true
}

// structural reports whether a line belongs to the frame of a document and
// says nothing: PEM armour, a [section], a "key:" that opens a block.
func structural(line []byte) bool {
	return bytes.HasPrefix(line, []byte("-----")) && bytes.HasSuffix(line, []byte("-----")) ||
		line[0] == '[' && line[len(line)-1] == ']' ||
		line[len(line)-1] == ':'
}

// addText adds v and its spellings in textual formats. A large binary has none
// that would keep its bytes, but for percent-encoding.
func (s *formSet) addText(v []byte) {
	s.text = len(s.forms)
	s.add(v)
	if plain(v) == len(v) {
		return
	}
	percentForms(v, s.add)
	if isBlob(v) {
		return
	}
	jsonForms(v, s.add)
	markupForms(v, s.add)
	shellForms(v, s.add)
}

// addAll adds v in every known spelling.
func (s *formSet) addAll(v []byte) {
	s.addText(v)
	base64Forms(v, s.add)
	hexForms(v, s.add)
	if len(v) <= largeValue {
		escapedForms(v, s.add)
		utf16Forms(v, s.add)
	}
}

// add adds a copy of one form, and what the shadow view makes of it: only so can
// a form with line breaks be found there.
func (s *formSet) add(f []byte) {
	if len(f) < minForm || s.size > maxBytes || s.has(f) {
		return
	}
	s.keep(f)
	if bytes.IndexByte(f, esc) < 0 && bytes.IndexByte(f, '\n') < 0 && bytes.IndexByte(f, '\r') < 0 {
		return // it is the same
	}
	var strip stripper
	if flat := strip.bytes(f); len(flat) >= minPart && len(flat) < len(f) && !s.has(flat) {
		s.keep(flat)
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
