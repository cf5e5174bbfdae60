package keyturn

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Code says what kind of thing went wrong. The set is closed: each code has an
// exit status and a meaning that programs rely on (docs/exit-codes.md).
//
// A Code is itself an error, so errors.Is(err, keyturn.NotFound) works on any
// error of keyturn, also on one that came over the wire.
type Code string

// The codes, in the order of their exit statuses.
const (
	Internal    Code = "internal"    // a bug in keyturn
	Invalid     Code = "invalid"     // wrong usage, illegal name, value too large
	NotFound    Code = "not_found"   // no such secret, version or field
	Denied      Code = "denied"      // a rule, the platform or a person says no
	Conflict    Code = "conflict"    // the state is not what the caller expected
	Pending     Code = "pending"     // waits for an approval
	Unavailable Code = "unavailable" // network, throttling, audit sink, disk
	Expired     Code = "expired"     // a token or approval has run out
	Sealed      Code = "sealed"      // the platform or the store is locked
	Unsupported Code = "unsupported" // the platform cannot do that
	Leaked      Code = "leaked"      // a scan found something
	Corrupt     Code = "corrupt"     // a damaged or foreign store, log or file
)

var exits = map[Code]int{
	Internal: 1, Invalid: 2, NotFound: 3, Denied: 4, Conflict: 5, Pending: 6,
	Unavailable: 7, Expired: 8, Sealed: 9, Unsupported: 10, Leaked: 11, Corrupt: 12,
}

// Codes lists all codes in the order of their exit statuses.
func Codes() []Code {
	return []Code{Internal, Invalid, NotFound, Denied, Conflict, Pending,
		Unavailable, Expired, Sealed, Unsupported, Leaked, Corrupt}
}

// Error returns the code itself, for instance "not_found".
func (c Code) Error() string { return string(c) }

// Exit returns the exit status of the code; 1 for one that is not in the set.
func (c Code) Exit() int {
	if n, ok := exits[c]; ok {
		return n
	}
	return exits[Internal]
}

// Error is the one error type that crosses package borders.
//
// Message and Hint are for people: a sentence without a full stop that names
// the thing, and the next step. Err is the cause, for operators (shown with
// -v). None of them ever holds a value, a request body or a URL with
// credentials.
type Error struct {
	Op      string   // kind of the operation, "get-secret"; may be empty
	Ref     Ref      // what it was about; may be zero
	Code    Code     // what kind of failure
	Message string   // for people
	Hint    string   // the next step; may hold several lines
	By      string   // of Denied: who said no, "rule", "platform" or "person"
	Reason  Reason   // what a door can answer the error with; "" for most errors
	Asks    *Asked   // of Untrusted: what there is to accept
	Unknown bool     // a change was sent and may have happened
	Each    []*Error // where several things failed at once: one for each

	AuditID  string    // the operation's id in the audit log, once it has one
	Approval *Approval // of Pending, and of Denied where a person can say yes

	Err error // cause
}

// Reason says of an error what a door can answer it with, usually after asking a
// person. Doors act on Code and Reason, never on the text of a message or a hint, which
// speak the command line's language. Programs get the code alone.
type Reason string

// The reasons.
const (
	// WouldVanish is of Conflict: a write would remove fields that are there. A Mode,
	// Merge or Replace, answers it.
	WouldVanish Reason = "would-vanish"
	// WouldLose is of Conflict: the target of a copy cannot keep all of the source.
	// CopySecret.Lossy answers it.
	WouldLose Reason = "would-lose"
	// Untrusted is of Denied: no person has accepted what a project's file asks for, as
	// Error.Asks says. TrustProject answers it.
	Untrusted Reason = "untrusted"
	// ConfigChanged is of Denied: the operator's file is not the one that a person has
	// accepted, so that agents and services may do nothing. UseConfig of a person answers it.
	ConfigChanged Reason = "config-changed"
	// StoreMoved is of Denied: the store is in a folder that it does not know, so that it may
	// be a copy. AdoptStore of a person answers it.
	StoreMoved Reason = "store-moved"
	// GivenToken is of Conflict: a logout would revoke a token that its login did not
	// make. Logout.Given or Logout.Keep answers it.
	GivenToken Reason = "given-token"
	// Held is of Denied: what the caller wrote holds a value that it may not see. Nothing
	// answers it: it is an alarm.
	Held Reason = "held"
)

