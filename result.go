package keyturn

import (
	"iter"
	"slices"
	"time"
)

// Result is what an operation answers: a pointer to one of the structs below.
type Result interface {
	// Audit is the operation's id in the audit log.
	Audit() string
}

// Receipt is the part that all results share.
type Receipt struct {
	AuditID  string
	Platform string // "local", "vault", …; "" where no platform took part
	Mount    string
}

// Audit returns the operation's id in the audit log.
func (r Receipt) Audit() string { return r.AuditID }

// MountInfo is one mount, as ListMounts tells it.
type MountInfo struct {
	Mount    string
	Platform string
	Target   string // where it leads: an account, an address, a file
	// Health is how it answered a probe; nil where none was asked for.
	Health *Health
}

// Health is a platform's answer to a probe.
type Health struct {
	Reachable bool
	Identity  string // authenticated as whom; "" where that does not apply
	// Source is where the token that is used comes from: "login" for the one that is kept,
	// or the name of a variable or a file; "" where there is none.
	Source string
	Sealed bool
	Detail string // for people
	Server string // the version of the server's program; "" where that does not apply
	// Of the token that is used: what it may do, and until when; zero for ever.
	Policies  []string
	Expires   time.Time
	Renewable bool
	// Ahead is how far the server's clock is ahead of this one, to the second; nil
	// where it is not known.
	Ahead *time.Duration
	TLS   *TLSInfo // nil where that does not apply
	Err   *Error   // why it is not healthy; nil where it is
}

// TLSInfo is how a connection is kept from others.
type TLSInfo struct {
	Version string    // "TLS 1.3"; "none" for plain http
	Ends    time.Time // of the server's certificate
}

// Mounts answers ListMounts.
type Mounts struct {
	Receipt
	Mounts []MountInfo
}

// Listing answers ListSecrets. The names arrive while Secrets is ranged over,
// which can be done once. An error beside a folder (Info.IsFolder) is that of the
// folder alone, and the rest is still to come; any other error ends it. It must be
// ranged over, or the operation's outcome is never recorded.
type Listing struct {
	Receipt
	Secrets iter.Seq2[Info, error]
}

// Described answers GetSecret.
type Described struct {
	Receipt
	Secret Info
}

// Revealed answers RevealSecret.
type Revealed struct {
	Receipt
	Secret Secret
}

// Versions answers ListVersions, newest first.
type Versions struct {
	Receipt
	Versions []Info
}

// Changed answers every operation that changes one secret.
type Changed struct {
	Receipt
	Secret  Info
	Created bool   // there was no such secret before
	Target  string // where the change went, for people
	// Before is the version that was current before, "" for none: the way back.
	Before string
	// Until is how long a delete can be undone; zero: for ever.
	Until time.Time
	// Unseen tells that the caller may not see what was there before: it was replaced
	// or deleted whatever it was, if there was anything.
	Unseen bool
	// Whole tells that a destroy took the secret itself, not only versions.
	Whole bool
	// Notice tells what may be wrong with the name of a secret that was made; "" for
	// nothing.
	Notice string
	// Granted is what came of a put's Reader; nil where it had none, or where Failed
	// tells why the version is there and the reader may not read it.
	Granted *Told
	Failed  *Error
}

// Delivered is a value on its way to a sink beside the caller.
type Delivered struct {
	Name   string // of the variable, or the path of the file
	Ref    Ref    // with its field
	Value  Value
	Public bool   // need not be redacted
	Label  string // what redacted text may say; "" where the caller may not know the name
	// Expires is when the secret should have been replaced, for a notice; zero where
	// it never does, or is not the caller's to know.
	Expires time.Time
	// Open tells that the caller may see the value: that rules let it be revealed to them
	// at once.
	Open bool
	// Chosen tells that the caller may have chosen the value. A value that is neither Open
	// nor Chosen is redacted before all others, so that none of those can be a guess at it.
	Chosen bool
}

// Output says what of a command's output the caller gets, and when.
type Output string

// What a caller gets, from the most to the least.
const (
	OutputStream Output = "stream" // redacted, as it comes
	OutputLines  Output = "lines"  // redacted, in whole lines
	OutputEnd    Output = "end"    // redacted, once the command has ended
	OutputStatus Output = "status" // whether the command succeeded
)

// outputs are all, in their order.
var outputs = []Output{OutputStream, OutputLines, OutputEnd, OutputStatus}

// Stricter returns the one of both that gives less; one that is none gives nothing.
func (o Output) Stricter(p Output) Output {
	i, j := slices.Index(outputs, o), slices.Index(outputs, p)
	switch {
	case i < 0 || j < 0:
		return OutputStatus
	case i > j:
		return o
	}
	return p
}

// Delivery answers RunCommand. Its values go into the command's environment and
// files, and nowhere else.
type Delivery struct {
	Receipt
	Env   []Delivered
	Files []Delivered
	// Missing names the optional bindings that were not found.
	Missing []string
	// Leases are those that were taken for it: the caller renews them while the
	// command runs, and revokes them when it has ended.
	Leases []LeaseInfo
	// Output is what the caller gets of the command's output, and Why, of OutputStatus, for
	// which reason it gets no more, with the next step behind a line break.
	Output Output
	Why    string
	// Reserved tells that compares are reserved for it, since two of its values may be
	// guesses at one another: EndCommand gives them back.
	Reserved bool
}

// Ended answers EndCommand.
type Ended struct{ Receipt }

// Filling answers RenderTemplate: one value for each reference.
type Filling struct {
	Receipt
	Values map[Ref]Value
	// Unseen are the references whose values the caller may see by this operation alone.
	Unseen []Ref
}

// Trusted answers ShowTrust, TrustProject and UseConfig.
type Trusted struct {
	Receipt
	Known  bool      // a set was pinned before
	Before []Binding // that set
	Steers []Setting // of that set
	Kept   []string  // of that set
}

// Request is an operation that waits for a person's yes.
type Request struct {
	Approval
	Actor   Actor
	Op      Op
	Reason  string // the requester's own words: untrusted
	Created time.Time
	Needs   int // approvals
	Given   int
	// Opens tells who could see a value by it who cannot now; "" for nobody.
	Opens string
	// Ends tells whose login of a mount it ends; "" for nobody's.
	Ends string
	// Files are those of the migration that is taken back or forgotten: all that they
	// held comes out, or is destroyed, and not only the values that were moved.
	Files []string
	// Rule is what --remember would write, and Broad why it cannot: one of them.
	Rule, Broad string
	Warnings    []string // of that rule, as 'config check' has them
}

// Requests answers ListRequests, oldest first.
type Requests struct {
	Receipt
	Requests []Request
}

// Approved answers ApproveRequest.
type Approved struct {
	Receipt
	Request Request
	Rule    string // file and line of the remembered rule, "" for none
}

// Records answers ListRecords; it is ranged over once, oldest first.
type Records struct {
	Receipt
	Records iter.Seq2[Record, error]
	// Pruned counts, while Records is ranged over, those whose content retention
	// has dropped: they match no filter and are not among Records.
	Pruned *int64
}
