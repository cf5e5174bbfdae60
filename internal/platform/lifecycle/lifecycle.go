// Package lifecycle says which versions can be deleted and restored by the state that
// they are in: a live one is deleted, a deleted one restored, and a destroyed one is
// gone.
package lifecycle

import "github.com/keyturn/keyturn"

// Marks refuses what would not change the state of v, a version of ref, to Deleted or
// to Live: NotFound where it is destroyed, Conflict where it is so already. shown is
// the secret as its platform's errors name it.
func Marks(ref keyturn.Ref, shown string, v keyturn.Info, to keyturn.State) error {
	what, quoted := "version "+v.Version+" of "+keyturn.Clean(shown), keyturn.Quote(shown)
	switch {
	case v.State == keyturn.Destroyed:
		return keyturn.E(keyturn.NotFound, what+" is destroyed", "'keyturn history "+quoted+"' shows what is left").About(ref)
	case v.State == to && to == keyturn.Live:
		return keyturn.E(keyturn.Conflict, what+" is not deleted: there is nothing to restore", "").About(ref)
	case v.State == to:
		return keyturn.E(keyturn.Conflict, what+" is deleted already",
			"'keyturn restore "+quoted+"' undoes that, 'keyturn destroy "+quoted+"' makes it final").About(ref)
	}
	return nil
}
