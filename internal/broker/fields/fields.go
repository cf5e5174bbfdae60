// Package fields says which of a secret's fields a reference means. It is pure.
package fields

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// Names lists the fields of s that are there, sorted.
func Names(s keyturn.Secret) []string { return slices.Sorted(maps.Keys(s.Values)) }

// Only returns the field that a reference means: the one it names, or the only one
// there is. NotFound where there is none, Invalid where there are several.
func Only(ref keyturn.Ref, s keyturn.Secret) (string, error) {
	if ref.Field() != "" {
		return ref.Field(), nil
	}
	names := Names(s)
	if len(names) == 1 {
		return names[0], nil
	}
	if len(names) == 0 {
		return "", keyturn.E(keyturn.NotFound, ref.Short()+" has no fields", "put one, or name another secret")
	}
	hint := "name one, for instance "
	if r, err := ref.WithField(names[0]); err == nil {
		hint += keyturn.Quote(r.Short())
	}
	return "", keyturn.E(keyturn.Invalid, fmt.Sprintf("%s has %d fields: %s", ref.Short(), len(names), strings.Join(names, ", ")), hint)
}
