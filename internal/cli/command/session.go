package command

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
)

// Session is the open program: the door and what a command may know beside it.
type Session struct {
	Service keyturn.Service
	Facts
	Store StoreFacts
	// Unfinished is asked by doctor, beside the migrations: each other kind of work
	// that can be cut short has one.
	Unfinished []UnfinishedWork
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
	RootKey string // "keychain" or "file"
	KeyAt   string // where the root key is kept
}

// Created tells of a new store.
type Created struct {
	StoreFacts
	AuditID string
}
