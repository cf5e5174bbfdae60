package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/candidate"
	"github.com/keyturn/keyturn/internal/broker/fields"
	"github.com/keyturn/keyturn/internal/broker/migration"
	"github.com/keyturn/keyturn/internal/platform"
)

func (b *Broker) migrations() migration.Book { return migration.Book{Items: b.Items, Now: b.Now} }

// migrateSecrets claims the files, stores the values, reads them back, and keeps
// what the files held; only then is the caller told to write them.
func (b *Broker) migrateSecrets(ctx context.Context, c *call, op keyturn.MigrateSecrets) (keyturn.Result, error) {
	// Before the values are taken: who has to ask first gives them once.
	if err := b.comparesMigrated(ctx, c, op); err != nil {
		return nil, err
	}
	values := map[string]keyturn.Value{}
	var err error
	if op.Candidate != "" {
		if values, err = candidate.Take(ctx, b.Items, c.actor, op.Ref, op.Candidate); err != nil {
			return nil, err
		}
	}
	if !slices.Equal(op.Fields, fields.Names(keyturn.Secret{Values: values})) {
		return nil, keyturn.E(keyturn.Invalid, "the sealed values are not those of the fields that are named", "")
	}
	m := keyturn.Migration{ID: c.id, By: c.actor.Principal(), Ref: op.Ref, Fields: op.Fields, Files: op.Files,
		Phase: keyturn.MigrationBegun, Began: b.Now().UTC().Truncate(time.Second)}
	texts, err := b.texts(ctx, c, op)
	if err != nil {
		return nil, err
	}
	book := b.migrations()
	if len(op.Files) > 0 {
		if err := book.Begin(ctx, m, c.actor.Kind == keyturn.Person); err != nil {
			return nil, err
		}
	}
	res, err := on(b, c, op.Ref, func(mount *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
		return b.storeMigrated(ctx, c, mount, op, values, &keyturn.Migrated{Receipt: r, Migration: m, Target: mount.Target()})
	})
	for _, child := range c.children {
		version := ""
		if err == nil {
			version = res.(*keyturn.Migrated).Secret.Version
		}
		b.toldWrite(ctx, child, version, err)
	}
	if err == nil && len(op.Files) > 0 {
		if err = book.Store(ctx, m.ID, texts); err == nil {
			res.(*keyturn.Migrated).Migration.Phase = keyturn.MigrationStored
		}
	}
	if err != nil {
		if len(op.Files) > 0 {
			_ = book.Forget(context.WithoutCancel(ctx), m.ID) // the files are as they were
		}
		return nil, err
	}
	return res, nil
}

// comparesMigrated takes of the budget the fields that are there already: whether all
// of them are the same comes out, and an agent could guess with it.
func (b *Broker) comparesMigrated(ctx context.Context, c *call, op keyturn.MigrateSecrets) error {
	if c.actor.Kind == keyturn.Person || len(op.Fields) == 0 {
		return nil
	}
	m, err := b.Mounts.Mount(op.Ref.Mount())
	if err != nil {
		return err
	}
	have, err := m.Get(ctx, op.Ref)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return err
	}
	for _, f := range op.Fields {
		if _, there := have.Values[f]; there {
			c.compares = append(c.compares, f)
		}
	}
	if len(c.compares) == 0 {
		return nil
	}
	return b.spendCompare(ctx, c, len(c.compares), op.Ref)
}

// texts returns what the files hold and are to hold.
func (b *Broker) texts(ctx context.Context, c *call, op keyturn.MigrateSecrets) ([]migration.Text, error) {
	if len(op.Files) == 0 {
		return nil, nil
	}
	sealed, err := candidate.Take(ctx, b.Items, c.actor, op.Ref, op.Texts)
	if err != nil {
		return nil, err
	}
	return migration.TextsOf(op.Files, sealed)
}

