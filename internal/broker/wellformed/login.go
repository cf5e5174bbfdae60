package wellformed

import (
	"github.com/keyturn/keyturn"
)

// maxLogin is the most bytes of each thing that a login says.
const maxLogin = 512

// login refuses what no platform could take. Which methods there are, and what
// each needs, the platform says.
func login(op keyturn.Login) error {
	if err := mount(op.Mount); err != nil {
		return err
	}
	if op.Method == "" {
		return keyturn.E(keyturn.Invalid, "it is not said how to log in", "name a --method")
	}
	for _, s := range []string{op.Method, op.Path, op.Role, op.RoleID, op.Username} {
		if len(s) > maxLogin || keyturn.Clean(s) != s {
			return keyturn.E(keyturn.Invalid, "what a login says is at most 512 bytes of plain text each", "what is secret is asked for, and has no place on the command line")
		}
	}
	return nil
}

func mount(name string) error {
	p, err := keyturn.ParsePrefix(name)
	if err != nil || p.Mount() != name {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(name)+"' is not the name of a mount", "'keyturn list' shows the mounts")
	}
	return nil
}
