//go:build !unix || darwin

package whois

import (
	"os/user"
	"strings"
)

// userName asks the system: on macOS its directory, on Windows the process's
// token; neither looks at the environment. A Windows domain is left out, and
// the name is in lower case there, since it has no case of its own.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	if _, name, ok := strings.Cut(u.Username, `\`); ok {
		return strings.ToLower(name)
	}
	return u.Username
}
