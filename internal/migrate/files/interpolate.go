package files

import "github.com/keyturn/keyturn"

// interpolated is a value of a compose file, parsed by the rules of the compose
// specification: $$ is $, and $NAME, ${NAME} and ${NAME…} are variables.
type interpolated struct {
	ok   bool   // compose accepts the value
	text []byte // with $$ undone; meaningless if there are variables
	vars []composeVar
}

// composeVar is a variable in a value.
type composeVar struct {
	name     string
	fallback string // the text behind :- or -
}

func (t interpolated) names() string {
	var names []string
	for _, v := range t.vars {
		names = append(names, keyturn.Clean(v.name))
	}
	return list(names)
}

func interpolate(s string) interpolated { return interpolateAt(s, 0) }

func interpolateAt(s string, depth int) interpolated {
	t := interpolated{ok: true}
	for i := 0; i < len(s); {
		if s[i] != '$' {
			t.text = append(t.text, s[i])
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] == '$' {
			t.text = append(t.text, '$')
			i += 2
			continue
		}
		j := i + 1
		brace := j < len(s) && s[j] == '{'
		if brace {
			j++
		}
		n := j
		for n < len(s) && (s[n] == '_' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z' || n > j && s[n] >= '0' && s[n] <= '9') {
			n++
		}
		if n == j {
			t.ok = false
			return t
		}
		v := composeVar{name: s[j:n]}
		if brace {
			end := closingBrace(s, n)
			if end < 0 || depth > 16 {
				t.ok = false
				return t
			}
			rest := s[n:end]
			if len(rest) > 0 && rest[0] == ':' {
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0] == '-' {
				v.fallback = rest[1:]
			}
			for _, inner := range interpolateAt(rest, depth+1).vars {
				t.vars = append(t.vars, inner)
				v.fallback = ""
			}
			n = end + 1
		}
		t.vars = append(t.vars, v)
		i = n
	}
	return t
}

// closingBrace returns the offset of the } that closes the brace opened before i; -1
// if there is none.
func closingBrace(s string, i int) int {
	for open := 1; i < len(s); i++ {
		switch {
		case s[i] == '{' && s[i-1] == '$':
			open++
		case s[i] == '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}
