package home

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/state/rootkey"
)

// A change of the root key is written down in the store before anything happens. After a
// change that was cut short, the next one knows the old place and the new one.
const (
	// changeKind is the kind of the row that holds the change.
	changeKind = "root key"
	changeID   = "change"
)

type rootChange struct {
	From spot `json:"from"`
	To   spot `json:"to"`
}

// begun returns the change that has begun and not ended; nil for none.
func (s *Store) begun(ctx context.Context) (*rootChange, error) {
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

// forgetChange removes what is written down of a change.
func forgetChange(ctx context.Context, db *state.DB) error { return writeChange(ctx, db, nil) }

// Rekey implements broker.Store. At every moment the root key that the store names exists
// and opens the store: the new key is kept first and named then, and the old key goes
// last, once nothing is encrypted under it.
func (s *Store) Rekey(ctx context.Context, op keyturn.RekeyStore) (*keyturn.Rekeyed, error) {
	release, err := rootkey.Hold(s.Facts.Home)
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
	out.RootKey, out.KeyAt = now.Kind, now.shown(s.Facts.Home)
	return out, nil
}

// undo takes back a change that was cut short before the store named its new root key.
// A commit whose sync failed may still be in the WAL, and count once the store is opened
// again, unless something is written durably behind it. So undo writes first, then looks
// which root key the store names, and removes a key only after that.
func (s *Store) undo(ctx context.Context, c *rootChange) error {
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
	return forgetChange(ctx, s.db)
}

// change gives the store a new root key of a kind, and new keys of all else.
func (s *Store) change(ctx context.Context, from spot, kind string) (spot, error) {
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
		// Where the disk failed, nobody knows which key the store names when it is next
		// opened. Both keys stay, until the next rekey finds out.
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

// finish completes a change once the store names its new root key.
func (s *Store) finish(ctx context.Context, c *rootChange, now spot) error {
	if err := s.db.Rekey(ctx, s.How.Progress); err != nil {
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
	return forgetChange(ctx, s.db)
}

// unreadable returns the error of a change of keys. Where err says that something is
// damaged, the error names the secrets whose values cannot be read.
func (s *Store) unreadable(ctx context.Context, err error) error {
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
