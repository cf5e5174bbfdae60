// Package places finds the scalars of JSON and YAML files and where their bytes
// are, so that one can be replaced and everything else stays as it was written:
// no file is printed anew from what was parsed.
//
// It is made for hostile files: sizes, depths and counts are limited, aliases
// are not followed, and no error quotes a file.
package places

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// Limits of what is read; how large a file may be is for its caller.
const (
	MaxLeaves = 20_000  // scalars of one file
	MaxDepth  = 100     // mappings and lists within each other
	MaxNodes  = 400_000 // of a YAML file
)

// Leaf is a scalar of a file.
type Leaf struct {
	Path []string // keys and indexes; in YAML the first is the document's number
	Text string   // what it says, quotes and escapes undone
	Kind Kind
	Line int // from 1
	// Start and End are the offsets of its bytes: from its quote, its block's
	// indicator or its first character to its last one.
	Start, End int
	Flow       bool // it is inside [ ] or { }

	style byte // ", ', | (or >), or 0 for plain
}

// Kind is what a scalar is, in words for people where it is no text.
type Kind string

// The kinds. Other holds everything else, and a scalar whose place is not clear.
const (
	String Kind = ""
	Number Kind = "a number"
	Bool   Kind = "a boolean"
	Null   Kind = "empty"
	Other  Kind = "neither text nor a number"
)

// Bad makes the error of a place in a file; line 0 means the whole file.
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

// text checks the encoding of a file that is parsed as text.
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
