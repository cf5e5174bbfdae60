package launch

import "github.com/keyturn/keyturn"

// Resolve finds the program that Run would start, by its absolute path, with the
// status and the error of Run where there is none. Unlike Check it looks at c.Env:
// a variable of it may be PATH.
func Resolve(c Command) (path string, st Status, err error) {
	if len(c.Args) == 0 {
		return "", Status{Code: exitFailed}, keyturn.E(keyturn.Invalid, "no command to run", "write it after --")
	}
	env, err := environment(c.Inherit, c.Env)
	if err != nil {
		return "", Status{Code: exitFailed}, err
	}
	path, st.Code, err = lookPath(c.Args[0], c.Dir, env)
	return path, st, err
}
