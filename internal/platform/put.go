package platform

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
)

// tries is how often a put is tried against other writers.
const tries = 5

// Put makes a new version, always a whole one. With Merge the fields of the
// current version that put does not name stay, and it is a Conflict where the newest
// version cannot be read; with Replace they go; without a mode a put that would lose
// some is a Conflict that names them.
//
// Where the platform has compare-and-set, the version that Put has read is what
// it replaces: a put that lost against another writer is made anew, at most five
// times, unless IfVersion says what must be there. IfVersion is Unsupported where
// the platform has none, since a read and a write would only look like it.
func (m *Mount) Put(ctx context.Context, ref keyturn.Ref, put Put) (Change, error) {
	if err := m.canPut(ctx, ref, put); err != nil {
		return Change{}, err
	}
	if m.Relabels(put) {
		return m.relabel(ctx, ref, put)
	}
	var lost error
	var before string
	for try := range tries {
		base, err := m.base(ctx, ref, put.Mode)
		if err != nil {
			return Change{}, err
		}
		if try > 0 && base.version() == before {
			break // nobody else wrote: the platform has another reason
		}
		before = base.version()
		if base.unseen != nil && !base.exists() {
			return m.putUnseen(ctx, ref, put, base)
		}
		next, err := m.next(ref, put, base)
		if err != nil {
			return Change{}, err
		}
		notice := ""
		if !base.exists() && m.able.adviser != nil {
			notice = keyturn.Clean(m.able.adviser.Advise(ctx, ref))
		}
		info, err := retried(ctx, m, func() (keyturn.Info, error) { return m.able.putter.Put(ctx, ref, next) })
		if err == nil {
			info.Fields = sorted(next.Values)
			info, err = m.made(ref, info)
			change := base.change(info)
			change.Notice = notice
			return change, err
		}
		lost = m.fault(ref, err, true)
		if !m.spec.CompareAndSet || !errors.Is(err, keyturn.Conflict) {
			return Change{}, lost
		}
		if put.IfVersion != "" {
			return Change{}, m.raced(ctx, ref, put.IfVersion, lost)
		}
	}
	return Change{}, lost
}

// canPut refuses what needs no look at the platform.
func (m *Mount) canPut(ctx context.Context, ref keyturn.Ref, put Put) error {
	if err := m.guard(ctx, ref); err != nil {
		return err
	}
	if err := plain(ref, "put", "a put makes a new version: leave ?version= out, or use --if-version"); err != nil {
		return err
	}
	s := m.spec
	switch {
	case m.able.putter == nil:
		return m.cannot(ref, "store a secret", "it can be read, and copied to another mount: 'keyturn copy'")
	case put.Mode != "" && put.Mode != keyturn.Merge && put.Mode != keyturn.Replace:
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(put.Mode)+"' is not a mode of put", "--merge or --replace").About(ref)
	case put.IfVersion != "" && !s.CompareAndSet:
		return m.cannot(ref, "put only if a version is current", "leave --if-version out; another writer may then be overwritten")
	case len(put.Public) > 0 && !s.Public:
		return m.cannot(ref, "mark fields as public", "leave --public out")
	case !put.Expires.IsZero() && !s.Expires:
		return m.cannot(ref, "keep an expiry", "leave --expires out, or use a label")
	}
	if put.IfVersion != "" && put.IfVersion != keyturn.None {
		if err := s.CheckVersion(ref, put.IfVersion); err != nil {
			return err
		}
	}
	if err := m.spec.CanLabel(ref, put.Mode == keyturn.Merge, put.Labels, put.Unlabel); err != nil {
		return err
	}
	if put.Mode == keyturn.Merge && len(put.Values) == 0 {
		return nil // new labels for the same values; next checks that there are some
	}
	return s.CheckValues(ref, put.Values)
}

// base is what a put begins from.
type base struct {
	secret keyturn.Secret // its Info zero where there is no such secret; values for Merge only
	unseen *keyturn.Error // why its fields, or all of it, may not be seen; nil where they may
}

func (b base) version() string { return b.secret.Version }
func (b base) exists() bool    { return b.secret.Version != "" }
func (b base) live() bool      { return b.exists() && b.secret.State == keyturn.Live }

func (b base) change(info keyturn.Info) Change {
	c := Change{Info: info, Created: !b.exists()}
	if b.live() {
		c.Before = b.version()
	}
	return c
}

// base reads the newest version: its values for a merge, its fields where the
// put may lose some.
func (m *Mount) base(ctx context.Context, ref keyturn.Ref, mode string) (base, error) {
	var b base
	if m.able.describer != nil {
		info, err := m.describe(ctx, ref)
		if errors.Is(err, keyturn.NotFound) {
			return base{}, nil
		}
		if errors.Is(err, keyturn.Denied) {
			return m.seen(ctx, ref)
		}
		if err != nil {
			return base{}, m.fault(ref, err, false)
		}
		if info.Ref != ref.Secret() || info.Version == "" || info.State == "" {
			return base{}, m.broken(ref, "answered about another secret, or without version or state")
		}
		b.secret.Info = info
		if !b.live() || mode == keyturn.Replace || mode == "" && info.Fields != nil {
			return b, nil
		}
	}
	s, err := m.get(ctx, ref)
	if errors.Is(err, keyturn.NotFound) {
		b.secret.State = keyturn.Deleted // meanwhile, where there was one: nothing to keep
		return b, nil
	}
	if errors.Is(err, keyturn.Denied) && mode == "" && b.exists() {
		b.unseen = keyturn.AsError(m.fault(ref, err, false))
		return b, nil
	}
	if err != nil {
		return base{}, m.fault(ref, err, false)
	}
	return m.baseOf(ref, s)
}

