package admin

import (
	"errors"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
)

// needsSudo completes the Denied error of a path that needs the capability sudo, as a
// few do (https://developer.hashicorp.com/vault/docs/concepts/policies#root-protected-api-endpoints).
func needsSudo(err error, path, capabilities string) error {
	if !errors.Is(err, keyturn.Denied) {
		return err
	}
	e := *keyturn.AsError(err)
	e.Hint = api.Grant(path, capabilities+`, "sudo"`)
	return &e
}

// joinSome joins names for a sentence, and cuts a long list.
func joinSome(names []string) string {
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

// quoted quotes a name for a sentence.
func quoted(s string) string { return "'" + keyturn.Clean(s) + "'" }

// trimSlashes returns the path of an engine or login method without slashes at its ends.
func trimSlashes(s string) string { return strings.Trim(s, "/") }

// checkSegment refuses, as Invalid, a name that is not one segment of a path.
func checkSegment(what, s string) error {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/?#%") || keyturn.Clean(s) != s || strings.TrimSpace(s) != s {
		return keyturn.E(keyturn.Invalid, quoted(s)+" cannot be the name of a "+what, "use letters, digits, - and _")
	}
	return nil
}

// checkPath refuses, as Invalid, a path with an empty segment or one that is no name.
func checkPath(what, s string) error {
	for seg := range strings.SplitSeq(trimSlashes(s), "/") {
		if seg == "" {
			return keyturn.E(keyturn.Invalid, quoted(s)+" cannot be the path of "+what, "write it as ONE/TWO")
		}
		if err := checkSegment("path", seg); err != nil {
			return err
		}
	}
	return nil
}
