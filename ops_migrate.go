package keyturn

import "time"

// Phases of a migration, in their order. What is neither ended nor taken back is
// open: the same command again goes on with it.
const (
	MigrationBegun     = "begun"      // its files are claimed; nothing was stored or written for sure
	MigrationStored    = "stored"     // the secret holds the values; some of the files may be rewritten
	MigrationEnded     = "ended"      // all files are rewritten
	MigrationReverting = "reverting"  // some of the files may be as they were before
	MigrationReverted  = "taken back" // all files are as they were before; the secret stays
)

// MigratedFile is one file that a migration writes.
type MigratedFile struct {
	Path string `json:"path"`           // absolute, of the file itself and not of a link to it
	Mode string `json:"mode,omitempty"` // its permissions in octal, "0644"
	New  bool   `json:"new,omitempty"`  // there was no such file before
}

// MigrateSecrets stores values that files hold in one secret, reads them back and
// compares them, and keeps what the files held; then the caller may write the
// files. Without fields, of files in which only references change, nothing is
// stored. It is composite: one WriteSecret. Fields of the secret that it does not
// name stay; one that is there with another value is Conflict, unless Replace is
// set. It answers with Migrated.
type MigrateSecrets struct {
	Ref    Ref            `json:"ref"`
	Fields []string       `json:"fields,omitempty"` // sorted
	Files  []MigratedFile `json:"files,omitempty"`  // none: nothing is to be written
	// Candidate holds the values by field. Texts holds the contents of Files,
	// "before-N" and "after-N" by their place from 0, "before" not for a new one.
	Candidate string `json:"candidate,omitempty"`
	Texts     string `json:"texts,omitempty"`
	Replace   bool   `json:"replace,omitempty"`
}

// ResumeMigration goes on with a migration that was cut off after its values were
// stored. Texts is a candidate with the present contents of its files, "now-N",
// none for a file that is not there. Whoever began it may, and a person who may
// write to the secret, without another yes. It answers with MigrationFiles: what each
// file is, and what it is to hold; of what the files held before nothing.
type ResumeMigration struct {
	Ref   Ref    `json:"ref"`
	ID    string `json:"id"`
	Texts string `json:"texts,omitempty"`
}

// RevertMigration asks for what the files held before a migration, to write it
// back: it holds the values, so they are revealed. Texts is as for ResumeMigration;
// a file that somebody has changed is Conflict, and nothing is handed out. With Out,
// a folder, the texts go there instead, whatever the files hold. It answers with
// MigrationFiles.
type RevertMigration struct {
	Ref   Ref    `json:"ref"`
	ID    string `json:"id"`
	Texts string `json:"texts,omitempty"`
	Out   string `json:"out,omitempty"` // absolute
}

// FinishMigration tells that all files are written: rewritten, or written back. Who
// may is as for ResumeMigration. It answers with Migrated.
type FinishMigration struct {
	Ref Ref    `json:"ref"`
	ID  string `json:"id"`
}

// ForgetMigration destroys what is kept of a migration: what its files held. It
// answers with Migrated.
type ForgetMigration struct {
	Ref Ref    `json:"ref"`
	ID  string `json:"id"`
}

// ListMigrations asks for all migrations into secrets that the caller may list;
// fields and files are told of one's own and where the caller may describe the
// secret. It answers with Migrations.
type ListMigrations struct{}

// Migration is what is known of a migration. It holds no value and no part of a
// file.
type Migration struct {
	ID     string         `json:"id"` // the operation's id in the audit log
	By     string         `json:"by"` // whose it is: a principal
	Ref    Ref            `json:"ref"`
	Fields []string       `json:"fields"`
	Files  []MigratedFile `json:"files,omitempty"`
	Phase  string         `json:"phase"`
	Began  time.Time      `json:"began"`
	Ended  time.Time      `json:"ended,omitzero"`
}

// Open reports whether a migration was cut off, or is under way.
func (m Migration) Open() bool {
	return m.Phase != MigrationEnded && m.Phase != MigrationReverted
}

// Migrated answers MigrateSecrets, FinishMigration and ForgetMigration.
type Migrated struct {
	Receipt
	Migration Migration
	// Of MigrateSecrets: the secret, whether it or a version of it was made, the
	// version before, and where the write went.
	Secret  Info
	Created bool
	Written bool // false: all values were there already
	Before  string
	Target  string
}

// MigrationFiles answers ResumeMigration and RevertMigration.
type MigrationFiles struct {
	Receipt
	Migration Migration
	Files     []MigrationFile // as in Migration.Files
}

// What a file of a migration holds now.
const (
	HoldsBefore = "before"    // what it held when the migration began
	HoldsAfter  = "after"     // what the migration writes
	HoldsOther  = "something" // else: somebody has changed it
)

// MigrationFile is one file of a migration with its contents.
type MigrationFile struct {
	MigratedFile
	Holds  string // without Out
	Before Value  // of RevertMigration, where the file is not new
	After  Value
}

// Migrations answers ListMigrations, oldest first.
type Migrations struct {
	Receipt
	Migrations []Migration
}

func (MigrateSecrets) Kind() string { return "migrate-secrets" }
func (MigrateSecrets) Verb() Verb   { return Write }

// Refs is the secret that takes the values.
func (o MigrateSecrets) Refs() []Ref { return []Ref{o.Ref} }

// Plan is one WriteSecret, where there are fields.
func (o MigrateSecrets) Plan() []Op {
	if len(o.Fields) == 0 {
		return nil
	}
	return []Op{WriteSecret{Ref: o.Ref}}
}

func (ResumeMigration) Kind() string  { return "resume-migration" }
func (ResumeMigration) Verb() Verb    { return Write }
func (o ResumeMigration) Refs() []Ref { return []Ref{o.Ref} }

func (RevertMigration) Kind() string  { return "revert-migration" }
func (RevertMigration) Verb() Verb    { return Reveal }
func (o RevertMigration) Refs() []Ref { return []Ref{o.Ref} }

func (FinishMigration) Kind() string  { return "finish-migration" }
func (FinishMigration) Verb() Verb    { return Write }
func (o FinishMigration) Refs() []Ref { return []Ref{o.Ref} }

func (ForgetMigration) Kind() string  { return "forget-migration" }
func (ForgetMigration) Verb() Verb    { return Destroy }
func (o ForgetMigration) Refs() []Ref { return []Ref{o.Ref} }

func (ListMigrations) Kind() string { return "list-migrations" }
func (ListMigrations) Verb() Verb   { return List }
func (ListMigrations) Refs() []Ref  { return nil }