// baseOf is the base of a secret that was read.
func (m *Mount) baseOf(ref keyturn.Ref, s keyturn.Secret) (base, error) {
	if s.Ref != ref.Secret() || s.Version == "" || s.State != keyturn.Live {
		return base{}, m.broken(ref, "answered about another secret, or with one that is not live")
	}
	s.Fields = sorted(s.Values)
	return base{secret: s}, nil
}

// Vanish is the Conflict of a write that would remove fields, WouldVanish. Without
// fields it does not say which.
func Vanish(ref keyturn.Ref, fields []string) error {
	which := " fields that are there"
	if len(fields) > 0 {
		which = " the fields " + keyturn.Clean(strings.Join(fields, ", ")) // all: somebody may say yes to it
	}
	return keyturn.E(keyturn.Conflict, "this would remove from "+shown(ref)+which,
		"say --merge to keep them, or --replace to let them go").About(ref).With(keyturn.WouldVanish)
}

// next is the whole new version that put makes of base.
func (m *Mount) next(ref keyturn.Ref, put Put, b base) (New, error) {
	if err := expected(ref, put.IfVersion, b); err != nil {
		return New{}, err
	}
	if put.Mode == keyturn.Merge && b.exists() && !b.live() {
		return New{}, m.buried(ref, b)
	}
	n := New{Values: map[string]keyturn.Value{}, Expires: put.Expires, Demanded: put.IfVersion != ""}
	if put.Mode == keyturn.Merge && b.live() {
		maps.Copy(n.Values, b.secret.Values)
	}
	maps.Copy(n.Values, put.Values)
	if err := m.spec.checkMerged(ref, n.Values, put.Values); err != nil {
		return New{}, err
	}
	if b.unseen != nil {
		return New{}, m.covered(ref, b)
	}
	if put.Mode == "" && b.live() {
		lost := slices.DeleteFunc(slices.Sorted(slices.Values(b.secret.Fields)), func(f string) bool {
			_, stays := n.Values[f]
			return stays
		})
		if len(lost) > 0 {
			return New{}, Vanish(ref, lost)
		}
	}
	if m.spec.CompareAndSet {
		n.IfVersion = keyturn.None
		if b.exists() {
			n.IfVersion = b.version()
		}
	}
	if err := m.labels(ref, put, b, &n); err != nil {
		return New{}, err
	}
	n.Public = slices.Clone(put.Public)
	if put.Public == nil && b.live() && m.spec.Public {
		n.Public = slices.DeleteFunc(slices.Clone(b.secret.Public), func(f string) bool {
			_, stays := n.Values[f]
			_, anew := put.Values[f] // a new value is secret until somebody says otherwise
			return !stays || anew
		})
	}
	for f := range n.Values {
		given, known := put.Given[f]
		if _, anew := put.Values[f]; !anew {
			given, known = b.secret.Given[f]
		}
		if known {
			if n.Given == nil {
				n.Given = map[string]bool{}
			}
			n.Given[f] = given
		}
	}
	for _, f := range put.Typed {
		if v, ok := put.Values[f]; ok && v.JSONKind() != "" {
			n.Typed = append(n.Typed, f)
		}
	}
	for _, f := range b.secret.Typed { // a field that was a number stays one while its text is one
		if v, stays := n.Values[f]; stays && v.JSONKind() != "" && v.JSONKind() == b.secret.Values[f].JSONKind() {
			n.Typed = append(n.Typed, f)
		}
	}
	slices.Sort(n.Typed)
	n.Typed = slices.Compact(n.Typed)
	slices.Sort(n.Public)
	n.Public = slices.Compact(n.Public)
	for _, f := range n.Public {
		if _, ok := n.Values[f]; !ok {
			return New{}, keyturn.E(keyturn.Invalid, "there is no field '"+keyturn.Clean(f)+"' to be public",
				"--public names a field of the new version: "+names(sorted(n.Values))).About(ref)
		}
	}
	return n, nil
}

// buried is the Conflict of a merge into a version that cannot be read: its fields,
// which a merge keeps, would be gone.
func (m *Mount) buried(ref keyturn.Ref, b base) error {
	anew := "'keyturn put " + shell(ref) + " --replace …' begins anew, without its fields"
	if b.secret.State == keyturn.Deleted && m.able.restorer != nil {
		anew = "'keyturn restore " + shell(ref) + "' first; or " + anew
	}
	return keyturn.E(keyturn.Conflict, "there is nothing to merge with: the newest version of "+shown(ref)+", "+keyturn.Clean(b.version())+", is "+string(b.secret.State), anew).About(ref)
}

