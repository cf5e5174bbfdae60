package document

import "github.com/keyturn/keyturn"

// bytesOf is the only place of the package that looks into a value: expanding a
// variable and filling a template are copying, and the copy is a Value again.
// The bytes belong to v.
func bytesOf(v keyturn.Value) []byte { return v.Reveal() }
