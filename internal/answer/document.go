// Package answer makes the one JSON form of every result and error, the same from every
// door. No document of this package has a place for a value or a token. The command line
// has documents of its own for the few answers that show one, such as 'get --reveal'.
package answer

import (
	"reflect"

	"github.com/keyturn/keyturn"
)

// Document is the whole answer to one operation. Members that do not apply are left out.
type Document = DocumentOf[Secret, Wrapped]

// DocumentOf is a Document with other types for the secret and for the wrapping token. A
// door that shows values brings types of its own, and makes the document with Show.
type DocumentOf[S, W any] struct {
	Operation  string            `json:"operation"`
	Platform   string            `json:"platform,omitempty"`
	Mount      string            `json:"mount,omitempty"`
	Status     string            `json:"status"`
	Secret     *S                `json:"secret,omitempty"`
	Secrets    *[]Secret         `json:"secrets,omitempty"`
	Folders    []string          `json:"folders,omitempty"` // of a shallow listing
	Mounts     *[]Mount          `json:"mounts,omitempty"`
	Store      *Store            `json:"store,omitempty"`
	Backup     *Backup           `json:"backup,omitempty"`
	Login      *Login            `json:"login,omitempty"`
	Decision   *Decision         `json:"decision,omitempty"`
	Settings   *[]Setting        `json:"settings,omitempty"`
	Records    *[]keyturn.Record `json:"records,omitempty"`
	Log        *Log              `json:"log,omitempty"`
	Made       *Checkpoint       `json:"checkpoint,omitempty"`
	Count      *int64            `json:"count,omitempty"` // of the records that were exported or pruned
	Caller     *keyturn.Actor    `json:"caller,omitempty"`
	Command    *Command          `json:"command,omitempty"`
	Project    *Project          `json:"project,omitempty"`
	Request    *Request          `json:"request,omitempty"`
	Requests   *[]Request        `json:"requests,omitempty"`
	Rule       string            `json:"rule,omitempty"`   // file and line of a rule that was written
	Checks     *[]Check          `json:"checks,omitempty"` // of the check of keyturn's health
	Migration  *Migration        `json:"migration,omitempty"`
	Migrations *[]Migration      `json:"migrations,omitempty"`
	Lease      *Lease            `json:"lease,omitempty"`
	Leases     *[]Lease          `json:"leases,omitempty"`
	Source     *Secret           `json:"source,omitempty"`      // what was copied
	Left       []string          `json:"left_behind,omitempty"` // what a copy could not take along
	Verified   *bool             `json:"verified,omitempty"`    // the copy was read back, and is the same
	Fields     *[]Difference     `json:"fields,omitempty"`
	Same       *bool             `json:"same,omitempty"`
	Item       map[string]any    `json:"item,omitempty"`   // what a platform says of one thing
	Items      *[]map[string]any `json:"items,omitempty"`  // or of several
	Change     []string          `json:"change,omitempty"` // see ChangedLines
	Text       string            `json:"text,omitempty"`   // a document of the platform, such as a policy
	Policy     *Policy           `json:"policy,omitempty"`
	Wrapped    *W                `json:"wrapped,omitempty"`
	Steps      []Step            `json:"steps,omitempty"`
	Next       []string          `json:"next,omitempty"`
	Approval   *Approval         `json:"approval,omitempty"`
	Target     string            `json:"target,omitempty"`
	Before     any               `json:"previous_version,omitempty"`
	Until      string            `json:"recoverable_until,omitempty"`
	Notices    []string          `json:"notices,omitempty"`
	Artifacts  []string          `json:"artifacts,omitempty"`
	AuditID    string            `json:"audit_id,omitempty"`
	Version    *Version          `json:"version,omitempty"`
	Error      *Error            `json:"error,omitempty"`
	Errors     []Error           `json:"errors,omitempty"`
}

// Show returns doc with secret and wrapped in place of its own members. Nil leaves the
// member out.
func Show[S, W any](doc Document, secret *S, wrapped *W) DocumentOf[S, W] {
	var out DocumentOf[S, W]
	from, to := reflect.ValueOf(doc), reflect.ValueOf(&out).Elem()
	for i := range from.NumField() {
		if f := from.Field(i); f.Type() == to.Field(i).Type() {
			to.Field(i).Set(f)
		}
	}
	out.Secret, out.Wrapped = secret, wrapped
	return out
}

