package keyturn

import "time"

// RekeyStore replaces the store's root key, master key and data keys, while others
// go on using it. One that was cut short is gone on with by asking again. For
// people only.
type RekeyStore struct {
	RootKey string `json:"root_key,omitempty"` // the kind of the new one; "": as before
}

// BackupStore writes the whole store into one file, encrypted to whoever may
// restore it. Whoever can open it can read every value, so it is for people only.
type BackupStore struct {
	To string `json:"to"` // absolute path
	// Recipients are public keys: who can open it. None where Passphrase is set.
	Recipients []string `json:"recipients,omitempty"`
	Passphrase bool     `json:"passphrase,omitempty"` // whoever knows one can open it
	Overwrite  bool     `json:"overwrite,omitempty"`  // what is at To may be replaced
}

// UnlockStore keeps the root key of a store that a passphrase opens in the
// system's keychain, for so long. For people only.
type UnlockStore struct {
	Seconds int64 `json:"seconds"`
}

// LockStore forgets what UnlockStore kept. For people only.
type LockStore struct{}

// AdoptStore says that the store in a folder is the store, and no copy that somebody has
// put there: the store was made, or last adopted, in another one. For people only.
type AdoptStore struct {
	Path string `json:"path"` // of keyturn's own folder, absolute and without links
}

// RestoreStore is the record of a restored store that says where it comes from. It
// is carried out by the program itself, since there is no door before there is a
// store.
type RestoreStore struct {
	Store   string    `json:"store"`    // its id
	RootKey string    `json:"root_key"` // the kind of the new one
	Backup  LogMark   `json:"backup"`   // where the log of the backup ends
	Made    time.Time `json:"made"`     // when the backup was made; UTC, whole seconds
	// Replaced is where the log of the store ended that was there before: what is
	// in it behind Backup is not in this one. Nil where there was none.
	Replaced *LogMark `json:"replaced,omitempty"`
	// Unread tells that there was a store of the same id, and that it could not be
	// read: whether its log was longer is not known.
	Unread bool `json:"unread,omitempty"`
	// Forked tells that the log of the store that was there had gone another way
	// than the backup's: neither was the other one with more behind it.
	Forked bool `json:"forked,omitempty"`
	// Forgotten is how many requests, approvals, waiting values, and yeses to
	// projects and configurations the backup had that hold no longer: they may have
	// been used, or taken back, since it was made.
	Forgotten int `json:"forgotten,omitempty"`
	// Earlier is what the replaced log told of restored backups, and this one does
	// not: the newest MaxRestorations.
	Earlier []Restoration `json:"earlier,omitempty"`
}

// MaxRestorations is how many restorations one record tells of.
const MaxRestorations = 32

// LogMark is one end of an audit log: how many records, and the root of their
// tree, in hexadecimal.
type LogMark struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// Restoration is a record that tells of a restored backup.
type Restoration struct {
	Record int64 `json:"record"` // its number, in the log that it was written to
	RestoreStore
}

func (RekeyStore) Kind() string { return "rekey-store" }
func (RekeyStore) Verb() Verb   { return Administer }
func (RekeyStore) Refs() []Ref  { return nil }

func (BackupStore) Kind() string { return "backup-store" }
func (BackupStore) Verb() Verb   { return Administer }
func (BackupStore) Refs() []Ref  { return nil }

func (UnlockStore) Kind() string { return "unlock-store" }
func (UnlockStore) Verb() Verb   { return Administer }
func (UnlockStore) Refs() []Ref  { return nil }

func (LockStore) Kind() string { return "lock-store" }
func (LockStore) Verb() Verb   { return Administer }
func (LockStore) Refs() []Ref  { return nil }

func (AdoptStore) Kind() string { return "adopt-store" }
func (AdoptStore) Verb() Verb   { return Administer }
func (AdoptStore) Refs() []Ref  { return nil }

func (RestoreStore) Kind() string { return "restore-store" }
func (RestoreStore) Verb() Verb   { return Administer }
func (RestoreStore) Refs() []Ref  { return nil }

// Rekeyed answers RekeyStore.
type Rekeyed struct {
	Receipt
	RootKey string // its kind
	KeyAt   string // where it is kept
	Resumed bool   // what was left of a rekey that was cut short was done
}

// BackedUp answers BackupStore.
type BackedUp struct {
	Receipt
	Path string
	Size int64 // in bytes
	Log  LogMark
}

// Unlocked answers UnlockStore and LockStore.
type Unlocked struct {
	Receipt
	Until time.Time // zero: locked
}

// Adopted answers AdoptStore.
type Adopted struct {
	Receipt
	Path string
}
