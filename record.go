package keyturn

import (
	"bytes"
	"encoding/json"
	"time"
)

// Phase tells at which step of an operation a record was written.
type Phase string

// The phases. An operation has one intent and, if the program lived to write
// it, one outcome; or it has one refusal and nothing else.
const (
	Intent  Phase = "intent"  // durable before anything happens
	Outcome Phase = "outcome" // what came of it
	Refusal Phase = "refusal" // a rule said no, or not yet
)

// RecordFormat is the version of Record's form.
const RecordFormat = 1

// Record is one line of the audit log. No member can hold a value of a secret,
// its length or its hash.
type Record struct {
	Format int       `json:"v"`
	ID     string    `json:"id"` // of the operation: joins intent and outcome
	Phase  Phase     `json:"phase"`
	Time   time.Time `json:"time"` // UTC; never before the record ahead of it

	// Of intents and refusals.
	Parent   string          `json:"parent,omitempty"` // id of the composite operation
	Actor    *Actor          `json:"actor,omitempty"`
	Door     string          `json:"door,omitempty"`
	Op       json.RawMessage `json:"op,omitempty"`      // canonical form
	OpHash   string          `json:"op_hash,omitempty"` // what an approval covers
	Rule     string          `json:"rule,omitempty"`    // file and line, or "default"
	Config   string          `json:"config,omitempty"`  // digest of the operator's file that judged; "" for none
	Approval string          `json:"approval,omitempty"`
	Reason   string          `json:"reason,omitempty"`

	// Of outcomes and refusals.
	Status  string `json:"status,omitempty"` // "success", "error", "interrupted", "denied", "pending"
	Code    Code   `json:"code,omitempty"`
	Unknown bool   `json:"unknown,omitempty"` // the change may have happened
	Version string `json:"version,omitempty"` // that was made or read
	// Of a login and a logout: as whom, in the platform's words, and the accessor of the
	// token, by which the platform's own records name it.
	Identity string `json:"identity,omitempty"`
	Accessor string `json:"accessor,omitempty"`
	// Count is of a refusal that stands for several, of callers of this kind: how many
	// there were, itself among them. Of the others no more is kept.
	Count int `json:"count,omitempty"`
	// Change is the platform's own policy that it changed.
	Change *TextChange `json:"change,omitempty"`
	// Alarm is what a person should look at: "held", where an agent or a service wrote a
	// value that it may not see.
	Alarm Reason `json:"alarm,omitempty"`
}

// EncodeRecord returns the bytes that the log keeps and hashes: JSON in the
// order of Record's members, without white space.
func EncodeRecord(r Record) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, E(Internal, "a record has no JSON form", "").Because(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// MaxID is the longest identifier of an operation that DecodeRecord takes, in
// bytes: room for those of NewID and for a store's.
const MaxID = 32

// DecodeRecord reads what EncodeRecord made. Unknown members, any other spelling
// and identifiers longer than MaxID are Corrupt.
func DecodeRecord(data []byte) (Record, error) {
	var r Record
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Record{}, E(Corrupt, "a record of the audit log cannot be read", "").Because(err)
	}
	if r.Format != RecordFormat {
		return Record{}, E(Corrupt, "a record of the audit log has an unknown format", "a newer keyturn may have written it")
	}
	if len(r.ID) > MaxID || len(r.Parent) > MaxID {
		return Record{}, E(Corrupt, "a record of the audit log has an identifier that is too long", "")
	}
	if again, err := EncodeRecord(r); err != nil || !bytes.Equal(again, data) {
		return Record{}, E(Corrupt, "a record of the audit log is not in its canonical form", "").Because(err)
	}
	return r, nil
}

// LogEntry is one row of the audit log as a store keeps it: the bytes of a
// record, and their hash in the log's Merkle tree.
type LogEntry struct {
	Seq  int64    // from 1, without gaps
	Data []byte   // nil where retention has dropped the record and kept its hash
	Leaf [32]byte // SHA-256(0x00 ‖ Data), as RFC 6962 has it
}

// LogTop is where the audit log ends, and what the store holds beside it, at one
// moment.
type LogTop struct {
	Last LogEntry // zero for an empty log
	Tree []byte   // hashes of the tree's right edge, in the log's own form
	// Pruned is how many records, from the first on, retention has dropped: no other
	// is without its content.
	Pruned int64
	// Generation counts the changes of everything beside the log, and Digest is a
	// keyed hash over what is there at that generation.
	Generation int64
	Digest     [32]byte
}

// Item is a small encrypted row of keyturn's own state: a candidate, a request,
// a pin. Its body holds JSON of whoever keeps it.
type Item struct {
	ID      string
	Body    []byte
	Expires time.Time // zero: never
}
