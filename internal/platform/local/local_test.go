package local_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"pgregory.net/rapid"
)

// memory is a local.Store without a disk.
type memory struct {
	mu    sync.Mutex
	names map[string][]keyturn.Secret
	reads int
}

func newMemory() *memory { return &memory{names: map[string][]keyturn.Secret{}} }

func nothing() error { return keyturn.E(keyturn.NotFound, "nothing", "") }

func (m *memory) Versions(_ context.Context, name string) ([]keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []keyturn.Info
	for _, s := range m.names[name] {
		out = append(out, s.Info)
	}
	if out == nil {
		return nil, nothing()
	}
	return out, nil
}

func (m *memory) at(name string, number int) *keyturn.Secret {
	if v := m.names[name]; number >= 1 && number <= len(v) && v[number-1].State != keyturn.Destroyed {
		return &v[number-1]
	}
	return nil
}

func (m *memory) Read(_ context.Context, name string, number int) (keyturn.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := len(m.names[name])
	if number == 0 {
		number = newest
	}
	s := m.at(name, number)
	if s == nil {
		return keyturn.Secret{}, nothing()
	}
	m.reads++
	out := *s
	out.Current = number == newest && s.State == keyturn.Live
	out.Values = maps.Clone(s.Values)
	return out, nil
}

func (m *memory) Names(_ context.Context, under string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		m.mu.Lock()
		var all []keyturn.Info
		for _, name := range slices.Sorted(maps.Keys(m.names)) {
			if keyturn.Under(under, name) {
				all = append(all, m.names[name][len(m.names[name])-1].Info)
			}
		}
		m.mu.Unlock()
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *memory) Append(_ context.Context, name string, expect int, s keyturn.Secret) (keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.names[name])
	if expect >= 0 && expect != n {
		return keyturn.Info{}, keyturn.E(keyturn.Conflict, "not at "+strconv.Itoa(expect), "")
	}
	s.Version, s.Path, s.State, s.Created = strconv.Itoa(n+1), name, keyturn.Live, time.Now().UTC()
	m.names[name] = append(m.names[name], s)
	return s.Info, nil
}

func (m *memory) Mark(_ context.Context, name string, number int, state keyturn.State) (keyturn.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.at(name, number)
	if s == nil {
		return keyturn.Info{}, nothing()
	}
	s.State = state
	return s.Info, nil
}

func (m *memory) Shred(_ context.Context, name string, numbers []int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if numbers == nil {
		delete(m.names, name)
		return nil
	}
	for _, n := range numbers {
		if m.at(name, n) == nil {
			return nothing()
		}
	}
	for _, n := range numbers {
		s := m.at(name, n)
		s.State, s.Values = keyturn.Destroyed, nil
	}
	return nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, func(*testing.T) platformtest.Harness {
		store := newMemory()
		return platformtest.Harness{
			Platform: local.New(store, "local"),
			Second:   local.New(store, "local"),
			Spec:     local.Spec,
			Mount:    "local",
			Reads: func() int {
				store.mu.Lock()
				defer store.mu.Unlock()
				return store.reads
			},
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, legal := range map[string]bool{
		"a": true, "a/b": true, "my app/config": true, "日本語/é": true, "-": true, "a.b/...": true, "a#b?c%d": true,
		strings.Repeat("x", 255): true, strings.Repeat("x", 255) + "/" + strings.Repeat("x", 255): true,
		strings.Repeat("x", 256): false, strings.Repeat("abc/", 128) + "x": false,
		" a": false, "a ": false, "a /b": false, "a/ b": false,
		"a\tb": false, "a\nb": false, "a\x00b": false, "a\u00a0b": false, "a\u3000b": false,
		"a\u200bb": false, "a\u202eb": false, "a\ufeffb": false, "a\u2028b": false, "a\ufffdb": false,
	} {
		if got := local.Spec.Names.Problem(name) == ""; got != legal {
			t.Errorf("name %q: legal %v, want %v", name, got, legal)
		}
	}
	for field, legal := range map[string]bool{"": false, strings.Repeat("x", 256): true, strings.Repeat("x", 257): false, " ": true, "a/b": true} {
		if got := local.Spec.FieldNames.Problem(field) == ""; got != legal {
			t.Errorf("field %q: legal %v, want %v", field, got, legal)
		}
	}
}

// model is what the local platform should hold of one secret.
type model struct {
	values []string
	states []keyturn.State
}

func (m *model) newest() keyturn.State {
	if len(m.states) == 0 {
		return ""
	}
	return m.states[len(m.states)-1]
}

// TestModel does random operations on few names, and holds every answer against
// the model.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		t.Repeat(rapid.StateMachineActions(&machine{
			m:     platform.NewMount("local", local.New(newMemory(), "local"), local.Spec, "memory"),
			names: map[string]*model{"a": {}, "a/b": {}, "ab": {}},
		}))
	})
}

