package keyturn

import (
	"bytes"
	"encoding/json"
	"slices"
)

// member is one of a JSON object: its name, in quotes, and its value.
type member struct{ name, value []byte }

// canonical returns the JSON value at the head of raw, with the members of objects
// in the order of their names, and what follows it. Raw is what an Encoder wrote:
// valid, and without white space. Where the value is an object, more are its too.
func canonical(raw []byte, more ...member) (value, rest []byte) {
	switch raw[0] {
	case '{':
		members := more
		for raw = raw[1:]; raw[0] != '}'; {
			raw = bytes.TrimPrefix(raw, []byte(","))
			n := literal(raw)
			m := member{name: raw[:n]}
			m.value, raw = canonical(raw[n+1:])
			members = append(members, m)
		}
		slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.text(), b.text()) })
		value = append(value, '{')
		for i, m := range members {
			if i > 0 {
				value = append(value, ',')
			}
			value = append(append(append(value, m.name...), ':'), m.value...)
		}
		return append(value, '}'), raw[1:]
	case '[':
		value = append(value, '[')
		for raw = raw[1:]; raw[0] != ']'; {
			if raw[0] == ',' {
				value, raw = append(value, ','), raw[1:]
			}
			var one []byte
			one, raw = canonical(raw)
			value = append(value, one...)
		}
		return append(value, ']'), raw[1:]
	}
	n := literal(raw)
	return raw[:n], raw[n:]
}

// literal is the length of the string, number or word at the head of raw.
func literal(raw []byte) int {
	if raw[0] != '"' {
		if n := bytes.IndexAny(raw, ",]}"); n >= 0 {
			return n
		}
		return len(raw)
	}
	for n := 1; ; n++ {
		switch raw[n] {
		case '\\':
			n++
		case '"':
			return n + 1
		}
	}
}

// text is what the name says.
func (m member) text() []byte {
	if bytes.IndexByte(m.name, '\\') < 0 {
		return m.name[1 : len(m.name)-1]
	}
	var s string
	_ = json.Unmarshal(m.name, &s) // an Encoder wrote it
	return []byte(s)
}
