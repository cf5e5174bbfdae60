package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/platform"
)

// migrate claims the files, stores the values and reads them back, and keeps what the
// files held; only then does its answer tell the caller to write them.
func (b *Broker) migrate(ctx context.Context, c *call, op keyturn.MigrateSecrets) (keyturn.Result, error) {
	// Before the values are taken, which is possible once: a caller who has to ask for
	// approval first need not seal them again.
	compared, err := b.fieldsToCompare(ctx, c, op)
	if err != nil {
		return nil, err
	}
	values := map[string]keyturn.Value{}
	if op.Candidate != "" {
		if values, err = b.journal.Candidates.Take(ctx, c.actor, op.Ref, op.Candidate); err != nil {
			return nil, err
		}
	}
	if !slices.Equal(op.Fields, slices.Sorted(maps.Keys(values))) {
		return nil, keyturn.E(keyturn.Invalid, "the sealed values are not those of the fields that are named", "")
	}
	m := keyturn.Migration{ID: c.id, By: c.actor.Principal(), Ref: op.Ref, Fields: op.Fields, Files: op.Files,
		Phase: keyturn.MigrationBegun, Began: b.Now().UTC().Truncate(time.Second)}
	var texts []journal.Text
	if len(op.Files) > 0 {
		sealed, err := b.journal.Candidates.Take(ctx, c.actor, op.Ref, op.Texts)
		if err != nil {
			return nil, err
		}
		if texts, err = migrationTexts(op.Files, sealed); err != nil {
			return nil, err
		}
		if err := b.journal.Migrations.Begin(ctx, m, c.actor.Kind == keyturn.Person); err != nil {
			return nil, err
		}
	}
	out := &keyturn.Migrated{Migration: m}
	err = b.putMigrated(ctx, c, op, values, compared, out)
	for _, child := range c.children {
		b.recordWrite(ctx, child, out.Secret.Version, err)
	}
	if err == nil && len(op.Files) > 0 {
		if err = b.journal.Migrations.Store(ctx, c.id, texts); err == nil {
			out.Migration.Phase = keyturn.MigrationStored
		}
	}
	if err != nil {
		if len(op.Files) > 0 {
			_ = b.journal.Migrations.Forget(context.WithoutCancel(ctx), c.id) // the files are as they were
		}
		return nil, err
	}
	return out, nil
}

// fieldsToCompare returns the fields that the secret has already, and takes them from the
// budget of compares: the migration tells whether all of them are the same, which an
// agent could use to guess values.
func (b *Broker) fieldsToCompare(ctx context.Context, c *call, op keyturn.MigrateSecrets) ([]string, error) {
	if c.actor.Kind == keyturn.Person || len(op.Fields) == 0 {
		return nil, nil
	}
	m, err := b.Mounts.Mount(op.Ref.Mount())
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
	return there, b.spendCompare(ctx, c, len(there), op.Ref)
}

// putMigrated stores the values that are missing, and compares all of them with what the
// secret holds then. compared are the fields that were taken from the budget.
func (b *Broker) putMigrated(ctx context.Context, c *call, op keyturn.MigrateSecrets, values map[string]keyturn.Value, compared []string, out *keyturn.Migrated) error {
	m, err := b.Mounts.Mount(op.Ref.Mount())
	if err != nil {
		return err
	}
	out.Receipt, out.Target = c.receipt(m), m.Target()
	have, err := m.Get(ctx, op.Ref)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return err
	}
	exists := err == nil
	missing, other := map[string]keyturn.Value{}, []string(nil)
	for _, f := range op.Fields {
		old, there := have.Values[f]
		if there && c.actor.Kind != keyturn.Person && !slices.Contains(compared, f) {
			return doesNotHold(op.Ref, nil) // somebody else wrote it since the budget was taken
		}
		if !there || !old.Equal(values[f]) {
			missing[f] = values[f]
		}
		if there && !old.Equal(values[f]) {
			other = append(other, keyturn.Clean(f))
		}
	}
	if len(other) > 0 && !op.Replace {
		if c.actor.Kind != keyturn.Person {
			other = nil // one yes or no: which they are would tell of each
		}
		return holdsOthers(op.Ref, other)
	}
	out.Secret = have.Info
	if len(missing) > 0 {
		expect := c.expects(m, op.Ref, "")
		if expect == "" && m.Spec().CompareAndSet && exists {
			expect = have.Version
		}
		ch, err := m.Put(ctx, op.Ref, platform.Put{Values: missing, Given: givenBy(c.actor, missing), IfVersion: expect, Mode: keyturn.Merge})
		if err != nil {
			return err
		}
		out.Secret, out.Created, out.Before, out.Written = ch.Info, ch.Created, ch.Before, true
		if have, err = m.Get(ctx, op.Ref); err != nil {
			return doesNotHold(op.Ref, err)
		}
	}
	for _, f := range op.Fields {
		if v, there := have.Values[f]; !there || !v.Equal(values[f]) {
			return doesNotHold(op.Ref, nil)
		}
	}
	return nil
}

