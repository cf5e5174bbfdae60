package keyturn

import (
	"slices"
	"strings"
	"time"
)

// None as a version that a put expects: the secret must not exist.
const None = "none"

// Modes of a put: what becomes of the fields of the current version that the put
// does not name.
const (
	Merge   = "merge"   // they stay
	Replace = "replace" // they go: a put makes a whole version
)

// kinds holds one operation of each kind; DecodeOp knows these and no others.
var kinds = []Op{
	ListMounts{}, ListSecrets{}, GetSecret{}, RevealSecret{}, ListVersions{},
	PutSecret{}, RollbackSecret{}, DeleteSecret{}, RestoreSecret{}, DestroySecret{},
	RunCommand{}, EndCommand{}, UseSecret{}, RenderTemplate{},
	CopySecret{}, DiffSecrets{}, WriteSecret{}, SealValues{},
	MigrateSecrets{}, ResumeMigration{}, RevertMigration{}, FinishMigration{}, ForgetMigration{}, ListMigrations{},
	ShowTrust{}, TrustProject{}, UseConfig{}, AdoptStore{}, ListRequests{}, ApproveRequest{},
	CreateStore{}, ListRecords{}, VerifyLog{}, ExportLog{}, MakeCheckpoint{}, PruneLog{},
	PlatformAction{},
	RekeyStore{}, BackupStore{}, UnlockStore{}, LockStore{}, RestoreStore{},
	Login{}, Logout{},
	TakeLease{}, RenewLease{}, RevokeLease{}, ListLeases{},
}

// ListMounts asks for the mounts that the caller may do anything in, with their
// health where Probe is set.
type ListMounts struct {
	Probe bool `json:"probe,omitempty"`
}

// ListSecrets asks for the names under a prefix, without reading a value. With
// Shallow it stops at the next segment: what lies deeper is one Info with a zero
// Ref and the folder's prefix as its Path, "local/myapp/". With Names what else is
// known of each, its state too, is left out where it takes a further request.
type ListSecrets struct {
	Under   Prefix `json:"under"`
	Shallow bool   `json:"shallow,omitempty"`
	Names   bool   `json:"names,omitempty"`
}

// GetSecret asks what is known of a secret, without its values.
type GetSecret struct {
	Ref Ref `json:"ref"`
}

// RevealSecret asks for values to be shown to the caller: one field where the
// reference names one, else all. With Clipboard it is for the clipboard of whoever
// sits at the terminal, which only people may ask for.
type RevealSecret struct {
	Ref       Ref  `json:"ref"`
	Clipboard bool `json:"clipboard,omitempty"`
}

// ListVersions asks for all versions of a secret, newest first.
type ListVersions struct {
	Ref Ref `json:"ref"`
}

// PutSecret makes a new version. Its values are in a sealed candidate (see
// Service.Seal) or generated when it is carried out: never in the operation. With
// Reader it is composite: a PlatformAction behind it has the platform let that
// principal read the secret, with the least policy that does.
type PutSecret struct {
	Ref       Ref    `json:"ref"`
	Candidate string `json:"candidate,omitempty"`
	// Fields names the fields that the candidate has values of, sorted. The Service fills
	// it in where it is empty, so that it is in the form that is approved and recorded.
	Fields    []string   `json:"fields,omitempty"`
	Generate  []Generate `json:"generate,omitempty"` // sorted by field
	IfVersion string     `json:"if_version,omitempty"`
	Mode      string     `json:"mode,omitempty"` // Merge, Replace; "" refuses if fields would vanish
	// Labels replace those that are there; with Merge they are added, and Unlabel names
	// those that go.
	Labels  map[string]string `json:"labels,omitempty"`
	Unlabel []string          `json:"unlabel,omitempty"` // sorted
	Expires time.Time         `json:"expires,omitzero"`  // UTC, whole seconds
	Public  []string          `json:"public,omitempty"`  // sorted
	Reader  string            `json:"reader,omitempty"`  // a principal of the platform: "vault:approle/myapp"
}

// Generate says how one field's value is made.
type Generate struct {
	Field   string `json:"field"`
	Length  int    `json:"length,omitempty"`  // characters
	Charset string `json:"charset,omitempty"` // a name: "alnum", "hex", …, or "uuid"
}

