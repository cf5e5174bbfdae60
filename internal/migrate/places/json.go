package places

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// ReadJSON returns the scalars of a JSON text in their order.
func ReadJSON(name string, data []byte) ([]Leaf, error) {
	if err := text(name, data); err != nil {
		return nil, err
	}
	start := 0
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		start = 3
	}
	body := data[start:]
	lineAt := func(offset int) int { return 1 + bytes.Count(body[:max(0, min(offset, len(body)))], []byte{'\n'}) }
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); err != nil {
		line := 0
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line = lineAt(int(syntax.Offset) - 1)
		}
		return nil, Bad(name, line, "the file is not valid JSON", "comments and commas before a closing bracket are not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	w := jsonWalk{}
	line, counted := 1, 0
	for {
		before := int(d.InputOffset())
		tok, err := d.Token()
		if err == io.EOF {
			return w.out, nil
		}
		if err != nil {
			return nil, Bad(name, lineAt(before), "the file is not valid JSON", "")
		}
		end := int(d.InputOffset())
		for before < end && strings.IndexByte(" \t\r\n,:", body[before]) >= 0 {
			before++
		}
		line += bytes.Count(body[counted:before], []byte{'\n'})
		counted = before
		if w.token(tok, span{start + before, start + end}, line); len(w.path) > MaxDepth || len(w.out) > MaxLeaves {
			return nil, Bad(name, line, "the file is too deep or has too many values", "20000 values, and 100 levels, are taken")
		}
	}
}

// jsonWalk follows the tokens of a JSON text. path has an element for each open
// bracket: the current key or index.
type jsonWalk struct {
	path  []string
	index []int // of an array; -1 in an object
	key   bool  // the next string is a key
	out   []Leaf
}

func (w *jsonWalk) token(tok json.Token, at span, line int) {
	top := len(w.index) - 1
	if d, ok := tok.(json.Delim); ok {
		switch d {
		case '{', '[':
			w.next(top)
			w.path = append(w.path, "")
			w.index = append(w.index, 0)
			if w.key = d == '{'; w.key {
				w.index[top+1] = -1
			}
		default:
			w.path, w.index = w.path[:top], w.index[:top]
			w.key = top > 0 && w.index[top-1] < 0
		}
		return
	}
	if w.key {
		w.path[top], w.key = tok.(string), false
		return
	}
	w.next(top)
	l := Leaf{Path: append([]string(nil), w.path...), Line: line, Start: at.start, End: at.end, Flow: true}
	switch v := tok.(type) {
	case string:
		l.Text, l.style = v, '"'
	case json.Number:
		l.Text, l.Kind = v.String(), Number
	case bool:
		l.Kind = Bool
	default:
		l.Kind = Null
	}
	w.out = append(w.out, l)
	w.key = top >= 0 && w.index[top] < 0
}

// next advances the index if a value begins inside an array.
func (w *jsonWalk) next(top int) {
	if top >= 0 && w.index[top] >= 0 {
		w.path[top] = strconv.Itoa(w.index[top])
		w.index[top]++
	}
}

// Written returns s as it is to be written in the place of l: in the same quotes, or
// plain if l was plain or a block and s allows it.
func (l Leaf) Written(s string) string {
	switch l.style {
	case '\'':
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case '"':
		return quoted(s)
	}
	special := ""
	if l.Flow {
		special = ",[]{}"
	}
	if strings.HasSuffix(s, ":") || strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.ContainsAny(s, special) ||
		s == "" || strings.ContainsAny(s[:1], "&*!|>'\"%@`#,[]{}?-: ") {
		return quoted(s)
	}
	return s
}

// quoted returns s as a JSON string, which YAML reads too.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// span is a run of bytes.
type span struct{ start, end int }
