package broker

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/rules"
)

// listMounts returns the mounts that the caller may see anything of; asked to probe
// them, also those that cannot be opened.
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

// listSecrets yields the secrets that the caller may list, with details of those that the
// caller may describe. It yields a folder where the caller may list everything in it, or a
// name in it, and no details of a folder. The listing ends with NotFound where the caller
// may see nothing and the platform has no such folder.
func (b *Broker) listSecrets(ctx context.Context, c *call, op keyturn.ListSecrets) (keyturn.Result, error) {
	m, err := b.Mounts.Mount(op.Under.Mount())
	if err != nil {
		return nil, err
	}
	return &keyturn.Listing{Receipt: c.receipt(m), Secrets: sight{b, c, m}.list(ctx, op)}, nil
}

// suggest adds to a NotFound the nearest name that the caller may list.
func (b *Broker) suggest(ctx context.Context, c *call, err error) error {
	e := shown(keyturn.AsError(err))
	refs := c.op.Refs()
	if e.Code != keyturn.NotFound || e.Hint != "" || len(refs) != 1 {
		return err
	}
	m, mountErr := b.Mounts.Mount(refs[0].Mount())
	if mountErr != nil {
		return err
	}
	e.Hint = sight{b, c, m}.suggestion(ctx, refs[0])
	if e.Hint == "" {
		e.Hint = "'keyturn list " + keyturn.Quote(m.Name()) + "' shows what is there"
	}
	return e
}

// sight is what the caller of c may see of a mount. The paths that its methods take are
// those of a secret (keyturn.Ref.Path), of a folder, "local/myapp", or the mount's
// name, which also stands for names that no reference can hold.
type sight struct {
	b *Broker
	c *call
	m *platform.Mount
}

// mayList reports whether the caller may know of a name: by the rules, or by the
// approval that c runs under, which covers everything that no rule forbids.
func (s sight) mayList(path string) bool {
	d := s.b.Rules.Decide(rules.Request{Actor: s.c.actor, Verb: keyturn.List, Path: path, Remote: s.b.Remote})
	return d.Effect == rules.Allow || s.c.approval != "" && !d.Never
}

// mayDescribe reports whether the caller may know what else is known of a secret.
func (s sight) mayDescribe(path string) bool {
	return s.b.mayPath(s.c.actor, keyturn.Describe, path)
}

// maySome reports whether the caller could see anything at or below a path.
func (s sight) maySome(path string) bool {
	return s.c.approval != "" || s.b.Rules.MayAny(s.c.actor, path, s.b.Remote)
}

// mayAll reports whether the caller may list every name at and below a path.
func (s sight) mayAll(path string) bool {
	return s.b.Rules.MayAll(s.c.actor, keyturn.List, path, s.b.Remote)
}

// list yields the answer of listSecrets.
func (s sight) list(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	return s.orNothing(ctx, op.Under, s.unchecked(ctx, op))
}

// unchecked is list without the error where nothing is found.
func (s sight) unchecked(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	switch {
	case !op.Shallow:
		return s.seen(op.Under, s.ask(ctx, op.Under, false, op.Names))
	case !s.m.ListsLevels(): // filtered first and folded after
		return keyturn.Fold(op.Under, s.seen(op.Under, s.ask(ctx, op.Under, false, op.Names)))
	}
	return s.level(ctx, op)
}

// ask lists below a prefix, as the platform does, with or without what else is known.
func (s sight) ask(ctx context.Context, under keyturn.Prefix, shallow, names bool) iter.Seq2[keyturn.Info, error] {
	if names {
		return s.m.Names(ctx, under, shallow)
	}
	return s.m.List(ctx, under, shallow)
}

