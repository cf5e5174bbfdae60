package platform

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
)

// Authenticator logs in and out.
type Authenticator interface {
	// Methods lists the ways to log in. Nothing is asked of the server.
	Methods() []Method
	// Holder tells of the login that is kept; NotFound where none is. Nothing is asked of
	// the server.
	Holder(ctx context.Context) (Holder, error)
	// Login gets a token and keeps it, durably, in the place of one that was kept
	// before, which it revokes where a login had made it. Denied where the server does not take what it was given, Invalid
	// where an input is missing, NotFound where the method is not enabled there.
	Login(ctx context.Context, l Login) (Session, error)
	// Logout revokes the token that is kept and forgets it, also where it cannot be
	// revoked: then Ended says why. NotFound where none is kept, Conflict
	// for the reason GivenToken where the login did not make it and o does not say what
	// is to become of it.
	Logout(ctx context.Context, o Logout) (Ended, error)
}

// Method is one way to log in.
type Method struct {
	Name   string
	Help   string
	Path   string // where it is usually enabled; "" where that means nothing
	Inputs []Input
}

// Input is one thing that a method needs.
type Input struct {
	Name     string
	Help     string
	Secret   bool   // asked for without echo, and no part of any operation
	Env      string // the variable that holds it by the vendor's custom; "" for none
	File     string // the file that holds it by custom; "" for none
	Signed   bool   // a token that CI systems sign for their jobs
	Optional bool   // the server may do without
	Typed    bool   // it is good for one login: a person types it, and it comes from nowhere else
	// Foreign is a variable that is not read for this input, even where Env or the caller
	// names it: its token belongs to another server, or does not count for the caller.
	Foreign string
}

// Login is what a caller wants.
type Login struct {
	Method string
	Path   string            // "" for the usual place
	Inputs map[string]string // by name, without those that are secret
	By     string            // the principal who logs in
	// Spare tells not to revoke the token that was kept before: something lives by it.
	Spare bool
	// Wrapped tells that what is secret is given as a token that it is wrapped in, which
	// the platform opens, once.
	Wrapped bool
	// Ask gets an input that is secret: a zero Value where there is none, and then
	// an optional one is left out.
	Ask func(ctx context.Context, in Input) (keyturn.Value, error)
	// Visit shows a page to a person; nil where there is none.
	Visit func(ctx context.Context, url string) error
}

// Holder is a login that is kept.
type Holder struct {
	Identity string // as whom, in the platform's words
	By       string // the principal who logged in; "" where that is not known
	Mark     string // tells this login from any other; not shown
}

// Logout says what is to become of the token that is kept: revoked where the login made
// it, else only where Given says so; not revoked where Keep does.
type Logout struct{ Given, Keep bool }

// Session tells of a login.
type Session struct {
	Identity  string // as whom, in the platform's words
	Accessor  string // of the token, in the server's records; "" where it has none
	Policies  []string
	Expires   time.Time // zero: never
	Renewable bool
	// Instead names what is used in place of the token that is kept; "" for nothing.
	Instead string
	// Left is why the token that was kept before is not revoked; nil where it is, where
	// there was none, and where somebody had brought it.
	Left error
}

// Ended tells of a logout.
type Ended struct {
	Session
	Revoked bool
	Err     error // why it was not revoked; nil where nobody asked for that
}

// Token is what a login gave, as it is kept.
type Token struct {
	Value     keyturn.Value
	Accessor  string // its name in the server's records
	Identity  string
	Policies  []string
	Issued    time.Time // or renewed last
	Expires   time.Time // zero: never
	Renewable bool
	Given     bool   // somebody brought it to the login, which did not make it
	By        string // the principal who logged in
	// Words is how it was got, as the command line writes it behind the mount.
	Words string
}

// Words is how a login is written behind the mount, without what is secret.
func (l Login) Words() string {
	out := " --method " + keyturn.Quote(l.Method)
	if l.Path != "" {
		out += " --path " + keyturn.Quote(l.Path)
	}
	for _, name := range sorted(l.Inputs) {
		out += " --" + name + " " + keyturn.Quote(l.Inputs[name])
	}
	if l.Wrapped {
		out += " --wrapped"
	}
	return strings.TrimPrefix(out, " ")
}

// Attender keeps a login alive.
type Attender interface {
	// Attend keeps the token that is used now alive until ctx ends. Where that is not
	// possible, it calls tell once, with when the token ends and why, when the token has
	// less than need left, or less than an hour.
	Attend(ctx context.Context, need time.Duration, tell func(end time.Time, why string))
}

// Closer has work that goes on beside requests.
type Closer interface {
	// Close waits for that work, up to limit, or longer where much depends on it.
	Close(limit time.Duration)
}

