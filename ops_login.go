package keyturn

import "time"

// Login logs in to the platform of a mount, for everybody who uses this store:
// the token is kept, encrypted, and used from then on. What proves who logs in (a
// token, a password, a secret id, a signed token) is no part of it: it is asked
// for once the operation was let through and is on record. Rules say "administer"
// on MOUNT/login. It answers with LoggedIn.
type Login struct {
	Mount    string `json:"mount"`
	Method   string `json:"method"`         // of the platform's: "oidc", "approle", …
	Path     string `json:"path,omitempty"` // where the method is enabled; "": its usual place
	Role     string `json:"role,omitempty"`
	RoleID   string `json:"role_id,omitempty"`
	Username string `json:"username,omitempty"`
	// Wrapped tells that the secret id of an AppRole is given as the token that it is
	// wrapped in, which is opened once, and in keyturn.
	Wrapped bool `json:"wrapped,omitempty"`
}

// Logout ends what Login began: the token is revoked at the platform and
// forgotten here. Rules say "administer" on MOUNT/logout. It answers with
// LoggedOut; Conflict where the login did not make the token, and neither Given nor
// Keep says what is to become of it.
type Logout struct {
	Mount string `json:"mount"`
	// Given tells to revoke also a token that somebody brought to the login and may use
	// elsewhere.
	Given bool `json:"given,omitempty"`
	// Keep tells to forget the token and not to revoke it.
	Keep bool `json:"keep,omitempty"`
}

func (Login) Kind() string { return "login-mount" }
func (Login) Verb() Verb   { return Administer }
func (Login) Refs() []Ref  { return nil }

func (Logout) Kind() string { return "logout-mount" }
func (Logout) Verb() Verb   { return Administer }
func (Logout) Refs() []Ref  { return nil }

// On is what rules decide about: "vault/login".
func (o Login) On() string { return o.Mount + "/login" }

// On is what rules decide about: "vault/logout".
func (o Logout) On() string { return o.Mount + "/logout" }

// LoggedIn answers Login.
type LoggedIn struct {
	Receipt
	Target   string // where the mount leads
	Identity string // as whom, in the platform's words
	Accessor string // of the token; "" where it has none. For the record, and not shown
	Policies []string
	Expires  time.Time // zero: never
	// Renewable tells that it lives on while it is used.
	Renewable bool
	// Instead names what the mount goes on using in place of this login; "" where
	// nothing stands before it.
	Instead string
	// Left is why the token of the login before this one is not revoked; nil where it is,
	// or there was none that a login had made.
	Left *Error
}

// LoggedOut answers Logout.
type LoggedOut struct {
	Receipt
	Target   string
	Identity string
	Accessor string // of the token
	// Revoked tells that the platform takes the token no more. Where it still does, Err says
	// why (nil: nobody asked for that), and Expires when it ends by itself; zero: never.
	Revoked bool
	Err     *Error
	Expires time.Time
	// Instead names what the mount uses from now on; "" for nothing.
	Instead string
}
