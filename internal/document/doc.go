// Package document reads the files that people keep secrets and references in,
// and fills templates: .env files ([ParseEnv]) and text templates
// ([ParseTemplate]).
//
// It knows no platform: callers resolve the references. Files may hold secrets in plain
// text, so contents are held as keyturn.Value only, and no error or notice quotes a
// file: they name the file, the line, and the variable or the reference.
package document

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
)

// Limits of what is read and made.
const (
	MaxSize    = 4 << 20  // bytes of a file
	MaxEntries = 100_000  // variables of a .env file, places of a template
	MaxOutput  = 32 << 20 // bytes of a filled template, or of all expanded variables
	maxDepth   = 16       // of ${A:-${B:-…}}
	maxName    = 1 << 10  // bytes of a variable's name
)

// invalid makes the error of a place in a file.
func invalid(file, place, message, hint string) *keyturn.Error {
	at := keyturn.Clean(file)
	if at == "" {
		at = "input"
	}
	if place != "" {
		at += ":" + place
	}
	return keyturn.E(keyturn.Invalid, at+": "+message, hint)
}

// tooLarge checks what every file is checked for before it is parsed.
func tooLarge(file string, data []byte) *keyturn.Error {
	if len(data) > MaxSize {
		return invalid(file, "", "the file is too large", "a file may have 4 MiB")
	}
	return nil
}

// reference reads a scalar that may be a reference. It is nil without an error
// where the scalar does not begin like one.
func reference(s []byte) (*keyturn.Ref, *keyturn.Error) {
	if len(s) < len(keyturn.Scheme) || !strings.EqualFold(string(s[:len(keyturn.Scheme)]), keyturn.Scheme) {
		return nil, nil
	}
	if string(s[:len(keyturn.Scheme)]) != keyturn.Scheme {
		return nil, keyturn.E(keyturn.Invalid, "", "a reference begins with "+keyturn.Scheme+" in lower case")
	}
	ref, err := keyturn.ParseRef(string(s))
	if err != nil {
		// Its message quotes what was read; the hint says what is right.
		return nil, keyturn.E(keyturn.Invalid, "", keyturn.AsError(err).Hint)
	}
	return &ref, nil
}

// holdsReference reports whether a text mentions a reference.
func holdsReference(s []byte) bool {
	return bytes.Contains(s, []byte(keyturn.Scheme))
}

func number(n int) string { return strconv.Itoa(n) }
