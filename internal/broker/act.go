package broker

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// act carries out c, which was decided and recorded before.
func (b *Broker) act(ctx context.Context, c *call) (keyturn.Result, error) {
	res, err := guard(func() (keyturn.Result, error) {
		if c.approval != "" {
			if err := b.spend(ctx, c); err != nil {
				return nil, err
			}
		}
		res, err := b.perform(ctx, c)
		if err != nil {
			return nil, b.suggest(ctx, c, b.hideFields(c, err))
		}
		b.hideDetails(c, res)
		return res, nil
	})
	if e := keyturn.AsError(err); e != nil && e.Code == keyturn.Internal && changes(c.op) && !errors.Is(err, context.Canceled) {
		unknown := *e // a bug: nobody can say how far it came
		unknown.Unknown = true
		return nil, &unknown
	}
	return res, err
}

// perform is the table of operations: each kind has a case, which calls a mount or the
// method in the file of its kind.
func (b *Broker) perform(ctx context.Context, c *call) (keyturn.Result, error) {
	switch op := c.op.(type) {
	case keyturn.ListMounts:
		return b.listMounts(ctx, c, op)
	case keyturn.ListSecrets:
		return b.listSecrets(ctx, c, op)
	case keyturn.GetSecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			info, err := m.Describe(ctx, op.Ref)
			return &keyturn.Described{Receipt: r, Secret: info}, err
		})
	case keyturn.RevealSecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			s, err := m.Get(ctx, op.Ref)
			return &keyturn.Revealed{Receipt: r, Secret: s}, err
		})
	case keyturn.ListVersions:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			vs, err := m.Versions(ctx, op.Ref)
			return &keyturn.Versions{Receipt: r, Versions: vs}, err
		})
	case keyturn.PutSecret:
		return b.putSecret(ctx, c, op)
	case keyturn.RollbackSecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			ch, err := m.Rollback(ctx, op.Ref, op.To)
			return &keyturn.Changed{Receipt: r, Secret: ch.Info, Before: ch.Before, Target: m.Target()}, err
		})
	case keyturn.DeleteSecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			info, until, err := m.Delete(ctx, op.Ref)
			return &keyturn.Changed{Receipt: r, Secret: info, Until: until, Unseen: info.Version == "", Target: m.Target()}, err
		})
	case keyturn.RestoreSecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			info, err := m.Restore(ctx, op.Ref)
			return &keyturn.Changed{Receipt: r, Secret: info, Target: m.Target()}, err
		})
	case keyturn.DestroySecret:
		return on(b, c, op.Ref, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			err := m.Destroy(ctx, op.Ref, op.Versions)
			return &keyturn.Changed{Receipt: r, Secret: keyturn.Info{Ref: op.Ref, Path: m.Path(ctx, op.Ref), State: keyturn.Destroyed},
				Target: m.Target(), Whole: len(op.Versions) == 0}, err
		})
	case keyturn.RunCommand:
		return b.runCommand(ctx, c, op)
	case keyturn.EndCommand:
		return b.endCommand(ctx, c, op)
	case keyturn.RenderTemplate:
		return b.renderTemplate(ctx, c)
	case keyturn.CopySecret:
		return b.copySecret(ctx, c, op)
	case keyturn.DiffSecrets:
		return b.diffSecrets(ctx, c, op)
	case keyturn.UseConfig:
		return b.useConfig(ctx, c, op)
	case keyturn.AdoptStore:
		if b.Adopt == nil {
			return nil, keyturn.E(keyturn.Unsupported, "there is no store of its own here", "")
		}
		return &keyturn.Adopted{Receipt: c.receipt(nil), Path: op.Path}, b.Adopt(ctx, op)
	case keyturn.ShowTrust:
		return b.showTrust(ctx, c, op)
	case keyturn.TrustProject:
		return b.trustProject(ctx, c, op)
	case keyturn.ListRequests:
		return b.listRequests(ctx, c)
	case keyturn.ApproveRequest:
		return b.approveRequest(ctx, c, op)
	case keyturn.ListRecords:
		return b.listRecords(ctx, c, op)
	case keyturn.MigrateSecrets:
		return b.migrate(ctx, c, op)
	case keyturn.ResumeMigration:
		return b.resumeMigration(ctx, c, op)
	case keyturn.RevertMigration:
		return b.revertMigration(ctx, c, op)
	case keyturn.FinishMigration:
		return b.finishMigration(ctx, c, op)
	case keyturn.ForgetMigration:
		return b.forgetMigration(ctx, c, op)
	case keyturn.ListMigrations:
		return b.listMigrations(ctx, c)
	case keyturn.TakeLease:
		return b.takeLease(ctx, c, op)
	case keyturn.RenewLease:
		return b.renewLease(ctx, c, op)
	case keyturn.RevokeLease:
		return b.revokeLease(ctx, c, op)
	case keyturn.ListLeases:
		return b.listLeases(ctx, c, op)
	case keyturn.VerifyLog:
		return b.verifyLog(ctx, c, op)
	case keyturn.ExportLog:
		return b.exportLog(ctx, c, op)
	case keyturn.MakeCheckpoint:
		return b.makeCheckpoint(ctx, c)
	case keyturn.PruneLog:
		n, err := b.Log.Prune(ctx, op.Before, keyturn.Record{ID: keyturn.NewID(b.Now()), Parent: c.id, Actor: &c.actor, Door: c.from.Door})
		return &keyturn.Pruned{Receipt: c.receipt(nil), Records: n}, err
	case keyturn.RekeyStore, keyturn.BackupStore, keyturn.UnlockStore, keyturn.LockStore:
		return b.keepStore(ctx, c)
	case keyturn.PlatformAction:
		return b.platformAction(ctx, c, op)
	case keyturn.Login:
		return at(b, c, op.Mount, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			return b.login(ctx, c, m, r, op)
		})
	case keyturn.Logout:
		return at(b, c, op.Mount, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			return b.logout(ctx, m, r, op)
		})
	}
	return nil, keyturn.E(keyturn.Unsupported, "'"+c.op.Kind()+"' cannot be asked for here", "")
}

