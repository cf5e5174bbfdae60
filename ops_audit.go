package keyturn

import (
	"iter"
	"time"
)

// VerifyLog checks the audit log from its first record to its last, and holds it
// and the store's state against a signed checkpoint that was kept elsewhere, where
// one is given.
type VerifyLog struct {
	Checkpoint string `json:"checkpoint,omitempty"` // its text, as it was made
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
}

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
	// Held is the checkpoint that was given: the log is complete and unchanged up
	// to it, and consistent, but not shown to be complete, behind it. Nil for none.
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
