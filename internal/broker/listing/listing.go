// Package listing is about names: those of a mount that a caller may see, folded into
// folders, and those that are near to one that is not there. What may be seen is
// decided by functions of its caller.
package listing

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Sight is what one caller may see of a mount. A path is that of a secret
// (keyturn.Ref.Path) or of a folder, "local/myapp"; or the mount's name, which stands
// for names that no reference can hold, too.
type Sight struct {
	Mount *platform.Mount
	// List and Describe decide about one secret: whether there is such a name, and
	// what else is known of it.
	List, Describe func(path string) bool
	// Some reports whether anything at or below a path could be seen, All whether each
	// name there may be listed.
	Some, All func(path string) bool
}

// Under answers op: the names that may be seen, and of those that may be described
// what else is known. A folder tells of nothing more: it is there where everything in
// it may be listed, or a name in it that may. NotFound where there is nothing that may
// be seen, and no part of the platform that could keep it.
func (s Sight) Under(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	return s.orNothing(ctx, op.Under, s.some(ctx, op))
}

func (s Sight) some(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	switch {
	case !op.Shallow:
		return s.seen(op.Under, s.list(ctx, op.Under, false, op.Names))
	case !s.Mount.ListsLevels(): // filtered first and folded after
		return keyturn.Fold(op.Under, s.seen(op.Under, s.list(ctx, op.Under, false, op.Names)))
	}
	return s.level(ctx, op)
}

func (s Sight) list(ctx context.Context, under keyturn.Prefix, shallow, names bool) iter.Seq2[keyturn.Info, error] {
	if names {
		return s.Mount.Names(ctx, under, shallow)
	}
	return s.Mount.List(ctx, under, shallow)
}

// level is one level, as the platform lists it. A folder of which only parts may be
// seen is looked into until one of them is there.
func (s Sight) level(ctx context.Context, op keyturn.ListSecrets) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range s.seen(op.Under, s.list(ctx, op.Under, true, op.Names)) {
			if err == nil && info.IsFolder() && !s.All(path(info)) {
				some, failed := s.any(ctx, info)
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

// any reports whether a name below a folder may be seen. What of it the platform may
// not list holds none.
func (s Sight) any(ctx context.Context, folder keyturn.Info) (bool, error) {
	under, err := keyturn.ParsePrefix(folder.Path)
	if err != nil || !s.Some(path(folder)) {
		return false, nil
	}
	for info, err := range s.seen(under, s.Mount.Names(ctx, under, false)) {
		switch {
		case err != nil && (info.IsFolder() || keyturn.AsError(err).Code == keyturn.Denied):
		case err != nil:
			return false, err
		case !info.Ref.IsZero():
			return true, nil
		}
	}
	return false, nil
}

// path is that of a folder, as rules know it.
func path(folder keyturn.Info) string { return strings.TrimSuffix(folder.Path, "/") }

// seen leaves of a listing what may be seen; folders stay where any part may. That a
// folder could not be listed is told by its name where all in it may be seen, and
// where a part may, once and without it.
func (s Sight) seen(under keyturn.Prefix, list iter.Seq2[keyturn.Info, error]) iter.Seq2[keyturn.Info, error] {
	whole := keyturn.Info{Path: strings.TrimPrefix(under.String(), keyturn.Scheme)}
	return func(yield func(keyturn.Info, error) bool) {
		told := false
		for info, err := range list {
			at := info.Ref.Path()
			switch {
			case err != nil && !info.IsFolder():
			case info.IsFolder() && !s.Some(path(info)):
				continue
			case err != nil && !s.All(path(info)):
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
					at = s.Mount.Name()
				}
				if !s.List(at) {
					continue
				}
				if !s.Describe(at) {
					info = keyturn.Info{Ref: info.Ref, State: info.State, Path: info.Path}
				}
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// orNothing is list, and NotFound where nothing is in it: of what is not there and of
// what may not be seen it says the same.
func (s Sight) orNothing(ctx context.Context, under keyturn.Prefix, list iter.Seq2[keyturn.Info, error]) iter.Seq2[keyturn.Info, error] {
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
		e := keyturn.E(keyturn.NotFound, "there is nothing at "+keyturn.Clean(name)+" that you may list", "'keyturn list "+s.Mount.Name()+"/ --shallow' shows what is there")
		if near := s.near(ctx, name, true); near != "" {
			e.Hint = meant(near)
		}
		yield(keyturn.Info{}, e)
	}
}

// keeps reports whether a folder in which nothing is can keep something: the platform
// lists it one level above.
func (s Sight) keeps(ctx context.Context, under keyturn.Prefix) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(under.String(), keyturn.Scheme), "/")
	if !s.Mount.ListsLevels() || !s.All(name) {
		return false
	}
	above, err := keyturn.ParsePrefix(name[:strings.LastIndexByte(name, '/')])
	if err != nil {
		return false
	}
	for info, err := range s.Mount.Names(ctx, above, true) {
		if err == nil && info.IsFolder() && path(info) == name {
			return true
		}
	}
	return false
}

// most is how many names of one listing are looked at for a suggestion.
const most = 5000

// Suggest is the hint for a secret that is not there: the nearest name of those that
// may be listed; "" where none is near, or the secret itself is there. Where the
// platform lists levels, each folder on the way is listed, and no other.
func (s Sight) Suggest(ctx context.Context, ref keyturn.Ref) string {
	return meant(s.near(ctx, ref.Path(), false))
}

func meant(name string) string {
	if name == "" {
		return ""
	}
	quoted := keyturn.Quote(name)
	if quoted == name {
		quoted = "'" + name + "'"
	}
	return "did you mean " + quoted + "?"
}

// near is the path of the nearest name, or folder where folders is set; "" where there
// is none, or what was meant is there.
func (s Sight) near(ctx context.Context, meant string, folders bool) string {
	segments := strings.Split(meant, "/")
	if !s.Mount.ListsLevels() {
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
				secrets = append(secrets, slices.DeleteFunc(inner, func(f string) bool { return !s.All(f) })...)
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

// step lists one folder: the secrets in it that may be listed, and the folders.
func (s Sight) step(ctx context.Context, at string) (secrets, folders []string, err error) {
	under, err := keyturn.ParsePrefix(at)
	if err != nil {
		return nil, nil, err
	}
	for info, err := range s.seen(under, s.Mount.Names(ctx, under, true)) {
		switch {
		case err != nil:
			return nil, nil, err
		case len(secrets)+len(folders) == most:
			return secrets, folders, nil
		case info.IsFolder():
			folders = append(folders, path(info))
		case !info.Ref.IsZero():
			secrets = append(secrets, info.Ref.Path())
		}
	}
	return secrets, folders, nil
}

// all lists the names of the mount that may be listed, and with folders those of the
// folders that they are in, too, which have so many segments.
func (s Sight) all(ctx context.Context, segments int, folders bool) []string {
	under, err := keyturn.ParsePrefix(s.Mount.Name())
	if err != nil {
		return nil
	}
	var names []string
	for info, err := range s.seen(under, s.Mount.Names(ctx, under, false)) {
		if err != nil || len(names) == most {
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
