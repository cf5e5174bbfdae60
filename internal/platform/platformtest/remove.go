package platformtest

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// delete: what is deleted cannot be read, is still known, and comes back byte for
// byte.
func (s *suite) delete() {
	s.putter()
	ctx, ref := s.Context(), s.ref()
	a := s.put(ref, s.one("a"))
	b := s.put(ref, s.one("b"))
	s.holds(ref, b.Version, s.one("b"))
	if s.h.Spec.Recovery == platform.NoRecovery {
		_, _, err := s.m.Delete(ctx, ref)
		if e := s.want(keyturn.Unsupported, err, "delete"); e.Hint == "" {
			s.Errorf("delete is not supported, and no hint says what is instead")
		}
		s.want(keyturn.Unsupported, second(s.m.Restore(ctx, ref)), "restore")
		s.holds(ref, b.Version, s.one("b"))
		return
	}
	s.want(keyturn.Invalid, s.deleteError(s.at(ref, a.Version)), "delete of one version")
	s.want(keyturn.Conflict, second(s.m.Restore(ctx, ref)), "restore of what is live")
	info, until, err := s.m.Delete(ctx, ref)
	if err != nil {
		s.Fatalf("delete: %s", say(err))
	}
	if info.State != keyturn.Deleted || info.Version != b.Version {
		s.Errorf("delete answered with version '%s', %s; want '%s', deleted", info.Version, info.State, b.Version)
	}
	if window := s.h.Spec.Recovery == platform.RecoveryWindow; window == until.IsZero() || window && !until.After(info.Created) {
		s.Errorf("delete can be undone until %v; Spec says '%s'", until, s.h.Spec.Recovery)
	}
	e := s.absent(ref, "get of what is deleted")
	if !strings.Contains(e.Hint, "keyturn restore ") {
		s.Errorf("what is deleted: no hint how to restore it: %s", say(e))
	}
	s.deleted(ref, b.Version)
	s.want(keyturn.Conflict, s.deleteError(ref), "delete of what is deleted")
	if _, err = s.m.Restore(ctx, ref); err != nil {
		s.Fatalf("restore: %s", say(err))
	}
	s.holds(ref, b.Version, s.one("b"))
	if s.historian() {
		s.holds(s.at(ref, a.Version), a.Version, s.one("a"))
	}

	if _, _, err = s.m.Delete(ctx, ref); err != nil {
		s.Fatalf("delete once more: %s", say(err))
	}
	if s.h.Spec.CompareAndSet {
		_, err = s.m.Put(ctx, ref, platform.Put{Values: s.one("c"), IfVersion: keyturn.None})
		s.want(keyturn.Conflict, err, "put if none, of what is deleted")
	}
	if _, ok := s.h.Platform.(platform.Describer); ok {
		_, err = s.m.Put(ctx, ref, platform.Put{Values: s.one("c"), Mode: keyturn.Merge})
		if e := s.want(keyturn.Conflict, err, "merge with what is deleted"); !strings.Contains(e.Hint, "keyturn restore ") {
			s.Errorf("merge with what is deleted: no hint how to restore it: %s", say(e))
		}
		s.deleted(ref, b.Version)
	}
	c, err := s.m.Put(ctx, ref, platform.Put{Values: s.one("c")})
	if err != nil { // some platforms keep the name until it is purged
		s.want(keyturn.Conflict, err, "put over what is deleted")
		return
	}
	if c.Created || c.Before != "" || c.Info.Version == b.Version {
		s.Errorf("put over what is deleted: version '%s', created %v, before '%s'", c.Info.Version, c.Created, c.Before)
	}
	s.holds(ref, c.Info.Version, s.one("c"))
}

func (s *suite) deleteError(ref keyturn.Ref) error {
	_, _, err := s.m.Delete(s.Context(), ref)
	return err
}

