package platform

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
)

// Mount is one configured platform under its name: the concrete type that
// everyone uses. It holds what all platforms share. It is safe for concurrent
// use, and adds no state of its own: two Mounts over one platform are as good as
// one.
//
// An error of its methods is a *keyturn.Error that is about the reference. A
// panic of a platform passes through.
type Mount struct {
	name   string
	target string
	spec   Spec
	able   able
}

// able is a platform with each thing it can do, nil where it cannot. This is the
// only place that asks.
type able struct {
	Platform
	lister        Lister
	describer     Describer
	putter        Putter
	labeler       Labeler
	adviser       Adviser
	deleter       Deleter
	restorer      Restorer
	destroyer     Destroyer
	historian     Historian
	pather        Pather
	statuser      Statuser
	authenticator Authenticator
	attender      Attender
	closer        Closer
	issuer        Issuer
	administrator Administrator
}

// NewMount returns p under a name. Target says to people where a write goes: an
// account, an address, a file. It panics where p is nil, or where name or
// spec.Platform is empty.
func NewMount(name string, p Platform, spec Spec, target string) *Mount {
	if p == nil || name == "" || spec.Platform == "" {
		panic("platform: NewMount needs a name, a platform and its Spec")
	}
	m := &Mount{name: name, target: target, spec: spec, able: able{Platform: p}}
	m.able.lister, _ = p.(Lister)
	m.able.describer, _ = p.(Describer)
	m.able.putter, _ = p.(Putter)
	m.able.labeler, _ = p.(Labeler)
	m.able.adviser, _ = p.(Adviser)
	m.able.deleter, _ = p.(Deleter)
	m.able.restorer, _ = p.(Restorer)
	m.able.destroyer, _ = p.(Destroyer)
	m.able.historian, _ = p.(Historian)
	m.able.statuser, _ = p.(Statuser)
	m.able.pather, _ = p.(Pather)
	m.able.administrator, _ = p.(Administrator)
	m.able.authenticator, _ = p.(Authenticator)
	m.able.attender, _ = p.(Attender)
	m.able.closer, _ = p.(Closer)
	m.able.issuer, _ = p.(Issuer)
	return m
}

// Name returns the mount's name, the first part of its references.
func (m *Mount) Name() string { return m.name }

// Platform returns the kind of platform: "local", "vault", ….
func (m *Mount) Platform() string { return m.spec.Platform }

// Target says to people where a write goes.
func (m *Mount) Target() string { return m.target }

// Spec returns what the platform states of itself.
func (m *Mount) Spec() Spec { return m.spec }

// guard is the first thing every method does with a reference.
func (m *Mount) guard(ctx context.Context, ref keyturn.Ref) error {
	if err := m.begin(ctx, ref, ref.Mount()); err != nil {
		return err
	}
	if why := m.spec.Names.Problem(ref.Name()); why != "" {
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(ref.Name())+"' cannot be a name on "+m.spec.Platform+": "+keyturn.Clean(why),
			m.spec.Names.Allowed).About(ref)
	}
	return nil
}

func (m *Mount) begin(ctx context.Context, ref keyturn.Ref, mount string) error {
	if err := ctx.Err(); err != nil {
		return m.fault(ref, err, false)
	}
	if mount != m.name {
		return keyturn.E(keyturn.Internal, "the mount '"+m.name+"' was asked about '"+keyturn.Clean(mount)+"'",
			"this is a bug: please report it").About(ref)
	}
	return nil
}

// plain refuses a version or a field where an operation is about the secret.
func plain(ref keyturn.Ref, does, versionHint string) error {
	switch {
	case ref.Version() != "":
		return keyturn.E(keyturn.Invalid, does+" takes no version", versionHint).About(ref)
	case ref.Field() != "":
		return keyturn.E(keyturn.Invalid, does+" takes a whole secret, not one field", "write "+shell(ref)).About(ref)
	}
	return nil
}

// cannot is the refusal of what this platform cannot do.
func (m *Mount) cannot(ref keyturn.Ref, what, instead string) error {
	return keyturn.E(keyturn.Unsupported, m.spec.Platform+" cannot "+what, instead).About(ref)
}

