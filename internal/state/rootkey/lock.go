package rootkey

import (
	"errors"

	"github.com/keyturn/keyturn"
)

var errHeld = errors.New("another process holds the lock")

// Hold keeps all other processes from changing which root key the store in dir has,
// until release is called or this process ends, however it ends. Conflict where
// another one is at it.
func Hold(dir string) (release func(), err error) {
	release, err = hold(dir)
	if errors.Is(err, errHeld) {
		return nil, keyturn.E(keyturn.Conflict, "another keyturn is changing the root key of the store in '"+keyturn.Clean(dir)+"', or restoring it", "wait until it has ended")
	}
	if err != nil {
		return nil, keyturn.E(keyturn.Unavailable, "the folder '"+keyturn.Clean(dir)+"' cannot be locked", "it must be yours, on a local disk").Because(err)
	}
	return release, nil
}