// Secret is what is known of a secret, or of one of its versions.
type Secret struct {
	Ref     string   `json:"ref"`
	Path    string   `json:"path,omitempty"`
	Version any      `json:"version,omitempty"` // a number where the platform counts
	Created string   `json:"created_time,omitempty"`
	State   string   `json:"state,omitempty"` // left out while live
	Current bool     `json:"current,omitempty"`
	Expires string   `json:"expires,omitempty"`
	Ends    string   `json:"deletion_time,omitempty"` // when the platform deletes the secret by itself
	Fields  []string `json:"fields,omitempty"`
	Public  []string `json:"public,omitempty"`
	Labels  any      `json:"labels,omitempty"` // {} where the secret could have labels, and has none
}

// Version says which keyturn this is.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

// Request is a request for an approval: who wants to do what.
type Request struct {
	Approval
	Caller    keyturn.Actor `json:"caller"`
	Operation string        `json:"operation"`
	Summary   string        `json:"summary"`
	Refs      []string      `json:"refs"`
	Command   []string      `json:"command,omitempty"`
	Created   string        `json:"created_time"`
	Reason    string        `json:"untrusted_reason,omitempty"` // the caller's own words
	Opens     string        `json:"opens,omitempty"`            // who could see a value afterwards, and cannot now
	Ends      string        `json:"ends,omitempty"`             // whose login the operation ends
	Needs     int           `json:"approvals_needed"`
	Given     int           `json:"approvals_given"`
}

// Log is the result of a verification of the audit log. Without a checkpoint to compare
// with, Checkpoint is null, and the log is shown to be consistent, but not to be complete.
// With one, the log is unchanged up to record UnchangedTo. It is also complete up to
// CompleteTo, where no earlier record is pruned or left out. Later records are consistent.
type Log struct {
	First       int64       `json:"first,omitempty"` // first record of an exported file; left out for 1
	Size        int64       `json:"size"`
	Head        string      `json:"head"` // root of the tree
	Pruned      int64       `json:"pruned,omitempty"`
	Consistent  bool        `json:"consistent"`
	Complete    bool        `json:"complete"` // the whole log
	CompleteTo  int64       `json:"complete_to,omitempty"`
	UnchangedTo int64       `json:"unchanged_to,omitempty"`
	Checkpoint  *Checkpoint `json:"checkpoint"`
	Key         string      `json:"key,omitempty"`    // verifier key that an exported file names
	Signed      *Checkpoint `json:"signed,omitempty"` // the checkpoint at the end of a file
	Restored    []Restored  `json:"restored,omitempty"`
}

// Restored is a record of the log about a backup that was restored.
type Restored struct {
	Record   int64            `json:"record"` // number of the record
	Made     string           `json:"made_time"`
	Backup   keyturn.LogMark  `json:"backup"`             // end of the backup's log
	Replaced *keyturn.LogMark `json:"replaced,omitempty"` // end of the log that was there
	Lost     int64            `json:"records_lost,omitempty"`
	Unread   bool             `json:"unread,omitempty"` // the store that was there could not be read
	// Earlier are such records of the replaced log that this log does not have.
	Earlier []Restored `json:"earlier,omitempty"`
}

// Checkpoint is the state of the log and of the store at one moment.
type Checkpoint struct {
	Origin     string `json:"origin"`
	Size       int64  `json:"size"`
	Head       string `json:"head"`
	Generation int64  `json:"generation"`
	Time       string `json:"time"`
	Pruned     int64  `json:"pruned,omitempty"`
	Signed     string `json:"signed,omitempty"` // a new checkpoint as a signed note
	Key        string `json:"key,omitempty"`    // the public key that verifies the note
}

// Setting is one entry of a configuration file, with its place.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	File  string `json:"file"`
	Line  int    `json:"line"`
}

// Store is the local store. Protects says what the kind of its root key protects from.
type Store struct {
	ID       string   `json:"id"`
	Path     string   `json:"path"`
	RootKey  string   `json:"root_key"`
	KeyAt    string   `json:"root_key_at"`
	Protects []string `json:"protects"`
	// Unlocked is the time until which nobody is asked for the passphrase.
	Unlocked   string `json:"unlocked_until,omitempty"`
	Unfinished bool   `json:"rekey_unfinished,omitempty"`
	// Copies are the files and folders that hold older copies of the store.
	Copies []string `json:"old_copies,omitempty"`
}

