package document

import "bytes"

// Uses returns the names of the variables that Expand may look at for e, each
// once, those in defaults included. It is nil for a value that does not expand.
func (e Entry) Uses() []string {
	if !e.expands {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	b := bytesOf(e.source)
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && (e.Quote == Double || i+1 < len(b) && b[i+1] == '$'):
			i++
		case b[i] == '$' && i+1 < len(b) && b[i+1] == '$':
			i++
		case b[i] == '$':
			j := i + 1
			if j < len(b) && b[j] == '{' {
				j++
			}
			n := j
			for n < len(b) && nameByte(b[n], n == j) {
				n++
			}
			if name := string(b[j:n]); n > j && !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

// Alias returns the variable that e is another name of: its whole value is $NAME
// or ${NAME}, so that it takes over a reference too.
func (e Entry) Alias() (name string, ok bool) {
	if !e.expands {
		return "", false
	}
	name, rest, ok := plain(bytesOf(e.source))
	return name, ok && len(rest) == 0
}

// Assigns reports whether data holds a line NAME= anywhere, as a quick look at
// what kind of file it is; it does not say that ParseEnv takes the file.
func Assigns(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimPrefix(bytes.TrimLeft(line, " \t\uFEFF"), []byte("export "))
		n := 0
		for n < len(line) && (nameByte(line[n], n == 0) || n > 0 && (line[n] == '.' || line[n] == '-')) {
			n++
		}
		if rest := bytes.TrimLeft(line[n:], " \t"); n > 0 && len(rest) > 0 && rest[0] == '=' {
			return true
		}
	}
	return false
}
