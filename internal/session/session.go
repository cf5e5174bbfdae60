// Package session is an open program, as every door uses it: the caller, the
// configuration, the Service, and the person who can be asked. A door gets a Program
// from package app, opens a Session with it, and does operations by [Ask].
package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
)

// Program opens sessions, and does what needs no session: it makes a store,
// restores one, and looks at one from outside.
type Program struct {
	Version string
	Environ []string // "NAME=value"; of one name the last counts
	Dir     string   // the folder that the program was started in
	// Actions lists what platforms can do that no other platform can.
	Actions []keyturn.Administration
	// Open opens the store and puts the Service before it. Close the session when
	// its work is done.
	Open func(ctx context.Context, how How) (*Session, error)
	// Create makes a new store whose root key is kept as rootKey says: "keychain",
	// "file" or "passphrase"; "" for the usual way of this machine.
	Create func(ctx context.Context, how How, rootKey string) (Created, error)
	// Restore puts a backup in the place of a store. It needs no store to be there.
	Restore func(ctx context.Context, how How, o RestoreOptions) (Restored, error)
	// Peek reports what can be known of the store without its root key.
	Peek func(ctx context.Context, how How) (StoreFacts, error)
	// Facts reads the configuration and finds the caller, without opening the store.
	Facts func(how How) (Facts, error)
	// Inspect looks at the store's files without opening the store.
	Inspect func(ctx context.Context, how How) (Inspection, error)
}

// Env returns a variable of the program's environment; "" where it is not set.
func (p *Program) Env(name string) string {
	for i := len(p.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(p.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// How says which store and configuration a session is about, and who can be asked.
type How struct {
	Config string // the operator's configuration file; "" for the usual places
	Home   string // keyturn's own folder; "" for the usual place. Where it is set no configuration is read
	Demo   bool   // the caller counts as a person: everything is made up and thrown away
	Desk   Desk   // the person beside the program; Nobody where there is none
	// Quiet is set where nobody is to be asked whether to go on, because the answer
	// is for a program. Secrets are asked for all the same.
	Quiet bool
	Yes   bool // the person has said yes beforehand to what is asked where no passphrase is set
	// Wait is how long Ask waits for an approval; zero: not at all.
	Wait time.Duration

	Login Login // of a login

	// Trusting has the session accept the operator's file and do nothing else: then places
	// that only the pinned file requires the log to be sent to may be out of reach.
	Trusting bool
	// Adopting has the session do nothing but to make the place where the store is its own.
	Adopting bool

	// The rest is for operations on the store as a whole.

	Anew             bool                  // ask for the passphrase even where the store is unlocked
	Silent           bool                  // never ask for the passphrase
	NewPassphrase    string                // file that holds the passphrase to be set; "": ask for it
	BackupPassphrase string                // file that holds the passphrase of a backup; "": ask for it
	Progress         func(done, total int) // of long work; may be nil
}

// Login says where the secret part of a login is found.
type Login struct {
	Given     func() (keyturn.Value, error) // reads it from a pipe; nil where no pipe was named
	Variable  string                        // variable that holds a signed token; "" for the usual one
	Audience  string                        // audience of a signed token that is fetched; "" for the usual one
	NoBrowser bool                          // show the address of a login page and open nothing
}

// Session is the open program: the Service and what a door may know beside it.
// It is for one goroutine but for Service, which many may use at once.
type Session struct {
	Service keyturn.Service
	Facts
	How   How // what it was opened with
	Store StoreFacts
	// StoreState reports what changes about the store's keys. It takes a moment.
	StoreState func(ctx context.Context) (StoreState, error)
	// Unfinished lists work that was cut short, beside migrations; each kind of such
	// work has one function.
	Unfinished []UnfinishedWork
	// Pin is what the store has pinned of the operator's configuration, and what it would pin
	// now.
	Pin Pin
	// Notes are sentences that the person should know before anything is done.
	Notes []string
	// Moved is why the store refuses all operations until a person adopts its place by
	// Adopt; nil where it is where it was.
	Moved *keyturn.Error
	Adopt keyturn.AdoptStore
	// Tidy ends what killed processes left behind, and returns a sentence about each.
	// Call it once, before anything else is done.
	Tidy func(ctx context.Context) []string
	// Attend keeps a mount's login alive until ctx ends. Where the login cannot be
	// renewed, Attend calls tell once with when it ends and why, as soon as it has
	// less left than need, or an hour.
	Attend func(ctx context.Context, mount string, need time.Duration, tell func(end time.Time, why string))
	// KeepLines and SameLines remember the plain variables of a file that a person trusts,
	// and find those again that are as they were. See Pin.
	KeepLines func(ctx context.Context, path string, lines map[string]keyturn.Value) error
	SameLines func(ctx context.Context, path string, lines map[string]keyturn.Value) ([]string, error)
	// Close writes the records that are still due, and closes the store.
	Close func() error
}

// Facts are known without a store, but for what agents and services are judged by: which
// operator's file that is, only the store knows. Without it Operator and Rules are of the
// file that the caller's own environment names.
type Facts struct {
	Actor keyturn.Actor // who is calling
	Home  string        // keyturn's own folder
	// Operators are the operator's files, which no command writes onto but those that are
	// for it: the configuration in force, the places where one would be read, and the files
	// that it names. Absolute; they need not exist.
	Operators []string
	Operator  *config.Operator // that judges; nil where there is no such file
	Project   *config.Project  // nil where there is no such file
	Rules     *rules.Set
	Mounts    []string // names, sorted
	// TrustedEnv is "NAME=value" of HOME, PATH, USER, LOGNAME and SHELL as the person had
	// them who made the store or last said 'keyturn config trust'; PATH less relative and
	// world-writable folders. Nil where no person has used the store yet, and without it.
	TrustedEnv []string
}

// Do opens a session, runs f and closes the session, which writes what is still to be
// recorded. An f that returns true keeps the session open: Do returns it, for the
// caller to close. Do returns nil in every other case, and where f failed.
func (p *Program) Do(ctx context.Context, how How, f func(ctx context.Context, s *Session) (keep bool, err error)) (*Session, error) {
	s, err := p.Open(ctx, how)
	if err != nil {
		return nil, err
	}
	if err = s.adopt(ctx); err == nil {
		for _, t := range slices.Concat(s.Notes, s.Tidy(ctx)) {
			how.Desk.Say("keyturn: %s", keyturn.Clean(t))
		}
	}
	keep := false
	if err == nil {
		keep, err = f(ctx, s)
	}
	if keep && err == nil {
		return s, nil
	}
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return nil, err
}
