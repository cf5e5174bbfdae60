package session

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// MayWrite refuses a file in keyturn's own folder, where the store and its keys are,
// with Invalid. A door asks it of each file that its caller names, before anything is
// done. path is absolute.
func (f Facts) MayWrite(path string) error {
	if durable.Within(path, f.Home) {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(path)+"' is in keyturn's own folder, with the store", "name a file elsewhere")
	}
	return nil
}
