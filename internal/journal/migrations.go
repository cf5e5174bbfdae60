package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

const (
	migrationKind = "migration"       // one row, listID: all migrations, so that one transaction checks all claims
	textKind      = "migration-texts" // a row for each migration
	listID        = "list"
	// MaxMigrations is how many migrations are kept.
	MaxMigrations = 500
	// staleMigration is how long a migration that has only begun keeps others from its
	// files.
	staleMigration = 24 * time.Hour
)

// Migrations keeps which files each migration claims, how far it came, and what its
// files held and are to hold. Files are changed in the order of the phases, so that
// after a crash at any time the same command goes on.
type Migrations struct {
	list  table[[]keyturn.Migration]
	texts table[[]textRow]
	now   func() time.Time
}

// List returns all migrations, oldest first.
func (ms Migrations) List(ctx context.Context) ([]keyturn.Migration, error) {
	all, err := ms.list.get(ctx, listID)
	if errors.Is(err, keyturn.NotFound) {
		return nil, nil
	}
	return all, err
}

// Find returns the migration of an id into ref; NotFound where there is none, and also
// where the migration is into another secret.
func (ms Migrations) Find(ctx context.Context, ref keyturn.Ref, id string) (keyturn.Migration, error) {
	all, err := ms.List(ctx)
	if err != nil {
		return keyturn.Migration{}, err
	}
	for _, m := range all {
		if m.ID == id && m.Ref == ref {
			return m, nil
		}
	}
	return keyturn.Migration{}, NoMigration(id)
}

// NoMigration is the error, NotFound, of a migration that is not there or that the
// caller may not know of.
func NoMigration(id string) error {
	return keyturn.E(keyturn.NotFound, "no migration '"+keyturn.Clean(id)+"'", "'keyturn migrate --list' shows all")
}

// Begin claims the files of m, before anything is stored. It is Conflict where another
// open migration has claimed one of them; but a migration that has only begun gives way
// to its own owner, who tries again, to a person, and after a day to anyone.
func (ms Migrations) Begin(ctx context.Context, m keyturn.Migration, person bool) error {
	var gone []string
	err := ms.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		gone = nil
		var keep []keyturn.Migration
		for _, other := range all {
			file := shared(m, other)
			if file == "" || !other.Open() {
				keep = append(keep, other)
				continue
			}
			old := ms.now().Sub(other.Began) > staleMigration
			if other.Phase != keyturn.MigrationBegun || other.By != m.By && !person && !old {
				return nil, underWay(file, other)
			}
			gone = append(gone, other.ID)
		}
		if len(keep) >= MaxMigrations {
			return nil, keyturn.E(keyturn.Conflict, fmt.Sprintf("%d migrations are kept already", len(keep)),
				"what is kept of one is destroyed with 'keyturn migrate --forget ID'; 'keyturn migrate --list' shows all")
		}
		return append(keep, m), nil
	})
	for _, id := range gone {
		if err == nil {
			err = ms.texts.drop(ctx, id)
		}
	}
	return err
}

// underWay is the error, Conflict, of a file that the open migration m has claimed.
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

// shared returns a file that both migrations write; "" for none.
func shared(a, b keyturn.Migration) string {
	for _, f := range a.Files {
		if slices.ContainsFunc(b.Files, func(g keyturn.MigratedFile) bool { return g.Path == f.Path }) {
			return f.Path
		}
	}
	return ""
}

// Store keeps the texts of a migration that has begun, and then records that its values
// are stored. Conflict where another migration has taken over its files meanwhile.
func (ms Migrations) Store(ctx context.Context, id string, texts []Text) error {
	if err := ms.texts.put(ctx, id, encodeTexts(texts)); err != nil {
		return err
	}
	_, err := ms.Move(ctx, id, keyturn.MigrationStored, keyturn.MigrationBegun)
	if err != nil {
		_ = ms.texts.drop(context.WithoutCancel(ctx), id)
	}
	return err
}

// Move puts a migration into the phase to, where its phase is one of from or already
// to; else Conflict.
func (ms Migrations) Move(ctx context.Context, id, to string, from ...string) (keyturn.Migration, error) {
	var moved keyturn.Migration
	err := ms.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		i := slices.IndexFunc(all, func(m keyturn.Migration) bool { return m.ID == id })
		if i < 0 {
			return nil, keyturn.E(keyturn.Conflict, "another migration of the same file has begun meanwhile", "look at the file, then try again")
		}
		if all[i].Phase != to && !slices.Contains(from, all[i].Phase) {
			return nil, keyturn.E(keyturn.Conflict, "the migration "+id+" is "+all[i].Phase+" meanwhile", "'keyturn migrate --list' shows all")
		}
		all[i].Phase = to
		if !all[i].Open() {
			all[i].Ended = ms.now().UTC().Truncate(time.Second)
		}
		moved = all[i]
		return all, nil
	})
	return moved, err
}

// Forget removes a migration and destroys its texts.
func (ms Migrations) Forget(ctx context.Context, id string) error {
	err := ms.update(ctx, func(all []keyturn.Migration) ([]keyturn.Migration, error) {
		return slices.DeleteFunc(all, func(m keyturn.Migration) bool { return m.ID == id }), nil
	})
	if err != nil {
		return err
	}
	return ms.texts.drop(ctx, id)
}

// Texts returns what the files of m held and are to hold, in the order of m.Files.
func (ms Migrations) Texts(ctx context.Context, m keyturn.Migration) ([]Text, error) {
	list, err := ms.texts.get(ctx, m.ID)
	if err != nil && !errors.Is(err, keyturn.Corrupt) {
		return nil, err
	}
	if err != nil || len(list) != len(m.Files) {
		return nil, keyturn.E(keyturn.Corrupt, "what is kept of the migration "+m.ID+" cannot be read", "the secret itself is whole: 'keyturn get "+keyturn.Quote(m.Ref.Short())+"'")
	}
	return decodeTexts(list), nil
}

func (ms Migrations) update(ctx context.Context, change func([]keyturn.Migration) ([]keyturn.Migration, error)) error {
	return ms.list.update(ctx, listID, func(have *[]keyturn.Migration) (*[]keyturn.Migration, time.Time, error) {
		var all []keyturn.Migration
		if have != nil {
			all = *have
		}
		all, err := change(all)
		if err != nil || len(all) == 0 {
			return nil, time.Time{}, err
		}
		return &all, time.Time{}, nil
	})
}
