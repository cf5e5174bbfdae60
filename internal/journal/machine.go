package journal

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	machineKind = "machine"
	machineID   = "this"
)

// Machine is what the store knows of the machine that it is used on, and of the person
// there. It is one row, and is true of this machine only: a restored store begins
// without it.
type Machine struct {
	// Config is the operator's file that agents and services are judged by; nil where
	// none is pinned.
	Config *ConfigPin `json:"config,omitempty"`
	// Settled is set once a person has said which file that is, or that there is none, and
	// in a restored store: then a first use no longer pins one.
	Settled bool `json:"settled,omitempty"`
	// Env is the environment of the person who made the store or last accepted a
	// configuration, "NAME=value" of a few names; nil where that is not known yet.
	Env []string `json:"env,omitempty"`
	// Folder is where the store is; nil where that is not known yet.
	Folder *Folder `json:"folder,omitempty"`
}

// ConfigPin is an operator's file as a person accepted it.
type ConfigPin struct {
	Path   string `json:"path"`   // absolute
	Digest string `json:"digest"` // of what the text means
	Text   string `json:"text"`
}

// Folder names a folder by its path without links and by its inode; 0 where the system
// has none.
type Folder struct {
	Path  string `json:"path"`
	Inode uint64 `json:"inode,omitempty"`
}

// Machines keeps the one Machine.
type Machines struct{ rows table[Machine] }

// Get returns what is known; a zero Machine where that is nothing.
func (m Machines) Get(ctx context.Context) (Machine, error) {
	have, err := m.rows.get(ctx, machineID)
	if errors.Is(err, keyturn.NotFound) {
		return Machine{}, nil
	}
	return have, err
}

// Change changes what is known in one durable transaction. An error of change leaves
// everything as it was.
func (m Machines) Change(ctx context.Context, change func(*Machine) error) error {
	return m.rows.update(ctx, machineID, func(have *Machine) (*Machine, time.Time, error) {
		if have == nil {
			have = &Machine{}
		}
		return have, time.Time{}, change(have)
	})
}
