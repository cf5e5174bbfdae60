package document

import (
	"bytes"

	"github.com/keyturn/keyturn"
)

// Template is a text with places that secrets are put into. It is immutable and
// safe for concurrent use.
type Template struct {
	name   string
	pieces []piece
	refs   []keyturn.Ref
}

// piece is a run of text, or a place with a reference. Text is held as a Value,
// since a template may hold secrets of its own and a Template may be printed.
type piece struct {
	text    keyturn.Value
	ref     keyturn.Ref
	filters []string
	place   string // LINE:COLUMN
}

const hintTag = `write {{ "kt://MOUNT/NAME#FIELD" }}, with filters as in {{ "…" | json }}; two braces of the text itself are written {{ "{{" }}`

// ParseTemplate reads a text with places written
//
//	{{ "kt://mount/name#field" }}
//	{{ "kt://mount/name#field" | base64 | json }}
//
// where the filters json, url, base64, shell and yaml work from left to right.
// name is for messages only. Every other byte is kept as it is. {{ "{{" }} and
// {{ "}}" }} stand for the braces themselves; }} alone needs no escape. In the
// string only \" and \\ are escapes, and only white space may stand between the
// parts, line breaks included. There is nothing else: no conditions, no
// variables, no blocks.
//
// Errors are Invalid, with file, line and column: {{ without such a place
// behind it, a reference that is not canonical, an unknown filter, a file over
// the limits. data is not kept.
func ParseTemplate(name string, data []byte) (*Template, error) {
	if err := tooLarge(name, data); err != nil {
		return nil, err
	}
	t := &Template{name: name}
	seen := map[keyturn.Ref]bool{}
	p := tags{file: name, data: data, line: 1}
	for places := 0; ; places++ {
		start := p.pos
		open := bytes.Index(data[start:], []byte("{{"))
		if open < 0 {
			t.add(data[start:])
			return t, nil
		}
		t.add(data[start : start+open])
		p.move(start + open)
		at, err := p.tag()
		if err != nil {
			return nil, err
		}
		if places == MaxEntries {
			return nil, invalid(name, at.place, "the template has too many places", "a template may have 100000")
		}
		if r := at.ref; !r.IsZero() && !seen[r] {
			seen[r] = true
			t.refs = append(t.refs, r)
		}
		t.pieces = append(t.pieces, at)
	}
}

func (t *Template) add(text []byte) {
	if len(text) > 0 {
		t.pieces = append(t.pieces, piece{text: keyturn.NewValue(text)})
	}
}

// Refs returns the references, each once, in the order in which they first
// stand. The slice belongs to the caller.
func (t *Template) Refs() []keyturn.Ref { return append([]keyturn.Ref(nil), t.refs...) }

// Render fills the template. lookup is called once for each of Refs, in their
// order; if it fails for any, nothing is rendered, and the error holds all that
// failed. Whether a reference without a field has one value is for lookup to
// say. What lookup returns is only ever copied, never read as a template again.
//
// A value that a filter cannot take is Invalid, naming place and reference:
// json and yaml need UTF-8, shell cannot hold a zero byte. So is output of more
// than MaxOutput bytes.
func (t *Template) Render(lookup func(keyturn.Ref) (keyturn.Value, error)) (keyturn.Value, error) {
	values := make(map[keyturn.Ref]keyturn.Value, len(t.refs))
	var failed []*keyturn.Error
	for _, r := range t.refs {
		v, err := lookup(r)
		if err != nil {
			failed = append(failed, keyturn.AsError(err))
			continue
		}
		values[r] = v
	}
	if err := keyturn.Join("some references of "+keyturn.Clean(t.name)+" cannot be read", failed...); err != nil {
		return keyturn.Value{}, err
	}
	var out []byte
	for _, p := range t.pieces {
		b := bytesOf(p.text)
		if !p.ref.IsZero() {
			b = bytesOf(values[p.ref])
		}
		for _, f := range p.filters {
			var bad string
			if b, bad = filters[f](b); bad != "" {
				about := "the text"
				if !p.ref.IsZero() {
					about = keyturn.Clean(p.ref.String())
				}
				return keyturn.Value{}, invalid(t.name, p.place, about+" cannot go through "+f+": "+bad,
					"use base64 before "+f+", or another filter").About(p.ref)
			}
			if len(b) > MaxOutput {
				break
			}
		}
		if len(out)+len(b) > MaxOutput {
			return keyturn.Value{}, invalid(t.name, p.place, "the filled template is too large", "it may have 32 MiB").About(p.ref)
		}
		out = append(out, b...)
	}
	return keyturn.NewValue(out), nil
}