// Keeper keeps the token of one server, as one namespace or account of it sees
// it. It is safe for concurrent use.
type Keeper interface {
	// Load returns the token; NotFound where none is kept. One that has run out is
	// returned until it is forgotten, so that it can be told.
	Load(ctx context.Context) (Token, error)
	// Keep keeps t in the place of what was kept, durably, and returns that; its Value is
	// empty where there was none.
	Keep(ctx context.Context, t Token) (Token, error)
	// Renewed keeps t, which was made to live on, where its value is still the one that is
	// kept, and reports whether it is: somebody may have logged in or out meanwhile. It is
	// one durable step.
	Renewed(ctx context.Context, t Token) (bool, error)
	// Forget forgets t, durably, where its value is still the one that is kept, in one
	// step. It is no error where it is not.
	Forget(ctx context.Context, t Token) error
}

// Login logs in at the platform. Unsupported where there is nothing to log in to.
func (m *Mount) Login(ctx context.Context, l Login) (Session, error) {
	if m.able.authenticator == nil {
		return Session{}, m.noLogin()
	}
	s, err := m.able.authenticator.Login(ctx, l)
	if err != nil {
		return Session{}, m.fault(keyturn.Ref{}, settled(err), false)
	}
	if s.Left != nil {
		s.Left = m.fault(keyturn.Ref{}, settled(s.Left), false)
	}
	return s.clean(), nil
}

// Holder tells of the login that is kept, and whether there is one.
func (m *Mount) Holder(ctx context.Context) (Holder, bool, error) {
	if m.able.authenticator == nil {
		return Holder{}, false, nil
	}
	h, err := m.able.authenticator.Holder(ctx)
	if errors.Is(err, keyturn.NotFound) || errors.Is(err, keyturn.Unsupported) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, m.fault(keyturn.Ref{}, err, false)
	}
	h.Identity, h.By = keyturn.Clean(h.Identity), keyturn.Clean(h.By)
	return h, true, nil
}

// Logout ends what Login began.
func (m *Mount) Logout(ctx context.Context, o Logout) (Ended, error) {
	if m.able.authenticator == nil {
		return Ended{}, m.noLogin()
	}
	e, err := m.able.authenticator.Logout(ctx, o)
	if err != nil {
		return Ended{}, m.fault(keyturn.Ref{}, settled(err), false)
	}
	if e.Err != nil {
		e.Err = m.fault(keyturn.Ref{}, settled(e.Err), false)
	}
	e.Session = e.clean()
	return e, nil
}

// Attend keeps the login of the platform alive; see Attender. Nothing where the platform
// needs none.
func (m *Mount) Attend(ctx context.Context, need time.Duration, tell func(end time.Time, why string)) {
	if m.able.attender != nil {
		m.able.attender.Attend(ctx, need, tell)
	}
}

// Close waits for work that goes on beside requests; see Closer.
func (m *Mount) Close(limit time.Duration) {
	if m.able.closer != nil {
		m.able.closer.Close(limit)
	}
}

// settled is err without doubt about its outcome: a login of which nobody heard
// again made at most a token that nobody knows.
func settled(err error) error {
	e := keyturn.AsError(err)
	if !e.Unknown {
		return err
	}
	out := *e
	out.Unknown, out.Hint = false, "try again when it answers: 'keyturn status' tells"
	return &out
}

func (m *Mount) noLogin() error {
	return m.cannot(keyturn.Ref{}, "be logged in to", "nothing is needed, or its own tool does it: 'keyturn status' tells whether it answers")
}

// clean makes the texts of s fit to be shown.
func (s Session) clean() Session {
	s.Identity, s.Accessor = keyturn.Clean(s.Identity), keyturn.Clean(s.Accessor)
	var policies []string
	for _, p := range s.Policies {
		policies = append(policies, keyturn.Clean(p))
	}
	s.Policies = policies
	return s
}

// maxTokenFile is the most bytes of a token in a file.
const maxTokenFile = 64 << 10

// ReadTokenFile reads a token from a file; an empty Value where there is no such file. It
// does not open anything but a regular file: reading a pipe could wait for ever.
func ReadTokenFile(path string) (keyturn.Value, error) {
	data, _, err := durable.ReadRegular(path, maxTokenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return keyturn.Value{}, nil
	case errors.Is(err, durable.ErrIrregular), errors.Is(err, durable.ErrLarge):
		return keyturn.Value{}, noToken(path).Because(err)
	case err != nil:
		return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "the file '"+keyturn.Clean(path)+"' cannot be read", "it must be readable by whoever runs keyturn").Because(err)
	}
	return keyturn.NewValue(bytes.TrimSpace(data)), nil
}

func noToken(path string) *keyturn.Error {
	return keyturn.E(keyturn.Invalid, "the file '"+keyturn.Clean(path)+"' holds no token", "")
}