// findMigration returns the migration that an operation is about: the caller's own, and
// for a person who may write to its secret anybody's. It is NotFound for any other, so
// that its existence is not told.
func (b *Broker) findMigration(ctx context.Context, c *call, ref keyturn.Ref, id string) (keyturn.Migration, error) {
	m, err := b.journal.Migrations.Find(ctx, ref, id)
	if err == nil && m.By != c.actor.Principal() && (c.actor.Kind != keyturn.Person || !b.may(c.actor, keyturn.Write, ref)) {
		return keyturn.Migration{}, journal.NoMigration(id)
	}
	return m, err
}

// compareFiles takes the sealed present contents of m's files, and returns what each
// holds, with the texts from before and after the migration.
func (b *Broker) compareFiles(ctx context.Context, c *call, m keyturn.Migration, sealed string) ([]keyturn.MigrationFile, []journal.Text, error) {
	now := map[string]keyturn.Value{}
	var err error
	if sealed != "" {
		if now, err = b.journal.Candidates.Take(ctx, c.actor, m.Ref, sealed); err != nil {
			return nil, nil, err
		}
	}
	texts, err := b.journal.Migrations.Texts(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	return whatFilesHold(m, texts, now), texts, nil
}

// resumeMigration answers of each file whether it is written yet, and with what.
func (b *Broker) resumeMigration(ctx context.Context, c *call, op keyturn.ResumeMigration) (keyturn.Result, error) {
	m, err := b.findMigration(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase != keyturn.MigrationStored {
		return nil, notInPhase(m)
	}
	files, texts, err := b.compareFiles(ctx, c, m, op.Texts)
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].After = texts[i].After
	}
	return &keyturn.MigrationFiles{Receipt: c.receipt(nil), Migration: m, Files: files}, nil
}

// revertMigration hands out what the files held: to write it back, which the journal then
// has under way, or to keep it elsewhere.
func (b *Broker) revertMigration(ctx context.Context, c *call, op keyturn.RevertMigration) (keyturn.Result, error) {
	m, err := b.findMigration(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationBegun {
		return nil, notInPhase(m)
	}
	files, texts, err := b.compareFiles(ctx, c, m, op.Texts)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if op.Out != "" && !b.Remote {
			if err := b.mayWrite(filepath.Join(op.Out, filepath.Base(f.Path))); err != nil {
				return nil, err
			}
		}
		if f.Holds == keyturn.HoldsOther && op.Out == "" {
			return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(f.Path)+" was changed since it was migrated",
				"nothing was written; what it held goes to another place with: keyturn migrate --rollback "+m.ID+" --out FOLDER").About(op.Ref)
		}
		files[i].Before, files[i].After = texts[i].Before, texts[i].After
	}
	if op.Out == "" {
		m, err = b.journal.Migrations.Move(ctx, m.ID, keyturn.MigrationReverting, keyturn.MigrationStored, keyturn.MigrationEnded, keyturn.MigrationReverted)
	}
	return &keyturn.MigrationFiles{Receipt: c.receipt(nil), Migration: m, Files: files}, err
}

