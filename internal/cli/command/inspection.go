package command

import (
	"context"
)

// Inspection is what can be seen of the machine and of the store without opening
// it: also where it does not open.
type Inspection struct {
	Home   string // keyturn's own folder
	Store  StoreFacts
	Format int   // of the store
	Size   int64 // bytes of the store, its log of changes included
	WAL    int64 // bytes of that log alone
	Free   int64 // bytes that are left beside the store; -1 where that is not known
	Err    error // why there is nothing to tell about the store
	Files  []FileFacts
	// Dumps is why a crash could leave the memory of this process in a file; nil
	// where it cannot.
	Dumps error
}

// FileFacts tell who can get at a file or folder of the store. On Windows they
// are not known, and there are none.
type FileFacts struct {
	Path    string
	Folder  bool
	Exposed bool // others may read or change it
	Foreign bool // it belongs to another user
}

// Unfinished is work that was begun and cut short, and how it goes on.
type Unfinished struct {
	What string // "a migration of .env, begun 2026-11-23"
	Next string // the command that goes on with it, or takes it back
}

// UnfinishedWork lists what was begun and not finished.
type UnfinishedWork func(ctx context.Context) ([]Unfinished, error)
