package platformtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// Memory is a platform for tests that keeps everything in memory and behaves as
// the Spec that it is given: it counts versions or makes opaque ones, deletes a
// version for ever or the whole secret for a window, and lists late where it is
// eventually consistent. It shows that the suite is not written around one
// platform, and stands in for others in tests.
type Memory struct {
	Reads atomic.Int64 // of values

	mount string
	spec  platform.Spec

	mu      sync.Mutex
	secrets map[string]*memorySecret
}

type memorySecret struct {
	versions []keyturn.Secret // oldest first
	deleted  bool             // the whole secret, with a window
	unlisted int              // listings that do not see it yet
}

// NewMemory returns an empty Memory.
func NewMemory(mount string, spec platform.Spec) *Memory {
	return &Memory{mount: mount, spec: spec, secrets: map[string]*memorySecret{}}
}

// Harness returns the suite's view of m.
func (m *Memory) Harness() Harness {
	return Harness{Platform: m, Spec: m.spec, Mount: m.mount, Reads: func() int { return int(m.Reads.Load()) }}
}

// Get implements platform.Platform.
func (m *Memory) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, sec, err := m.find(ctx, ref)
	if err != nil {
		return keyturn.Secret{}, err
	}
	info := m.info(ref, sec, *v)
	if info.State != keyturn.Live {
		return keyturn.Secret{}, keyturn.E(keyturn.NotFound, "no live version", "")
	}
	m.Reads.Add(1)
	info.Fields = slices.Sorted(maps.Keys(v.Values))
	return keyturn.Secret{Info: info, Values: maps.Clone(v.Values)}, nil
}

// List implements platform.Platform.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		m.mu.Lock()
		var found []keyturn.Info
		for name, sec := range m.secrets {
			if sec.unlisted--; sec.unlisted < 0 && keyturn.Under(prefix, name) {
				ref, _ := keyturn.NewRef(m.mount, name)
				found = append(found, m.info(ref, sec, sec.versions[len(sec.versions)-1]))
			}
		}
		m.mu.Unlock()
		if err := ctx.Err(); err != nil {
			yield(keyturn.Info{}, err)
			return
		}
		for _, info := range found { // in the random order of a map
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Describe implements platform.Describer.
func (m *Memory) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, sec, err := m.find(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	return m.info(ref, sec, *v), nil
}

// Versions implements platform.Historian.
func (m *Memory) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, sec, err := m.find(ctx, ref.Secret())
	if err != nil {
		return nil, err
	}
	var out []keyturn.Info
	for _, v := range sec.versions {
		out = append(out, m.info(ref, sec, v))
	}
	slices.Reverse(out)
	return out, nil
}

// Put implements platform.Putter.
func (m *Memory) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return keyturn.Info{}, err
	}
	for _, v := range n.Values {
		if m.spec.MaxValue > 0 && v.Len() > m.spec.MaxValue {
			return keyturn.Info{}, keyturn.E(keyturn.Invalid, "the value is too large", "")
		}
	}
	sec, exists := m.secrets[ref.Name()]
	if exists && m.spec.Labels.OfSecret {
		n.Labels = mergeLabels(sec.versions[len(sec.versions)-1].Labels, n.Labels, n.Unlabel)
	}
	newest := keyturn.None
	if exists {
		newest = sec.versions[len(sec.versions)-1].Version
		if sec.deleted {
			return keyturn.Info{}, keyturn.E(keyturn.Conflict, "the secret is scheduled for deletion", "")
		}
	}
	if n.IfVersion != "" && n.IfVersion != newest {
		return keyturn.Info{}, keyturn.E(keyturn.Conflict, "another version is newest", "")
	}
	if !exists {
		sec = &memorySecret{}
		if m.spec.EventuallyConsistent {
			sec.unlisted = 2
		}
		m.secrets[ref.Name()] = sec
	}
	s := keyturn.Secret{Values: maps.Clone(n.Values), Info: keyturn.Info{
		Version: strconv.Itoa(len(sec.versions) + 1), State: keyturn.Live, Created: time.Now().UTC(),
		Public: slices.Clone(n.Public), Given: maps.Clone(n.Given), Labels: maps.Clone(n.Labels), Expires: n.Expires,
	}}
	if !m.spec.NumericVersions {
		id := make([]byte, 16)
		_, _ = rand.Read(id)
		s.Version = hex.EncodeToString(id)
	}
	sec.versions = append(sec.versions, s)
	return m.info(ref, sec, s), nil
}