// RollbackSecret makes an earlier version current again: To, or the one before
// the current one where To is empty.
type RollbackSecret struct {
	Ref Ref    `json:"ref"`
	To  string `json:"to,omitempty"`
}

// DeleteSecret deletes so that it can be restored.
type DeleteSecret struct {
	Ref Ref `json:"ref"`
}

// RestoreSecret undoes a delete.
type RestoreSecret struct {
	Ref Ref `json:"ref"`
}

// DestroySecret deletes for ever: the versions named, or the secret with all
// that is known of it where none is.
type DestroySecret struct {
	Ref      Ref      `json:"ref"`
	Versions []string `json:"versions,omitempty"`
}

// Binding gives a secret a place in a command: a variable's name, or a file's
// path.
type Binding struct {
	Name     string `json:"name"`
	Ref      Ref    `json:"ref"`
	Optional bool   `json:"optional,omitempty"` // may be missing
}

// Source gives all fields of a secret as variables, their names after Prefix.
type Source struct {
	Ref    Ref    `json:"ref"`
	Prefix string `json:"prefix,omitempty"`
}

// RunCommand asks for the values that a command is to be started with beside the
// caller. It is composite: one UseSecret for each distinct reference, and one
// TakeLease more for each secret that its platform makes anew (see TakeLease).
type RunCommand struct {
	Command []string `json:"command"`
	// Program is what the command's name was found to be, and is started; "" where
	// a value that is asked for decides PATH. Dir is the folder it is started in.
	// Both are absolute.
	Program string    `json:"program,omitempty"`
	Dir     string    `json:"dir,omitempty"`
	Env     []Binding `json:"env,omitempty"`
	From    []Source  `json:"env_from,omitempty"`
	Files   []Binding `json:"files,omitempty"`
	// Project is the absolute path of the project's file that named Pinned; the
	// operation is refused until that set is trusted.
	Project string    `json:"project,omitempty"`
	Pinned  []Binding `json:"pinned,omitempty"`
	// Plain asks for output that is not redacted; for people only.
	Plain bool `json:"plain,omitempty"`
	// EnvFiles are the files of variables that the caller named, with what they ask for. A
	// person's operation is refused until that is trusted.
	EnvFiles []AskedFile `json:"env_files,omitempty"`
	// Pass names, sorted, the variables of an agent or a service (of its environment or of
	// its files) that the command gets with the text that they have there.
	Pass []string `json:"pass,omitempty"`
}

// AskedFile is a file that a caller named, and what it asks for.
type AskedFile struct {
	// Path is absolute: where the file was found, links to its folder followed, the file
	// itself not.
	Path   string    `json:"path"`
	Asks   []Binding `json:"asks,omitempty"`   // sorted by name
	Steers []Setting `json:"steers,omitempty"` // variables that decide how programs run or where secrets go, sorted by name
	// Kept names, sorted, the plain variables of the file that an agent's or a service's
	// command gets because they are as they were when a person trusted the file.
	Kept []string `json:"kept,omitempty"`
}

// Setting is a variable with its text, which is no secret.
type Setting struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// EndCommand tells how a command ended for its secrets, as far as that is counted: by the
// agent or service that has had it started, for RunCommand and RenderTemplate, once, to the
// Service that answered it. NotFound for another's, another secret, and a second time.
type EndCommand struct {
	ID string `json:"id"` // of the operation in the audit log
	// Held are secrets whose values were found in what the caller gave to the command
	// beside its operation: plain variables, standard input, a template's text.
	Held []Ref `json:"held,omitempty"`
	// Met tells that two values that may be guesses at one another met in the output:
	// the compares that are reserved for that stay spent.
	Met bool `json:"met,omitempty"`
}

// UseSecret lets a value go to the sink of its parent. It is only ever a child.
type UseSecret struct {
	Ref Ref `json:"ref"`
}

// RenderTemplate asks for the values that a template is to be filled with. To
// whoever may read the result they are revealed, so that is its verb.
type RenderTemplate struct {
	Template string `json:"template"`      // absolute, or StandardInput
	Out      string `json:"out,omitempty"` // absolute; "" is standard output
	Secrets  []Ref  `json:"secrets"`
	// Digest is the SHA-256 of the template's text, in hexadecimal. Operations of earlier
	// versions have none, and paths as they were typed.
	Digest string `json:"digest,omitempty"`
	// Found is where the template was found, as AskedFile.Path; "" for what is no file. A
	// person's operation is refused until the file is trusted with Secrets.
	Found string `json:"found,omitempty"`
}

