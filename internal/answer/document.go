// Package answer makes the one JSON form of every result and error, the same from every
// door. No document of this package has a place for a value or a token. The command line
// has documents of its own for the few answers that show one, such as 'get --reveal'.
package answer

import (
	"reflect"

	"github.com/keyturn/keyturn"
)

// Document is a whole answer. Members that do not apply are left out.
type Document = DocumentOf[Secret, Wrapped]

// DocumentOf is a document whose secret is an S and whose wrapped secret is a W. A door
// that shows values has its own S and W for them; see Show.
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
	Count      *int64            `json:"count,omitempty"` // of records that were exported or pruned
	Caller     *keyturn.Actor    `json:"caller,omitempty"`
	Command    *Command          `json:"command,omitempty"`
	Project    *Project          `json:"project,omitempty"`
	Request    *Request          `json:"request,omitempty"`
	Requests   *[]Request        `json:"requests,omitempty"`
	Rule       string            `json:"rule,omitempty"`   // where one was written
	Checks     *[]Check          `json:"checks,omitempty"` // of doctor
	Migration  *Migration        `json:"migration,omitempty"`
	Migrations *[]Migration      `json:"migrations,omitempty"`
	Lease      *Lease            `json:"lease,omitempty"`
	Leases     *[]Lease          `json:"leases,omitempty"`
	Source     *Secret           `json:"source,omitempty"`      // of a copy
	Left       []string          `json:"left_behind,omitempty"` // by a copy
	Verified   *bool             `json:"verified,omitempty"`    // a copy was read back
	Fields     *[]Difference     `json:"fields,omitempty"`
	Same       *bool             `json:"same,omitempty"`
	Item       map[string]any    `json:"item,omitempty"`   // what a platform tells of one thing
	Items      *[]map[string]any `json:"items,omitempty"`  // or of several
	Change     []string          `json:"change,omitempty"` // lines of a document, each with "  ", "- " or "+ " before it
	Text       string            `json:"text,omitempty"`   // a document
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

// Show returns doc with another form of its secret and of its wrapped secret: one that
// holds values. Nil leaves the member out.
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

// Secret is a secret, or one version of it, as far as it is known.
type Secret struct {
	Ref     string   `json:"ref"`
	Path    string   `json:"path,omitempty"`
	Version any      `json:"version,omitempty"` // a number where the platform counts
	Created string   `json:"created_time,omitempty"`
	State   string   `json:"state,omitempty"` // left out while live
	Current bool     `json:"current,omitempty"`
	Expires string   `json:"expires,omitempty"`
	Ends    string   `json:"deletion_time,omitempty"` // when the platform deletes it by itself
	Fields  []string `json:"fields,omitempty"`
	Public  []string `json:"public,omitempty"`
	Labels  any      `json:"labels,omitempty"` // {} where there could be some
}

// Version tells which keyturn this is.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

// Request is a request in full: who wants to do what.
type Request struct {
	Approval
	Caller    keyturn.Actor `json:"caller"`
	Operation string        `json:"operation"`
	Summary   string        `json:"summary"`
	Refs      []string      `json:"refs"`
	Command   []string      `json:"command,omitempty"`
	Created   string        `json:"created_time"`
	Reason    string        `json:"untrusted_reason,omitempty"` // the caller's own words
	Opens     string        `json:"opens,omitempty"`            // who could see a value by it who cannot now
	Ends      string        `json:"ends,omitempty"`             // whose login it ends
	Needs     int           `json:"approvals_needed"`
	Given     int           `json:"approvals_given"`
}

// Log is what was found of the audit log. Checkpoint is null where none was
// given to compare with: then the log is consistent, which does not say complete.
// With one it is unchanged up to record UnchangedTo, complete too up to CompleteTo
// where no record before is pruned or left out, and consistent behind it.
type Log struct {
	First       int64       `json:"first,omitempty"` // of an exported file that begins later
	Size        int64       `json:"size"`
	Head        string      `json:"head"` // root of the tree
	Pruned      int64       `json:"pruned,omitempty"`
	Consistent  bool        `json:"consistent"`
	Complete    bool        `json:"complete"` // all of it
	CompleteTo  int64       `json:"complete_to,omitempty"`
	UnchangedTo int64       `json:"unchanged_to,omitempty"`
	Checkpoint  *Checkpoint `json:"checkpoint"`
	Key         string      `json:"key,omitempty"`    // verifier key, of a file as it says itself
	Signed      *Checkpoint `json:"signed,omitempty"` // the checkpoint at the end of a file
	Restored    []Restored  `json:"restored,omitempty"`
}

// Restored is a record that tells of a restored backup.
type Restored struct {
	Record   int64            `json:"record"` // its number
	Made     string           `json:"made_time"`
	Backup   keyturn.LogMark  `json:"backup"`             // end of the backup's log
	Replaced *keyturn.LogMark `json:"replaced,omitempty"` // end of the log that was there
	Lost     int64            `json:"records_lost,omitempty"`
	Unread   bool             `json:"unread,omitempty"` // there was a store, and it could not be read
	// Earlier is what the replaced log told, and this one does not.
	Earlier []Restored `json:"earlier,omitempty"`
}

