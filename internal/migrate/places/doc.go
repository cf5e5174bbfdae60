// Package places finds the values of JSON and YAML files and the offsets of their
// bytes, so that one value can be replaced while everything else stays as it was
// written: no file is printed anew from what was parsed.
//
// Files may be hostile: sizes, depths and counts are limited, aliases are not
// followed, and no error quotes a file.
package places

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// Limits of what is read. The caller limits the size of the file.
const (
	MaxLeaves = 20_000  // scalars of one file
	MaxDepth  = 100     // mappings and lists within each other
	MaxNodes  = 400_000 // of a YAML file
)

// Leaf is a scalar of a file.
type Leaf struct {
	Path []string // keys and indexes; in YAML the first is the document's number
	Text string   // the value, quotes and escapes undone
	Kind Kind
	Line int // from 1
	// Start and End are the offsets of its bytes, quotes or the indicator of a block
	// included.
	Start, End int
	Flow       bool // inside [ ] or { }

	style byte // ", ', | (or >), or 0 for plain
}

// Kind is the type of a scalar; if it is not text, in words for people.
type Kind string

// The kinds. Other is everything else. A scalar whose place is not clear has a kind of
// its own, which says so.
const (
	String Kind = ""
	Number Kind = "a number"
	Bool   Kind = "a boolean"
	Null   Kind = "empty"
	Other  Kind = "neither text nor a number"
)

// Bad returns an Invalid error about a place in a file; line 0 means the whole file.
func Bad(file string, line int, message, hint string) *keyturn.Error {
	at := keyturn.Clean(file)
	if at == "" {
		at = "input"
	}
	if line > 0 {
		at += ":" + strconv.Itoa(line)
	}
	return keyturn.E(keyturn.Invalid, at+": "+message, hint)
}

// text refuses a file that is not UTF-8 text.
func text(name string, data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return Bad(name, 1, "the file is in UTF-16", "save it as UTF-8")
	case !utf8.Valid(data):
		return Bad(name, 0, "the file is not valid UTF-8", "save it as UTF-8")
	case bytes.IndexByte(data, 0) >= 0:
		return Bad(name, 1+bytes.Count(data[:bytes.IndexByte(data, 0)], []byte{'\n'}), "the line has a zero byte", "is this a text file?")
	}
	return nil
}