// hideDetails removes from the answer to a change what the caller may not describe.
// Permission to write is not permission to see what else is in the secret.
func (b *Broker) hideDetails(c *call, res keyturn.Result) {
	var info *keyturn.Info
	switch res := res.(type) {
	case *keyturn.Changed:
		info = &res.Secret
	case *keyturn.Copied:
		info = &res.To
	case *keyturn.Migrated:
		info = &res.Secret
	}
	if info != nil && !info.Ref.IsZero() && !b.may(c.actor, keyturn.Describe, info.Ref) {
		*info = keyturn.Info{Ref: info.Ref, Version: info.Version, State: info.State, Created: info.Created}
	}
}

// hideFields removes the names of fields from the conflict of a write that would make
// some vanish, where the caller may not describe the secret.
func (b *Broker) hideFields(c *call, err error) error {
	if refs := c.op.Refs(); keyturn.ReasonOf(err) == keyturn.WouldVanish && !b.may(c.actor, keyturn.Describe, refs[len(refs)-1]) {
		return platform.Vanish(refs[len(refs)-1].Secret(), nil)
	}
	return err
}

// changes reports whether op changes anything, so that its outcome must be
// durable before the answer.
func changes(op keyturn.Op) bool {
	switch op.(type) {
	case keyturn.ListMounts, keyturn.ListSecrets, keyturn.GetSecret, keyturn.RevealSecret, keyturn.ListVersions,
		keyturn.RunCommand, keyturn.UseSecret, keyturn.RenderTemplate, keyturn.DiffSecrets, keyturn.ListRequests, keyturn.ShowTrust,
		keyturn.ListRecords, keyturn.VerifyLog, keyturn.ExportLog, keyturn.MakeCheckpoint, keyturn.ListMigrations,
		keyturn.ListLeases:
		return false
	}
	return true // an operation that was forgotten here is taken for a change
}

// on finds the mount of ref and calls do with it.
func on(b *Broker, c *call, ref keyturn.Ref, do func(*platform.Mount, keyturn.Receipt) (keyturn.Result, error)) (keyturn.Result, error) {
	return at(b, c, ref.Mount(), do)
}

// at finds a mount and calls do with it.
func at(b *Broker, c *call, mount string, do func(*platform.Mount, keyturn.Receipt) (keyturn.Result, error)) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(mount)
	if err != nil {
		return nil, err
	}
	return do(m, c.receipt(m))
}

// receipt returns the receipt of c's answer; m is nil where no mount acts.
func (c *call) receipt(m *platform.Mount) keyturn.Receipt {
	r := keyturn.Receipt{AuditID: c.id}
	if m != nil {
		r.Platform, r.Mount = m.Platform(), m.Name()
	}
	return r
}