// tags reads the places of a template.
type tags struct {
	file  string
	data  []byte
	pos   int
	line  int // of pos, from 1
	start int // of that line
}

// move goes forward to pos i, counting lines.
func (p *tags) move(i int) {
	for {
		n := bytes.IndexByte(p.data[p.pos:i], '\n')
		if n < 0 {
			p.pos = i
			return
		}
		p.pos += n + 1
		p.line, p.start = p.line+1, p.pos
	}
}

func (p *tags) space() {
	i := p.pos
	for i < len(p.data) && (p.data[i] == ' ' || p.data[i] == '\t' || p.data[i] == '\r' || p.data[i] == '\n') {
		i++
	}
	p.move(i)
}

func (p *tags) take(s string) bool {
	if bytes.HasPrefix(p.data[p.pos:], []byte(s)) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *tags) place() string { return number(p.line) + ":" + number(p.pos-p.start+1) }

// tag reads from {{ to }}.
func (p *tags) tag() (piece, error) {
	at := piece{place: p.place()}
	fail := func(message, hint string) (piece, error) {
		return piece{}, invalid(p.file, at.place, message, hint)
	}
	p.take("{{")
	p.space()
	if !p.take(`"`) {
		return fail("{{ is not followed by a reference in double quotes", hintTag)
	}
	text, ok := p.text()
	if !ok {
		return fail("the string behind {{ is not closed, or has an escape other than \\\" and \\\\", hintTag)
	}
	ref, err := reference(text)
	switch {
	case err != nil:
		return fail("the string begins like a reference, and is not one in canonical form", err.Hint)
	case ref != nil:
		at.ref = *ref
	case string(text) == "{{" || string(text) == "}}":
		at.text = keyturn.NewValue(text)
	default:
		return fail("the string is not a reference", "a reference begins with "+keyturn.Scheme+"; "+hintTag)
	}
	for {
		p.space()
		if p.take("}}") {
			return at, nil
		}
		if !p.take("|") {
			return fail("}} or | is missing behind the string", hintTag)
		}
		p.space()
		name := p.word()
		if _, ok := filters[name]; !ok {
			return fail("the filter behind | is not known", "the filters are "+filterNames)
		}
		if at.filters = append(at.filters, name); len(at.filters) > maxFilters {
			return fail("the place has too many filters", "at most "+number(maxFilters))
		}
	}
}

// text reads a string up to its closing quote, which must stand on the same
// line.
func (p *tags) text() ([]byte, bool) {
	var out []byte
	for i := p.pos; i < len(p.data); i++ {
		switch c := p.data[i]; c {
		case '"':
			p.pos = i + 1
			return out, true
		case '\n':
			return nil, false
		case '\\':
			i++
			if i == len(p.data) || p.data[i] != '"' && p.data[i] != '\\' {
				return nil, false
			}
			out = append(out, p.data[i])
		default:
			out = append(out, c)
		}
	}
	return nil, false
}

func (p *tags) word() string {
	i := p.pos
	for i < len(p.data) && (nameByte(p.data[i], i == p.pos)) {
		i++
	}
	w := string(p.data[p.pos:i])
	p.pos = i
	return w
}
