package document

import (
	"bytes"

	"github.com/keyturn/keyturn"
)

// Variable is a variable of a .env file after expansion.
type Variable struct {
	Name  string
	Value keyturn.Value
	Ref   *keyturn.Ref // where the whole value is a reference; Value is its text then
	Line  int
}

// Expand returns the variables with $VAR and ${VAR} filled in, each name once,
// in the order of the file, and what its owner should be told.
//
// Bare values and those in double quotes expand: $VAR, ${VAR}, ${VAR:-default},
// ${VAR-default}, ${VAR:+other}, ${VAR+other}, ${VAR:?message} and
// ${VAR?message}, where the colon counts an empty variable as unset, and
// defaults may hold variables again. VAR is what an earlier line of the file
// gave, else what lookup gives; lookup may be nil. \$ and $$ do not expand (the
// latter stays two characters), nor does a $ before anything else.
//
// A value that is just $VAR or ${VAR} takes over VAR's reference. References are
// never put together from parts, and never stand inside other text: both are
// Invalid. So are ${ without an end, a variable that ? demands, and output over
// the limits. An unset variable is empty, with a notice.
func (f EnvFile) Expand(lookup func(name string) (keyturn.Value, bool)) ([]Variable, []Notice, error) {
	x := expander{file: f, lookup: lookup, have: map[string]Variable{}}
	for _, e := range f.Entries {
		v, err := x.entry(e)
		if err != nil {
			return nil, nil, err
		}
		x.have[e.Name] = v
	}
	out := make([]Variable, 0, len(x.have))
	for _, e := range f.Effective() {
		out = append(out, x.have[e.Name])
	}
	return out, x.notices, nil
}

// Each returns the variable of every entry as it is in its place, those that a
// later line replaces included. Where an entry cannot be expanded its error, as
// of Expand, is at the same index of errs, and what it was made of counts as it
// was written.
func (f EnvFile) Each(lookup func(name string) (keyturn.Value, bool)) (vars []Variable, errs []error) {
	x := expander{file: f, lookup: lookup, have: map[string]Variable{}}
	vars, errs = make([]Variable, len(f.Entries)), make([]error, len(f.Entries))
	for i, e := range f.Entries {
		vars[i], errs[i] = x.entry(e)
		x.have[e.Name] = vars[i]
	}
	return vars, errs
}

type expander struct {
	file    EnvFile
	lookup  func(string) (keyturn.Value, bool)
	have    map[string]Variable
	size    int // of all that was expanded
	notices []Notice
	entryAt Entry
	unset   bool // the entry at hand uses a variable that is not set
}

func (x *expander) fail(message, hint string) error {
	return invalid(x.file.Name, number(x.entryAt.Line), x.entryAt.Name+" "+message, hint)
}

func (x *expander) entry(e Entry) (Variable, error) {
	v := Variable{Name: e.Name, Value: e.Value, Ref: e.Ref, Line: e.Line}
	if !e.expands {
		return v, nil
	}
	x.entryAt, x.unset = e, false
	source := bytesOf(e.source)
	if name, rest, ok := plain(source); ok && len(rest) == 0 {
		if got, ok, err := x.get(name); err != nil {
			return v, err
		} else if ok && got.Ref != nil {
			v.Value, v.Ref = got.Value, got.Ref
			return v, nil
		}
	}
	text, err := x.expand(nil, source, 0)
	if err != nil {
		return v, err
	}
	if ref, bad := reference(text); ref != nil || bad != nil {
		return v, x.fail("becomes a reference when it is expanded", "write the reference itself")
	}
	if x.unset {
		x.notices = append(x.notices, Notice{x.file.Name, e.Line, e.Name,
			"uses a variable that is not set, which is empty; in single quotes $ stays as it is"})
	}
	v.Value = keyturn.NewValue(text)
	return v, nil
}

// get returns a variable by name: of an earlier line, else from outside.
func (x *expander) get(name string) (Variable, bool, error) {
	if v, ok := x.have[name]; ok {
		return v, true, nil
	}
	if x.lookup == nil {
		return Variable{}, false, nil
	}
	val, ok := x.lookup(name)
	if !ok {
		return Variable{}, false, nil
	}
	ref, err := reference(bytesOf(val))
	if err != nil {
		return Variable{}, false, x.fail("uses a variable that begins like a reference, and is not one in canonical form", err.Hint)
	}
	return Variable{Name: name, Value: val, Ref: ref}, true, nil
}

