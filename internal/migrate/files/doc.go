// Package files reads files that hold secrets, judges which of their values are
// secrets, and rewrites the text so that references stand in the place of secrets.
// It knows .env files, compose files, manifests of Kubernetes Secrets, and plain JSON
// and YAML.
//
// All functions work on bytes: the package opens no file and knows no platform and no
// Service. A caller passes a file's bytes to [Read], chooses entries with
// [File.Choose], stores the fields of the entries that move in one secret, and writes
// what [File.Rewrite] returns.
//
// Everything that is not replaced stays byte for byte: values are replaced by their
// offsets, and no file is printed anew from what was parsed. Rewrite checks its own
// result before it returns: the new text is read again and must hold the same
// entries, with references where values were.
//
// No error, notice or reason quotes a value.
package files

import "github.com/keyturn/keyturn/internal/migrate/places"

// Limits of what is read, beside document.MaxSize.
const (
	MaxEntries = places.MaxLeaves // values of one file
	maxDepth   = places.MaxDepth
	maxNodes   = places.MaxNodes
)
