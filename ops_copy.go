package keyturn

// CopySecret writes what From holds to To, without anybody seeing it: the whole
// secret, or one field to one field where both name one. It is composite: one
// UseSecret of From, whose sink is the mount of To, and one WriteSecret of To.
// It answers with Copied.
//
// From may pin a version. What the mount of To cannot keep is Conflict before a
// value is read, unless Lossy is set; history stays where it is.
type CopySecret struct {
	From      Ref    `json:"from"`
	To        Ref    `json:"to"` // no version
	IfVersion string `json:"if_version,omitempty"`
	Mode      string `json:"mode,omitempty"` // as of PutSecret; one field is always merged
	Lossy     bool   `json:"lossy,omitempty"`
	Verify    bool   `json:"verify,omitempty"` // read it back and compare
}

// DiffSecrets tells which fields of two secrets, versions or fields hold the same
// bytes, and never a value. It is composite: one UseSecret of each. Agents and
// services have a small budget of it for each secret. It answers with Differences.
type DiffSecrets struct {
	A Ref `json:"a"`
	B Ref `json:"b"`
}

// SealValues keeps values for one later write of a secret. It is only ever asked for by
// Service.Seal, and names the attempt in the log.
type SealValues struct {
	Ref Ref `json:"ref"`
}

// WriteSecret makes a new version of values that its parent holds. It is only ever
// a child.
type WriteSecret struct {
	Ref Ref `json:"ref"`
}

// Copied answers CopySecret. Its receipt is of the mount that was written to.
type Copied struct {
	Receipt
	From     Info // the version that was read: no more than which
	To       Info // the version that was made
	Created  bool // there was no such secret before
	Target   string
	Before   string   // version of To that was current before, "" for none: the way back
	Left     []string // what did not go along, in words
	Verified bool     // it was read back and is the same
}

// Differences answers DiffSecrets.
type Differences struct {
	Receipt
	A, B   Info // the versions that were compared: no more than which
	Fields []FieldDifference
}

// What DiffSecrets says of a field.
const (
	Same      = "same"
	Different = "different"
	OnlyA     = "only-a" // the second has no such field
	OnlyB     = "only-b"
)

// FieldDifference is one field that either of two secrets has; where one field was
// compared with one of another name, it is A's name.
type FieldDifference struct {
	Field string
	Is    string
}

// Same reports whether nothing differs.
func (d Differences) Same() bool {
	for _, f := range d.Fields {
		if f.Is != Same {
			return false
		}
	}
	return true
}

// Kind, Verb and Refs of each operation.

func (CopySecret) Kind() string  { return "copy-secret" }
func (CopySecret) Verb() Verb    { return Write }
func (o CopySecret) Refs() []Ref { return distinct([]Ref{o.From, o.To}) }

// Plan is one UseSecret and one WriteSecret.
func (o CopySecret) Plan() []Op { return []Op{UseSecret{Ref: o.From}, WriteSecret{Ref: o.To}} }

func (DiffSecrets) Kind() string  { return "diff-secrets" }
func (DiffSecrets) Verb() Verb    { return Use }
func (o DiffSecrets) Refs() []Ref { return distinct([]Ref{o.A, o.B}) }

// Plan is one UseSecret for each reference.
func (o DiffSecrets) Plan() []Op { return uses(o.Refs()) }

func (SealValues) Kind() string  { return "seal-values" }
func (SealValues) Verb() Verb    { return Write }
func (o SealValues) Refs() []Ref { return []Ref{o.Ref} }

func (WriteSecret) Kind() string  { return "write-secret" }
func (WriteSecret) Verb() Verb    { return Write }
func (o WriteSecret) Refs() []Ref { return []Ref{o.Ref} }
