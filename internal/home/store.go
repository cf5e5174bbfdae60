package home

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// Store is the open store as a whole. It satisfies broker.Store.
type Store struct {
	Folder
	db *state.DB

	mu   sync.Mutex // guards what follows: another process may change the root key
	keys rootkey.Keeper
	at   spot   // where the root key was looked for last
	root []byte // the root key there; nil where it could not be had
}

// load returns the store's keyfunc, which gets the root key and keeps it at hand.
func (s *Store) load(ctx context.Context) state.Keyfunc {
	return func(id, kind, place string) ([]byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys = s.keysOf(id)
		if at := (spot{kind, place}); s.at != at || s.root == nil {
			clear(s.root)
			s.at, s.root = at, nil
			key, err := s.keys.Load(ctx, kind, place)
			if err != nil {
				return nil, err
			}
			s.root = key
		}
		return bytes.Clone(s.root), nil
	}
}

// held returns where the store says that its root key is.
func (s *Store) held(ctx context.Context) (spot, error) {
	f, err := state.Peek(ctx, s.Facts.Home, s.Options)
	return spotOf(f), err
}

// Close closes the store, and forgets its root key.
func (s *Store) Close() error {
	clear(s.root)
	return s.db.Close()
}

// DB returns the store's database.
func (s *Store) DB() *state.DB { return s.db }

// StoreFacts returns what does not change about the store.
func (s *Store) StoreFacts() session.StoreFacts { return factsOf(s.db.Stats()) }

// Unlock implements broker.Store.
func (s *Store) Unlock(_ context.Context, op keyturn.UnlockStore) (*keyturn.Unlocked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.Kind != rootkey.Passphrase {
		return nil, s.noLock()
	}
	until := s.Now().Add(time.Duration(min(op.Seconds, int64(rootkey.MaxUnlock/time.Second)+1)) * time.Second).UTC().Truncate(time.Second)
	return &keyturn.Unlocked{Until: until}, s.keys.Unlock(s.at.Place, s.root, until)
}

// Lock implements broker.Store.
func (s *Store) Lock(context.Context) error {
	if s.at.Kind != rootkey.Passphrase {
		return s.noLock()
	}
	return s.keys.Lock()
}

func (s *Store) noLock() error {
	return keyturn.E(keyturn.Invalid, "the local store has no lock: its root key is in "+keyturn.Clean(s.at.shown(s.Facts.Home)), "'keyturn store rekey --key passphrase' has a passphrase protect it")
}

// State returns what changes about the store's keys.
func (s *Store) State(ctx context.Context) (session.StoreState, error) {
	var out session.StoreState
	s.mu.Lock()
	keys, at := s.keys, s.at
	s.mu.Unlock()
	if at.Kind == rootkey.Passphrase {
		out.Unlocked = keys.Unlocked(at.Place)
	}
	begun, err := s.begun(ctx)
	if err != nil {
		return out, err
	}
	rekeying, err := s.db.Rekeying(ctx)
	out.Unfinished, out.Copies = begun != nil || rekeying, leftovers(s.Facts.Home)
	return out, err
}

// Unfinished reports a change of the keys that was cut short.
func (s *Store) Unfinished(ctx context.Context) ([]session.Unfinished, error) {
	st, err := s.State(ctx)
	if err != nil || !st.Unfinished {
		return nil, err
	}
	return []session.Unfinished{{What: "a change of the store's keys is not finished", Next: "keyturn store rekey"}}, nil
}

// asidePrefix begins the name of a folder with a store that another one replaced.
const asidePrefix = "replaced-"

// leftovers returns the folders with stores that a restore moved aside.
func leftovers(home string) []string {
	aside, _ := filepath.Glob(filepath.Join(home, asidePrefix+"*"))
	return aside
}

// Copies reports the leftovers: what was destroyed since is still in them.
func (s *Store) Copies(context.Context) (out []session.Unfinished, _ error) {
	for _, path := range leftovers(s.Facts.Home) {
		out = append(out, session.Unfinished{What: "an old copy of the store is kept, with values that may have been destroyed since: " + keyturn.Clean(path),
			Next: "when you do not need it any more: rm -r " + keyturn.Quote(path)})
	}
	return out, nil
}
