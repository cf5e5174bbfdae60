// Package local is keyturn's own platform: versions, fields, labels,
// compare-and-set, soft delete, and a destroy that shreds the version's key.
// A Store keeps the data, and package state implements it; this package defines what
// the operations mean.
//
//   - Versions are counted from 1, and spelled without sign or leading zeros;
//     any other spelling is Invalid.
//   - Delete takes the newest version, keeps its values, and can be undone for
//     ever. A reference without a version then finds nothing, though older
//     versions can be read by number. A secret whose newest version is deleted
//     is still listed. Deleting it once more is a Conflict.
//   - Restore undoes the delete of the newest version, or of a pinned one.
//   - Destroy takes versions, of which the number and the times stay, or the whole
//     secret, of which nothing stays: a later put makes version 1.
//   - A put over a deleted version makes the next one, and leaves the deleted one
//     as it is.
package local

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Store keeps versions of secrets, encrypted. It is safe for concurrent use, by
// several processes too. In what it returns, Info.Path is the secret's name,
// Info.Version a decimal number, and Info.Ref is zero; maps and slices belong to
// whoever receives them.
//
// Errors are *keyturn.Error, or the context's own.
type Store interface {
	// Versions returns all versions, oldest first, deleted and destroyed ones too.
	// NotFound where there is nothing of that name.
	Versions(ctx context.Context, name string) ([]keyturn.Info, error)

	// Read returns one version with its values, with its State, deleted ones too;
	// number 0 is the newest one. Info.Current tells whether it is that and live.
	// NotFound where there is no such version, or it is destroyed.
	Read(ctx context.Context, name string, number int) (keyturn.Secret, error)

	// Names yields the newest version of each secret whose name is under or lies
	// below it (keyturn.Under), by name. No value is touched.
	Names(ctx context.Context, under string) iter.Seq2[keyturn.Info, error]

	// Append makes the version after the newest one, of s's values, Fields, Public,
	// Given, Labels and Expires; number, time and state are the store's. Expect is the
	// number that must be newest, deleted or not: 0 for no such secret, -1 for
	// anything. Conflict where it is not, and then nothing has changed. Durable
	// when it returns.
	Append(ctx context.Context, name string, expect int, s keyturn.Secret) (keyturn.Info, error)

	// Mark makes a version live or deleted. NotFound where there is none, or it is
	// destroyed.
	Mark(ctx context.Context, name string, number int, s keyturn.State) (keyturn.Info, error)

	// Shred destroys the data keys of versions, all or none; with numbers nil the
	// secret goes with all that is known of it.
	Shred(ctx context.Context, name string, numbers []int) error
}

// Limits of names, in bytes.
const (
	maxName    = 512
	maxSegment = 255
	maxField   = 256
)

// Spec is what the local platform states of itself.
//
// Names are compared byte by byte, upper and lower case differ. What could look
// like another name is refused: control, bidirectional and invisible characters,
// any white space but a plain space within a segment, and '�', which stands for
// those where they are shown.
var Spec = platform.Spec{
	Platform: "local",
	Names: platform.Rule{
		Allowed: "a name has at most 512 bytes in segments of at most 255, without control or invisible characters, and no segment begins or ends with a space",
		Check:   checkName,
	},
	MaxName: maxName,
	FieldNames: platform.Rule{
		Allowed: "a field's name has 1 to 256 bytes",
		Check:   checkField,
	},
	Fields:          true,
	MaxFields:       1000,
	MaxValue:        1 << 20,
	MaxSecret:       4 << 20,
	CompareAndSet:   true,
	OrderedVersions: true,
	NumericVersions: true,
	Recovery:        platform.RecoveryForever,
	RestoreVersion:  true,
	DestroyVersion:  true,
	Labels:          platform.LabelLimits{Max: 64, Key: 128, Value: 512},
	Public:          true,
	Expires:         true,
}

func checkName(name string) string {
	if len(name) > maxName {
		return "it is longer than 512 bytes"
	}
	if keyturn.Clean(name) != name || strings.ContainsRune(name, unicode.ReplacementChar) {
		return "it has control or invisible characters"
	}
	for seg := range strings.SplitSeq(name, "/") {
		switch {
		case len(seg) > maxSegment:
			return "a segment is longer than 255 bytes"
		case strings.HasPrefix(seg, " ") || strings.HasSuffix(seg, " "):
			return "a segment begins or ends with a space"
		case strings.IndexFunc(seg, func(r rune) bool { return unicode.IsSpace(r) && r != ' ' }) >= 0:
			return "it has white space other than a plain space"
		}
	}
	return ""
}

