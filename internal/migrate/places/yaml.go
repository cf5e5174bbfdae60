package places

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is a parsed YAML file with the places of its scalars.
type File struct {
	name   string
	data   []byte
	Docs   []*yaml.Node
	lines  []int              // offsets of the lines' beginnings
	Leaves []Leaf             // in the order of the file
	of     map[*yaml.Node]int // index in Leaves of a scalar
	nodes  int
	Alias  int // line of the first alias, 0 for none
	at     struct{ line, column, offset int }
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`line ([0-9]+)`) })

// ReadYAML reads all documents of a file. It does not follow aliases, by which a small
// file could grow large.
func ReadYAML(name string, data []byte) (y *File, err error) {
	if err := text(name, data); err != nil {
		return nil, err
	}
	defer func() {
		// The parser has panicked on broken files before.
		if recover() != nil {
			y, err = nil, Bad(name, 0, "the file is not valid YAML", "")
		}
	}()
	y = &File{name: name, data: data, of: map[*yaml.Node]int{}}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line := 0
			if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
				line, _ = strconv.Atoi(m[1])
			}
			return nil, Bad(name, line, "the file is not valid YAML", "the parser's own words are not shown, since they may hold values")
		}
		y.Docs = append(y.Docs, &doc)
	}
	y.lines = lineStarts(data)
	for i, doc := range y.Docs {
		if err := y.walk(doc, []string{strconv.Itoa(i)}, -1, false); err != nil {
			return nil, err
		}
	}
	return y, nil
}

// At returns the index of a scalar node in Leaves.
func (y *File) At(n *yaml.Node) (int, bool) {
	i, ok := y.of[n]
	return i, ok
}

// lineStarts returns the offsets of the lines, as the parser counts lines.
func lineStarts(data []byte) []int {
	at := 0
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		at = 3
	}
	starts := []int{at}
	for i := at; i < len(data); {
		n := lineBreak(data[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		starts = append(starts, i)
	}
	return starts
}

// lineBreak returns the length of the line break at the front of b, or 0.
func lineBreak(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	case len(b) > 0 && (b[0] == '\n' || b[0] == '\r'):
		return 1
	case bytes.HasPrefix(b, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(b, []byte("\u2028")), bytes.HasPrefix(b, []byte("\u2029")):
		return 3
	}
	return 0
}

// walk collects the scalars at and below n. indent is the column, from 0, of the
// mapping or list that n is in.
func (y *File) walk(n *yaml.Node, path []string, indent int, flow bool) error {
	if y.nodes++; y.nodes > MaxNodes || len(path) > MaxDepth || len(y.Leaves) > MaxLeaves {
		return Bad(y.name, n.Line, "the file is too deep or has too many values", "20000 values, and 100 levels, are taken")
	}
	flow = flow || n.Style&yaml.FlowStyle != 0
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			if err := y.walk(c, path, -1, false); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			name := key.Value
			if key.Kind != yaml.ScalarNode {
				name = "?"
			}
			if err := y.walk(value, append(path[:len(path):len(path)], name), min(key.Column, n.Column)-1, flow); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if err := y.walk(c, append(path[:len(path):len(path)], strconv.Itoa(i)), n.Column-1, flow); err != nil {
				return err
			}
		}
	case yaml.AliasNode:
		if y.Alias == 0 {
			y.Alias = n.Line
		}
	case yaml.ScalarNode:
		l := Leaf{Path: path, Text: n.Value, Line: n.Line, Flow: flow, Kind: kindOf(n)}
		if n.Value != "" && !y.locate(&l, n, indent) {
			l.Kind = Kind("its place in the file is not clear: write it in quotes, on one line")
		}
		y.of[n] = len(y.Leaves)
		y.Leaves = append(y.Leaves, l)
	}
	return nil
}

func kindOf(n *yaml.Node) Kind {
	switch n.ShortTag() {
	case "!!str":
		return String
	case "!!int", "!!float":
		return Number
	case "!!bool":
		return Bool
	case "!!null":
		return Null
	}
	return Other
}

// offset returns the offset of a column in a line; columns count characters, from 1. It
// continues from the last call, because a line can be as long as the file.
func (y *File) offset(line, column int) (int, bool) {
	if line < 1 || line > len(y.lines) {
		return 0, false
	}
	if y.at.line != line || y.at.column > column {
		y.at.line, y.at.column, y.at.offset = line, 1, y.lines[line-1]
	}
	for ; y.at.column < column; y.at.column++ {
		if y.at.offset >= len(y.data) {
			return 0, false
		}
		_, size := utf8.DecodeRune(y.data[y.at.offset:])
		y.at.offset += size
	}
	return y.at.offset, true
}

