// Package rows defines what the rows of a store hold: their plain form, and how each row
// is encrypted and bound to its place and to the other rows. It knows no database.
package rows

import (
	"strconv"

	"github.com/keyturn/keyturn/internal/state/seal"
)

// Keys open and make rows.
type Keys struct{ *seal.Ring }

// Damage is the error for a row that was damaged or changed from outside: it says
// what does not fit. Package state, which knows the store, makes a Corrupt error of it.
type Damage string

// NotNewest is the damage where a secret's newest version is gone.
const NotNewest = Damage("the newest version of a secret is missing, or is not the newest")

func (d Damage) Error() string { return string(d) }

// Number is a record's number as it is shown.
func Number(seq int64) string { return strconv.FormatInt(seq, 10) }