func checkField(name string) string {
	if name == "" || len(name) > maxField {
		return "it is empty or longer than 256 bytes"
	}
	return ""
}

// Platform is the local platform of one store. It has all of package platform's
// optional interfaces but Statuser: a Mount probes it by a listing.
type Platform struct {
	store Store
	mount string
}

// New returns the local platform over store, for the mount of that name.
func New(store Store, mount string) *Platform { return &Platform{store: store, mount: mount} }

// Get implements platform.Platform.
func (p *Platform) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	n := 0 // the newest
	if v := ref.Version(); v != "" {
		var err error
		if n, err = parse(ref, v); err != nil {
			return keyturn.Secret{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return keyturn.Secret{}, err
	}
	s, err := p.store.Read(ctx, ref.Name(), n)
	switch {
	case err == nil && s.State == keyturn.Live:
		s.Info.Ref = ref.Secret()
		return s, nil
	case err == nil:
		return keyturn.Secret{}, absent(ref, "version "+s.Version+" of "+shown(ref)+" is "+string(s.State))
	case !errors.Is(err, keyturn.NotFound):
		return keyturn.Secret{}, p.failed(ref, err)
	}
	// Why there is nothing to read, its versions tell.
	versions, at, why := p.find(ctx, ref)
	if why != nil {
		return keyturn.Secret{}, why
	}
	if versions[at].State == keyturn.Live { // since
		return keyturn.Secret{}, p.failed(ref, err)
	}
	return keyturn.Secret{}, absent(ref, "version "+versions[at].Version+" of "+shown(ref)+" is "+string(versions[at].State))
}

// List implements platform.Platform.
func (p *Platform) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		for info, err := range p.store.Names(ctx, prefix) {
			if err == nil {
				info.Ref, err = keyturn.NewRef(p.mount, info.Path)
				if err != nil {
					err = keyturn.E(keyturn.Corrupt, "the store has a secret whose name no reference can hold", "restore the store from a backup").Because(err)
				}
			}
			if err != nil {
				yield(keyturn.Info{}, err)
				return
			}
			info.Current = info.State == keyturn.Live
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Describe implements platform.Describer.
func (p *Platform) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	versions, at, err := p.find(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	return p.info(ref, versions[at], versions), nil
}

// Versions implements platform.Historian.
func (p *Platform) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	versions, err := p.versions(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := make([]keyturn.Info, len(versions))
	for i, v := range versions {
		out[len(out)-1-i] = p.info(ref, v, versions)
	}
	return out, nil
}

// Put implements platform.Putter.
func (p *Platform) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	expect := -1
	switch n.IfVersion {
	case "":
	case keyturn.None:
		expect = 0
	default:
		var err error
		if expect, err = parse(ref, n.IfVersion); err != nil {
			return keyturn.Info{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return keyturn.Info{}, err
	}
	s := keyturn.Secret{Values: n.Values, Info: keyturn.Info{
		Path:    ref.Name(),
		State:   keyturn.Live,
		Fields:  slices.Sorted(maps.Keys(n.Values)),
		Public:  n.Public,
		Given:   n.Given,
		Labels:  n.Labels,
		Expires: n.Expires,
	}}
	info, err := p.store.Append(ctx, ref.Name(), expect, s)
	if errors.Is(err, keyturn.Conflict) {
		return keyturn.Info{}, keyturn.E(keyturn.Conflict, shown(ref)+" was written meanwhile",
			"look at it again with 'keyturn get "+shell(ref)+"'").About(ref).Because(err)
	}
	if err != nil {
		return keyturn.Info{}, p.failed(ref, err)
	}
	info = p.info(ref, info, nil)
	info.Current = true // it was when it was made
	return info, nil
}

// Delete implements platform.Deleter. What is deleted can be restored for ever.
func (p *Platform) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	info, err := p.mark(ctx, ref, keyturn.Deleted)
	return info, time.Time{}, err
}

// Restore implements platform.Restorer, for the newest version or a pinned one.
func (p *Platform) Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	return p.mark(ctx, ref, keyturn.Live)
}

func (p *Platform) mark(ctx context.Context, ref keyturn.Ref, to keyturn.State) (keyturn.Info, error) {
	versions, at, err := p.find(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	v := versions[at]
	if err := platform.CheckState(ref, shown(ref), v, to); err != nil {
		return keyturn.Info{}, err
	}
	n, err := p.number(ref, v)
	if err != nil {
		return keyturn.Info{}, err
	}
	info, err := p.store.Mark(ctx, ref.Name(), n, to)
	if err != nil {
		return keyturn.Info{}, p.failed(ref, err)
	}
	versions[at].State = to
	return p.info(ref, info, versions), nil
}

// Path implements platform.Pather.
func (p *Platform) Path(_ context.Context, ref keyturn.Ref) (string, error) { return ref.Name(), nil }

// Destroy implements platform.Destroyer.
func (p *Platform) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	var numbers []int
	for _, v := range versions {
		n, err := parse(ref, v)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	known, err := p.versions(ctx, ref)
	if err != nil {
		return err
	}
	for _, v := range versions {
		i := slices.IndexFunc(known, func(k keyturn.Info) bool { return k.Version == v })
		switch {
		case i < 0:
			return absent(ref, shown(ref)+" has no version "+v+": nothing was destroyed")
		case known[i].State == keyturn.Destroyed:
			return absent(ref, "version "+v+" of "+shown(ref)+" is destroyed already: nothing else was destroyed")
		}
	}
	if err := p.store.Shred(ctx, ref.Name(), numbers); err != nil {
		return p.failed(ref, err)
	}
	return nil
}

// versions returns all versions, oldest first, at least one.
func (p *Platform) versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	versions, err := p.store.Versions(ctx, ref.Name())
	if err == nil && len(versions) == 0 {
		err = keyturn.NotFound
	}
	if err != nil {
		return nil, p.failed(ref, err)
	}
	return versions, nil
}

// find returns all versions, and the place of the one that ref pins, else of the
// newest.
func (p *Platform) find(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, int, error) {
	if ref.Version() != "" {
		if _, err := parse(ref, ref.Version()); err != nil {
			return nil, 0, err
		}
	}
	versions, err := p.versions(ctx, ref)
	if err != nil {
		return nil, 0, err
	}
	if ref.Version() == "" {
		return versions, len(versions) - 1, nil
	}
	i := slices.IndexFunc(versions, func(v keyturn.Info) bool { return v.Version == ref.Version() })
	if i < 0 {
		return nil, 0, absent(ref, shown(ref)+" has no version "+ref.Version())
	}
	return versions, i, nil
}

// info completes what the store says of a version; versions are all of them,
// where they are known.
func (p *Platform) info(ref keyturn.Ref, info keyturn.Info, versions []keyturn.Info) keyturn.Info {
	info.Ref = ref.Secret()
	if len(versions) > 0 {
		info.Current = info.State == keyturn.Live && info.Version == versions[len(versions)-1].Version
		info.Versions = 0
		for _, v := range versions {
			if v.State != keyturn.Destroyed {
				info.Versions++
			}
		}
	}
	return info
}

// failed makes of the store's error the one that leaves. What is not there has no
// hint: whoever asks adds the nearest names that the caller may see.
func (p *Platform) failed(ref keyturn.Ref, err error) error {
	if errors.Is(err, keyturn.NotFound) {
		return keyturn.E(keyturn.NotFound, "no secret at "+keyturn.Clean(ref.Name()), "").About(ref).Because(err)
	}
	return err
}

func absent(ref keyturn.Ref, what string) error {
	return keyturn.E(keyturn.NotFound, what, "'keyturn history "+shell(ref)+"' lists the versions").About(ref)
}

// parse reads a version as this platform spells it.
func parse(ref keyturn.Ref, v string) (int, error) {
	if !platform.IsNumber(v) {
		return 0, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(v)+"' is not a version: they are counted 1, 2, 3, …",
			"'keyturn history "+shell(ref)+"' lists the versions").About(ref)
	}
	return strconv.Atoi(v)
}

// number reads the version of what the store returned.
func (p *Platform) number(ref keyturn.Ref, info keyturn.Info) (int, error) {
	if !platform.IsNumber(info.Version) {
		return 0, keyturn.E(keyturn.Corrupt, "a version of "+shown(ref)+" in the store has no number", "restore the store from a backup").About(ref)
	}
	return strconv.Atoi(info.Version)
}

func shown(ref keyturn.Ref) string { return keyturn.Clean(ref.Path()) }
func shell(ref keyturn.Ref) string { return keyturn.Quote(shown(ref)) }
