package platform

import (
	"context"
	"slices"
	"time"

	"github.com/keyturn/keyturn"
)

// Delete deletes so that it can be restored, until the time that it returns;
// zero is for ever. Conflict where it is deleted already.
func (m *Mount) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	if err := m.guard(ctx, ref); err != nil {
		return keyturn.Info{}, time.Time{}, err
	}
	if err := plain(ref, "delete", "it deletes the newest version; one version goes for ever with 'keyturn destroy "+
		shell(ref)+" --versions "+keyturn.Quote(keyturn.Clean(ref.Version()))+"'"); err != nil {
		return keyturn.Info{}, time.Time{}, err
	}
	if m.able.deleter == nil {
		instead := "it can be read, and copied to another mount: 'keyturn copy'"
		if m.able.destroyer != nil {
			instead = "'keyturn destroy " + shell(ref) + "' deletes for ever; 'keyturn copy' keeps one elsewhere first"
		}
		return keyturn.Info{}, time.Time{}, m.cannot(ref, "delete so that it can be restored", instead)
	}
	var until time.Time
	info, err := retried(ctx, m, func() (info keyturn.Info, err error) {
		info, until, err = m.able.deleter.Delete(ctx, ref)
		return info, err
	})
	if err != nil {
		return keyturn.Info{}, time.Time{}, m.fault(ref, err, true)
	}
	if info.Version == "" { // unseen
		return keyturn.Info{Ref: ref, Path: keyturn.Clean(info.Path), State: keyturn.Deleted}, until, nil
	}
	info, err = m.made(ref, info)
	return info, until, err
}

// Restore undoes a delete of the newest version, or of the one that ref pins
// where the platform can. Conflict where there is nothing to restore.
func (m *Mount) Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	if err := m.guard(ctx, ref); err != nil {
		return keyturn.Info{}, err
	}
	if m.able.restorer == nil {
		return keyturn.Info{}, m.cannot(ref, "restore what was deleted", "put it again, from a copy or a backup")
	}
	check := ref
	if m.spec.RestoreVersion {
		check, _ = ref.WithVersion("")
	}
	if err := plain(check, "restore", m.spec.Platform+" restores the secret, not one version"); err != nil {
		return keyturn.Info{}, err
	}
	if v := ref.Version(); v != "" {
		if err := m.spec.CheckVersion(ref, v); err != nil {
			return keyturn.Info{}, err
		}
	}
	info, err := retried(ctx, m, func() (keyturn.Info, error) { return m.able.restorer.Restore(ctx, ref) })
	if err != nil {
		return keyturn.Info{}, m.fault(ref, err, true)
	}
	return m.made(ref, info)
}

// Destroy deletes for ever: the versions named, or the secret with all that is
// known of it where versions is nil. NotFound where one of them does not exist;
// then none is destroyed. An empty list that is not nil is Invalid, so that a
// choice that came out empty never takes the whole secret.
func (m *Mount) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	if err := m.guard(ctx, ref); err != nil {
		return err
	}
	if err := plain(ref, "destroy", "name versions with --versions"); err != nil {
		return err
	}
	if m.able.destroyer == nil {
		return m.cannot(ref, "delete for ever", "use the platform's own tools")
	}
	if versions != nil && len(versions) == 0 {
		return keyturn.E(keyturn.Invalid, "no version to destroy is named", "leave --versions out to destroy the whole secret").About(ref)
	}
	if len(versions) > 0 && !m.spec.DestroyVersion {
		return m.cannot(ref, "destroy single versions", "leave --versions out to destroy the whole secret")
	}
	for i, v := range versions {
		if err := m.spec.CheckVersion(ref, v); err != nil {
			return err
		}
		if v == "" || slices.Contains(versions[:i], v) {
			return keyturn.E(keyturn.Invalid, "a version to destroy is empty or named twice", "--versions 1,2").About(ref)
		}
	}
	_, err := retried(ctx, m, func() (struct{}, error) {
		return struct{}{}, m.able.destroyer.Destroy(ctx, ref, slices.Clone(versions))
	})
	if err != nil {
		return m.fault(ref, err, true)
	}
	return nil
}

// Path is the platform's own path of a secret; "" where it does not tell.
func (m *Mount) Path(ctx context.Context, ref keyturn.Ref) string {
	if m.able.pather == nil {
		return ""
	}
	path, err := m.able.pather.Path(ctx, ref)
	if err != nil {
		return ""
	}
	return keyturn.Clean(path)
}
