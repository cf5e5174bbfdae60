package home

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// spot is where a root key is kept.
type spot struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
}

// spotOf returns where the root key of a store is kept.
func spotOf(f state.Facts) spot { return spot{f.Kind, f.Place} }

// shown returns a spot as people read it.
func (s spot) shown(home string) string {
	if s.Kind == rootkey.Keychain {
		return s.Place
	}
	return filepath.Join(home, s.Place)
}

// usualKind is the kind of a new root key where the caller names none.
func (f Folder) usualKind() string {
	if f.How.Home == "" && rootkey.Available() == nil {
		return rootkey.Keychain
	}
	return rootkey.File
}

// keysOf returns the keeper of the root keys of the store with an id. Only a person is
// asked for a passphrase.
func (f Folder) keysOf(id string) rootkey.Keeper {
	k := rootkey.Keeper{Dir: f.Facts.Home, Store: id, Anew: f.How.Anew, Now: f.Now}
	file := f.Env("KEYTURN_PASSPHRASE_FILE")
	terminal := f.Facts.Actor.Kind == keyturn.Person && f.How.Desk.Possible()
	if f.How.Silent || file == "" && f.How.NewPassphrase == "" && !terminal {
		return k
	}
	if file == "" {
		k.Tries = 3
	}
	k.Ask = func(ctx context.Context, fresh bool, try int) (keyturn.Value, error) {
		if err := rootkey.Available(); f.How.Anew && err != nil {
			return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "the local store cannot be unlocked for longer than one command: "+keyturn.AsError(err).Message,
				"at a terminal each command asks; elsewhere set KEYTURN_PASSPHRASE_FILE to a file that only you can read").Because(err)
		}
		switch {
		case fresh && f.How.NewPassphrase != "":
			return rootkey.ReadPassphrase(ctx, f.abs(f.How.NewPassphrase))
		case file != "":
			return rootkey.ReadPassphrase(ctx, f.abs(file))
		case !terminal:
			return keyturn.Value{}, rootkey.Locked("the local store is locked")
		}
		once := "'keyturn store unlock' asks once for 8 hours"
		if f.How.Anew {
			once = ""
		} else if rootkey.Available() != nil {
			once = "KEYTURN_PASSPHRASE_FILE spares typing: there is no keychain to unlock it into"
		}
		return session.StorePassphrase(ctx, f.How.Desk, fresh, try, once)
	}
	return k
}

// backupPassphrase returns the passphrase of a backup: a new one where fresh is set.
func (f Folder) backupPassphrase(ctx context.Context, fresh bool) (keyturn.Value, error) {
	pass, err := f.askBackupPassphrase(ctx, fresh)
	if err == nil && fresh && pass.Len() < rootkey.MinPassphrase {
		err = keyturn.E(keyturn.Invalid, "a passphrase has at least "+strconv.Itoa(rootkey.MinPassphrase)+" characters", "several words are easy to remember; nothing was done")
	}
	return pass, err
}

func (f Folder) askBackupPassphrase(ctx context.Context, fresh bool) (keyturn.Value, error) {
	const question = "Passphrase of the backup"
	switch {
	case f.How.BackupPassphrase != "":
		return rootkey.ReadPassphrase(ctx, f.abs(f.How.BackupPassphrase))
	case !f.How.Desk.Possible():
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "there is no terminal to ask for the backup's passphrase", "say --passphrase-file FILE")
	case fresh:
		return session.Twice(ctx, f.How.Desk, question)
	}
	return f.How.Desk.Secret(ctx, question)
}