// deleted checks what is still known of a secret whose newest version is deleted.
func (s *suite) deleted(ref keyturn.Ref, version string) {
	s.Helper()
	if d, ok := s.h.Platform.(platform.Describer); ok {
		info, err := d.Describe(s.Context(), ref)
		if err != nil {
			s.Fatalf("describe of what is deleted: %s", say(err))
		}
		if info.State != keyturn.Deleted || info.Version != version || info.Current {
			s.Errorf("describe of what is deleted: %+v", info)
		}
		s.want(keyturn.NotFound, second(s.m.Describe(s.Context(), ref)), "describe by the mount of what is deleted")
	}
	s.settle(func() string {
		for info, err := range s.m.List(s.Context(), s.prefix(s.h.Prefix), false) {
			if err != nil {
				return "list: " + say(err)
			}
			if info.Ref == ref {
				if info.State != keyturn.Deleted || info.Current {
					return "what is deleted is listed as " + string(info.State)
				}
				return ""
			}
		}
		return "what is deleted is not listed, though it can be restored"
	})
}

// restoreVersion: a deleted version that is no longer the newest can be restored.
func (s *suite) restoreVersion() {
	s.putter()
	ctx, ref := s.Context(), s.ref()
	a := s.put(ref, s.one("a"))
	if s.h.Spec.Recovery == platform.NoRecovery {
		s.Skipf("Spec has no recovery")
	}
	if !s.h.Spec.RestoreVersion {
		s.wantAny(second(s.m.Restore(ctx, s.at(ref, a.Version))), "restore of one version", keyturn.Invalid)
		return
	}
	if err := s.deleteError(ref); err != nil {
		s.Fatalf("delete: %s", say(err))
	}
	b := s.put(ref, s.one("b"))
	pinned := s.at(ref, a.Version)
	e := s.absent(pinned, "get of a deleted version")
	if !strings.Contains(e.Hint, "keyturn restore ") || !strings.Contains(e.Hint, "--version "+a.Version) {
		s.Errorf("a deleted version: no hint how to restore it: %s", say(e))
	}
	s.want(keyturn.Conflict, second(s.m.Restore(ctx, ref)), "restore where the newest version is live")
	if _, err := s.m.Restore(ctx, pinned); err != nil {
		s.Fatalf("restore of a version: %s", say(err))
	}
	s.holds(pinned, a.Version, s.one("a"))
	s.holds(ref, b.Version, s.one("b"))
	s.want(keyturn.Conflict, second(s.m.Restore(ctx, pinned)), "restore of a version that is live")
}

// destroy: the secret is gone, with all that was known of it, and its name is
// free.
func (s *suite) destroy() {
	s.putter()
	if _, ok := s.h.Platform.(platform.Destroyer); !ok {
		s.want(keyturn.Unsupported, s.m.Destroy(s.Context(), s.ref(), nil), "destroy")
		return
	}
	ctx := s.Context()
	for _, deleted := range []bool{false, true} {
		ref, other := s.ref(), s.ref()
		s.put(other, s.one("other"))
		first := s.put(ref, s.one("a"))
		last := s.put(ref, s.one("b"))
		s.holds(ref, last.Version, s.one("b"))
		s.want(keyturn.Invalid, s.m.Destroy(ctx, ref, []string{}), "destroy of an empty choice of versions")
		s.want(keyturn.Invalid, s.m.Destroy(ctx, s.at(ref, first.Version), nil), "destroy of a reference with a version")
		s.holds(ref, last.Version, s.one("b"))
		if deleted {
			if s.h.Spec.Recovery == platform.NoRecovery {
				break
			}
			if err := s.deleteError(ref); err != nil {
				s.Fatalf("delete: %s", say(err))
			}
		}
		if err := s.m.Destroy(ctx, ref, nil); err != nil {
			s.Fatalf("destroy: %s", say(err))
		}
		s.absent(ref, "get of what is destroyed")
		if s.historian() {
			s.absent(s.at(ref, first.Version), "get of a version of what is destroyed")
			s.want(keyturn.NotFound, second(s.m.Versions(ctx, ref)), "history of what is destroyed")
		}
		s.settle(func() string {
			for info, err := range s.m.List(ctx, s.prefix(s.h.Prefix), false) {
				if err != nil {
					return "list: " + say(err)
				}
				if info.Ref == ref {
					return "what is destroyed is listed"
				}
			}
			return ""
		})
		s.want(keyturn.NotFound, s.m.Destroy(ctx, ref, nil), "destroy of what is destroyed")
		c := s.putAs(ref, platform.Put{Values: s.one("anew")})
		if !c.Created || c.Before != "" {
			s.Errorf("a put after destroy: created %v, before '%s'", c.Created, c.Before)
		}
		s.holds(ref, c.Info.Version, s.one("anew"))
		s.holds(other, "", s.one("other"))
	}
}

