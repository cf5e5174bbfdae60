package local

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Name is the platform's name, and that of its only mount, which is always there.
const Name = "local"

// Driver opens the mount of a store. path tells people where the store is. Before the
// store is open, both may be zero: then the mount cannot be opened.
func Driver(store Store, path string) platform.Driver {
	return platform.Driver{
		Name:    Name,
		Ambient: func(platform.Env) (bool, error) { return true, nil },
		Open: func(_ platform.Env, s platform.Settings) (*platform.Mount, error) {
			if s.Mount != Name {
				return nil, keyturn.E(keyturn.Unsupported, "there is one local store, and it is the mount 'local'", "name it so in the configuration")
			}
			return platform.NewMount(Name, New(store, Name), Spec, path), nil
		},
	}
}
