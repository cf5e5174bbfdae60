package platform

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/keyturn/keyturn"
)

// parallel is how many reads of one GetMany run at a time.
const parallel = 16

// Get reads the version that ref pins, or the current one. Where ref names a
// field, only its value is returned, and NotFound names the fields that exist.
// What is deleted or destroyed is NotFound, with the way back in the hint.
func (m *Mount) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	s, err := m.whole(ctx, ref)
	if err != nil {
		return keyturn.Secret{}, err
	}
	return Pick(ref, s)
}

// whole reads one version with all fields.
func (m *Mount) whole(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	if err := m.guard(ctx, ref); err != nil {
		return keyturn.Secret{}, err
	}
	s, err := m.get(ctx, ref)
	if errors.Is(err, keyturn.NotFound) {
		return keyturn.Secret{}, m.missing(ctx, ref, err)
	}
	if err != nil {
		return keyturn.Secret{}, m.fault(ref, err, false)
	}
	if s.State != keyturn.Live {
		return keyturn.Secret{}, m.broken(ref, "gave a version that is not live")
	}
	s.Fields = sorted(s.Values)
	s.Info, err = m.check(ref, s.Info)
	if err != nil {
		return keyturn.Secret{}, err
	}
	return s, nil
}

// Pick leaves of s what ref asks for; s is not changed. NotFound names the fields
// that exist.
func Pick(ref keyturn.Ref, s keyturn.Secret) (keyturn.Secret, error) {
	if ref.Field() == "" {
		return s, nil
	}
	v, ok := s.Values[ref.Field()]
	if !ok {
		return keyturn.Secret{}, noField(ref, s.Fields)
	}
	s.Values = map[string]keyturn.Value{ref.Field(): v}
	return s, nil
}

func noField(ref keyturn.Ref, fields []string) error {
	return keyturn.E(keyturn.NotFound, "no field '"+keyturn.Clean(ref.Field())+"' in "+shown(ref),
		"its fields are: "+names(fields)).About(ref)
}

// missing says of what was not found whether it is deleted, and the way back.
func (m *Mount) missing(ctx context.Context, ref keyturn.Ref, err error) error {
	if m.able.describer == nil {
		return m.fault(ref, err, false)
	}
	info, derr := m.describe(ctx, ref)
	if derr != nil || info.State == keyturn.Live || info.State == "" {
		return m.fault(ref, err, false)
	}
	return m.gone(ctx, ref, info).Because(err)
}

// gone is the NotFound for a version that is there but cannot be read.
func (m *Mount) gone(ctx context.Context, ref keyturn.Ref, info keyturn.Info) *keyturn.Error {
	version := keyturn.Clean(info.Version)
	what := "the newest version of " + shown(ref) + ", " + version + ", is " + string(info.State)
	restore := "keyturn restore " + shell(ref)
	pinned := ref.Version() != ""
	if pinned {
		what = "version " + version + " of " + shown(ref) + " is " + string(info.State)
		restore += " --version " + keyturn.Quote(version)
	}
	var hint []string
	if info.State == keyturn.Deleted && m.able.restorer != nil && (!pinned || m.spec.RestoreVersion) {
		hint = append(hint, restore)
	}
	if m.able.historian != nil {
		versions, _ := m.history(ctx, ref.Secret())
		for _, v := range versions {
			if v.State == keyturn.Live {
				readable := keyturn.Clean(v.Version)
				what += "; version " + readable + " is the newest that can be read"
				hint = append(hint, "keyturn get "+shell(ref)+" --version "+keyturn.Quote(readable))
				break
			}
		}
	}
	return keyturn.E(keyturn.NotFound, what, strings.Join(hint, "\n")).About(ref)
}

// GetMany reads many references, several at a time, and returns one Outcome for
// each in their order. Several fields of one version are one read of the
// platform. When ctx ends, what has not been read says so.
func (m *Mount) GetMany(ctx context.Context, refs []keyturn.Ref) []Outcome {
	type read struct {
		ref keyturn.Ref // with version, without field
		at  []int       // in refs
	}
	var reads []*read
	known := map[keyturn.Ref]*read{}
	for i, ref := range refs {
		key, err := ref.WithField("")
		if err != nil { // the zero Ref, which guard will refuse
			key = ref
		}
		r := known[key]
		if r == nil {
			r = &read{ref: key}
			known[key] = r
			reads = append(reads, r)
		}
		r.at = append(r.at, i)
	}
	out := make([]Outcome, len(refs))
	for i, ref := range refs {
		out[i].Err = m.broken(ref, "did not answer")
	}
	eachOf(len(reads), func(i int) {
		r := reads[i]
		s, err := m.whole(ctx, r.ref)
		for _, i := range r.at {
			out[i] = outcome(refs[i], s, err)
		}
	})
	return out
}

