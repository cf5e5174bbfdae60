package durable

import "path/filepath"

// Full reports whether nothing more can be written beside path, as far as that is known.
// SQLite calls a write-ahead log that cannot grow a mere input/output error.
func Full(path string) bool {
	const page = 64 << 10 // SQLite asks for as much at once
	free := Free(filepath.Dir(path))
	return free >= 0 && free < page
}