// Asks returns the template as a file that asks for its secrets, sorted.
func (o RenderTemplate) Asks() AskedFile {
	f := AskedFile{Path: o.Found}
	for _, r := range o.Refs() {
		f.Asks = append(f.Asks, Binding{Name: TemplatePlace, Ref: r})
	}
	slices.SortFunc(f.Asks, func(a, b Binding) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return f
}

// TemplatePlace is the name of a place in a template, among the bindings that are trusted.
const TemplatePlace = "{{ }}"

// StandardInput in the place of a file's path is what was read from standard input.
const StandardInput = "-"

// ShowTrust asks for the set of references that a project's file was trusted with.
type ShowTrust struct {
	Path string `json:"path"` // absolute: see AskedFile
}

// TrustProject pins the set of references that a project's file asks for: its
// keyturn.yaml, a file of variables, or a template. Of a file of variables it pins those
// that change how programs run too, with their texts. With nothing to pin it takes the trust back.
type TrustProject struct {
	Path   string    `json:"path"` // absolute: see AskedFile
	Pinned []Binding `json:"pinned"`
	Steers []Setting `json:"steers,omitempty"` // sorted by name
	// Kept names the plain variables that pass to the commands of agents and services, too,
	// for as long as their texts stay; sorted. The texts are in no record.
	Kept []string `json:"kept,omitempty"`
}

// UseConfig pins an operator's configuration file: agents and services are judged by it
// and by no other, whatever they bring along, and only as long as it means the same.
type UseConfig struct {
	Path string `json:"path"` // absolute; "" for no file: agents and services may do nothing
	// Digest is of what the file means; "" for no file.
	Digest string `json:"digest,omitempty"`
	// Env is the person's environment, in which commands of agents and services are
	// found and run: "NAME=value", of a few names. Nil keeps the one before.
	Env []string `json:"env,omitempty"`
}

// ListRequests asks for the requests that wait for a person's yes.
type ListRequests struct{}

// ApproveRequest says yes to a request; with Remember also to all further ones
// like it, by a rule in the operator's configuration.
type ApproveRequest struct {
	ID       string `json:"id"`
	Remember bool   `json:"remember,omitempty"`
}

// CreateStore is the first record of every store. It is carried out by the
// program itself, since there is no door before there is a store.
type CreateStore struct {
	Store   string `json:"store"`    // its id
	RootKey string `json:"root_key"` // where the root key is kept
}

// ListRecords asks for records of the audit log; empty filters match all. An
// outcome goes where its intent went.
type ListRecords struct {
	Who   string    `json:"who,omitempty"`  // a principal
	Op    string    `json:"kind,omitempty"` // of operation
	Under Prefix    `json:"under,omitzero"`
	Since time.Time `json:"since,omitzero"` // operations that began no earlier
}

// Kind, Verb and Refs of each operation.

func (ListMounts) Kind() string { return "list-mounts" }
func (ListMounts) Verb() Verb   { return List }
func (ListMounts) Refs() []Ref  { return nil }

func (ListSecrets) Kind() string { return "list-secrets" }
func (ListSecrets) Verb() Verb   { return List }
func (ListSecrets) Refs() []Ref  { return nil }

func (GetSecret) Kind() string    { return "get-secret" }
func (GetSecret) Verb() Verb      { return Describe }
func (o GetSecret) Refs() []Ref   { return []Ref{o.Ref} }
func (RevealSecret) Kind() string { return "reveal-secret" }
func (RevealSecret) Verb() Verb   { return Reveal }
func (o RevealSecret) Refs() []Ref {
	return []Ref{o.Ref}
}

func (ListVersions) Kind() string  { return "list-versions" }
func (ListVersions) Verb() Verb    { return Describe }
func (o ListVersions) Refs() []Ref { return []Ref{o.Ref} }

func (PutSecret) Kind() string  { return "put-secret" }
func (PutSecret) Verb() Verb    { return Write }
func (o PutSecret) Refs() []Ref { return []Ref{o.Ref} }

// Plan implements Composite.
func (o PutSecret) Plan() []Op {
	if o.Reader == "" {
		return nil
	}
	return []Op{PlatformAction{Mount: o.Ref.Mount(), Action: ActionGrant, On: o.Ref, Args: map[string][]string{"principal": {o.Reader}, "can": {"read"}}}}
}

func (RollbackSecret) Kind() string  { return "rollback-secret" }
func (RollbackSecret) Verb() Verb    { return Write }
func (o RollbackSecret) Refs() []Ref { return []Ref{o.Ref} }

func (DeleteSecret) Kind() string  { return "delete-secret" }
func (DeleteSecret) Verb() Verb    { return Delete }
func (o DeleteSecret) Refs() []Ref { return []Ref{o.Ref} }

func (RestoreSecret) Kind() string  { return "restore-secret" }
func (RestoreSecret) Verb() Verb    { return Delete }
func (o RestoreSecret) Refs() []Ref { return []Ref{o.Ref} }

func (DestroySecret) Kind() string  { return "destroy-secret" }
func (DestroySecret) Verb() Verb    { return Destroy }
func (o DestroySecret) Refs() []Ref { return []Ref{o.Ref} }

func (RunCommand) Kind() string { return "run-command" }
func (RunCommand) Verb() Verb   { return Use }

// Refs lists the distinct references of all bindings, in their order.
func (o RunCommand) Refs() []Ref {
	var refs []Ref
	for _, b := range o.Env {
		refs = append(refs, b.Ref)
	}
	for _, s := range o.From {
		refs = append(refs, s.Ref)
	}
	for _, b := range o.Files {
		refs = append(refs, b.Ref)
	}
	return distinct(refs)
}

// Plan is one UseSecret for each reference.
func (o RunCommand) Plan() []Op { return uses(o.Refs()) }

func (EndCommand) Kind() string  { return "end-command" }
func (EndCommand) Verb() Verb    { return Use }
func (o EndCommand) Refs() []Ref { return distinct(o.Held) }

func (UseSecret) Kind() string  { return "use-secret" }
func (UseSecret) Verb() Verb    { return Use }
func (o UseSecret) Refs() []Ref { return []Ref{o.Ref} }

func (RenderTemplate) Kind() string  { return "render-template" }
func (RenderTemplate) Verb() Verb    { return Reveal }
func (o RenderTemplate) Refs() []Ref { return distinct(o.Secrets) }

// Plan is one RevealSecret for each reference.
func (o RenderTemplate) Plan() []Op {
	var plan []Op
	for _, r := range o.Refs() {
		plan = append(plan, RevealSecret{Ref: r})
	}
	return plan
}

func (ShowTrust) Kind() string { return "show-trust" }
func (ShowTrust) Verb() Verb   { return Approve }
func (ShowTrust) Refs() []Ref  { return nil }

func (TrustProject) Kind() string { return "trust-project" }
func (TrustProject) Verb() Verb   { return Approve }
func (TrustProject) Refs() []Ref  { return nil }

func (UseConfig) Kind() string { return "use-config" }
func (UseConfig) Verb() Verb   { return Approve }
func (UseConfig) Refs() []Ref  { return nil }

func (ListRequests) Kind() string { return "list-requests" }
func (ListRequests) Verb() Verb   { return Approve }
func (ListRequests) Refs() []Ref  { return nil }

func (ApproveRequest) Kind() string { return "approve-request" }
func (ApproveRequest) Verb() Verb   { return Approve }
func (ApproveRequest) Refs() []Ref  { return nil }

func (CreateStore) Kind() string { return "create-store" }
func (CreateStore) Verb() Verb   { return Administer }
func (CreateStore) Refs() []Ref  { return nil }

func (ListRecords) Kind() string { return "list-records" }
func (ListRecords) Verb() Verb   { return Administer }
func (ListRecords) Refs() []Ref  { return nil }

func uses(refs []Ref) []Op {
	var plan []Op
	for _, r := range refs {
		plan = append(plan, UseSecret{Ref: r})
	}
	return plan
}

func distinct(refs []Ref) []Ref {
	seen := make(map[Ref]bool, len(refs))
	var out []Ref
	for _, r := range refs {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}
