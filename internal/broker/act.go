package broker

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker/answer"
	"github.com/keyturn/keyturn/internal/broker/crash"
	"github.com/keyturn/keyturn/internal/broker/entry"
	"github.com/keyturn/keyturn/internal/broker/listing"
	"github.com/keyturn/keyturn/internal/broker/trust"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// act carries c out. Everything before it has been decided and recorded.
func (b *Broker) act(ctx context.Context, c *call) (keyturn.Result, error) {
	res, err := crash.Guard(func() (keyturn.Result, error) {
		if c.approval != "" {
			if err := b.spend(ctx, c); err != nil {
				return nil, err
			}
		}
		res, err := b.perform(ctx, c)
		if err != nil {
			return nil, b.suggest(ctx, c, b.unnamed(c, err))
		}
		b.undescribed(c, res)
		return res, nil
	})
	if e := keyturn.AsError(err); e != nil && e.Code == keyturn.Internal && changes(c.op) && !errors.Is(err, context.Canceled) {
		unknown := *e // a bug: nobody can say how far it came
		unknown.Unknown = true
		return nil, &unknown
	}
	return res, err
}

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
	case keyturn.RenderTemplate:
		return b.renderTemplate(ctx, c)
	case keyturn.CopySecret:
		return b.transfer(c, c.children[:1]).Copy(ctx, op)
	case keyturn.DiffSecrets:
		return b.transfer(c, c.children).Diff(ctx, op)
	case keyturn.UseConfig:
		return &keyturn.Trusted{Receipt: c.receipt(nil)}, trust.UseConfig(ctx, b.Items, op.Path)
	case keyturn.ShowTrust:
		before, known, err := trust.Pinned(ctx, b.Items, op.Path)
		return &keyturn.Trusted{Receipt: c.receipt(nil), Known: known, Before: before}, err
	case keyturn.TrustProject:
		return b.trustProject(ctx, c, op)
	case keyturn.ListRequests:
		return b.listRequests(ctx, c)
	case keyturn.ApproveRequest:
		return b.approveRequest(ctx, c, op)
	case keyturn.ListRecords:
		return b.listRecords(ctx, c, op)
	case keyturn.MigrateSecrets, keyturn.ResumeMigration, keyturn.RevertMigration, keyturn.FinishMigration, keyturn.ForgetMigration, keyturn.ListMigrations:
		return b.migrations(c).Do(ctx, c.id, c.op)
	case keyturn.TakeLease, keyturn.RenewLease, keyturn.RevokeLease, keyturn.ListLeases:
		return b.leases(c).Do(ctx, c.id, c.op)
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
			lives, err := b.leases(c).Any(ctx, op.Mount)
			return entry.Login(ctx, b.Entrance, c.actor, lives || err != nil, m, r, op)
		})
	case keyturn.Logout:
		return at(b, c, op.Mount, func(m *platform.Mount, r keyturn.Receipt) (keyturn.Result, error) {
			return entry.Logout(ctx, m, r, op)
		})
	}
	return nil, keyturn.E(keyturn.Unsupported, "'"+c.op.Kind()+"' cannot be asked for here", "")
}

// undescribed leaves out of the answer to a change what takes describe: to change a
// secret is not to know what else is in it.
func (b *Broker) undescribed(c *call, res keyturn.Result) {
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

// unnamed leaves the names of fields out of the conflict of a write that would make
// some vanish, where they take describe.
func (b *Broker) unnamed(c *call, err error) error {
	if refs := c.op.Refs(); errors.Is(err, platform.ErrVanish) && !b.may(c.actor, keyturn.Describe, refs[len(refs)-1]) {
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

// on finds the mount of ref and has do act on it.
func on(b *Broker, c *call, ref keyturn.Ref, do func(*platform.Mount, keyturn.Receipt) (keyturn.Result, error)) (keyturn.Result, error) {
	return at(b, c, ref.Mount(), do)
}

// at finds a mount and has do act on it.
func at(b *Broker, c *call, mount string, do func(*platform.Mount, keyturn.Receipt) (keyturn.Result, error)) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(mount)
	if err != nil {
		return nil, err
	}
	return do(m, c.receipt(m))
}

func (c *call) receipt(m *platform.Mount) keyturn.Receipt {
	r := keyturn.Receipt{AuditID: c.id}
	if m != nil {
		r.Platform, r.Mount = m.Platform(), m.Name()
	}
	return r
}

func (b *Broker) listMounts(ctx context.Context, c *call, op keyturn.ListMounts) (keyturn.Result, error) {
	out := &keyturn.Mounts{Receipt: c.receipt(nil)}
	for _, name := range b.Mounts.Names() {
		if !b.Rules.MayAny(c.actor, name, b.Remote) {
			continue
		}
		m, err := b.Mounts.Mount(name)
		if err != nil {
			if op.Probe {
				out.Mounts = append(out.Mounts, keyturn.MountInfo{Mount: name, Health: &keyturn.Health{Err: keyturn.AsError(err)}})
			}
			continue
		}
		info := keyturn.MountInfo{Mount: name, Platform: m.Platform(), Target: m.Target()}
		if op.Probe {
			h := m.Status(ctx)
			info.Health = &h
		}
		out.Mounts = append(out.Mounts, info)
	}
	return out, nil
}

// listSecrets yields only what the caller may list, name by name.
func (b *Broker) listSecrets(ctx context.Context, c *call, op keyturn.ListSecrets) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(op.Under.Mount())
	if err != nil {
		return nil, err
	}
	return &keyturn.Listing{Receipt: c.receipt(m), Secrets: b.sight(c, m).Under(ctx, op)}, nil
}

// sight is what c may see of a mount.
func (b *Broker) sight(c *call, m *platform.Mount) listing.Sight {
	return listing.Sight{Mount: m,
		List:     func(path string) bool { return b.mayList(c, path) },
		Describe: func(path string) bool { return b.mayPath(c.actor, keyturn.Describe, path) },
		Some:     func(path string) bool { return c.approval != "" || b.Rules.MayAny(c.actor, path, b.Remote) },
		All:      func(path string) bool { return b.Rules.MayAll(c.actor, keyturn.List, path, b.Remote) },
	}
}

// mayList reports whether c may see that a name exists: by the rules, or by the
// approval that it runs under, which covers all but what a rule forbids.
func (b *Broker) mayList(c *call, path string) bool {
	d := b.Rules.Decide(rules.Request{Actor: c.actor, Verb: keyturn.List, Path: path, Remote: b.Remote})
	return d.Effect == rules.Allow || c.approval != "" && !d.Never
}

// suggest adds the nearest names to a not-found, of those that the caller may
// list.
func (b *Broker) suggest(ctx context.Context, c *call, err error) error {
	e := answer.Shown(keyturn.AsError(err))
	refs := c.op.Refs()
	if e.Code != keyturn.NotFound || e.Hint != "" || len(refs) != 1 {
		return err
	}
	m, mountErr := b.Mounts.Mount(refs[0].Mount())
	if mountErr != nil {
		return err
	}
	if e.Hint = b.sight(c, m).Suggest(ctx, refs[0]); e.Hint == "" {
		e.Hint = "'keyturn list " + keyturn.Quote(m.Name()) + "' shows what is there"
	}
	return e
}
