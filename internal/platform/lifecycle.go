package platform

import "github.com/keyturn/keyturn"

// CheckState refuses to change version v of ref to the state to, Deleted or Live:
// NotFound where v is destroyed, Conflict where v has that state already. shown is the
// secret's name in the platform's errors.
func CheckState(ref keyturn.Ref, shown string, v keyturn.Info, to keyturn.State) error {
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