// expected refuses where the newest version is not the one that the caller
// expects.
func expected(ref keyturn.Ref, want string, b base) error {
	version := keyturn.Clean(b.version())
	see := "look at it again with 'keyturn get " + shell(ref) + "'"
	switch {
	case want == "" || b.exists() && want == b.version() || !b.exists() && want == keyturn.None:
		return nil
	case !b.exists():
		return keyturn.E(keyturn.Conflict, shown(ref)+" does not exist, so it is not at version "+keyturn.Clean(want),
			"--if-version none makes it").About(ref)
	case want != keyturn.None && b.live():
		return keyturn.E(keyturn.Conflict, shown(ref)+" is at version "+version+", not "+keyturn.Clean(want), see).About(ref)
	case want != keyturn.None:
		return keyturn.E(keyturn.Conflict, shown(ref)+" is at version "+version+" ("+string(b.secret.State)+"), not "+keyturn.Clean(want),
			"see 'keyturn history "+shell(ref)+"'").About(ref)
	case b.live():
		return keyturn.E(keyturn.Conflict, shown(ref)+" exists, at version "+version, see).About(ref)
	}
	return keyturn.E(keyturn.Conflict, shown(ref)+" exists: its newest version, "+version+", is "+string(b.secret.State),
		"'keyturn restore "+shell(ref)+"', or --if-version "+keyturn.Quote(version)+" to write over it").About(ref)
}

// raced says of a put that lost what is there now; lost is the platform's word.
func (m *Mount) raced(ctx context.Context, ref keyturn.Ref, want string, lost error) error {
	b, err := m.base(ctx, ref, keyturn.Replace)
	if err != nil {
		return lost
	}
	if now := keyturn.AsError(expected(ref, want, b)); now != nil {
		return now.Because(lost)
	}
	return lost
}

// Rollback writes the value of an earlier version as a new one: of the version
// to, or of the newest live one before the current where to is empty. Public marks
// are those of that version, and labels where they belong to versions. It is a Conflict where another version
// was written meanwhile, as far as the platform has compare-and-set.
func (m *Mount) Rollback(ctx context.Context, ref keyturn.Ref, to string) (Change, error) {
	if err := m.guard(ctx, ref); err != nil {
		return Change{}, err
	}
	if err := plain(ref, "rollback", "name the version with --to"); err != nil {
		return Change{}, err
	}
	if m.able.putter == nil || m.able.historian == nil {
		return Change{}, m.cannot(ref, "go back to an earlier version", "keep earlier values in another mount: 'keyturn copy'")
	}
	versions, err := m.Versions(ctx, ref)
	if err != nil {
		return Change{}, err
	}
	if len(versions) == 0 {
		return Change{}, m.broken(ref, "knows no version of a secret that it has")
	}
	b := base{secret: keyturn.Secret{Info: versions[0]}}
	old, err := m.earlier(ref, to, versions)
	if err != nil {
		return Change{}, err
	}
	pinned, err := ref.WithVersion(old)
	if err != nil {
		return Change{}, m.broken(ref, "answered a version that cannot be one")
	}
	s, err := m.get(ctx, pinned)
	if errors.Is(err, keyturn.NotFound) {
		return Change{}, m.missing(ctx, pinned, err)
	}
	if err != nil {
		return Change{}, m.fault(pinned, err, false)
	}
	if s.Ref != ref || s.State != keyturn.Live {
		return Change{}, m.broken(ref, "answered about another secret, or with one that is not live")
	}
	next := New{Values: s.Values, Labels: s.Labels, Public: s.Public, Given: s.Given, Typed: s.Typed}
	if m.spec.Labels.OfSecret {
		next.Labels = nil
	}
	slices.Sort(next.Public)
	if m.spec.CompareAndSet {
		next.IfVersion = b.version()
	}
	info, err := retried(ctx, m, func() (keyturn.Info, error) { return m.able.putter.Put(ctx, ref, next) })
	if err != nil {
		return Change{}, m.fault(ref, err, true)
	}
	info, err = m.made(ref, info)
	return b.change(info), err
}

// earlier returns the version to go back to; versions are newest first.
func (m *Mount) earlier(ref keyturn.Ref, to string, versions []keyturn.Info) (string, error) {
	history := "'keyturn history " + shell(ref) + "' lists the versions"
	if to == "" {
		for _, v := range versions[1:] {
			if v.State == keyturn.Live {
				return v.Version, nil
			}
		}
		return "", keyturn.E(keyturn.NotFound, shown(ref)+" has no earlier version that can be read", history).About(ref)
	}
	if err := m.spec.CheckVersion(ref, to); err != nil {
		return "", err
	}
	if to == versions[0].Version && versions[0].State == keyturn.Live {
		return "", keyturn.E(keyturn.Conflict, "version "+keyturn.Clean(to)+" of "+shown(ref)+" is the current one", history).About(ref)
	}
	return to, nil
}
