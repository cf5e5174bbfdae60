// Package quote shows what files and callers wrote in messages. It is pure.
package quote

import "github.com/keyturn/keyturn"

// Text is text of a file in a message: cleaned, and cut where it is long.
func Text(s string) string {
	const most = 80
	if r := []rune(s[:min(len(s), 8*most)]); len(r) > most || len(s) > 8*most {
		s = string(r[:min(len(r), most)]) + "…"
	}
	return "'" + keyturn.Clean(s) + "'"
}