// destroyVersions: versions are destroyed all or none, and no others.
func (s *suite) destroyVersions() {
	s.putter()
	ctx, ref := s.Context(), s.ref()
	if _, ok := s.h.Platform.(platform.Destroyer); !ok || !s.h.Spec.DestroyVersion {
		v := s.put(ref, s.one("a")).Version
		s.want(keyturn.Unsupported, s.m.Destroy(ctx, ref, []string{v}), "destroy of one version")
		s.holds(ref, v, s.one("a"))
		return
	}
	var versions []string
	for _, text := range []string{"a", "b", "c", "d"} {
		versions = append(versions, s.put(ref, s.one(text)).Version)
	}
	a, b, c, d := versions[0], versions[1], versions[2], versions[3]
	whole := func() {
		s.Helper()
		for i, text := range []string{"a", "b", "c", "d"} {
			s.holds(s.at(ref, versions[i]), versions[i], s.one(text))
		}
	}
	if s.h.Spec.NumericVersions {
		s.want(keyturn.NotFound, s.m.Destroy(ctx, ref, []string{a, "987654"}), "destroy of a version that is not there")
		for _, v := range []string{"0", "-1", "0" + a} {
			s.want(keyturn.Invalid, s.m.Destroy(ctx, ref, []string{a, v}), "destroy of version '"+v+"'")
		}
	}
	s.want(keyturn.Invalid, s.m.Destroy(ctx, ref, []string{a, a}), "destroy of a version twice")
	s.want(keyturn.Invalid, s.m.Destroy(ctx, ref, []string{""}), "destroy of an empty version")
	whole()
	if err := s.m.Destroy(ctx, ref, []string{a, c}); err != nil {
		s.Fatalf("destroy of versions: %s", say(err))
	}
	s.absent(s.at(ref, a), "get of a destroyed version")
	s.absent(s.at(ref, c), "get of a destroyed version")
	s.holds(s.at(ref, b), b, s.one("b"))
	s.holds(ref, d, s.one("d"))
	s.want(keyturn.NotFound, s.m.Destroy(ctx, ref, []string{b, a}), "destroy of a destroyed version")
	s.holds(s.at(ref, b), b, s.one("b"))
	if s.h.Spec.RestoreVersion {
		s.want(keyturn.NotFound, second(s.m.Restore(ctx, s.at(ref, a))), "restore of a destroyed version")
	}

	if err := s.m.Destroy(ctx, ref, []string{d}); err != nil {
		s.Fatalf("destroy of the newest version: %s", say(err))
	}
	e := s.absent(ref, "get where the newest version is destroyed")
	if strings.Contains(e.Hint, "restore") || !strings.Contains(e.Hint, "--version "+keyturn.Quote(b)) {
		s.Errorf("the newest version is destroyed: the hint is not to the newest that can be read: %s", say(e))
	}
	infos, err := s.m.Versions(ctx, ref)
	if err != nil {
		s.Fatalf("history: %s", say(err))
	}
	for _, v := range infos {
		destroyed := slices.Contains([]string{a, c, d}, v.Version)
		if destroyed != (v.State == keyturn.Destroyed) || v.Current {
			s.Errorf("history after destroy: version '%s' is %s", v.Version, v.State)
		}
	}
	next := s.put(ref, s.one("e"))
	if slices.Contains(versions, next.Version) {
		s.Errorf("version '%s' is used again after it was destroyed", next.Version)
	}
	s.holds(ref, next.Version, s.one("e"))
}