// locate sets the offsets of a scalar. It reports false if they are not clear.
func (y *File) locate(l *Leaf, n *yaml.Node, indent int) bool {
	i, ok := y.offset(n.Line, n.Column)
	if !ok || !l.Flow && n.Column-1 <= indent { // the parser takes some that YAML does not
		return false
	}
	for i < len(y.data) && (y.data[i] == '&' && n.Anchor != "" || y.data[i] == '!' && n.Tag != "") {
		for i < len(y.data) && strings.IndexByte(" \t\r\n", y.data[i]) < 0 {
			i++
		}
		for i < len(y.data) && (y.data[i] == ' ' || y.data[i] == '\t') {
			i++
		}
	}
	if i >= len(y.data) {
		return false
	}
	end := -1
	switch c := y.data[i]; {
	case c == '"' || c == '\'':
		l.style, end = c, closing(y.data, i)
	case (c == '|' || c == '>') && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		l.style, end = '|', blockEnd(y.data, i, indent)
	default:
		end = plainEnd(y.data, i, n.Value)
	}
	if end <= i {
		return false
	}
	l.Start, l.End = i, end
	return true
}

// closing returns the offset behind the quote that closes the one at i; -1 if there is
// none.
func closing(data []byte, i int) int {
	q := data[i]
	for j := i + 1; j < len(data); j++ {
		switch {
		case data[j] == '\\' && q == '"':
			j++
		case data[j] == q && q == '\'' && j+1 < len(data) && data[j+1] == q:
			j++
		case data[j] == q:
			return j + 1
		}
	}
	return -1
}

// blockEnd returns the end of the block scalar whose indicator is at i: the end of its
// last line that is not empty, without the line break; -1 if there is none.
func blockEnd(data []byte, i, indent int) int {
	end, first := -1, -1
	for at := i; ; {
		for at < len(data) && lineBreak(data[at:]) == 0 {
			at++
		}
		at += lineBreak(data[min(at, len(data)):])
		if at >= len(data) {
			return end
		}
		spaces := 0
		for at+spaces < len(data) && data[at+spaces] == ' ' {
			spaces++
		}
		if at+spaces >= len(data) || lineBreak(data[at+spaces:]) > 0 {
			continue
		}
		if first < 0 && spaces > indent {
			first = spaces
			if data[i+1] >= '1' && data[i+1] <= '9' || i+2 < len(data) && data[i+2] >= '1' && data[i+2] <= '9' {
				first = indent + 1
			}
		}
		if first < 0 || spaces < first {
			return end
		}
		at += spaces
		for at < len(data) && lineBreak(data[at:]) == 0 {
			at++
		}
		end = at
	}
}

// plainEnd returns the end of the plain scalar at i with the given value; -1 if the
// characters of value are not there. White space may differ, where lines are folded.
func plainEnd(data []byte, i int, value string) int {
	space := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	for j := 0; j < len(value); {
		switch {
		case i >= len(data):
			return -1
		case data[i] == value[j] && !space(value[j]):
			i, j = i+1, j+1
		case space(value[j]) && space(data[i]):
			for j < len(value) && space(value[j]) {
				j++
			}
			for i < len(data) && space(data[i]) {
				i++
			}
		default:
			return -1
		}
	}
	return i
}

// SameYAML reports whether two files have the same nodes, except that the leaves of x at
// the indexes of changed have its texts in y.
func SameYAML(x, y *File, changed map[int]string) bool {
	if len(x.Docs) != len(y.Docs) {
		return false
	}
	var same func(a, b *yaml.Node) bool
	same = func(a, b *yaml.Node) bool {
		if a.Kind != b.Kind || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
			return false
		}
		if a.Kind == yaml.ScalarNode {
			if i, ok := x.of[a]; ok {
				if want, ok := changed[i]; ok {
					return b.Value == want && b.ShortTag() == "!!str"
				}
			}
		}
		if a.Value != b.Value || a.ShortTag() != b.ShortTag() {
			return false
		}
		for i := range a.Content {
			if !same(a.Content[i], b.Content[i]) {
				return false
			}
		}
		return true
	}
	for i := range x.Docs {
		if !same(x.Docs[i], y.Docs[i]) {
			return false
		}
	}
	return true
}
