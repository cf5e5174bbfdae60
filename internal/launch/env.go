package launch

import (
	"bytes"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/keyturn/keyturn"
)

// On Windows names of variables are case-insensitive, and all text is Unicode.
const windows = runtime.GOOS == "windows"

// ValidName reports whether s can be the name of an injected variable:
// [A-Za-z_][A-Za-z0-9_]*.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// environment returns what the child gets: inherited variables in their order,
// then the injected ones, each name once and the last of equal ones kept.
func environment(inherit []string, inject []EnvVar) ([]string, error) {
	all := make([]string, 0, len(inherit)+len(inject))
	for _, kv := range inherit {
		if strings.Contains(kv, "=") && !strings.Contains(kv, "\x00") {
			all = append(all, kv)
		}
	}
	for _, v := range inject {
		if !ValidName(v.Name) {
			return nil, keyturn.E(keyturn.Invalid, "not a name for an environment variable: "+v.Name,
				"letters, digits and _ only, no digit first")
		}
		b := v.Value.Reveal()
		if bytes.IndexByte(b, 0) >= 0 {
			return nil, keyturn.E(keyturn.Invalid, "the value for "+v.Name+" holds a NUL byte, which no environment variable can",
				"give it as a file: --file PATH=REF")
		}
		if windows && !utf8.Valid(b) {
			return nil, keyturn.E(keyturn.Invalid, "the value for "+v.Name+" is not UTF-8, as environment variables must be on Windows",
				"give it as a file: --file PATH=REF")
		}
		all = append(all, v.Name+"="+string(b))
	}

	last := make(map[string]int, len(all))
	for i, kv := range all {
		last[fold(nameOf(kv))] = i
	}
	env := all[:0]
	for i, kv := range all {
		if last[fold(nameOf(kv))] == i {
			env = append(env, kv)
		}
	}
	return env, nil
}

// nameOf returns the name in NAME=value. Windows keeps the current folder of
// each drive in variables whose names begin with =.
func nameOf(kv string) string {
	i := strings.IndexByte(kv[1:], '=')
	if i < 0 {
		return kv
	}
	return kv[:i+1]
}

func fold(name string) string {
	if windows {
		return strings.ToUpper(name)
	}
	return name
}

// lookup returns the variable's value in env, and whether it is there.
func lookup(env []string, name string) (string, bool) {
	for _, kv := range env {
		if n := nameOf(kv); fold(n) == fold(name) {
			return kv[min(len(n)+1, len(kv)):], true
		}
	}
	return "", false
}
