package document

import (
	"bytes"

	"github.com/keyturn/keyturn"
)

// scanner walks a .env file once, byte by byte.
type scanner struct {
	file string
	data []byte
	pos  int
	line int // of pos, from 1
}

const (
	hintLine  = "write NAME=VALUE, a comment that begins with #, or an empty line; values of several lines need quotes"
	hintQuote = `close the quote; in "…" a quote is written \", and a value that begins with ' or " needs the other kind around it`
)

func (s *scanner) fail(line int, message, hint string) error {
	return invalid(s.file, number(line), message, hint)
}

// begin checks the encoding and skips a byte order mark.
func (s *scanner) begin() error {
	for _, mark := range [][]byte{{0xFF, 0xFE}, {0xFE, 0xFF}} {
		if bytes.HasPrefix(s.data, mark) {
			return s.fail(1, "the file is in UTF-16", "save it as UTF-8")
		}
	}
	if i := bytes.IndexByte(s.data, 0); i >= 0 {
		return s.fail(1+bytes.Count(s.data[:i], []byte{'\n'}), "the line has a zero byte",
			"no environment variable can hold one; is this a text file in UTF-8?")
	}
	if bytes.HasPrefix(s.data, []byte("\xEF\xBB\xBF")) {
		s.pos = 3
	}
	return nil
}

// next moves to the next entry, over empty lines and comments.
func (s *scanner) next() bool {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '\n':
			s.line++
			s.pos++
		case c == '\r' || blank(c):
			s.pos++
		case c == '#':
			s.pos = s.lineEnd(s.pos)
		default:
			return true
		}
	}
	return false
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' || c == '\v' }

func (s *scanner) blanks() {
	for s.pos < len(s.data) && blank(s.data[s.pos]) {
		s.pos++
	}
}

// lineEnd returns the offset of the line feed at or after i, or the end.
func (s *scanner) lineEnd(i int) int {
	if n := bytes.IndexByte(s.data[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(s.data)
}

// word takes a name: as an environment variable's, with . and - inside, as
// docker takes them.
func (s *scanner) word() string {
	i := s.pos
	for i < len(s.data) && (nameByte(s.data[i], i == s.pos) || i > s.pos && (s.data[i] == '.' || s.data[i] == '-')) {
		i++
	}
	w := string(s.data[s.pos:i])
	s.pos = i
	return w
}

// entry reads NAME=VALUE at pos, and leaves pos behind its line.
func (s *scanner) entry() (Entry, []Notice, error) {
	e := Entry{Line: s.line}
	e.Name = s.word()
	if e.Name == "export" && s.pos < len(s.data) && blank(s.data[s.pos]) {
		before := s.pos
		s.blanks()
		if w := s.word(); w != "" {
			e.Name, e.Export = w, true
		} else {
			s.pos = before
		}
	}
	s.blanks()
	// The name is not quoted here: a line without = may well be a part of a
	// secret of several lines.
	if e.Name == "" || len(e.Name) > maxName || s.pos == len(s.data) || s.data[s.pos] != '=' {
		return e, nil, s.fail(e.Line, "the line is not NAME=VALUE", hintLine)
	}
	s.pos++
	value := s.pos
	s.blanks()
	var source []byte
	var err error
	if s.pos < len(s.data) {
		switch q := Quote(s.data[s.pos]); q {
		case Single, Double, Backtick:
			source, err = s.quoted(&e, q)
		default:
			source = s.bare(&e, value)
		}
	} else {
		e.Start, e.End = value, value
	}
	if err != nil {
		return e, nil, err
	}
	notices, err := s.content(&e, source)
	return e, notices, err
}

// quoted reads a value that begins with the quote at pos, up to the line's end,
// and returns what is between the quotes.
func (s *scanner) quoted(e *Entry, q Quote) ([]byte, error) {
	e.Quote, e.Start = q, s.pos
	i := s.pos + 1
	for ; i < len(s.data) && s.data[i] != byte(q); i++ {
		if q == Double && s.data[i] == '\\' {
			i++
		}
	}
	if i >= len(s.data) {
		return nil, s.fail(e.Line, "the quote around the value of "+e.Name+" is never closed", hintQuote)
	}
	source := s.data[e.Start+1 : i]
	s.line += bytes.Count(source, []byte{'\n'})
	e.End, s.pos = i+1, i+1
	s.blanks()
	end := s.lineEnd(s.pos)
	rest := bytes.TrimSuffix(s.data[s.pos:end], []byte{'\r'})
	if len(rest) > 0 && rest[0] != '#' {
		return nil, s.fail(s.line, "text follows the closing quote of "+e.Name,
			"put all of the value into the quotes; a comment begins with #")
	}
	s.pos = end
	return lines(source), nil
}

// bare reads a value without quotes, where pos is behind the blanks that follow
// the = before after.
func (s *scanner) bare(e *Entry, after int) []byte {
	end := s.lineEnd(s.pos)
	stop := end
	for i := s.pos; i < end; i++ {
		if s.data[i] == '#' && i > after && blank(s.data[i-1]) {
			stop = i
			break
		}
	}
	for stop > s.pos && (blank(s.data[stop-1]) || s.data[stop-1] == '\r') {
		stop--
	}
	source := s.data[s.pos:stop]
	e.Start, e.End = s.pos, stop
	if len(source) == 0 {
		e.Start, e.End = after, after // not next to a comment
	}
	s.pos = end
	return source
}

// content sets value and reference from what was written, and tells what should
// be told of it.
func (s *scanner) content(e *Entry, source []byte) ([]Notice, error) {
	text := source
	if e.Quote == Double {
		text = unescape(source)
	}
	e.Value = keyturn.NewValue(text)
	if e.Quote == Bare || e.Quote == Double {
		e.expands = bytes.IndexByte(source, '$') >= 0
	}
	ref, err := reference(text)
	if err != nil {
		return nil, s.fail(e.Line, e.Name+" begins like a reference, and is not one in canonical form", err.Hint)
	}
	if ref != nil && e.expands && variables(source) {
		return nil, s.fail(e.Line, e.Name+" is a reference with a variable in it",
			"write the reference out; where $ is a part of it, put it into single quotes")
	}
	if e.Ref = ref; ref != nil {
		e.expands = false
	}
	if e.expands {
		e.source = keyturn.NewValue(source)
	}
	if ref == nil && holdsReference(text) {
		return []Notice{{s.file, e.Line, e.Name,
			"holds " + keyturn.Scheme + " inside other text, which stays as it is: a reference must be the whole value"}}, nil
	}
	return nil, nil
}

// escapes of a value in double quotes.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '$': '$'}

// unescape undoes the escapes of double quotes; a backslash before anything else
// stays.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			if c, ok := escapes[b[i+1]]; ok {
				out = append(out, c)
				i++
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}