// machine is a mount and what it should hold; each method is one random step.
type machine struct {
	m     *platform.Mount
	names map[string]*model
}

func (s *machine) pick(t *rapid.T) (keyturn.Ref, *model) {
	name := rapid.SampledFrom([]string{"a", "a/b", "ab"}).Draw(t, "name")
	return keyturn.MustRef("local/" + name), s.names[name]
}

// expect checks an error, and reports whether the step was done.
func expect(t *rapid.T, err error, want keyturn.Code) bool {
	if got := keyturn.AsError(err); got != nil && got.Code == want || got == nil && want == "" {
		return err == nil
	}
	t.Fatalf("error %v, want code '%s'", err, want)
	return false
}

func (s *machine) Put(t *rapid.T) {
	ref, mod := s.pick(t)
	value := rapid.String().Draw(t, "value")
	ifVersion := rapid.SampledFrom([]string{"", keyturn.None, "1", "2", "3"}).Draw(t, "if")
	at := strconv.Itoa(len(mod.values))
	var want keyturn.Code
	if ifVersion != "" && ifVersion != at && (ifVersion != keyturn.None || at != "0") {
		want = keyturn.Conflict
	}
	c, err := s.m.Put(t.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"v": keyturn.NewValue([]byte(value))}, IfVersion: ifVersion})
	if !expect(t, err, want) {
		return
	}
	if c.Created != (at == "0") || (c.Before == at) != (mod.newest() == keyturn.Live) {
		t.Fatalf("put: %+v at version %s", c, at)
	}
	mod.values, mod.states = append(mod.values, value), append(mod.states, keyturn.Live)
	if c.Info.Version != strconv.Itoa(len(mod.values)) {
		t.Fatalf("put made version %s, want %d", c.Info.Version, len(mod.values))
	}
}

func (s *machine) Delete(t *rapid.T) {
	ref, mod := s.pick(t)
	want := map[keyturn.State]keyturn.Code{"": keyturn.NotFound, keyturn.Destroyed: keyturn.NotFound, keyturn.Deleted: keyturn.Conflict}[mod.newest()]
	if _, _, err := s.m.Delete(t.Context(), ref); expect(t, err, want) {
		mod.states[len(mod.states)-1] = keyturn.Deleted
	}
}

func (s *machine) Restore(t *rapid.T) {
	ref, mod := s.pick(t)
	at := len(mod.states)
	if n := rapid.IntRange(0, 4).Draw(t, "version"); n > 0 {
		ref, _ = ref.WithVersion(strconv.Itoa(n))
		at = n
	}
	state := keyturn.State("")
	if at > 0 && at <= len(mod.states) {
		state = mod.states[at-1]
	}
	want := map[keyturn.State]keyturn.Code{"": keyturn.NotFound, keyturn.Destroyed: keyturn.NotFound, keyturn.Live: keyturn.Conflict}[state]
	if _, err := s.m.Restore(t.Context(), ref); expect(t, err, want) {
		mod.states[at-1] = keyturn.Live
	}
}

