package command

import (
	"context"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
)

// Session is the open program: the door and what a command may know beside it.
type Session struct {
	Service keyturn.Service
	Facts
	Store StoreFacts
	// StoreState tells more of the local store, which takes a moment.
	StoreState func(ctx context.Context) (StoreState, error)
	// Unfinished is asked by doctor, beside the migrations: each other kind of work
	// that can be cut short has one.
	Unfinished []UnfinishedWork
	// Tidy ends what processes that were killed left behind, and tells in a sentence
	// about each. It is called once, before anything else is done.
	Tidy func(ctx context.Context) []string
	// Attend makes what a mount is logged in by live on until ctx ends. Where it does
	// not live on, tell is called once, with when it ends and why, when it has less
	// left than need, or an hour.
	Attend func(ctx context.Context, mount string, need time.Duration, tell func(end time.Time, why string))
	// Close records what still has to be, and closes the store.
	Close func() error
}

// Facts are known without a store.
type Facts struct {
	Actor    keyturn.Actor
	Home     string           // keyturn's own folder
	Operator *config.Operator // nil where there is no such file
	Project  *config.Project  // nil where there is no such file
	Rules    *rules.Set
	Mounts   []string
}

// StoreFacts tell about the local store.
type StoreFacts struct {
	ID      string
	Path    string
	RootKey string // "keychain", "file" or "passphrase"
	KeyAt   string // where the root key is kept
}

// StoreState is what changes about the local store's keys.
type StoreState struct {
	// Unlocked is until when the passphrase is not asked for; zero where each
	// command needs it, or there is none.
	Unlocked time.Time
	// Unfinished tells that a change of the keys was cut short.
	Unfinished bool
	// Copies are files and folders with older copies of the store.
	Copies []string
}

// RestoreOptions say what is restored, and how.
type RestoreOptions struct {
	File       string   // the backup
	Identities []string // files of private keys
	Passphrase bool     // the backup was made with one
	RootKey    string   // the kind of the new root key; "": none weaker than it had
	Check      bool     // verify it, and install nothing
	Replace    bool     // an older or newer store with the same id is moved aside
	Forked     bool     // also one whose log went another way than the backup's
	Key        string   // verifier key that the backup's log must have; "": any
	Checkpoint string   // file of a signed checkpoint that the backup's log must hold; "": none
	// Confirm asks before a store is moved aside.
	Confirm func(ctx context.Context, question string) error
}

// Restored tells of a backup that was restored, or checked.
type Restored struct {
	StoreFacts // of the restored store; only its id where it was only checked
	AuditID    string
	Made       time.Time       // when the backup was made
	Writer     string          // version of the keyturn that made it
	Log        keyturn.LogMark // where its log ends
	// VerifierKey is of its log's checkpoints: who made it.
	VerifierKey string
	Replaced    *keyturn.LogMark
	Forgotten   int    // requests, approvals and yeses of before that hold no longer
	Aside       string // the folder with the files of the store that was there
}

// Created tells of a new store.
type Created struct {
	StoreFacts
	AuditID string
}
