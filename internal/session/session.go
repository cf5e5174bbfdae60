// Package session is an open program, as every door uses it: the caller, the
// configuration, the Service, and the person who can be asked. A door gets a Program
// from package app, opens a Session with it, and does operations by [Ask].
package session

import (
	"context"
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
	// Wait is how long Ask waits for an approval; zero: not at all.
	Wait time.Duration

	Login Login // of a login

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
	// Tidy ends what killed processes left behind, and returns a sentence about each.
	// Call it once, before anything else is done.
	Tidy func(ctx context.Context) []string
	// Attend keeps a mount's login alive until ctx ends. Where the login cannot be
	// renewed, Attend calls tell once with when it ends and why, as soon as it has
	// less left than need, or an hour.
	Attend func(ctx context.Context, mount string, need time.Duration, tell func(end time.Time, why string))
	// Close writes the records that are still due, and closes the store.
	Close func() error
}

// Facts are known without a store.
type Facts struct {
	Actor keyturn.Actor // who is calling
	Home  string        // keyturn's own folder
	// Operators are the operator's files, which no command writes onto but those that are
	// for it: the configuration in force, the places where one would be read, and the files
	// that it names. Absolute; they need not exist.
	Operators []string
	Operator  *config.Operator // nil where there is no such file
	Project   *config.Project  // nil where there is no such file
	Rules     *rules.Set
	Mounts    []string // names, sorted
}

// Do opens a session, runs f and closes the session, which writes what is still to be
// recorded. An f that returns true keeps the session open: Do returns it, for the
// caller to close. Do returns nil in every other case, and where f failed.
func (p *Program) Do(ctx context.Context, how How, f func(ctx context.Context, s *Session) (keep bool, err error)) (*Session, error) {
	s, err := p.Open(ctx, how)
	if err != nil {
		return nil, err
	}
	for _, t := range s.Tidy(ctx) {
		how.Desk.Say("keyturn: %s", keyturn.Clean(t))
	}
	keep, err := f(ctx, s)
	if keep && err == nil {
		return s, nil
	}
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return nil, err
}
