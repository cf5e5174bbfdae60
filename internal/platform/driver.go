package platform

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Driver is all that the wiring needs to know about a platform: how the settings of a
// mount are checked, and how the mount is opened. Package app has a table of them.
type Driver struct {
	// Name is the platform's word in a configuration: "vault". The ambient mount, where
	// there is one, has the same name.
	Name string

	// Check refuses, as Invalid, settings that no mount of the platform has, and values
	// that cannot be meant; the message begins with file and line (Settings.Fault). It
	// opens no file and sends nothing. Nil where nothing is checked.
	Check func(s Settings) error

	// Open makes a mount of its settings. It sends nothing.
	Open func(env Env, s Settings) (*Mount, error)

	// Ambient reports whether there is a mount without any configuration: because it is
	// always there, or because the environment names a server. Denied where the
	// environment names one and the caller may not have it. Nil for never.
	Ambient func(env Env) (bool, error)

	// Files lists the settings that name a file, or a folder of files; a relative path is
	// seen from the folder of the configuration.
	Files []string

	// Variable names the server of the ambient mount: "VAULT_ADDR". "" for none.
	Variable string

	// Server returns the server whose login a mount uses. Nothing is sent. Nil where
	// nobody logs in.
	Server func(env Env, s Settings) (Server, error)

	// Assign returns the assignments, as a shell writes them, that make the ambient mount
	// that of a server: "VAULT_ADDR=…". Nil where there are none.
	Assign func(s Server) string

	// Actions lists what only this platform can do. Nil for nothing.
	Actions func() keyturn.Administration
}

// Env is what a Driver gets from outside the platform.
type Env struct {
	// Lookup returns a variable of the environment; "" where it is not set.
	Lookup func(name string) string
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Caller is who is calling. An agent can set any variable: for agents the environment
	// decides neither which server is asked nor how it is known.
	Caller keyturn.ActorKind
	// Keeper returns where the login of the mount that is opened is kept.
	Keeper func(s Server) Keeper
}

// Settings are the settings of one mount.
type Settings struct {
	Mount   string
	Ambient bool   // the mount is the one without configuration: File and List are empty
	Only    bool   // no other mount of the platform is configured
	File    string // of the operator's configuration, absolute
	Line    int    // of the mount in it
	List    []Setting
}

// Setting is one setting as the file has it.
type Setting struct {
	Key   string
	Value string // a list is joined by ", "
	Line  int
}

// Fault puts file and line in front of the message of err: the line of the setting key,
// or of the mount where it has no such setting.
func (s Settings) Fault(key string, err error) error {
	e, line := *keyturn.AsError(err), s.Line
	for _, set := range s.List {
		if set.Key == key {
			line = set.Line
		}
	}
	e.Message = keyturn.Clean(s.File) + ":" + strconv.Itoa(line) + ": " + e.Message
	return &e
}

// Server is one server, as one namespace or account of it sees it: where a login belongs.
type Server struct{ Address, Namespace string }

// CanonicalAddress returns one spelling of an address: the host in small letters, no slash
// at the end.
func CanonicalAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/")
}

// SameAddress reports whether two addresses are those of one server.
func SameAddress(a, b string) bool { return CanonicalAddress(a) == CanonicalAddress(b) }
