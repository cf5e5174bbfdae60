package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// storeKeeper does what is about the open store as a whole. It satisfies
// broker.Store.
type storeKeeper struct {
	machine
	how   command.How
	facts command.Facts
	db    *state.DB

	mu   sync.Mutex // of what follows: another process may change the root key
	keys rootkey.Keeper
	at   spot   // where the root key was looked for last
	root []byte // the root key there; nil where it was not to be had
}

// load is the store's keyfunc: it gets a root key and keeps it at hand.
func (s *storeKeeper) load(ctx context.Context) state.Keyfunc {
	return func(id, kind, place string) ([]byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys = s.machine.keys(s.how, s.facts, id)
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

// held is where the store's root key is now, by what the store itself says.
func (s *storeKeeper) held(ctx context.Context) (spot, error) {
	f, err := state.Peek(ctx, s.facts.Home, s.stateOptions())
	return spotOf(f), err
}

func (s *storeKeeper) close() error {
	clear(s.root)
	return s.db.Close()
}

// Unlock implements broker.Store.
func (s *storeKeeper) Unlock(_ context.Context, op keyturn.UnlockStore) (*keyturn.Unlocked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.Kind != rootkey.Passphrase {
		return nil, s.noLock()
	}
	until := s.Now().Add(time.Duration(min(op.Seconds, int64(rootkey.MaxUnlock/time.Second)+1)) * time.Second).UTC().Truncate(time.Second)
	return &keyturn.Unlocked{Until: until}, s.keys.Unlock(s.at.Place, s.root, until)
}

// Lock implements broker.Store.
func (s *storeKeeper) Lock(context.Context) error {
	if s.at.Kind != rootkey.Passphrase {
		return s.noLock()
	}
	return s.keys.Lock()
}

func (s *storeKeeper) noLock() error {
	return keyturn.E(keyturn.Invalid, "the local store has no lock: its root key is in "+keyturn.Clean(s.at.shown(s.facts.Home)), "'keyturn store rekey --key passphrase' has a passphrase protect it")
}

// state tells what changes about the store's keys.
func (s *storeKeeper) state(ctx context.Context) (command.StoreState, error) {
	var out command.StoreState
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
	out.Unfinished, out.Copies = begun != nil || rekeying, leftovers(s.facts.Home)
	return out, err
}

// unfinished tells of a change of the keys that was cut short.
func (s *storeKeeper) unfinished(ctx context.Context) ([]command.Unfinished, error) {
	st, err := s.state(ctx)
	if err != nil || !st.Unfinished {
		return nil, err
	}
	return []command.Unfinished{{What: "a change of the store's keys is not finished", Next: "keyturn store rekey"}}, nil
}

// leftovers are the copies of the store that a restore or an upgrade kept beside it.
func leftovers(home string) []string {
	aside, _ := filepath.Glob(filepath.Join(home, asidePrefix+"*"))
	formats, _ := filepath.Glob(filepath.Join(home, state.File+".format-*"))
	return append(aside, formats...)
}

// copies tells of those: what was destroyed since is still in them.
func (s *storeKeeper) copies(context.Context) (out []command.Unfinished, _ error) {
	for _, path := range leftovers(s.facts.Home) {
		out = append(out, command.Unfinished{What: "an old copy of the store is kept, with values that may have been destroyed since: " + keyturn.Clean(path),
			Next: "when you do not need it any more: rm -r " + keyturn.Quote(path)})
	}
	return out, nil
}

// A change of the root key is written down in the store before anything happens, so
// that whoever comes after one that was cut short knows both places.
const (
	changeKind = "root key"
	changeID   = "change"
)

type rootChange struct {
	From spot `json:"from"`
	To   spot `json:"to"`
}

// begun returns the change that was begun and has not ended; nil for none.
func (s *storeKeeper) begun(ctx context.Context) (*rootChange, error) {
	it, err := s.db.Item(ctx, changeKind, changeID)
	if errors.Is(err, keyturn.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c rootChange
	if err := json.Unmarshal(it.Body, &c); err != nil {
		return nil, keyturn.E(keyturn.Corrupt, "what is known of a change of the root key cannot be read", "restore the store from a backup").Because(err)
	}
	return &c, nil
}

func writeChange(ctx context.Context, db *state.DB, c *rootChange) error {
	return db.UpdateItem(ctx, changeKind, changeID, func(keyturn.Item) (keyturn.Item, error) {
		if c == nil {
			return keyturn.Item{}, nil
		}
		body, err := json.Marshal(c)
		return keyturn.Item{Body: body}, err
	})
}

// Rekey implements broker.Store. At every moment the root key that the store names
// is kept and opens it: the new one is stored, then named, and the old one goes
// last, once nothing is encrypted under it.
func (s *storeKeeper) Rekey(ctx context.Context, op keyturn.RekeyStore) (*keyturn.Rekeyed, error) {
	release, err := rootkey.Hold(s.facts.Home)
	if err != nil {
		return nil, err
	}
	defer release()
	now, err := s.held(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Rekeyed{}
	left, err := s.begun(ctx)
	if err != nil {
		return nil, err
	}
	if left != nil && left.To == now { // the keys of the rows are what is left to change
		if err := s.finish(ctx, left, now); err != nil {
			return nil, err
		}
		out.Resumed = true
	} else if left != nil {
		if err := s.undo(ctx, left); err != nil {
			return nil, err
		}
	}
	kind := op.RootKey
	if kind == "" {
		kind = now.Kind
	}
	if !out.Resumed || kind != now.Kind {
		if now, err = s.change(ctx, now, kind); err != nil {
			return nil, err
		}
	}
	out.RootKey, out.KeyAt = now.Kind, now.shown(s.facts.Home)
	return out, nil
}

// undo forgets a change that was cut short before the store had named its root key.
// A commit whose sync failed can still be in the WAL, and hold once the store is
// opened again: only what is written durably behind it rules that out. So that comes
// first, and then the look at what the store names; no key goes before.
func (s *storeKeeper) undo(ctx context.Context, c *rootChange) error {
	if err := writeChange(ctx, s.db, c); err != nil {
		return err
	}
	now, err := s.held(ctx)
	if err != nil {
		return err
	}
	if c.From == now { // else it is of another place: the store was restored since
		_ = s.keys.Remove(c.To.Kind, c.To.Place) // one that stays opens nothing
	}
	if c.To == now {
		return keyturn.E(keyturn.Conflict, "the store has its new root key after all", "the same command goes on with it")
	}
	return writeChange(ctx, s.db, nil)
}

// change gives the store a new root key of a kind, and new keys of all else.
func (s *storeKeeper) change(ctx context.Context, from spot, kind string) (spot, error) {
	place, err := s.keys.Place(kind)
	if err != nil {
		return from, err
	}
	c := &rootChange{From: from, To: spot{kind, place}}
	if err := writeChange(ctx, s.db, c); err != nil {
		return from, err
	}
	key, err := s.keys.Make(ctx, kind, place)
	if err != nil { // nothing can name it
		_ = s.undo(context.WithoutCancel(ctx), c)
		return from, err
	}
	if err := s.db.SetRoot(ctx, [rootkey.Size]byte(key), kind, place); err != nil {
		// Where the disk failed nobody knows which key the store will name when it is
		// opened next: both stay, until the next rekey finds out.
		if ctx.Err() != nil {
			_ = s.undo(context.WithoutCancel(ctx), c)
		}
		return from, err
	}
	s.mu.Lock()
	clear(s.root)
	s.at, s.root = c.To, key
	s.mu.Unlock()
	return c.To, s.finish(ctx, c, c.To)
}

// finish does what follows once the store has named its new root key.
func (s *storeKeeper) finish(ctx context.Context, c *rootChange, now spot) error {
	if err := s.db.Rekey(ctx, s.how.Progress); err != nil {
		return s.unreadable(ctx, err)
	}
	if c.From != now {
		if err := s.keys.Remove(c.From.Kind, c.From.Place); err != nil {
			return err
		}
	}
	if c.From.Kind == rootkey.Passphrase {
		_ = s.keys.Lock() // what may stay in the keychain opens nothing any more
	}
	return writeChange(ctx, s.db, nil)
}

// unreadable is err of a change of keys; where it says that something is damaged, it
// names the secrets whose values cannot be read.
func (s *storeKeeper) unreadable(ctx context.Context, err error) error {
	const few = 5
	if !errors.Is(err, keyturn.Corrupt) || ctx.Err() != nil {
		return err
	}
	var found []string
	var next string
	for info, namesErr := range s.db.Names(ctx, "") {
		if namesErr != nil {
			return err
		}
		versions, versionsErr := s.db.Versions(ctx, info.Path)
		if versionsErr != nil {
			found, next = append(found, keyturn.Clean(info.Path)), "keyturn destroy "+keyturn.Quote("local/"+info.Path)
			continue
		}
		for i, v := range versions {
			if v.State == keyturn.Destroyed {
				continue
			}
			if _, readErr := s.db.Read(ctx, info.Path, i+1); errors.Is(readErr, keyturn.Corrupt) {
				found = append(found, keyturn.Clean(info.Path)+" version "+v.Version)
				next = "keyturn destroy " + keyturn.Quote("local/"+info.Path) + " --versions " + v.Version
			}
		}
	}
	if len(found) == 0 {
		return err
	}
	named := strings.Join(found[:min(few, len(found))], ", ")
	if len(found) > few {
		named += ", and " + strconv.Itoa(len(found)-few) + " more"
	}
	return keyturn.E(keyturn.Corrupt, "the change of the keys stops at what is damaged: "+named,
		"put it again from where it came from and destroy what is damaged, or restore a backup; then the same command goes on:\n"+next).Because(err)
}