// eachOf does n things, several at a time, and returns when all are done. A panic of
// one is the caller's.
func eachOf(n int, do func(i int)) {
	next := make(chan int)
	var (
		wg       sync.WaitGroup
		panicked = make(chan any, parallel)
	)
	for range min(parallel, n) {
		wg.Go(func() {
			defer func() { // a panic belongs to the caller's goroutine
				if p := recover(); p != nil {
					panicked <- p
				}
				for range next { // so that nobody waits for this one
				}
			}()
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case p := <-panicked:
		panic(p)
	default:
	}
}

// outcome is what one of several references gets of one read. The error is each
// one's own, about its own reference.
func outcome(ref keyturn.Ref, s keyturn.Secret, err error) Outcome {
	if err != nil {
		e := *keyturn.AsError(err)
		e.Ref = ref
		return Outcome{Err: &e}
	}
	s.Fields, s.Public = slices.Clone(s.Fields), slices.Clone(s.Public)
	s.Labels, s.Values = maps.Clone(s.Labels), maps.Clone(s.Values)
	s, err = Pick(ref, s)
	return Outcome{Secret: s, Err: err}
}

// Describe tells what is known of the version that ref pins, whatever its state,
// or of the current one: where the newest is deleted or destroyed that is
// NotFound, with the way back in the hint. A field of ref must exist, where the
// fields are known without reading a value.
func (m *Mount) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	if err := m.guard(ctx, ref); err != nil {
		return keyturn.Info{}, err
	}
	if m.able.describer == nil {
		return keyturn.Info{}, m.cannot(ref, "describe a secret without reading it", "use 'keyturn list'")
	}
	info, err := m.describe(ctx, ref)
	if err != nil {
		return keyturn.Info{}, m.fault(ref, err, false)
	}
	if info, err = m.check(ref, info); err != nil {
		return keyturn.Info{}, err
	}
	if ref.Version() == "" && info.State != keyturn.Live {
		return keyturn.Info{}, m.gone(ctx, ref, info)
	}
	if ref.Field() != "" && info.Fields != nil && !slices.Contains(info.Fields, ref.Field()) {
		return keyturn.Info{}, noField(ref, info.Fields)
	}
	return info, nil
}

// Versions returns all versions of a secret, newest first, deleted and destroyed
// ones too.
func (m *Mount) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	if err := m.guard(ctx, ref); err != nil {
		return nil, err
	}
	if err := plain(ref, "history", "it lists all versions: leave ?version= out"); err != nil {
		return nil, err
	}
	if m.able.historian == nil {
		return nil, m.cannot(ref, "list older versions", "'keyturn get "+shell(ref)+"' shows the current one")
	}
	versions, err := m.history(ctx, ref)
	if err != nil {
		return nil, m.fault(ref, err, false)
	}
	out := make([]keyturn.Info, len(versions))
	for i, v := range versions {
		if out[i], err = m.check(ref, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// List yields the secrets of a prefix without reading a value, each once. With
// shallow it is folded, see keyturn.Fold; a caller that leaves out some names must fold
// what it keeps by itself, or a folder would tell of them. A secret whose name no
// reference can hold has a zero Ref. An error beside a folder is of that folder
// alone; any other ends the sequence. A listing that reaches a bound (MaxLevels, the
// longest name, the requests of an operation) ends with an error beside the folder of
// under: what came before stands.
func (m *Mount) List(ctx context.Context, under keyturn.Prefix, shallow bool) iter.Seq2[keyturn.Info, error] {
	return m.list(ctx, under, Look{Shallow: shallow})
}

// Names is List of names: what else is known of each is left out where it takes a
// further request.
func (m *Mount) Names(ctx context.Context, under keyturn.Prefix, shallow bool) iter.Seq2[keyturn.Info, error] {
	return m.list(ctx, under, Look{Shallow: shallow, Names: true})
}

// ListsLevels reports whether a shallow listing asks the platform for no more than
// one level; else it is a whole one, folded.
func (m *Mount) ListsLevels() bool { return m.able.lister != nil }

func (m *Mount) list(ctx context.Context, under keyturn.Prefix, look Look) iter.Seq2[keyturn.Info, error] {
	ctx = listing(ctx)
	some := func() iter.Seq2[keyturn.Info, error] { return m.able.List(ctx, under.Path()) }
	if m.able.lister != nil {
		some = func() iter.Seq2[keyturn.Info, error] { return m.able.lister.ListSome(ctx, under.Path(), look) }
	} else if look.Shallow {
		return keyturn.Fold(under, m.list(ctx, under, Look{Names: look.Names}))
	}
	return func(yield func(keyturn.Info, error) bool) {
		if err := m.begin(ctx, keyturn.Ref{}, under.Mount()); err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		for info, err := range some() {
			ends := err != nil && !info.IsFolder()
			if ctxErr := ctx.Err(); ctxErr != nil && !ends {
				err, ends = ctxErr, true
			}
			switch {
			case err != nil:
				if err = m.fault(keyturn.Ref{}, err, false); ends && (IsCut(err) || errors.Is(err, errDeep)) {
					yield(keyturn.Info{Path: strings.TrimSuffix(strings.TrimPrefix(under.String(), keyturn.Scheme), "/") + "/"}, err)
					return
				}
			case !m.asked(under, info):
				err, ends = m.broken(keyturn.Ref{}, "listed a name that was not asked for"), true
			}
			if ends {
				yield(keyturn.Info{}, err)
				return
			}
			if !yield(cleaned(info), err) {
				return
			}
		}
	}
}

// asked reports whether info belongs to a listing of under.
func (m *Mount) asked(under keyturn.Prefix, info keyturn.Info) bool {
	if !info.IsFolder() {
		return info.Ref.IsZero() || under.Holds(info.Ref)
	}
	p, err := keyturn.ParsePrefix(info.Path)
	return err == nil && p.Mount() == under.Mount() && keyturn.Under(under.Path(), p.Path())
}

// Status tells how the platform answers. One that has no probe of its own is
// asked for the first name of a listing.
func (m *Mount) Status(ctx context.Context) keyturn.Health {
	h := keyturn.Health{Reachable: true}
	if m.able.statuser != nil && ctx.Err() == nil {
		h = m.able.statuser.Status(ctx)
	} else {
		for _, err := range m.List(ctx, m.everything(), false) {
			h.Err = keyturn.AsError(err)
			break
		}
		if h.Err != nil {
			h.Sealed = h.Err.Code == keyturn.Sealed
			h.Reachable = h.Err.Code != keyturn.Unavailable && h.Err.Code != keyturn.Internal
		}
	}
	h.Identity, h.Detail, h.Server = keyturn.Clean(h.Identity), keyturn.Clean(h.Detail), keyturn.Clean(h.Server)
	for i, p := range h.Policies {
		h.Policies[i] = keyturn.Clean(p)
	}
	if h.Err != nil {
		h.Err = keyturn.AsError(m.fault(keyturn.Ref{}, h.Err, false))
	}
	return h
}

// everything is the prefix that holds the whole mount.
func (m *Mount) everything() keyturn.Prefix {
	p, _ := keyturn.ParsePrefix(m.name + "/") // a mount that is not a name lists nothing: begin refuses it
	return p
}

// ReadsBack reads a version that was written and compares: Corrupt where it does not
// hold what was written.
func (m *Mount) ReadsBack(ctx context.Context, ref keyturn.Ref, version string, want map[string]keyturn.Value) error {
	made := shown(ref) + " version " + keyturn.Clean(version)
	pinned, err := ref.WithVersion(version)
	if err != nil {
		return m.broken(ref, "answered a version that cannot be one")
	}
	got, err := m.Get(ctx, pinned)
	if err != nil {
		e := *keyturn.AsError(err)
		e.Message = made + " was written, but could not be read back: " + e.Message
		return &e
	}
	for f, v := range want {
		if have, ok := got.Values[f]; !ok || !have.Equal(v) {
			return keyturn.E(keyturn.Corrupt, made+" was written, but does not read back as the same",
				"compare with 'keyturn diff'; 'keyturn rollback "+shell(ref)+"' goes back").About(ref)
		}
	}
	return nil
}
