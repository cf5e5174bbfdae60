// Package words checks and quotes the names and paths that actions of Vault take, and
// names what a token lacks.
package words

import (
	"errors"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// Lacks is the hint that names what a policy has to hold, as the client writes it.
func Lacks(path, capabilities string) string {
	return api.Grant(path, capabilities)
}

// Sudo completes a refusal of one of the few paths that need the capability sudo
// (https://developer.hashicorp.com/vault/docs/concepts/policies#root-protected-api-endpoints).
func Sudo(err error, path, capabilities string) error {
	if !errors.Is(err, keyturn.Denied) {
		return err
	}
	e := *keyturn.AsError(err)
	e.Hint = Lacks(path, capabilities+`, "sudo"`)
	return &e
}

// Some are names in a sentence; many are cut.
func Some(names []string) string {
	const most = 10
	var out []string
	for i, n := range names {
		if i == most {
			return strings.Join(out, ", ") + " …"
		}
		out = append(out, keyturn.Clean(n))
	}
	return strings.Join(out, ", ")
}

// Quoted is a name in a sentence.
func Quoted(s string) string { return "'" + keyturn.Clean(s) + "'" }

// Place is a path of an engine or login method: no slash at either end.
func Place(s string) string { return strings.Trim(s, "/") }

// Segment refuses a name that is not one segment of a path.
func Segment(what, s string) error {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/?#%") || keyturn.Clean(s) != s || strings.TrimSpace(s) != s {
		return keyturn.E(keyturn.Invalid, Quoted(s)+" cannot be the name of a "+what, "use letters, digits, - and _")
	}
	return nil
}

// Path refuses what is not a plain path.
func Path(what, s string) error {
	for seg := range strings.SplitSeq(Place(s), "/") {
		if seg == "" {
			return keyturn.E(keyturn.Invalid, Quoted(s)+" cannot be the path of "+what, "write it as ONE/TWO")
		}
		if err := Segment("path", seg); err != nil {
			return err
		}
	}
	return nil
}