func (s *machine) Destroy(t *rapid.T) {
	ref, mod := s.pick(t)
	var versions []string
	var want keyturn.Code
	if len(mod.states) == 0 {
		want = keyturn.NotFound
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 0, 3, rapid.ID[int]).Draw(t, "versions") {
		versions = append(versions, strconv.Itoa(n))
		if n > len(mod.states) || mod.states[n-1] == keyturn.Destroyed {
			want = keyturn.NotFound
		}
	}
	if !expect(t, s.m.Destroy(t.Context(), ref, versions), want) {
		return
	}
	if versions == nil {
		*mod = model{}
	}
	for _, v := range versions {
		n, _ := strconv.Atoi(v)
		mod.states[n-1] = keyturn.Destroyed
	}
}

func (s *machine) Rollback(t *rapid.T) {
	ref, mod := s.pick(t)
	back := -1
	for i := len(mod.states) - 2; i >= 0 && back < 0; i-- {
		if mod.states[i] == keyturn.Live {
			back = i
		}
	}
	var want keyturn.Code
	if back < 0 {
		want = keyturn.NotFound
	}
	if _, err := s.m.Rollback(t.Context(), ref, ""); expect(t, err, want) {
		mod.values, mod.states = append(mod.values, mod.values[back]), append(mod.states, keyturn.Live)
	}
}

// Check holds everything that can be seen against the model.
func (s *machine) Check(t *rapid.T) {
	all, err := keyturn.ParsePrefix("local/")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]keyturn.State{}
	for info, err := range s.m.List(t.Context(), all, false) {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.Ref.Name()] = info.State
	}
	for name, mod := range s.names {
		if listed[name] != mod.newest() {
			t.Fatalf("'%s' is listed as '%s', want '%s'", name, listed[name], mod.newest())
		}
		agrees(t, s.m, keyturn.MustRef("local/"+name), mod)
	}
}

// agrees holds every version of a secret against the model.
func agrees(t *rapid.T, m *platform.Mount, ref keyturn.Ref, mod *model) {
	ctx := t.Context()
	for i := range mod.states {
		pinned, _ := ref.WithVersion(strconv.Itoa(i + 1))
		s, err := m.Get(ctx, pinned)
		if live := mod.states[i] == keyturn.Live; live != (err == nil) || live && string(s.Values["v"].Reveal()) != mod.values[i] {
			t.Fatalf("%s is %s: error %v, or another value", pinned.Short(), mod.states[i], err)
		}
		info, err := m.Describe(ctx, pinned)
		if err != nil || info.State != mod.states[i] || info.Current != (i == len(mod.states)-1 && info.State == keyturn.Live) {
			t.Fatalf("%s: %+v, error %v; want it %s", pinned.Short(), info, err, mod.states[i])
		}
	}
	_, err := m.Get(ctx, ref)
	if live := mod.newest() == keyturn.Live; live != (err == nil) {
		t.Fatalf("%s is %s: error %v", ref.Short(), mod.newest(), err)
	}
	versions, err := m.Versions(ctx, ref)
	if (err == nil) != (len(mod.states) > 0) || len(versions) != len(mod.states) {
		t.Fatalf("history of %s: %d versions, error %v; want %d", ref.Short(), len(versions), err, len(mod.states))
	}
}

// Example shows what a reader of a deleted secret is told.
func Example() {
	ctx := context.Background()
	m := platform.NewMount("local", local.New(newMemory(), "local"), local.Spec, "memory")
	ref := keyturn.MustRef("local/my%20app/config")
	for _, v := range []string{"one", "two"} {
		_, _ = m.Put(ctx, ref, platform.Put{Values: map[string]keyturn.Value{"password": keyturn.NewValue([]byte(v))}})
	}
	_, _, _ = m.Delete(ctx, ref)
	_, err := m.Get(ctx, ref)
	fmt.Println(err)
	fmt.Println(keyturn.AsError(err).Hint)
	// Output:
	// the newest version of local/my%20app/config, 2, is deleted; version 1 is the newest that can be read
	// keyturn restore local/my%20app/config
	// keyturn get local/my%20app/config --version 1
}