// ReasonOf returns the reason of an error; "" for an error without one, and for nil.
func ReasonOf(err error) Reason {
	if e := AsError(err); e != nil {
		return e.Reason
	}
	return ""
}

// Asked is how the references that a project's file asks for differ from those that a
// person has accepted.
type Asked struct {
	Path                       string // of the file
	Added, Removed             []Binding
	SteersAdded, SteersRemoved []Setting
}

// Lines returns a line for each difference, "+ NAME = REF" or "- NAME = REF". They are
// not cleaned. There are none for nil.
func (a *Asked) Lines() []string {
	if a == nil {
		return nil
	}
	var lines []string
	for _, b := range a.Added {
		lines = append(lines, "+ "+b.Name+" = "+b.Ref.Short())
	}
	for _, b := range a.Removed {
		lines = append(lines, "- "+b.Name+" = "+b.Ref.Short())
	}
	for _, s := range a.SteersAdded {
		lines = append(lines, "+ "+s.Name+" = "+s.Text+"   (decides how programs run, or where secrets go)")
	}
	for _, s := range a.SteersRemoved {
		lines = append(lines, "- "+s.Name+" = "+s.Text)
	}
	return lines
}

// Approval names a request that waits for a person's yes.
type Approval struct {
	ID          string    `json:"id"`
	Fingerprint string    `json:"fingerprint"` // short form of the operation's hash
	URL         string    `json:"url,omitempty"`
	Expires     time.Time `json:"expires"`
}

// E returns an Error of the given code, message and hint. There is no formatting
// constructor on purpose: a format string is how values get into errors.
func E(code Code, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint}
}

// Because sets the cause and returns e, for use in one line with E.
func (e *Error) Because(cause error) *Error {
	e.Err = cause
	return e
}

// About sets the reference and returns e, for use in one line with E.
func (e *Error) About(ref Ref) *Error {
	e.Ref = ref
	return e
}

// With sets the reason and returns e, for use in one line with E.
func (e *Error) With(reason Reason) *Error {
	e.Reason = reason
	return e
}

// Error returns the message; the code where there is none. Neither hint nor
// cause is in it.
func (e *Error) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return string(e.Code)
}

// Is reports whether target is e's Code, so that errors.Is takes codes.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as an *Error: itself if it is one or wraps one, else an
// Internal error with err as its cause. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Internal, Message: "something went wrong that keyturn did not expect",
		Hint: "this is a bug: please report it with the output of the same command and -v", Err: err}
}

// severity is the order in which the code of several failures is chosen.
var severity = []Code{Internal, Corrupt, Sealed, Expired, Denied, Unavailable, Conflict, NotFound}

// Join makes one Error of several failures. Its code is the first of internal,
// corrupt, sealed, expired, denied, unavailable, conflict and not_found that
// occurs, else that of the first failure. It returns nil for none, and the
// failure itself for one.
func Join(message string, each ...*Error) *Error {
	switch len(each) {
	case 0:
		return nil
	case 1:
		return each[0]
	}
	out := &Error{Code: each[0].Code, Message: message, Each: each}
	for _, c := range severity {
		for _, e := range each {
			if e.Code == c {
				out.Code, out.Hint, out.By, out.Reason, out.Asks, out.Approval = c, e.Hint, e.By, e.Reason, e.Asks, e.Approval
				return out
			}
		}
	}
	return out
}

// Clean makes text from outside (names, labels, messages of platforms) fit for
// a terminal, a page or a model: control characters, line breaks, bidirectional
// overrides, zero-width characters and invalid UTF-8 become '�'. Ordinary text
// is returned as it is.
func Clean(s string) string {
	bad := func(r rune) bool {
		return unicode.IsControl(r) || r > unicode.MaxASCII && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) ||
			r == '\u2028' || r == '\u2029')
	}
	if utf8.ValidString(s) && strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// CleanLines is Clean for text of several lines, such as a hint: line breaks
// stay.
func CleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Clean(l)
	}
	return strings.Join(lines, "\n")
}
