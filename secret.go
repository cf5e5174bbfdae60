package keyturn

import (
	"strings"
	"time"
)

// State is what can be done with a version of a secret.
type State string

// The states of a version.
const (
	Live      State = "live"      // can be read
	Deleted   State = "deleted"   // can be restored
	Destroyed State = "destroyed" // is gone for ever
	Disabled  State = "disabled"  // kept, but not readable until it is enabled
)

// Info is what is known of one version of a secret without its values.
type Info struct {
	Ref     Ref    // the secret; no version or field
	Path    string // the platform's own path or id
	Version string // the platform's own word; opaque outside the platform
	State   State
	Created time.Time // of this version; UTC
	// Fields are the names of the fields, sorted. Nil where naming them would
	// need reading the value.
	Fields []string
	// Public are those of Fields that were declared not to be secret.
	Public []string
	// Typed are the fields whose value is the JSON text of a number, boolean, list
	// or object rather than a string, on platforms that tell; sorted.
	Typed []string
	// Given tells of fields whether an agent or a service gave the value as its own input:
	// true where one did, false where none did; a field that is missing is one of which
	// that is not known.
	Given  map[string]bool
	Labels map[string]string
	// Expires is when the secret should have been replaced; zero: never. It is a
	// notice, not a lock.
	Expires time.Time
	// Ends is when the platform deletes this version by itself; zero: never, or where
	// it is not live.
	Ends time.Time
	// Current tells that this is the version that a reference without one gets.
	Current bool
	// Versions is how many versions are kept, where the platform says so
	// without further calls; else 0.
	Versions int
}

// IsFolder reports whether i stands for a folder of a listing: it has no Ref, and its
// Path is the prefix that lists it, "local/myapp/".
func (i Info) IsFolder() bool { return i.Ref.IsZero() && strings.HasSuffix(i.Path, "/") }

// Secret is one version of a secret with its values.
type Secret struct {
	Info
	Values map[string]Value // by field
}
