// Package migrate reads the files that people keep secrets in, says which of
// their values it takes for secrets and why, and rewrites them so that the
// secrets are references: .env files, compose files, manifests of Kubernetes
// Secrets, and plain JSON and YAML.
//
// It is made of functions over bytes: no file, no platform and no Service. A
// caller reads a file, asks [Read] for its entries, narrows them with
// [File.Choose], stores the fields of the entries that move under one secret,
// and writes what [File.Rewrite] gives back. Until then nothing is changed.
//
// What is not replaced is kept byte by byte: values are replaced by their
// offsets, and no file is ever printed anew from what was parsed. Rewrite checks
// its own work before it returns: the new text is read again, and must hold the
// same entries, with references where values were.
//
// No error, notice or reason quotes a value.
package migrate

import "github.com/keyturn/keyturn/internal/migrate/places"

// Limits of what is read, beside document.MaxSize.
const (
	MaxEntries = places.MaxLeaves // values of one file
	maxDepth   = places.MaxDepth
	maxNodes   = places.MaxNodes
)