// Backup is a backup that was made, verified or restored.
type Backup struct {
	Path   string          `json:"path"`
	Store  string          `json:"store"` // id of the store
	Made   string          `json:"made_time,omitempty"`
	Writer string          `json:"made_by,omitempty"` // version of keyturn that made it
	Size   int64           `json:"size,omitempty"`    // bytes
	Log    keyturn.LogMark `json:"log"`
	// VerifierKey verifies the checkpoints of the backup's log: it shows whose backup it is.
	VerifierKey string `json:"verifier_key,omitempty"`
	// Forgotten counts the requests, approvals and trusted files that hold no longer.
	Forgotten int              `json:"forgotten,omitempty"`
	Checked   bool             `json:"checked,omitempty"`  // verified only, and not installed
	Replaced  *keyturn.LogMark `json:"replaced,omitempty"` // end of the log that was there
	Aside     string           `json:"moved_aside,omitempty"`
}

// Login is a login, or one that has ended.
type Login struct {
	Method    string   `json:"method,omitempty"`
	Identity  string   `json:"identity,omitempty"` // in the platform's words
	Policies  []string `json:"policies,omitempty"`
	Expires   string   `json:"expires,omitempty"` // left out where the login does not end
	Renewable *bool    `json:"renewable,omitempty"`
	Revoked   *bool    `json:"revoked,omitempty"` // of a login that has ended
}

// Check is one finding about keyturn's health.
type Check struct {
	Check   string       `json:"check"`
	State   string       `json:"state"` // "ok", "warn" or "bad"
	Message string       `json:"message"`
	Next    string       `json:"next,omitempty"` // what to do about it
	Code    keyturn.Code `json:"code,omitempty"` // of a check that is bad
}

// Difference is one field of two secrets that were compared: "same",
// "different", "only-a" or "only-b".
type Difference struct {
	Field string `json:"field"`
	Is    string `json:"is"`
}

// Policy is a platform's own policy.
type Policy struct {
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Wrapped describes a token that opens a secret once. The token itself has no place here.
type Wrapped struct {
	Accessor string `json:"accessor"`
	Seconds  int64  `json:"ttl_seconds"`
}

// Step is one step of the quickstart.
type Step struct {
	Says    string `json:"says"`
	Command string `json:"command"`
	Exit    int    `json:"exit"`
	Output  string `json:"output"`
}

// Decision is the answer of the rules to one question.
type Decision struct {
	Who     string   `json:"who"`
	Verb    string   `json:"verb"`
	Path    string   `json:"path"`
	Effect  string   `json:"effect"`
	Rule    string   `json:"rule"`
	Because []string `json:"because"`
}

// Command is how a command ended that was run with secrets.
type Command struct {
	Started bool     `json:"started"`
	Exit    *int     `json:"exit,omitempty"`
	Signal  int      `json:"signal,omitempty"`
	Output  string   `json:"output,omitempty"`
	Missing []string `json:"missing,omitempty"` // names of optional secrets that were not found
}

// Mount is a mount and, where the mount was probed, its health.
type Mount struct {
	Mount     string   `json:"mount"`
	Platform  string   `json:"platform,omitempty"`
	Target    string   `json:"target,omitempty"`
	Reachable *bool    `json:"reachable,omitempty"`
	Sealed    *bool    `json:"sealed,omitempty"`
	Source    string   `json:"token_source,omitempty"` // "login", or a variable or file
	Identity  string   `json:"identity,omitempty"`
	Detail    string   `json:"detail,omitempty"`
	Server    string   `json:"server_version,omitempty"`
	Policies  []string `json:"policies,omitempty"`
	Expires   string   `json:"expires_time,omitempty"` // of the token; left out where the token does not end
	TTL       int64    `json:"ttl,omitempty"`          // seconds until then
	Renewable *bool    `json:"renewable,omitempty"`
	Ahead     *int64   `json:"clock_ahead,omitempty"` // seconds by which the server's clock is ahead
	TLS       *TLS     `json:"tls,omitempty"`
	Error     *Error   `json:"error,omitempty"`
}

// TLS is how the connection to a server is protected.
type TLS struct {
	Version string `json:"version"` // "none" for plain http
	Ends    string `json:"certificate_expires_time,omitempty"`
}

// Project is what a project's file asks for. Asked is set where that has changed.
type Project struct {
	File   string    `json:"file"`
	Asks   []Binding `json:"asks"`
	Before []Binding `json:"trusted_before,omitempty"`
	Asked  bool      `json:"changed"`
}

// Binding is a name, and the secret that it stands for.
type Binding struct {
	Name     string `json:"name"`
	Ref      string `json:"ref"`
	Optional bool   `json:"optional,omitempty"`
}
