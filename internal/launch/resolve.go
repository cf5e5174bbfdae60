package launch

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch/program"
)

// Resolve finds, without starting anything, the program that Run would start: its
// absolute path, or the status and the error of Run. It is for asking before a
// secret is read: give what it says to Run as Command.Program.
func Resolve(c Command) (path string, st Status, err error) {
	path, _, st, err = resolve(c)
	return path, st, err
}

func resolve(c Command) (path string, env []string, st Status, err error) {
	if len(c.Args) == 0 {
		return "", nil, Status{Code: exitFailed}, keyturn.E(keyturn.Invalid, "no command to run", "write it after --")
	}
	if env, err = environment(c.Inherit, c.Env); err != nil {
		return "", nil, Status{Code: exitFailed}, err
	}
	path, st.Code, err = lookPath(c.Args[0], c.Dir, env)
	return path, env, st, err
}

func lookPath(name, dir string, env []string) (string, int, error) {
	return program.Find(name, dir, func(v string) (string, bool) { return lookup(env, v) })
}
