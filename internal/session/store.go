package session

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
)

// StoreFacts are what does not change about the local store.
type StoreFacts struct {
	ID      string
	Path    string
	RootKey string // "keychain", "file" or "passphrase"
	KeyAt   string // where the root key is kept
}

// StoreState is what changes about the local store's keys.
type StoreState struct {
	// Unlocked is until when nobody is asked for the passphrase; zero where each
	// command needs it, or there is none.
	Unlocked time.Time
	// Unfinished is set where a change of the keys was cut short.
	Unfinished bool
	// Copies are files and folders that hold older copies of the store.
	Copies []string
}

// Created is a new store.
type Created struct {
	StoreFacts
	AuditID string
}

// RestoreOptions say what is restored, and how.
type RestoreOptions struct {
	File       string   // the backup
	Identities []string // files of private keys
	Passphrase bool     // the backup was made with a passphrase
	RootKey    string   // the kind of the new root key; "": none weaker than the backup's
	Check      bool     // verify the backup and install nothing
	Replace    bool     // move an older or newer store with the same id aside
	Forked     bool     // move it aside also where its log went another way than the backup's
	Key        string   // verifier key that the backup's log must have; "": any
	Checkpoint string   // file of a signed checkpoint that the backup's log must hold; "": none
	// Confirm asks before a store is moved aside. An error stops the restore.
	Confirm func(ctx context.Context, question string) error
}

// Restored is a backup that was restored, or checked.
type Restored struct {
	StoreFacts  // of the restored store; only its id where it was only checked
	AuditID     string
	Made        time.Time        // when the backup was made
	Writer      string           // version of the keyturn that made it
	Log         keyturn.LogMark  // end of the backup's log
	VerifierKey string           // of its log's checkpoints: it tells who made the backup
	Replaced    *keyturn.LogMark // end of the log of the store that was there; nil where there was none
	Forgotten   int              // requests, approvals and trust from before, which hold no longer
	Aside       string           // folder that the files of the store before were moved to
}

// Inspection is what can be seen of the machine and of the store without opening
// the store, also where the store does not open.
type Inspection struct {
	Home   string // keyturn's own folder
	Store  StoreFacts
	Format int   // of the store
	Size   int64 // bytes of the store, its write-ahead log included
	WAL    int64 // bytes of the write-ahead log alone
	Free   int64 // bytes left on the disk of the store; -1 where that is not known
	Err    error // why nothing can be said about the store
	Files  []FileFacts
	// Dumps is why a crash could write the memory of this process to a file; nil
	// where it cannot.
	Dumps error
	// Dynamic is set where the system's dynamic linker starts this program, so that
	// LD_PRELOAD puts code into it.
	Dynamic bool
}

// FileFacts say who can read or change a file or folder of the store. On Windows
// they are not known, and there are none.
type FileFacts struct {
	Path    string
	Folder  bool
	Exposed bool // other users may read or change it
	Foreign bool // another user owns it
}

// Unfinished is work that was begun and cut short.
type Unfinished struct {
	What string // "a migration of .env, begun 2026-11-23"
	Next string // the command that goes on with the work, or takes it back
}

// UnfinishedWork lists what was begun and not finished.
type UnfinishedWork func(ctx context.Context) ([]Unfinished, error)
