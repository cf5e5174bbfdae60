// Package migration is the journal of migrations: which files each claims, how
// far it came, and, encrypted like all items, what its files held and are to
// hold. What happens to files happens in the order of the phases, so that a crash
// at any time leaves a journal that the same command goes on from.
package migration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Items keeps small encrypted rows. State satisfies it.
type Items interface {
	// Item returns one row; NotFound where there is none.
	Item(ctx context.Context, kind, id string) (keyturn.Item, error)
	// UpdateItem replaces one row in one durable transaction: change gets the row,
	// or one without a body where there is none, and returns the new one; a nil
	// body removes it. An error of change leaves everything as it was.
	UpdateItem(ctx context.Context, kind, id string, change func(keyturn.Item) (keyturn.Item, error)) error
}

const (
	listKind = "migration"       // one row, listID: all migrations, so that claims are checked in one transaction
	textKind = "migration-texts" // a row for each migration
	listID   = "list"
	// Max is how many migrations are kept.
	Max = 500
	// Stale is how long what has only begun keeps others from its files.
	Stale = 24 * time.Hour
)

// Book is the journal. It is safe for concurrent use, by several processes too.
type Book struct {
	Items Items
	Now   func() time.Time
}

// Text is what one file of a migration held and is to hold.
type Text struct {
	Before keyturn.Value // empty for a new file
	After  keyturn.Value
}

// List returns all migrations, oldest first.
func (b Book) List(ctx context.Context) ([]keyturn.Migration, error) {
	it, err := b.Items.Item(ctx, listKind, listID)
	if errors.Is(err, keyturn.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return read(it)
}

// Find returns the migration of an id into ref; NotFound where there is none, also where it is into another secret.
func (b Book) Find(ctx context.Context, ref keyturn.Ref, id string) (keyturn.Migration, error) {
	all, err := b.List(ctx)
	if err != nil {
		return keyturn.Migration{}, err
	}
	for _, m := range all {
		if m.ID == id && m.Ref == ref {
			return m, nil
		}
	}
	return keyturn.Migration{}, Missing(id)
}

// FilesOf are the files whose contents op would hand out or destroy; none where it
// would not, and where there is no such migration.
func (b Book) FilesOf(ctx context.Context, op keyturn.Op) ([]string, error) {
	var m keyturn.Migration
	var err error
	switch op := op.(type) {
	case keyturn.RevertMigration:
		m, err = b.Find(ctx, op.Ref, op.ID)
	case keyturn.ForgetMigration:
		m, err = b.Find(ctx, op.Ref, op.ID)
	}
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return nil, err
	}
	var out []string
	for _, f := range m.Files {
		if !f.New {
			out = append(out, f.Path)
		}
	}
	return out, nil
}

// Missing is the error of a migration that is not there, or is nobody else's to see.
func Missing(id string) error {
	return keyturn.E(keyturn.NotFound, "no migration '"+keyturn.Clean(id)+"'", "'keyturn migrate --list' shows all")
}

// Begin claims the files of m, before anything is stored. Conflict where another
// open migration has one of them. One that has only begun gives way to its own
// owner, who tries again, to a person, and after a day to anyone.
func (b Book) Begin(ctx context.Context, m keyturn.Migration, person bool) error {
	var gone []string
	err := b.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		gone = nil
		var keep []keyturn.Migration
		for _, other := range all {
			file := shared(m, other)
			if file == "" || !other.Open() {
				keep = append(keep, other)
				continue
			}
			old := b.Now().Sub(other.Began) > Stale
			if other.Phase != keyturn.MigrationBegun || other.By != m.By && !person && !old {
				return nil, underWay(file, other)
			}
			gone = append(gone, other.ID)
		}
		if len(keep) >= Max {
			return nil, keyturn.E(keyturn.Conflict, fmt.Sprintf("%d migrations are kept already", len(keep)),
				"what is kept of one is destroyed with 'keyturn migrate --forget ID'; 'keyturn migrate --list' shows all")
		}
		return append(keep, m), nil
	})
	for _, id := range gone {
		if err == nil {
			err = b.drop(ctx, id)
		}
	}
	return err
}