// Checkpoint is what log and state were at one moment.
type Checkpoint struct {
	Origin     string `json:"origin"`
	Size       int64  `json:"size"`
	Head       string `json:"head"`
	Generation int64  `json:"generation"`
	Time       string `json:"time"`
	Pruned     int64  `json:"pruned,omitempty"`
	Signed     string `json:"signed,omitempty"` // as a signed note, where it was made
	Key        string `json:"key,omitempty"`    // that verifies it
}

// Setting is one entry of a configuration file, and where it stands.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	File  string `json:"file"`
	Line  int    `json:"line"`
}

// Store is the local store, and what the place of its root key protects from.
type Store struct {
	ID       string   `json:"id"`
	Path     string   `json:"path"`
	RootKey  string   `json:"root_key"`
	KeyAt    string   `json:"root_key_at"`
	Protects []string `json:"protects"`
	// Unlocked is until when a passphrase need not be given.
	Unlocked   string `json:"unlocked_until,omitempty"`
	Unfinished bool   `json:"rekey_unfinished,omitempty"`
	// Copies are files and folders with older copies of the store.
	Copies []string `json:"old_copies,omitempty"`
}

// Backup is a backup that was made, checked or restored.
type Backup struct {
	Path   string          `json:"path"`
	Store  string          `json:"store"` // its id
	Made   string          `json:"made_time,omitempty"`
	Writer string          `json:"made_by,omitempty"` // version of keyturn
	Size   int64           `json:"size,omitempty"`    // bytes
	Log    keyturn.LogMark `json:"log"`
	// VerifierKey is of its log's checkpoints: by it one knows whose backup it is.
	VerifierKey string `json:"verifier_key,omitempty"`
	// Forgotten is how many requests, approvals, and yeses to projects and
	// configurations of before hold no longer.
	Forgotten int              `json:"forgotten,omitempty"`
	Checked   bool             `json:"checked,omitempty"`  // and not installed
	Replaced  *keyturn.LogMark `json:"replaced,omitempty"` // end of the log that was there
	Aside     string           `json:"moved_aside,omitempty"`
}

// Login tells of a login, or of one that has ended.
type Login struct {
	Method    string   `json:"method,omitempty"`
	Identity  string   `json:"identity,omitempty"` // in the platform's words
	Policies  []string `json:"policies,omitempty"`
	Expires   string   `json:"expires,omitempty"` // left out where it does not end
	Renewable *bool    `json:"renewable,omitempty"`
	Revoked   *bool    `json:"revoked,omitempty"` // of one that has ended
}

// Check is one thing that doctor looked at.
type Check struct {
	Check   string       `json:"check"`
	State   string       `json:"state"` // "ok", "warn" or "bad"
	Message string       `json:"message"`
	Next    string       `json:"next,omitempty"` // what to do, where something is to be done
	Code    keyturn.Code `json:"code,omitempty"` // of what is bad
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

// Wrapped tells of a token that opens a secret once, and not the token itself.
type Wrapped struct {
	Accessor string `json:"accessor"`
	Seconds  int64  `json:"ttl_seconds"`
}

// Step is one step of the demonstration.
type Step struct {
	Says    string `json:"says"`
	Command string `json:"command"`
	Exit    int    `json:"exit"`
	Output  string `json:"output"`
}

// Decision is what the rules say to one question.
type Decision struct {
	Who     string   `json:"who"`
	Verb    string   `json:"verb"`
	Path    string   `json:"path"`
	Effect  string   `json:"effect"`
	Rule    string   `json:"rule"`
	Because []string `json:"because"`
}

// Command tells how a command under run fared.
type Command struct {
	Started bool     `json:"started"`
	Exit    *int     `json:"exit,omitempty"`
	Signal  int      `json:"signal,omitempty"`
	Output  string   `json:"output,omitempty"`
	Missing []string `json:"missing,omitempty"` // of --optional
}

// Mount is a mount; how it is only where that was asked.
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
	Expires   string   `json:"expires_time,omitempty"` // of the token; left out where it has no end
	TTL       int64    `json:"ttl,omitempty"`          // seconds until then
	Renewable *bool    `json:"renewable,omitempty"`
	Ahead     *int64   `json:"clock_ahead,omitempty"` // seconds that the server's clock is ahead of this one
	TLS       *TLS     `json:"tls,omitempty"`
	Error     *Error   `json:"error,omitempty"`
}

// TLS is how a server is reached.
type TLS struct {
	Version string `json:"version"` // "none" for plain http
	Ends    string `json:"certificate_expires_time,omitempty"`
}

// Project is what a project's file asks for, and whether that is news.
type Project struct {
	File   string    `json:"file"`
	Asks   []Binding `json:"asks"`
	Before []Binding `json:"trusted_before,omitempty"`
	Asked  bool      `json:"changed"`
}

// Binding is a name and the secret that it stands for.
type Binding struct {
	Name     string `json:"name"`
	Ref      string `json:"ref"`
	Optional bool   `json:"optional,omitempty"`
}
