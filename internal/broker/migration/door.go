package migration

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Door is what an operation about migrations needs of the broker, which has let it
// through and recorded it.
type Door struct {
	Book
	Mount   func(name string) (*platform.Mount, error)
	Receipt func(*platform.Mount) keyturn.Receipt // nil for no mount
	Caller  keyturn.Actor
	May     func(keyturn.Verb, keyturn.Ref) bool // what the rules say of the caller
	// Taken are the values that the caller has sealed for ref; whoever takes them has
	// them once.
	Taken func(ctx context.Context, ref keyturn.Ref, sealed string) (map[string]keyturn.Value, error)
	// Compare takes so many fields of a secret from the budget of compares.
	Compare func(ctx context.Context, fields int, ref keyturn.Ref) error
	// Expects is the version that must be current where the values are stored, "" for any.
	Expects func(m *platform.Mount, ref keyturn.Ref) string
	// Wrote records what came of storing them, as this version.
	Wrote func(ctx context.Context, version string, err error)
}

// Do carries out MigrateSecrets (as the migration of an id), ResumeMigration,
// RevertMigration, FinishMigration, ForgetMigration and ListMigrations.
func (d Door) Do(ctx context.Context, id string, op keyturn.Op) (keyturn.Result, error) {
	switch op := op.(type) {
	case keyturn.MigrateSecrets:
		return d.migrate(ctx, id, op)
	case keyturn.ResumeMigration:
		return d.resume(ctx, op)
	case keyturn.RevertMigration:
		return d.revert(ctx, op)
	case keyturn.FinishMigration:
		return d.finish(ctx, op)
	case keyturn.ForgetMigration:
		return d.forget(ctx, op)
	}
	return d.list(ctx)
}

// migrate claims the files, stores the values, reads them back, and keeps what the
// files held; only then is the caller told to write them.
func (d Door) migrate(ctx context.Context, id string, op keyturn.MigrateSecrets) (keyturn.Result, error) {
	// Before the values are taken: who has to ask first gives them once.
	compared, err := d.compares(ctx, op)
	if err != nil {
		return nil, err
	}
	values := map[string]keyturn.Value{}
	if op.Candidate != "" {
		if values, err = d.Taken(ctx, op.Ref, op.Candidate); err != nil {
			return nil, err
		}
	}
	if !slices.Equal(op.Fields, slices.Sorted(maps.Keys(values))) {
		return nil, keyturn.E(keyturn.Invalid, "the sealed values are not those of the fields that are named", "")
	}
	m := keyturn.Migration{ID: id, By: d.Caller.Principal(), Ref: op.Ref, Fields: op.Fields, Files: op.Files,
		Phase: keyturn.MigrationBegun, Began: d.Now().UTC().Truncate(time.Second)}
	var texts []Text
	if len(op.Files) > 0 {
		sealed, err := d.Taken(ctx, op.Ref, op.Texts)
		if err != nil {
			return nil, err
		}
		if texts, err = TextsOf(op.Files, sealed); err != nil {
			return nil, err
		}
		if err := d.Begin(ctx, m, d.Caller.Kind == keyturn.Person); err != nil {
			return nil, err
		}
	}
	out := &keyturn.Migrated{Migration: m}
	err = d.put(ctx, op, values, compared, out)
	d.Wrote(ctx, out.Secret.Version, err)
	if err == nil && len(op.Files) > 0 {
		if err = d.Store(ctx, id, texts); err == nil {
			out.Migration.Phase = keyturn.MigrationStored
		}
	}
	if err != nil {
		if len(op.Files) > 0 {
			_ = d.Forget(context.WithoutCancel(ctx), id) // the files are as they were
		}
		return nil, err
	}
	return out, nil
}

// compares are the fields that are there already, taken of the budget: whether all of
// them are the same comes out, and an agent could guess with it.
func (d Door) compares(ctx context.Context, op keyturn.MigrateSecrets) ([]string, error) {
	if d.Caller.Kind == keyturn.Person || len(op.Fields) == 0 {
		return nil, nil
	}
	m, err := d.Mount(op.Ref.Mount())
	if err != nil {
		return nil, err
	}
	have, err := m.Get(ctx, op.Ref)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return nil, err
	}
	var there []string
	for _, f := range op.Fields {
		if _, ok := have.Values[f]; ok {
			there = append(there, f)
		}
	}
	if len(there) == 0 {
		return nil, nil
	}
	return there, d.Compare(ctx, len(there), op.Ref)
}

