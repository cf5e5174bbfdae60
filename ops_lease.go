package keyturn

import "time"

// The states of a lease, as the journal has it.
const (
	LeaseAsked    = "asked"    // the platform is being asked, and its answer is not here
	LeaseActive   = "active"   // it is good, as far as is known here
	LeaseRevoking = "revoking" // it is to end, and the platform has not said yes yet
	LeaseUnknown  = "unknown"  // it may have been given; nobody here knows its name
)

// LeaseInfo is a credential that a platform made for one asking and takes back: all
// that is known of it but its values. Its names are no secrets.
type LeaseInfo struct {
	ID        string    `json:"id"` // keyturn's own
	Ref       Ref       `json:"ref"`
	Native    string    `json:"native,omitempty"` // the platform's name of it; "" while it is not known
	By        string    `json:"by"`               // the principal that took it
	Target    string    `json:"target,omitempty"` // where the mount was then: its server, and namespace
	State     string    `json:"state"`
	Began     time.Time `json:"began"`
	Seconds   int64     `json:"seconds,omitempty"` // of the last term, from when it was given; 0: it has no end
	Expires   time.Time `json:"expires,omitzero"`  // the end of that term
	Renewable bool      `json:"renewable,omitempty"`
	Fields    []string  `json:"fields,omitempty"` // by name, sorted
	// Problem is why the platform would not revoke it, at the last try.
	Problem Code `json:"problem,omitempty"`
	// Run tells that a command under 'run' has it: it ends with the command.
	Run bool `json:"run,omitempty"`
}

// Term is how long the last term of l is.
func (l LeaseInfo) Term() time.Duration { return time.Duration(l.Seconds) * time.Second }

// TakeLease takes a credential that the platform makes anew: what goes on until it
// is revoked or its time is over. Its values go nowhere, unless Show is set, which
// takes the verb reveal too. As a child of RunCommand, which hands the values to the
// command, it is judged and recorded by itself, once the platform has said that a
// reference is one of these. It answers with Leased.
type TakeLease struct {
	Ref  Ref  `json:"ref"`
	Show bool `json:"reveal,omitempty"`
}

// RenewLease asks the platform for a longer time, of a lease that keyturn took:
// whoever took it may, and a person who may take one. Seconds is how long it should
// go on from now; 0 is as long as its last term. It answers with Leased.
type RenewLease struct {
	Ref     Ref    `json:"ref"`
	ID      string `json:"id"`
	Seconds int64  `json:"seconds,omitempty"`
}

// RevokeLease ends a lease that keyturn took: whoever took it may, and a person who
// may take one. What the platform refuses stays in the journal and is tried again;
// with Forget, for people only, it is dropped from it, whatever the platform says. It
// answers with Leased.
type RevokeLease struct {
	Ref    Ref    `json:"ref"`
	ID     string `json:"id"`
	Forget bool   `json:"forget,omitempty"`
}

// ListLeases asks for the leases that keyturn took and that have not ended, of those
// that the caller took or whose secret they may list. It answers with Leases.
type ListLeases struct {
	Under Prefix `json:"under,omitzero"` // zero: all
}

func (TakeLease) Kind() string    { return "create-lease" }
func (TakeLease) Verb() Verb      { return Lease }
func (o TakeLease) Refs() []Ref   { return []Ref{o.Ref} }
func (RenewLease) Kind() string   { return "renew-lease" }
func (RenewLease) Verb() Verb     { return Lease }
func (o RenewLease) Refs() []Ref  { return []Ref{o.Ref} }
func (RevokeLease) Kind() string  { return "revoke-lease" }
func (RevokeLease) Verb() Verb    { return Lease }
func (o RevokeLease) Refs() []Ref { return []Ref{o.Ref} }
func (ListLeases) Kind() string   { return "list-leases" }
func (ListLeases) Verb() Verb     { return List }
func (ListLeases) Refs() []Ref    { return nil }

// Leased answers TakeLease, RenewLease and RevokeLease.
type Leased struct {
	Receipt
	Lease  LeaseInfo
	Values map[string]Value // where they were to be revealed; else nil
	Target string           // where the platform is, for people
}

// Leases answers ListLeases, oldest first.
type Leases struct {
	Receipt
	Leases []LeaseInfo
}
