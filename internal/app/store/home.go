// Package store looks after keyturn's own store as a whole: it opens it with its root
// key, changes its keys, and backs it up. What is in the store is not its business.
package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Home is keyturn's own folder, with its store, as one command sees it.
type Home struct {
	How     session.How
	Facts   session.Facts // of the folder, who is calling, and the configuration
	Env     func(name string) string
	Dir     string          // where keyturn was started: paths are seen from there
	Err     io.StringWriter // for what a person should know beside the answer
	Now     func() time.Time
	Options state.Options // that the store is opened with
}

// KeysOf keeps the root keys of the store with an id. Whoever is no person is never
// asked for a passphrase.
func (h Home) KeysOf(id string) rootkey.Keeper {
	k := rootkey.Keeper{Dir: h.Facts.Home, Store: id, Anew: h.How.Anew, Now: h.Now}
	file := h.Env("KEYTURN_PASSPHRASE_FILE")
	terminal := h.Facts.Actor.Kind == keyturn.Person && h.How.Desk.Possible()
	if h.How.Silent || file == "" && h.How.NewPassphrase == "" && !terminal {
		return k
	}
	if file == "" {
		k.Tries = 3
	}
	k.Ask = func(ctx context.Context, fresh bool, try int) (keyturn.Value, error) {
		if err := rootkey.Available(); h.How.Anew && err != nil {
			return keyturn.Value{}, keyturn.E(keyturn.Unavailable, "the local store cannot be unlocked for longer than one command: "+keyturn.AsError(err).Message,
				"at a terminal each command asks; elsewhere set KEYTURN_PASSPHRASE_FILE to a file that only you can read").Because(err)
		}
		switch {
		case fresh && h.How.NewPassphrase != "":
			return rootkey.ReadPassphrase(h.Abs(h.How.NewPassphrase))
		case file != "":
			return rootkey.ReadPassphrase(h.Abs(file))
		case !terminal:
			return keyturn.Value{}, rootkey.Locked("the local store is locked")
		}
		once := "'keyturn store unlock' asks once for 8 hours"
		if h.How.Anew {
			once = ""
		} else if rootkey.Available() != nil {
			once = "KEYTURN_PASSPHRASE_FILE spares typing: there is no keychain to unlock it into"
		}
		return session.StorePassphrase(ctx, h.How.Desk, fresh, try, once)
	}
	return k
}

// Abs is a path seen from the folder that keyturn was started in.
func (h Home) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(h.Dir, path)
}

// Spot is where a root key is kept.
type Spot struct {
	Kind  string `json:"kind"`
	Place string `json:"place"`
}

// SpotOf is where the root key is kept of a store of which f tells.
func SpotOf(f state.Facts) Spot { return Spot{f.Kind, f.Place} }

// Shown is a spot as people read it.
func (s Spot) Shown(home string) string {
	if s.Kind == rootkey.Keychain {
		return s.Place
	}
	return filepath.Join(home, s.Place)
}

// Open opens the store in the home folder. A root key that was replaced
// between two looks is looked for once more.
func (h Home) Open(ctx context.Context) (*Keeper, error) {
	for again := 0; ; again++ {
		s := &Keeper{Home: h}
		db, err := state.Open(ctx, h.Facts.Home, s.load(ctx), h.Options)
		if err == nil {
			s.db = db
			h.tellUpgrade(db)
			return s, nil
		}
		if keyturn.AsError(err).Code != keyturn.Sealed || again == 3 {
			return nil, err
		}
		if f, peekErr := state.Peek(ctx, h.Facts.Home, h.Options); peekErr != nil || SpotOf(f) == s.at {
			return nil, err
		}
	}
}

// BackupPassphrase gets the passphrase of a backup: a new one where fresh is set.
func (h Home) BackupPassphrase(ctx context.Context, fresh bool) (keyturn.Value, error) {
	pass, err := h.askBackupPassphrase(ctx, fresh)
	if err == nil && fresh && pass.Len() < rootkey.MinPassphrase {
		err = keyturn.E(keyturn.Invalid, "a passphrase has at least "+strconv.Itoa(rootkey.MinPassphrase)+" characters", "several words are easy to remember; nothing was done")
	}
	return pass, err
}

func (h Home) askBackupPassphrase(ctx context.Context, fresh bool) (keyturn.Value, error) {
	const question = "Passphrase of the backup"
	switch {
	case h.How.BackupPassphrase != "":
		return rootkey.ReadPassphrase(h.Abs(h.How.BackupPassphrase))
	case !h.How.Desk.Possible():
		return keyturn.Value{}, keyturn.E(keyturn.Invalid, "there is no terminal to ask for the backup's passphrase", "say --passphrase-file FILE")
	case fresh:
		return session.Twice(ctx, h.How.Desk, question)
	}
	return h.How.Desk.Secret(ctx, question)
}

// tellUpgrade tells, once, that the store has a new format.
func (h Home) tellUpgrade(db *state.DB) {
	if from, copied := db.Upgraded(); from > 0 {
		_, _ = h.Err.WriteString("keyturn: the store had an older format and was upgraded; as it was before it is kept at " + keyturn.Clean(copied) + "\n")
	}
}

// UsualKind is where a new root key is kept when nobody says it.
func (h Home) UsualKind() string {
	if h.How.Home == "" && rootkey.Available() == nil {
		return rootkey.Keychain
	}
	return rootkey.File
}

// FactsOf is what commands tell of a store.
func FactsOf(f state.Facts) session.StoreFacts {
	return session.StoreFacts{ID: f.ID, Path: f.Path, RootKey: f.Kind, KeyAt: SpotOf(f).Shown(filepath.Dir(f.Path))}
}

// Create makes the store, of an id and with a new root key of a kind.
func (h Home) Create(ctx context.Context, id, kind string) (*Keeper, error) {
	keys := h.KeysOf(id)
	key, place, err := keys.New(ctx, kind)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	opts := h.Options
	opts.ID, opts.Kind, opts.Place = id, kind, place
	db, err := state.Create(ctx, h.Facts.Home, [32]byte(key), opts)
	if err != nil {
		h.discard(id, keys, Spot{kind, place})
		return nil, err
	}
	return &Keeper{Home: h, db: db, keys: keys, at: Spot{kind, place}, root: bytes.Clone(key)}, nil
}

// discard takes back the root key of a store that was not made, unless it was: what
// failed, or was cut short, may have come after the store got its name.
func (h Home) discard(id string, keys rootkey.Keeper, at Spot) {
	now, err := state.Peek(context.Background(), h.Facts.Home, h.Options)
	if errors.Is(err, keyturn.NotFound) || err == nil && now.ID != id {
		_ = keys.Discard(at.Kind, at.Place)
	}
}