// put stores what is missing and compares what is there then. compared are the fields
// that the budget was taken for.
func (d Door) put(ctx context.Context, op keyturn.MigrateSecrets, values map[string]keyturn.Value, compared []string, out *keyturn.Migrated) error {
	m, err := d.Mount(op.Ref.Mount())
	if err != nil {
		return err
	}
	out.Receipt, out.Target = d.Receipt(m), m.Target()
	have, err := m.Get(ctx, op.Ref)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return err
	}
	exists := err == nil
	missing, other := map[string]keyturn.Value{}, []string(nil)
	for _, f := range op.Fields {
		old, there := have.Values[f]
		if there && d.Caller.Kind != keyturn.Person && !slices.Contains(compared, f) {
			return Unread(op.Ref, nil) // somebody else's, since the budget was taken
		}
		if !there || !old.Equal(values[f]) {
			missing[f] = values[f]
		}
		if there && !old.Equal(values[f]) {
			other = append(other, keyturn.Clean(f))
		}
	}
	if len(other) > 0 && !op.Replace {
		if d.Caller.Kind != keyturn.Person {
			other = nil // one yes or no: which they are would tell of each
		}
		return Differs(op.Ref, other)
	}
	out.Secret = have.Info
	if len(missing) > 0 {
		expect := d.Expects(m, op.Ref)
		if expect == "" && m.Spec().CompareAndSet && exists {
			expect = have.Version
		}
		ch, err := m.Put(ctx, op.Ref, platform.Put{Values: missing, IfVersion: expect, Mode: keyturn.Merge})
		if err != nil {
			return err
		}
		out.Secret, out.Created, out.Before, out.Written = ch.Info, ch.Created, ch.Before, true
		if have, err = m.Get(ctx, op.Ref); err != nil {
			return Unread(op.Ref, err)
		}
	}
	for _, f := range op.Fields {
		if v, there := have.Values[f]; !there || !v.Equal(values[f]) {
			return Unread(op.Ref, nil)
		}
	}
	return nil
}

// find is the migration that an operation is about: the caller's own, or, of a person
// who may write to its secret, any. Of others not even the existence is told.
func (d Door) find(ctx context.Context, ref keyturn.Ref, id string) (keyturn.Migration, error) {
	m, err := d.Find(ctx, ref, id)
	if err == nil && m.By != d.Caller.Principal() && (d.Caller.Kind != keyturn.Person || !d.May(keyturn.Write, ref)) {
		return keyturn.Migration{}, Missing(id)
	}
	return m, err
}

// compared takes the sealed present contents of m's files and tells what each holds.
func (d Door) compared(ctx context.Context, m keyturn.Migration, sealed string) ([]keyturn.MigrationFile, []Text, error) {
	now := map[string]keyturn.Value{}
	var err error
	if sealed != "" {
		if now, err = d.Taken(ctx, m.Ref, sealed); err != nil {
			return nil, nil, err
		}
	}
	texts, err := d.Texts(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	return Compare(m, texts, now), texts, nil
}

// resume tells of each file whether it is written yet, and what with.
func (d Door) resume(ctx context.Context, op keyturn.ResumeMigration) (keyturn.Result, error) {
	m, err := d.find(ctx, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase != keyturn.MigrationStored {
		return nil, NotNow(m)
	}
	files, texts, err := d.compared(ctx, m, op.Texts)
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].After = texts[i].After
	}
	return &keyturn.MigrationFiles{Receipt: d.Receipt(nil), Migration: m, Files: files}, nil
}

// revert hands out what the files held: to write it back, which is then under way, or
// to keep it elsewhere.
func (d Door) revert(ctx context.Context, op keyturn.RevertMigration) (keyturn.Result, error) {
	m, err := d.find(ctx, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationBegun {
		return nil, NotNow(m)
	}
	files, texts, err := d.compared(ctx, m, op.Texts)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if f.Holds == keyturn.HoldsOther && op.Out == "" {
			return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(f.Path)+" was changed since it was migrated",
				"nothing was written; what it held goes to another place with: keyturn migrate --rollback "+m.ID+" --out FOLDER").About(op.Ref)
		}
		files[i].Before, files[i].After = texts[i].Before, texts[i].After
	}
	if op.Out == "" {
		m, err = d.Move(ctx, m.ID, keyturn.MigrationReverting, keyturn.MigrationStored, keyturn.MigrationEnded, keyturn.MigrationReverted)
	}
	return &keyturn.MigrationFiles{Receipt: d.Receipt(nil), Migration: m, Files: files}, err
}

func (d Door) finish(ctx context.Context, op keyturn.FinishMigration) (keyturn.Result, error) {
	m, err := d.find(ctx, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	to, from := keyturn.MigrationEnded, keyturn.MigrationStored
	if m.Phase == keyturn.MigrationReverting || m.Phase == keyturn.MigrationReverted {
		to, from = keyturn.MigrationReverted, keyturn.MigrationReverting
	}
	m, err = d.Move(ctx, m.ID, to, from)
	return &keyturn.Migrated{Receipt: d.Receipt(nil), Migration: m}, err
}

func (d Door) forget(ctx context.Context, op keyturn.ForgetMigration) (keyturn.Result, error) {
	m, err := d.find(ctx, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationStored || m.Phase == keyturn.MigrationReverting {
		return nil, Needed(m)
	}
	return &keyturn.Migrated{Receipt: d.Receipt(nil), Migration: m}, d.Forget(ctx, m.ID)
}

// list tells of those into secrets that the caller may list; of which fields and files
// they are, to whoever began them or may describe the secret.
func (d Door) list(ctx context.Context) (keyturn.Result, error) {
	all, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Migrations{Receipt: d.Receipt(nil)}
	for _, m := range all {
		if m.By != d.Caller.Principal() {
			if !d.May(keyturn.List, m.Ref) {
				continue
			}
			if !d.May(keyturn.Describe, m.Ref) {
				m.Fields, m.Files = nil, nil
			}
		}
		out.Migrations = append(out.Migrations, m)
	}
	return out, nil
}