// Label implements platform.Labeler.
func (m *Memory) Label(ctx context.Context, ref keyturn.Ref, set map[string]string, remove []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, sec, err := m.find(ctx, ref.Secret())
	if err != nil {
		return err
	}
	newest := &sec.versions[len(sec.versions)-1]
	newest.Labels = mergeLabels(newest.Labels, set, remove)
	return nil
}

// Delete implements platform.Deleter.
func (m *Memory) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, sec, err := m.find(ctx, ref)
	if err != nil {
		return keyturn.Info{}, time.Time{}, err
	}
	if m.info(ref, sec, *v).State != keyturn.Live {
		return keyturn.Info{}, time.Time{}, keyturn.E(keyturn.Conflict, "it is deleted already", "")
	}
	if m.spec.Recovery == platform.RecoveryWindow {
		sec.deleted = true
		return m.info(ref, sec, *v), time.Now().Add(30 * 24 * time.Hour).UTC(), nil
	}
	v.State = keyturn.Deleted
	return m.info(ref, sec, *v), time.Time{}, nil
}

// Restore implements platform.Restorer.
func (m *Memory) Restore(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, sec, err := m.find(ctx, ref)
	if err != nil {
		return keyturn.Info{}, err
	}
	switch m.info(ref, sec, *v).State {
	case keyturn.Live:
		return keyturn.Info{}, keyturn.E(keyturn.Conflict, "there is nothing to restore", "")
	case keyturn.Destroyed:
		return keyturn.Info{}, keyturn.E(keyturn.NotFound, "it is destroyed", "")
	}
	sec.deleted, v.State = false, keyturn.Live
	return m.info(ref, sec, *v), nil
}

// Destroy implements platform.Destroyer.
func (m *Memory) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, sec, err := m.find(ctx, ref.Secret())
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		delete(m.secrets, ref.Name())
		return nil
	}
	var found []*keyturn.Secret
	for i := range sec.versions {
		if v := &sec.versions[i]; slices.Contains(versions, v.Version) && v.State != keyturn.Destroyed {
			found = append(found, v)
		}
	}
	if len(found) != len(versions) {
		return keyturn.E(keyturn.NotFound, "no such version", "")
	}
	for _, v := range found {
		v.State, v.Values = keyturn.Destroyed, nil
	}
	return nil
}

// Status implements platform.Statuser.
func (m *Memory) Status(context.Context) keyturn.Health {
	return keyturn.Health{Reachable: true, Identity: "tester"}
}

// find returns the version that ref pins, else the newest.
func (m *Memory) find(ctx context.Context, ref keyturn.Ref) (*keyturn.Secret, *memorySecret, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if v := ref.Version(); v != "" && m.spec.NumericVersions && !platform.IsNumber(v) {
		return nil, nil, keyturn.E(keyturn.Invalid, "this is not a version", "")
	}
	sec := m.secrets[ref.Name()]
	if sec == nil {
		return nil, nil, keyturn.E(keyturn.NotFound, "no such secret", "")
	}
	for i := range sec.versions {
		if v := &sec.versions[i]; v.Version == ref.Version() || ref.Version() == "" && i == len(sec.versions)-1 {
			return v, sec, nil
		}
	}
	return nil, nil, keyturn.E(keyturn.NotFound, "no such version", "")
}

func (m *Memory) info(ref keyturn.Ref, sec *memorySecret, v keyturn.Secret) keyturn.Info {
	info := v.Info
	info.Ref, info.Path = ref.Secret(), "memory:"+ref.Name()
	if sec.deleted {
		info.State = keyturn.Deleted
	}
	info.Current = info.State == keyturn.Live && v.Version == sec.versions[len(sec.versions)-1].Version
	if m.spec.Labels.OfSecret {
		v.Labels = sec.versions[len(sec.versions)-1].Labels
	}
	info.Labels, info.Public = maps.Clone(v.Labels), slices.Clone(v.Public)
	info.Given = maps.Clone(v.Given)
	if !m.spec.FieldNamesNeedValue {
		info.Fields = slices.Sorted(maps.Keys(v.Values))
	}
	return info
}