// storeMigrated puts what is missing and compares what is there then.
func (b *Broker) storeMigrated(ctx context.Context, c *call, m *platform.Mount, op keyturn.MigrateSecrets, values map[string]keyturn.Value, out *keyturn.Migrated) (keyturn.Result, error) {
	have, err := m.Get(ctx, op.Ref)
	if err != nil && !errors.Is(err, keyturn.NotFound) {
		return nil, err
	}
	exists := err == nil
	missing, other := map[string]keyturn.Value{}, []string(nil)
	for _, f := range op.Fields {
		old, there := have.Values[f]
		if there && c.actor.Kind != keyturn.Person && !slices.Contains(c.compares, f) {
			return nil, migration.Unread(op.Ref, nil) // somebody else's, since the budget was taken
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
		return nil, migration.Differs(op.Ref, other)
	}
	out.Secret = have.Info
	if len(missing) > 0 {
		expect := c.expects(m, op.Ref, "")
		if expect == "" && m.Spec().CompareAndSet && exists {
			expect = have.Version
		}
		ch, err := m.Put(ctx, op.Ref, platform.Put{Values: missing, IfVersion: expect, Mode: keyturn.Merge})
		if err != nil {
			return nil, err
		}
		out.Secret, out.Created, out.Before, out.Written = ch.Info, ch.Created, ch.Before, true
		if have, err = m.Get(ctx, op.Ref); err != nil {
			return nil, migration.Unread(op.Ref, err)
		}
	}
	for _, f := range op.Fields {
		if v, there := have.Values[f]; !there || !v.Equal(values[f]) {
			return nil, migration.Unread(op.Ref, nil)
		}
	}
	return out, nil
}

// migrationOf is the migration that an operation is about: the caller's own, or,
// of a person who may write to its secret, any. Of others not even the existence
// is told.
func (b *Broker) migrationOf(ctx context.Context, c *call, ref keyturn.Ref, id string) (keyturn.Migration, error) {
	m, err := b.migrations().Find(ctx, ref, id)
	if err == nil && m.By != c.actor.Principal() && (c.actor.Kind != keyturn.Person || !b.may(c.actor, keyturn.Write, ref)) {
		return keyturn.Migration{}, migration.Missing(id)
	}
	return m, err
}

// compared takes the sealed present contents of m's files and tells what each
// holds.
func (b *Broker) compared(ctx context.Context, c *call, m keyturn.Migration, sealed string) ([]keyturn.MigrationFile, []migration.Text, error) {
	now := map[string]keyturn.Value{}
	var err error
	if sealed != "" {
		if now, err = candidate.Take(ctx, b.Items, c.actor, m.Ref, sealed); err != nil {
			return nil, nil, err
		}
	}
	texts, err := b.migrations().Texts(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	return migration.Compare(m, texts, now), texts, nil
}

// resumeMigration tells of each file whether it is written yet, and what with.
func (b *Broker) resumeMigration(ctx context.Context, c *call, op keyturn.ResumeMigration) (keyturn.Result, error) {
	m, err := b.migrationOf(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase != keyturn.MigrationStored {
		return nil, migration.NotNow(m)
	}
	files, texts, err := b.compared(ctx, c, m, op.Texts)
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].After = texts[i].After
	}
	return &keyturn.MigrationFiles{Receipt: c.receipt(nil), Migration: m, Files: files}, nil
}

// revertMigration hands out what the files held: to write it back, which is then
// under way, or to keep it elsewhere.
func (b *Broker) revertMigration(ctx context.Context, c *call, op keyturn.RevertMigration) (keyturn.Result, error) {
	m, err := b.migrationOf(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationBegun {
		return nil, migration.NotNow(m)
	}
	files, texts, err := b.compared(ctx, c, m, op.Texts)
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
		m, err = b.migrations().Move(ctx, m.ID, keyturn.MigrationReverting, keyturn.MigrationStored, keyturn.MigrationEnded, keyturn.MigrationReverted)
	}
	return &keyturn.MigrationFiles{Receipt: c.receipt(nil), Migration: m, Files: files}, err
}

func (b *Broker) finishMigration(ctx context.Context, c *call, op keyturn.FinishMigration) (keyturn.Result, error) {
	m, err := b.migrationOf(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	to, from := keyturn.MigrationEnded, keyturn.MigrationStored
	if m.Phase == keyturn.MigrationReverting || m.Phase == keyturn.MigrationReverted {
		to, from = keyturn.MigrationReverted, keyturn.MigrationReverting
	}
	m, err = b.migrations().Move(ctx, m.ID, to, from)
	return &keyturn.Migrated{Receipt: c.receipt(nil), Migration: m}, err
}

func (b *Broker) forgetMigration(ctx context.Context, c *call, op keyturn.ForgetMigration) (keyturn.Result, error) {
	m, err := b.migrationOf(ctx, c, op.Ref, op.ID)
	if err != nil {
		return nil, err
	}
	if m.Phase == keyturn.MigrationStored || m.Phase == keyturn.MigrationReverting {
		return nil, migration.Needed(m)
	}
	return &keyturn.Migrated{Receipt: c.receipt(nil), Migration: m}, b.migrations().Forget(ctx, m.ID)
}

// listMigrations tells of those into secrets that the caller may list; of which
// fields and files they are, to whoever began them or may describe the secret.
func (b *Broker) listMigrations(ctx context.Context, c *call) (keyturn.Result, error) {
	all, err := b.migrations().List(ctx)
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