func underWay(file string, m keyturn.Migration) error {
	e := keyturn.E(keyturn.Conflict, "a migration of "+keyturn.Clean(file)+" is under way", "")
	switch m.Phase {
	case keyturn.MigrationBegun:
		e.Hint = "wait for it to end; it is " + keyturn.Clean(m.By) + "'s"
	case keyturn.MigrationReverting:
		e.Hint = "it is being taken back; go on with: keyturn migrate --rollback " + m.ID
	default:
		e.Hint = "it was cut off; go on with: keyturn migrate --resume " + m.ID
	}
	return e
}

// shared is a file that both migrations write; "" for none.
func shared(a, b keyturn.Migration) string {
	for _, f := range a.Files {
		if slices.ContainsFunc(b.Files, func(g keyturn.MigratedFile) bool { return g.Path == f.Path }) {
			return f.Path
		}
	}
	return ""
}

// Store keeps the texts of a migration that has begun, and then tells that its
// values are stored. Conflict where another one took its files over meanwhile.
func (b Book) Store(ctx context.Context, id string, texts []Text) error {
	body, err := encode(texts)
	if err != nil {
		return err
	}
	err = b.Items.UpdateItem(ctx, textKind, id, func(it keyturn.Item) (keyturn.Item, error) {
		it.Body = body
		return it, nil
	})
	if err != nil {
		return err
	}
	if _, err = b.Move(ctx, id, keyturn.MigrationStored, keyturn.MigrationBegun); err != nil {
		_ = b.drop(context.WithoutCancel(ctx), id)
	}
	return err
}

// Move puts a migration into the phase to, where it is in one of from or there
// already; else Conflict.
func (b Book) Move(ctx context.Context, id, to string, from ...string) (keyturn.Migration, error) {
	var moved keyturn.Migration
	err := b.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		i := slices.IndexFunc(all, func(m keyturn.Migration) bool { return m.ID == id })
		if i < 0 {
			return nil, keyturn.E(keyturn.Conflict, "another migration of the same file has begun meanwhile", "look at the file, then try again")
		}
		if all[i].Phase != to && !slices.Contains(from, all[i].Phase) {
			return nil, keyturn.E(keyturn.Conflict, "the migration "+id+" is "+all[i].Phase+" meanwhile", "'keyturn migrate --list' shows all")
		}
		all[i].Phase = to
		if !all[i].Open() {
			all[i].Ended = b.Now().UTC().Truncate(time.Second)
		}
		moved = all[i]
		return all, nil
	})
	return moved, err
}

// Forget removes a migration and destroys its texts.
func (b Book) Forget(ctx context.Context, id string) error {
	err := b.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		return slices.DeleteFunc(all, func(m keyturn.Migration) bool { return m.ID == id }), nil
	})
	if err != nil {
		return err
	}
	return b.drop(ctx, id)
}

// Texts returns what the files of m held and are to hold, in the order of m.Files.
func (b Book) Texts(ctx context.Context, m keyturn.Migration) ([]Text, error) {
	it, err := b.Items.Item(ctx, textKind, m.ID)
	if err != nil {
		return nil, err
	}
	texts, err := decode(it.Body)
	if err != nil || len(texts) != len(m.Files) {
		return nil, keyturn.E(keyturn.Corrupt, "what is kept of the migration "+m.ID+" cannot be read", "the secret itself is whole: 'keyturn get "+keyturn.Quote(m.Ref.Short())+"'")
	}
	return texts, nil
}

func (b Book) drop(ctx context.Context, id string) error {
	return b.Items.UpdateItem(ctx, textKind, id, func(it keyturn.Item) (keyturn.Item, error) {
		it.Body = nil
		return it, nil
	})
}

func (b Book) update(ctx context.Context, change func([]keyturn.Migration) ([]keyturn.Migration, error)) error {
	return b.Items.UpdateItem(ctx, listKind, listID, func(it keyturn.Item) (keyturn.Item, error) {
		all, err := read(it)
		if err != nil {
			return it, err
		}
		if all, err = change(all); err != nil {
			return it, err
		}
		if it.Body = nil; len(all) > 0 {
			if it.Body, err = json.Marshal(all); err != nil {
				return it, keyturn.E(keyturn.Internal, "the journal of migrations has no form", "").Because(err)
			}
		}
		return it, nil
	})
}

func read(it keyturn.Item) ([]keyturn.Migration, error) {
	if it.Body == nil {
		return nil, nil
	}
	var all []keyturn.Migration
	if err := json.Unmarshal(it.Body, &all); err != nil {
		return nil, keyturn.E(keyturn.Corrupt, "the journal of migrations cannot be read", "the secrets themselves are whole")
	}
	return all, nil
}
