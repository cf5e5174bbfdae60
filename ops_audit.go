package keyturn

import (
	"encoding/hex"
	"iter"
	"time"
)

// VerifyLog checks the audit log from its first record to its last, and holds it
// and the store's state against a signed checkpoint that was kept elsewhere, where
// one is given.
type VerifyLog struct {
	Checkpoint *SignedCheckpoint `json:"checkpoint,omitempty"`
}

// SignedCheckpoint is what a signed checkpoint says, part by part: none of them can
// hold another text, so that nothing of a file that is no checkpoint comes into a
// record. Signatures of others beside the log's own are not part of it.
type SignedCheckpoint struct {
	Log        LogID     `json:"log"`
	Size       int64     `json:"size"`
	Root       Hash      `json:"root"`
	Generation int64     `json:"generation"`
	Digest     Hash      `json:"digest"`
	Time       time.Time `json:"time"` // UTC, whole microseconds
	Pruned     int64     `json:"pruned,omitempty"`
	Key        uint32    `json:"key"` // the short hash of the log's key, as signed notes have it
	Signature  Signature `json:"signature"`
}

// Hash is a SHA-256; as text it is hexadecimal.
type Hash [32]byte

// LogID is what the name of an audit log ends with; as text it is hexadecimal.
type LogID [16]byte

// Signature is one of Ed25519; as text it is hexadecimal.
type Signature [64]byte

// MarshalText writes h in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText made.
func (h *Hash) UnmarshalText(text []byte) error { return exactly(h[:], text) }

// MarshalText writes l in hexadecimal.
func (l LogID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, l[:]), nil }

// UnmarshalText reads what MarshalText made.
func (l *LogID) UnmarshalText(text []byte) error { return exactly(l[:], text) }

// MarshalText writes s in hexadecimal.
func (s Signature) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads what MarshalText made.
func (s *Signature) UnmarshalText(text []byte) error { return exactly(s[:], text) }

// exactly fills into with what text is the hexadecimal form of.
func exactly(into, text []byte) error {
	if len(text) != hex.EncodedLen(len(into)) {
		return E(Invalid, "a hash or signature has the wrong length", "")
	}
	if _, err := hex.Decode(into, text); err != nil {
		return E(Invalid, "a hash or signature is not in hexadecimal", "")
	}
	return nil
}

// ExportLog asks for the records as they leave the store: exact bytes, with what
// is needed to verify them elsewhere. From and Since say where it begins. With
// Follow it does not end: records come as they are written, without a checkpoint.
type ExportLog struct {
	From   int64     `json:"from,omitempty"` // number of the first record; 0: the first there is
	Since  time.Time `json:"since,omitzero"` // of the first record, no older than that
	Follow bool      `json:"follow,omitempty"`
}

// MakeCheckpoint asks for a signed checkpoint: what log and state are now.
type MakeCheckpoint struct{}

// PruneLog drops the content of records that are older than Before, and keeps
// their hashes. It cannot be undone. For people only.
type PruneLog struct {
	Before time.Time `json:"before"` // UTC
	// Restored is what the records that are dropped tell of restored backups: the
	// program writes it, in a record of its own, before it drops them. In a request it
	// is empty.
	Restored []Restoration `json:"restored,omitempty"`
}

// MinRetention is the age below which no record is pruned: whoever looks at the log
// once in a while sees it.
const MinRetention = 30 * 24 * time.Hour

func (VerifyLog) Kind() string { return "verify-log" }
func (VerifyLog) Verb() Verb   { return Administer }
func (VerifyLog) Refs() []Ref  { return nil }

func (ExportLog) Kind() string { return "export-log" }
func (ExportLog) Verb() Verb   { return Administer }
func (ExportLog) Refs() []Ref  { return nil }

func (MakeCheckpoint) Kind() string { return "make-checkpoint" }
func (MakeCheckpoint) Verb() Verb   { return Administer }
func (MakeCheckpoint) Refs() []Ref  { return nil }

func (PruneLog) Kind() string { return "prune-log" }
func (PruneLog) Verb() Verb   { return Administer }
func (PruneLog) Refs() []Ref  { return nil }

// Verified answers VerifyLog.
type Verified struct {
	Receipt
	Size   int64  // records
	Head   string // root of their tree, in hexadecimal
	Pruned int64  // of them without content
	// Held is the checkpoint that was given: the log is unchanged up to it, and
	// complete where none of it is pruned, and consistent, but not shown to be
	// complete, behind it. Nil for none.
	Held *Checkpoint
	// Restored are the backups that were restored, by the log's own word.
	Restored []Restoration
}

// Exported answers ExportLog: lines without their ends, which arrive while they
// are ranged over, once; an error ends them, and what came before it is nothing.
type Exported struct {
	Receipt
	Lines iter.Seq2[[]byte, error]
}

// Checkpoint is what the log and the store's state were at one moment.
type Checkpoint struct {
	Origin     string // name of the log
	Size       int64  // records
	Head       string // root of their tree, in hexadecimal
	Generation int64  // of the state
	Time       time.Time
	Pruned     int64 // records without content, the first ones
}

// Checkpointed answers MakeCheckpoint.
type Checkpointed struct {
	Receipt
	Checkpoint
	Signed string // the checkpoint as a signed note, to keep elsewhere
	Key    string // the public key that verifies it
}

// Pruned answers PruneLog.
type Pruned struct {
	Receipt
	Records int64 // whose content was dropped
}