// finishMigration ends a migration whose files are written, or written back.
func (b *Broker) finishMigration(ctx context.Context, c *call, op keyturn.FinishMigration) (keyturn.Result, error) {
	m, err := b.findMigration(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	to, from := keyturn.MigrationEnded, keyturn.MigrationStored
	if m.Phase == keyturn.MigrationReverting || m.Phase == keyturn.MigrationReverted {
		to, from = keyturn.MigrationReverted, keyturn.MigrationReverting
	}
	m, err = b.journal.Migrations.Move(ctx, m.ID, to, from)
	return &keyturn.Migrated{Receipt: c.receipt(nil), Migration: m}, err
}

// forgetMigration removes a migration that has ended, and what its files held.
func (b *Broker) forgetMigration(ctx context.Context, c *call, op keyturn.ForgetMigration) (keyturn.Result, error) {
	m, err := b.findMigration(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationStored || m.Phase == keyturn.MigrationReverting {
		return nil, cutOff(m)
	}
	return &keyturn.Migrated{Receipt: c.receipt(nil), Migration: m}, b.journal.Migrations.Forget(ctx, m.ID)
}

// listMigrations lists the caller's own migrations, and those into secrets that the
// caller may list; those without their fields and files where the caller may not
// describe the secret.
func (b *Broker) listMigrations(ctx context.Context, c *call) (keyturn.Result, error) {
	all, err := b.journal.Migrations.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &keyturn.Migrations{Receipt: c.receipt(nil)}
	for _, m := range all {
		if m.By != c.actor.Principal() {
			if !b.may(c.actor, keyturn.List, m.Ref) {
				continue
			}
			if !b.may(c.actor, keyturn.Describe, m.Ref) {
				m.Fields, m.Files = nil, nil
			}
		}
		out.Migrations = append(out.Migrations, m)
	}
	return out, nil
}

// migrationTexts returns the texts of files from the values of a candidate, "before-N"
// and "after-N".
func migrationTexts(files []keyturn.MigratedFile, sealed map[string]keyturn.Value) ([]journal.Text, error) {
	out := make([]journal.Text, len(files))
	for i, f := range files {
		before, had := sealed["before-"+strconv.Itoa(i)]
		after, will := sealed["after-"+strconv.Itoa(i)]
		if had == f.New || !will {
			return nil, keyturn.E(keyturn.Invalid, "the texts of the files are not all there", "")
		}
		out[i] = journal.Text{Before: before, After: after}
	}
	return out, nil
}

// whatFilesHold returns what each file of m holds; now has the present texts, "now-N".
// It compares whole files, so that nobody can guess a value bit by bit.
func whatFilesHold(m keyturn.Migration, texts []journal.Text, now map[string]keyturn.Value) []keyturn.MigrationFile {
	out := make([]keyturn.MigrationFile, len(m.Files))
	for i, f := range m.Files {
		text, there := now["now-"+strconv.Itoa(i)]
		holds := keyturn.HoldsOther
		switch {
		case there && text.Equal(texts[i].After):
			holds = keyturn.HoldsAfter
		case there != f.New && (!there || text.Equal(texts[i].Before)):
			holds = keyturn.HoldsBefore
		}
		out[i] = keyturn.MigrationFile{MigratedFile: f, Holds: holds}
	}
	return out
}

// holdsOthers is the error, Conflict, of fields that hold other values already; without
// fields it does not say which.
func holdsOthers(ref keyturn.Ref, fields []string) error {
	const most = 20
	list := fmt.Sprint(fields)
	if len(fields) == 0 {
		list = "some of these fields"
	} else if len(fields) > most {
		list = fmt.Sprintf("%v and %d more", fields[:most], len(fields)-most)
	}
	return keyturn.E(keyturn.Conflict, ref.Short()+" has other values already in "+list,
		"nothing was changed; say another --to, leave them out with --keep NAME, or make a new version of them with --replace").About(ref)
}

// doesNotHold is the error, Conflict, of a secret that does not hold what was stored in it.
func doesNotHold(ref keyturn.Ref, err error) error {
	e := keyturn.E(keyturn.Conflict, ref.Short()+" does not hold what was stored in it", "somebody else may have written meanwhile; no file was changed: look with 'keyturn history "+keyturn.Quote(ref.Short())+"', then try again").About(ref)
	if err != nil {
		return e.Because(err)
	}
	return e
}

// cutOff is the error, Conflict, of forgetting a migration whose texts may be nowhere
// else.
func cutOff(m keyturn.Migration) error {
	e := keyturn.E(keyturn.Conflict, "the migration "+m.ID+" was cut off: what its files held may be nowhere else",
		"end it first: keyturn migrate --resume "+m.ID+", or --rollback "+m.ID)
	if m.Phase == keyturn.MigrationReverting {
		e.Hint = "end it first: keyturn migrate --rollback " + m.ID
	}
	e.Hint += "\nor take what they held elsewhere, then forget it: keyturn migrate --rollback " + m.ID + " --out FOLDER"
	return e
}

// notInPhase is the error, Conflict, of what cannot be done in m's phase.
func notInPhase(m keyturn.Migration) error {
	e := keyturn.E(keyturn.Conflict, "the migration "+m.ID+" is "+m.Phase, "'keyturn migrate --list' shows all")
	switch m.Phase {
	case keyturn.MigrationBegun:
		e.Hint = "nothing was stored for sure and no file was changed: give the command again as it was"
	case keyturn.MigrationReverting:
		e.Hint = "go on with: keyturn migrate --rollback " + m.ID
	}
	return e
}

// migratedFiles returns the files whose contents op would hand out or destroy; none for
// operations that do not, and where the migration does not exist.
func (b *Broker) migratedFiles(ctx context.Context, op keyturn.Op) ([]string, error) {
	var m keyturn.Migration
	var err error
	switch op := op.(type) {
	case keyturn.RevertMigration:
		m, err = b.journal.Migrations.Find(ctx, op.Ref, op.ID)
	case keyturn.ForgetMigration:
		m, err = b.journal.Migrations.Find(ctx, op.Ref, op.ID)
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
