package people

import "github.com/keyturn/keyturn"

// Mounts lists the mounts that an operation names, in its order, as often as it does.
func Mounts(op keyturn.Op) []string {
	var out []string
	switch op := op.(type) {
	case keyturn.PlatformAction:
		out = append(out, op.Mount)
	case keyturn.Login:
		out = append(out, op.Mount)
	case keyturn.Logout:
		out = append(out, op.Mount)
	case keyturn.ListSecrets:
		out = append(out, op.Under.Mount())
	}
	for _, ref := range op.Refs() {
		out = append(out, ref.Mount())
	}
	return out
}
