package document

import (
	"bytes"

	"github.com/keyturn/keyturn"
)

// Quote is how a value stands in a .env file.
type Quote byte

// The ways of quoting.
const (
	Bare     Quote = 0
	Single   Quote = '\''
	Double   Quote = '"'
	Backtick Quote = '`'
)

// EnvFile is a .env file as it was read. It is immutable and safe for
// concurrent use.
type EnvFile struct {
	Name    string
	Entries []Entry  // in the order of the file, repeated names included
	Notices []Notice // what its owner should be told
}

// Entry is one line NAME=VALUE, which may span several lines in quotes.
type Entry struct {
	Name string
	// Value is what was written, without quotes and with escapes undone, but
	// without ${VAR} expanded. A line break in quotes is LF, also in a file
	// whose lines end with CR LF.
	Value keyturn.Value
	// Ref is set where the whole value is one reference.
	Ref    *keyturn.Ref
	Line   int // of the name, from 1
	Export bool
	Quote  Quote
	// Start and End are the offsets of the value's bytes in the data that was
	// parsed, quotes included: data[:Start] + other + data[End:] is the same
	// file with another value, comments kept. For an empty value they are equal.
	Start, End int

	source  keyturn.Value // between the quotes as written, where it may expand
	expands bool
}

// Notice is something to tell that is no error. It never quotes a value.
type Notice struct {
	File string
	Line int
	Name string // of the variable
	Text string
}

// String returns "FILE:LINE: NAME TEXT".
func (n Notice) String() string {
	return keyturn.Clean(n.File) + ":" + number(n.Line) + ": " + n.Name + " " + n.Text
}

// ParseEnv reads a .env file; name is for messages only. It takes what shells,
// docker and the dotenv libraries have in common: comments, export, spaces
// around =, values bare, in '…' or `…` (literal), or in "…" (with \n \r \t \"
// \\ \$), quoted ones over several lines, CR LF, and a byte order mark. In bare
// values # begins a comment after white space only.
//
// Where a name is given twice the last one wins, and a notice says so. A value
// that begins with kt:// must be one canonical reference; one that only holds
// kt:// somewhere stays text, with a notice.
//
// Errors are Invalid, with file and line: a line that is none of this, a quote
// that is not closed, a zero byte, another encoding, a file over the limits.
// data is not kept.
func ParseEnv(name string, data []byte) (EnvFile, error) {
	if err := tooLarge(name, data); err != nil {
		return EnvFile{}, err
	}
	s := scanner{file: name, data: data, line: 1}
	if err := s.begin(); err != nil {
		return EnvFile{}, err
	}
	f := EnvFile{Name: name}
	last := map[string]int{}
	for s.next() {
		if len(f.Entries) == MaxEntries {
			return EnvFile{}, invalid(name, number(s.line), "the file has too many variables", "a file may have 100000")
		}
		e, notices, err := s.entry()
		if err != nil {
			return EnvFile{}, err
		}
		f.Notices = append(f.Notices, notices...)
		if before, ok := last[e.Name]; ok {
			f.Notices = append(f.Notices, Notice{name, e.Line, e.Name,
				"was already given in line " + number(before) + "; this one wins"})
		}
		last[e.Name] = e.Line
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// Effective returns the entries that win, in the order of the file: of each
// name the last one. The slice belongs to the caller.
func (f EnvFile) Effective() []Entry {
	last := make(map[string]int, len(f.Entries))
	for i, e := range f.Entries {
		last[e.Name] = i
	}
	out := make([]Entry, 0, len(last))
	for i, e := range f.Entries {
		if last[e.Name] == i {
			out = append(out, e)
		}
	}
	return out
}

// EnvName returns the name of the environment variable that a field becomes: its
// own name, where that is [A-Za-z_][A-Za-z0-9_]*; else false.
func EnvName(field string) (string, bool) {
	if field == "" {
		return "", false
	}
	for i := 0; i < len(field); i++ {
		if !nameByte(field[i], i == 0) {
			return "", false
		}
	}
	return field, true
}

// nameByte reports whether c can stand in the name of an environment variable.
func nameByte(c byte, first bool) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || !first && c >= '0' && c <= '9'
}

// lines turns CR LF into LF.
func lines(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }
