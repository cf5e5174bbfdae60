package keyturn

import "slices"

// Verb is what may be done to a secret, in the words of rules. Using a value
// (handing it to a program or a platform) and revealing it (showing it to the
// caller) are two verbs, and stay so everywhere.
type Verb string

// The verbs.
const (
	List       Verb = "list"       // see that a name exists
	Describe   Verb = "describe"   // versions, times, labels, names of fields
	Use        Verb = "use"        // let a value go to a sink without being seen
	Reveal     Verb = "reveal"     // see a value
	Write      Verb = "write"      // make a new version
	Delete     Verb = "delete"     // delete so that it can be restored; restore
	Destroy    Verb = "destroy"    // delete for ever
	Rotate     Verb = "rotate"     // replace a credential at its target
	Lease      Verb = "lease"      // take a dynamic credential
	Administer Verb = "administer" // the platform's and keyturn's own settings and log
	Approve    Verb = "approve"    // say yes to somebody else's operation
)

// Verbs lists all verbs.
func Verbs() []Verb {
	return []Verb{List, Describe, Use, Reveal, Write, Delete, Destroy, Rotate, Lease, Administer, Approve}
}

// Valid reports whether v is one of Verbs.
func (v Verb) Valid() bool { return slices.Contains(Verbs(), v) }