// level lists one level, as the platform does. A folder that the caller may see only
// parts of is looked into until one of these parts is found.
func (s sight) level(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range s.seen(op.Under, s.ask(ctx, op.Under, true, op.Names)) {
			if err == nil && info.IsFolder() && !s.mayAll(folderPath(info)) {
				some, failed := s.showsAny(ctx, info)
				if platform.IsCut(failed) { // of all of them, without the name of this one
					yield(keyturn.Info{Path: strings.TrimSuffix(strings.TrimPrefix(op.Under.String(), keyturn.Scheme), "/") + "/"}, failed)
					return
				}
				if failed != nil {
					info, err = keyturn.Info{}, failed
				} else if !some {
					continue
				}
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// showsAny reports whether the caller may see a name below a folder. Folders that the
// platform refuses to list count as empty.
func (s sight) showsAny(ctx context.Context, folder keyturn.Info) (bool, error) {
	under, err := keyturn.ParsePrefix(folder.Path)
	if err != nil || !s.maySome(folderPath(folder)) {
		return false, nil
	}
	for info, err := range s.seen(under, s.m.Names(ctx, under, false)) {
		switch {
		case err != nil && (info.IsFolder() && !platform.IsCut(err) || keyturn.AsError(err).Code == keyturn.Denied):
		case err != nil:
			return false, err
		case !info.Ref.IsZero():
			return true, nil
		}
	}
	return false, nil
}

// folderPath returns the path of a folder, as rules know it.
func folderPath(folder keyturn.Info) string { return strings.TrimSuffix(folder.Path, "/") }

// seen removes from a listing what the caller may not see. A folder stays where the
// caller may see any part of it. The error of a folder that could not be listed names
// that folder where the caller may see all of it; where the caller may see only a part,
// one error without a name stands for all such folders.
func (s sight) seen(under keyturn.Prefix, list iter.Seq2[keyturn.Info, error]) iter.Seq2[keyturn.Info, error] {
	whole := keyturn.Info{Path: strings.TrimPrefix(under.String(), keyturn.Scheme)}
	return func(yield func(keyturn.Info, error) bool) {
		told := false
		for info, err := range list {
			at := info.Ref.Path()
			switch {
			case err != nil && !info.IsFolder():
			case info.IsFolder() && !s.maySome(folderPath(info)):
				continue
			case err != nil && !s.mayAll(folderPath(info)):
				if platform.IsCut(err) {
					info = whole
					break
				}
				if told {
					continue
				}
				told = true
				e := *keyturn.AsError(err)
				e.Message, e.Hint = "a part of "+keyturn.Clean(whole.Path)+" may not be listed", ""
				info, err = whole, &e
			case info.IsFolder():
			default:
				if at == "" {
					at = s.m.Name()
				}
				if !s.mayList(at) {
					continue
				}
				if !s.mayDescribe(at) {
					info = keyturn.Info{Ref: info.Ref, State: info.State, Path: info.Path}
				}
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// orNothing yields list, or NotFound where it is empty: the error is the same for names
// that do not exist and for names that the caller may not see.
func (s sight) orNothing(ctx context.Context, under keyturn.Prefix, list iter.Seq2[keyturn.Info, error]) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range list {
			if under = (keyturn.Prefix{}); !yield(info, err) {
				return
			}
		}
		if under.Path() == "" || s.keeps(ctx, under) {
			return
		}
		name := strings.TrimSuffix(strings.TrimPrefix(under.String(), keyturn.Scheme), "/")
		e := keyturn.E(keyturn.NotFound, "there is nothing at "+keyturn.Clean(name)+" that you may list", "'keyturn list "+s.m.Name()+"/ --shallow' shows what is there")
		if near := s.near(ctx, name, true); near != "" {
			e.Hint = didYouMean(near)
		}
		yield(keyturn.Info{}, e)
	}
}

// keeps reports whether the folder above lists this one. Then this folder is empty, and
// not missing.
func (s sight) keeps(ctx context.Context, under keyturn.Prefix) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(under.String(), keyturn.Scheme), "/")
	if !s.m.ListsLevels() || !s.mayAll(name) {
		return false
	}
	above, err := keyturn.ParsePrefix(name[:strings.LastIndexByte(name, '/')])
	if err != nil {
		return false
	}
	for info, err := range s.m.Names(ctx, above, true) {
		if err == nil && info.IsFolder() && folderPath(info) == name {
			return true
		}
	}
	return false
}

// maxNear is how many names of one listing are looked at for a suggestion.
const maxNear = 5000

// suggestion returns the hint for a secret that does not exist: the nearest name that
// the caller may list; "" where none is near, or where the secret exists. Where the
// platform lists levels, only the folders on the way to the secret are listed.
func (s sight) suggestion(ctx context.Context, ref keyturn.Ref) string {
	return didYouMean(s.near(ctx, ref.Path(), false))
}

func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	quoted := keyturn.Quote(name)
	if quoted == name {
		quoted = "'" + name + "'"
	}
	return "did you mean " + quoted + "?"
}

// near returns the path of the nearest name, with folders also of the nearest folder;
// "" where none is near, or where meant itself exists.
func (s sight) near(ctx context.Context, meant string, folders bool) string {
	segments := strings.Split(meant, "/")
	if !s.m.ListsLevels() {
		return nearest(meant, s.all(ctx, len(segments), folders))
	}
	at := segments[0]
	for i, segment := range segments[1:] {
		next := at + "/" + segment
		if last := i == len(segments)-2; last {
			secrets, inner, err := s.step(ctx, at)
			if err != nil {
				return ""
			}
			if folders {
				secrets = append(secrets, slices.DeleteFunc(inner, func(f string) bool { return !s.mayAll(f) })...)
			}
			if slices.Contains(secrets, next) && next != meant {
				return next // but for a folder on the way
			}
			return nearest(next, secrets)
		}
		_, inner, err := s.step(ctx, at)
		if at = next; err == nil && !slices.Contains(inner, next) { // else it is right, or nobody can tell
			if at = nearest(next, inner); at == "" {
				return ""
			}
		}
	}
	return ""
}

func nearest(meant string, names []string) string {
	if slices.Contains(names, meant) {
		return ""
	}
	return keyturn.Nearest(meant, slices.Values(names))
}

// step lists one folder: the secrets that the caller may list, and the folders.
func (s sight) step(ctx context.Context, at string) (secrets, folders []string, err error) {
	under, err := keyturn.ParsePrefix(at)
	if err != nil {
		return nil, nil, err
	}
	for info, err := range s.seen(under, s.m.Names(ctx, under, true)) {
		switch {
		case err != nil:
			return nil, nil, err
		case len(secrets)+len(folders) == maxNear:
			return secrets, folders, nil
		case info.IsFolder():
			folders = append(folders, folderPath(info))
		case !info.Ref.IsZero():
			secrets = append(secrets, info.Ref.Path())
		}
	}
	return secrets, folders, nil
}

// all lists the names of the mount that the caller may list. With folders, names that
// have more segments than that are cut to them, which makes them names of folders.
func (s sight) all(ctx context.Context, segments int, folders bool) []string {
	under, err := keyturn.ParsePrefix(s.m.Name())
	if err != nil {
		return nil
	}
	var names []string
	for info, err := range s.seen(under, s.m.Names(ctx, under, false)) {
		if err != nil || len(names) == maxNear {
			return names
		}
		if info.Ref.IsZero() {
			continue
		}
		name := info.Ref.Path()
		if parts := strings.Split(name, "/"); folders && len(parts) > segments {
			name = strings.Join(parts[:segments], "/")
		}
		names = append(names, name)
	}
	return names
}