// expand appends what source becomes to out.
func (x *expander) expand(out, source []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, x.fail("has defaults within defaults too deep", "at most 16")
	}
	for i := 0; i < len(source); {
		c := source[i]
		switch {
		case c == '\\' && i+1 < len(source) && (x.entryAt.Quote == Double || source[i+1] == '$'):
			if e, ok := escapes[source[i+1]]; ok {
				out = append(out, e)
			} else {
				out = append(out, c, source[i+1])
			}
			i += 2
		case c == '$' && i+1 < len(source) && source[i+1] == '$':
			out = append(out, "$$"...)
			i += 2
		case c == '$' && i+1 < len(source) && source[i+1] == '{':
			n := braces(source[i:])
			if n < 0 {
				return nil, x.fail("has a ${ without an end", "close it with }, or put the value into single quotes")
			}
			var err error
			if out, err = x.braced(out, source[i+2:i+n-1], depth); err != nil {
				return nil, err
			}
			i += n
		default:
			name, rest, ok := plain(source[i:])
			if !ok {
				out = append(out, c)
				i++
				break
			}
			var err error
			if out, err = x.insert(out, name); err != nil {
				return nil, err
			}
			i = len(source) - len(rest)
		}
		if x.size+len(out) > MaxOutput {
			return nil, x.fail("grows too large when it is expanded", "all expanded values together may have 32 MiB")
		}
	}
	if depth == 0 {
		x.size += len(out)
	}
	return out, nil
}

// insert appends the value of a variable, which must not be a reference.
func (x *expander) insert(out []byte, name string) ([]byte, error) {
	v, ok, err := x.get(name)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		x.unset = true
		return out, nil
	case v.Ref != nil:
		return nil, x.fail("puts a reference into other text",
			"give the reference a variable of its own, or fill a template with 'keyturn render'")
	}
	b := bytesOf(v.Value)
	if len(out)+len(b) > MaxOutput {
		return nil, x.fail("grows too large when it is expanded", "all expanded values together may have 32 MiB")
	}
	return append(out, b...), nil
}

// braced expands what stands between ${ and }.
func (x *expander) braced(out, in []byte, depth int) ([]byte, error) {
	n := 0
	for n < len(in) && nameByte(in[n], n == 0) {
		n++
	}
	name, op := string(in[:n]), in[n:]
	if n == 0 {
		return nil, x.fail("has a ${ without the name of a variable", "put the value into single quotes where $ is a part of it")
	}
	if len(op) == 0 {
		return x.insert(out, name)
	}
	colon := op[0] == ':'
	if colon {
		op = op[1:]
	}
	if len(op) == 0 || !bytes.ContainsRune([]byte("-+?"), rune(op[0])) {
		return nil, x.fail("has a ${…} that keyturn does not know", "known are ${VAR}, ${VAR:-default}, ${VAR:+other} and ${VAR:?message}")
	}
	v, set, err := x.get(name)
	if err != nil {
		return nil, err
	}
	if colon && set && len(bytesOf(v.Value)) == 0 {
		set = false
	}
	switch {
	case op[0] == '+' && set, op[0] == '-' && !set:
		return x.expand(out, op[1:], depth+1)
	case op[0] == '+':
		return out, nil
	case !set:
		return nil, x.fail("needs a variable that is not set", "see ${…?…} in that line for which, and what it says")
	}
	return x.insert(out, name)
}

// plain splits $NAME or ${NAME} off the front of b.
func plain(b []byte) (name string, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != '$' {
		return "", nil, false
	}
	i, brace := 1, b[1] == '{'
	if brace {
		i++
	}
	start := i
	for i < len(b) && nameByte(b[i], i == start) {
		i++
	}
	if i == start || brace && (i == len(b) || b[i] != '}') {
		return "", nil, false
	}
	name = string(b[start:i])
	if brace {
		i++
	}
	return name, b[i:], true
}

// braces returns the length of the ${…} at the front of b, inner ones included;
// -1 where it has no end.
func braces(b []byte) int {
	open := 0
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\':
			i++
		case b[i] == '$' && i+1 < len(b) && b[i+1] == '{':
			open++
			i++
		case b[i] == '}':
			if open--; open == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// variables reports whether source holds anything that expands.
func variables(source []byte) bool {
	for i := 0; i < len(source); i++ {
		switch {
		case source[i] == '\\':
			i++
		case source[i] == '$' && i+1 < len(source) && source[i+1] == '$':
			i++
		case source[i] == '$' && i+1 < len(source) && (source[i+1] == '{' || nameByte(source[i+1], true)):
			return true
		}
	}
	return false
}
