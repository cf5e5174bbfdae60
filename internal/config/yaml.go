package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn"
)

// MaxFile is the largest configuration file, in bytes.
const MaxFile = 1 << 20

// file is what errors need to say where something stands.
type file string

// errAt makes an Invalid error of a line; 0 is the file as a whole.
func (f file) errAt(line int, message, hint string) *keyturn.Error {
	where := keyturn.Clean(string(f))
	if line > 0 {
		where += ":" + strconv.Itoa(line)
	}
	return keyturn.E(keyturn.Invalid, where+": "+message, hint)
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: line ([0-9]+): (.*)$`) })

// lines refuses line breaks that YAML may know but a person does not see as such: behind
// one of them a rule looks like a part of the comment before it.
func (f file) lines(data []byte) error {
	for i, l := range strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n") {
		if at := strings.IndexAny(l, "\r\u0085\u2028\u2029"); at >= 0 {
			r, _ := utf8.DecodeRuneInString(l[at:])
			return f.errAt(i+1, fmt.Sprintf("this line holds the line break U+%04X, which looks like none", r), "end lines with LF or CRLF")
		}
	}
	return nil
}

// root parses data and returns its one mapping; nil for an empty document.
func (f file) root(data []byte) (*yaml.Node, error) {
	switch {
	case len(data) > MaxFile:
		return nil, f.errAt(0, "this file is too large", "a configuration file may have 1 MiB")
	case !utf8.Valid(data):
		return nil, f.errAt(0, "this file is not UTF-8", "save it as UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, f.syntax(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, f.errAt(second.Line, "this file holds more than one document", "keep one, without further '---' lines")
	} else if !errors.Is(err, io.EOF) {
		return nil, f.syntax(err)
	}
	if err := f.plain(&doc, 0); err != nil {
		return nil, err
	}
	top := doc.Content[0]
	if isNull(top) {
		return nil, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, f.errAt(top.Line, "this file is not a mapping of keys to values", "see 'keyturn help config' for an example")
	}
	return top, nil
}

// syntax tells what the parser did not like, without the file's own words: they
// could be a value.
func (f file) syntax(err error) error {
	line, what := 0, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = m[2]
	}
	switch {
	case strings.Contains(what, "anchor"), strings.Contains(what, "alias"):
		return f.errAt(line, "there are no anchors and aliases here", "write the text out; text that begins with * or & goes into quotes")
	case strings.Contains(what, "tag"):
		return f.errAt(line, "there are no tags here", "text that begins with ! goes into quotes")
	case strings.ContainsAny(what, "\n"):
		what = "not valid YAML"
	}
	return f.errAt(line, "not valid YAML: "+keyturn.Clean(what), "text with special characters goes into quotes")
}

// plain refuses what could make one text mean two things, or a small file large.
func (f file) plain(n *yaml.Node, depth int) error {
	switch {
	case depth > 16:
		return f.errAt(n.Line, "this is nested too deeply", "")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return f.errAt(n.Line, "there are no anchors and aliases here", "write the text out; text that begins with * or & goes into quotes")
	case n.Style&yaml.TaggedStyle != 0:
		return f.errAt(n.Line, "there are no tags here", "text that begins with ! goes into quotes")
	}
	for _, c := range n.Content {
		if err := f.plain(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// pair is one member of a mapping.
type pair struct {
	key  string
	line int
	node *yaml.Node
}

// mapping returns the members of n in their order. A key that is there twice, is
// no plain text, or is not one of known (where given), is an error.
func (f file) mapping(n *yaml.Node, what string, known ...string) ([]pair, error) {
	if n.Kind != yaml.MappingNode {
		return nil, f.errAt(n.Line, what+" is not a mapping of keys to values", "write {key: value}")
	}
	seen := map[string]bool{}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || isNull(k) || k.Tag == "!!merge" {
			return nil, f.errAt(k.Line, what+" has a key that is not a plain word", "")
		}
		if seen[k.Value] {
			return nil, f.errAt(k.Line, "the key "+quote(k.Value)+" is there twice", "keep one of the two")
		}
		seen[k.Value] = true
		if len(known) > 0 && !slices.Contains(known, k.Value) {
			hint := "known here are " + strings.Join(known, ", ")
			if near := keyturn.Nearest(k.Value, slices.Values(known)); near != "" {
				hint = "did you mean '" + near + "'?"
			}
			return nil, f.errAt(k.Line, "unknown key "+quote(k.Value)+" in "+what, hint)
		}
		out = append(out, pair{k.Value, k.Line, v})
	}
	return out, nil
}

// text returns a scalar's text as it is written: a number keeps its zeros.
func (f file) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return "", f.errAt(n.Line, what+" is not a single text", "write "+what+": TEXT")
	}
	if n.Value == "" {
		return "", f.errAt(n.Line, what+" is empty", "write something, or leave it out")
	}
	return n.Value, nil
}

// list returns the texts of a scalar or a list of scalars; an empty list is an
// error, since it would not say whether it means nothing or everything.
func (f file) list(n *yaml.Node, what string) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		s, err := f.text(n, what)
		if err != nil {
			return nil, err
		}
		return []string{s}, nil
	}
	if len(n.Content) == 0 {
		return nil, f.errAt(n.Line, what+" is an empty list", "write something in it, or leave it out")
	}
	var out []string
	for _, c := range n.Content {
		s, err := f.text(c, what)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// oneOf returns a scalar that must be one of known.
func (f file) oneOf(n *yaml.Node, what string, known ...string) (string, error) {
	s, err := f.text(n, what)
	if err != nil {
		return "", err
	}
	if !slices.Contains(known, s) {
		hint := "known are " + strings.Join(known, ", ")
		if near := keyturn.Nearest(s, slices.Values(known)); near != "" {
			hint = "did you mean '" + near + "'?"
		}
		return "", f.errAt(n.Line, "unknown "+what+" "+quote(s), hint)
	}
	return s, nil
}

// quote shows a word of the file in a message. What is no word is not shown: a
// value could have come to stand where a name should.
func quote(s string) string {
	if len(s) > 64 || strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-. ", r))
	}) >= 0 {
		return "(not shown)"
	}
	return "'" + s + "'"
}