// fault makes of a platform's error the one that leaves: about ref, and clean.
// After a change that was sent over a network, an error of the context leaves its
// outcome open; what is on this machine changes as a whole or says so itself.
func (m *Mount) fault(ref keyturn.Ref, err error, change bool) error {
	var e *keyturn.Error
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, context.Canceled):
			e = keyturn.E(keyturn.Unavailable, "interrupted before "+m.name+" answered", "").Because(err)
			e.Unknown = change && m.spec.Remote
		case errors.Is(err, context.DeadlineExceeded):
			e = keyturn.E(keyturn.Unavailable, m.name+" did not answer in time", "raise --timeout, or see 'keyturn status'").Because(err)
			e.Unknown = change && m.spec.Remote
		default:
			e = keyturn.AsError(err)
		}
	}
	out := *e
	out.Message, out.Hint = keyturn.Clean(e.Message), keyturn.CleanLines(e.Hint)
	if out.Ref.IsZero() {
		out.Ref = ref
	}
	if out.Unknown {
		out.Hint = "the change may have happened: look with 'keyturn history " + shell(ref) + "'"
	}
	return &out
}

// broken is the error for an answer that makes no sense. It is what a server says, or
// what a store holds, and neither the caller's fault nor a bug of ours.
func (m *Mount) broken(ref keyturn.Ref, how string) error {
	if m.spec.Remote {
		return keyturn.E(keyturn.Unavailable, m.name+" "+how, "is it "+m.spec.Platform+" that answers there? 'keyturn status' shows its address").About(ref)
	}
	return keyturn.E(keyturn.Corrupt, m.name+" "+how, "'keyturn audit verify' tells what is damaged; restore a backup with 'keyturn store restore'").About(ref)
}

// made is check after a change, which has happened whatever the answer is.
func (m *Mount) made(ref keyturn.Ref, info keyturn.Info) (keyturn.Info, error) {
	info, err := m.check(ref, info)
	if err == nil {
		return info, nil
	}
	e := *keyturn.AsError(err)
	e.Unknown = true
	return info, m.fault(ref, &e, true)
}

// check makes of a platform's Info the one that leaves.
func (m *Mount) check(ref keyturn.Ref, info keyturn.Info) (keyturn.Info, error) {
	if info.Ref != ref.Secret() {
		return keyturn.Info{}, m.broken(ref, "answered about another secret")
	}
	if info.State == "" || info.Version == "" {
		return keyturn.Info{}, m.broken(ref, "answered without version or state")
	}
	return cleaned(info), nil
}

// cleaned makes the texts of info fit to be shown. Names of secrets, versions
// and fields stay as they are, since they are used to ask again.
func cleaned(info keyturn.Info) keyturn.Info {
	info.Path = keyturn.Clean(info.Path)
	labels := make(map[string]string, len(info.Labels))
	for _, k := range sorted(info.Labels) {
		labels[keyturn.Clean(k)] = keyturn.Clean(info.Labels[k])
	}
	info.Labels = labels
	slices.Sort(info.Fields)
	slices.Sort(info.Public)
	return info
}

// shown is ref's secret in a sentence, shell the same as an argument.
func shown(ref keyturn.Ref) string { return keyturn.Clean(ref.Path()) }
func shell(ref keyturn.Ref) string { return keyturn.Quote(shown(ref)) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// names puts names into a sentence; many are cut.
func names(list []string) string {
	const most = 20
	var b strings.Builder
	for i, n := range list {
		if i == most {
			b.WriteString(" and " + number(len(list)-most) + " more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(keyturn.Clean(n))
	}
	return b.String()
}

// Change is what a put or a rollback did.
type Change struct {
	Info    keyturn.Info
	Created bool   // there was no such secret before, not even a deleted one
	Before  string // the version that was current before, "" for none
	// Unseen tells that the caller may not see what was replaced: it was replaced
	// whatever it was.
	Unseen bool
	Notice string // what may be wrong with its name; "" for nothing
}

// Put is what a caller wants of a new version.
type Put struct {
	Values    map[string]keyturn.Value
	Given     map[string]bool // Info.Given of Values
	Typed     []string        // of Values, those that are JSON texts and not strings, where the platform keeps types
	IfVersion string          // "", keyturn.None or the version that must be newest
	// Mode is keyturn.Merge, keyturn.Replace, or "" to refuse where fields of the
	// current version would vanish.
	Mode string
	// Labels and Public are those of the version before where nil; labels that belong
	// to the secret then stay as they are. With keyturn.Merge they are added to those
	// that are there, and those that Unlabel names go.
	Labels  map[string]string
	Unlabel []string
	Public  []string
	// Expires does not come from the version before.
	Expires time.Time
}

// Outcome is one answer of GetMany.
type Outcome struct {
	Secret keyturn.Secret
	Err    error // nil, or a *keyturn.Error
}
