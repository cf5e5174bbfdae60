package app

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// keys keeps the root keys of the store with an id. Whoever is no person is never
// asked for a passphrase.
func (m machine) keys(how command.How, facts command.Facts, id string) rootkey.Keeper {
	k := rootkey.Keeper{Dir: facts.Home, Store: id, Anew: how.Anew, Now: m.Now}
	file := m.env("KEYTURN_PASSPHRASE_FILE")
	terminal := facts.Actor.Kind == keyturn.Person && how.Prompt.Possible()
	if how.Silent || file == "" && how.NewPassphrase == "" && !terminal {
		return k
	}
	if file == "" {
		k.Tries = 3
	}
	k.Ask = func(ctx context.Context, fresh bool, try int) (keyturn.Value, error) {
		if err := rootkey.Available(); how.Anew && err != nil {
			return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "the local store cannot be unlocked for longer than one command: "+keyturn.AsError(err).Message,
				"at a terminal each command asks; elsewhere set KEYTURN_PASSPHRASE_FILE to a file that only you can read").Because(err)
		}
		switch {
		case fresh && how.NewPassphrase != "":
			return rootkey.ReadPassphrase(m.abs(how.NewPassphrase))
		case file != "":
			return rootkey.ReadPassphrase(m.abs(file))
		case !terminal:
			return keyturn.Value{}, rootkey.Locked("the local store is locked")
		}
		once := "'keyturn store unlock' asks once for 8 hours"
		if how.Anew {
			once = ""
		} else if rootkey.Available() != nil {
			once = "KEYTURN_PASSPHRASE_FILE spares typing: there is no keychain to unlock it into"
		}
		return how.Prompt.StorePassphrase(ctx, fresh, try, once)
	}
	return k
}

// abs is a path seen from the folder that keyturn was started in.
func (m machine) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(m.Dir, path)
}

// spot is where a root key is kept.
type spot struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
}

func spotOf(f state.Facts) spot { return spot{f.Kind, f.Place} }

// shown is a spot as people read it.
func (s spot) shown(home string) string {
	if s.Kind == rootkey.Keychain {
		return s.Place
	}
	return filepath.Join(home, s.Place)
}

// openStore opens the store in the home folder. A root key that was replaced
// between two looks is looked for once more.
func (m machine) openStore(ctx context.Context, how command.How, facts command.Facts) (*storeKeeper, error) {
	for again := 0; ; again++ {
		s := &storeKeeper{machine: m, how: how, facts: facts}
		db, err := state.Open(ctx, facts.Home, s.load(ctx), m.stateOptions())
		if err == nil {
			s.db = db
			m.tellUpgrade(db)
			return s, nil
		}
		if keyturn.AsError(err).Code != keyturn.Sealed || again == 3 {
			return nil, err
		}
		if f, peekErr := state.Peek(ctx, facts.Home, m.stateOptions()); peekErr != nil || spotOf(f) == s.at {
			return nil, err
		}
	}
}

// backupPassphrase gets the passphrase of a backup: a new one where fresh is set.
func (m machine) backupPassphrase(ctx context.Context, how command.How, fresh bool) (keyturn.Value, error) {
	pass, err := m.askBackupPassphrase(ctx, how, fresh)
	if err == nil && fresh && pass.Len() < rootkey.MinPassphrase {
		err = keyturn.E(keyturn.Invalid, "a passphrase has at least "+strconv.Itoa(rootkey.MinPassphrase)+" characters", "several words are easy to remember; nothing was done")
	}
	return pass, err
}

func (m machine) askBackupPassphrase(ctx context.Context, how command.How, fresh bool) (keyturn.Value, error) {
	const question = "Passphrase of the backup"
	switch {
	case how.BackupPassphrase != "":
		return rootkey.ReadPassphrase(m.abs(how.BackupPassphrase))
	case !how.Prompt.Possible():
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "there is no terminal to ask for the backup's passphrase", "say --passphrase-file FILE")
	case fresh:
		return how.Prompt.Twice(ctx, question)
	}
	return how.Prompt.Secret(ctx, question)
}

// tellUpgrade tells, once, that the store has a new format.
func (m machine) tellUpgrade(db *state.DB) {
	if from, copied := db.Upgraded(); from > 0 {
		_, _ = m.Err.WriteString("keyturn: the store had an older format and was upgraded; as it was before it is kept at " + keyturn.Clean(copied) + "\n")
	}
}
