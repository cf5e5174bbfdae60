package platform_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

// rival writes before the first puts of others, as another process may.
type rival struct {
	*platformtest.Memory
	times int
	with  map[string]keyturn.Value
}

func (r *rival) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	if r.times > 0 {
		r.times--
		if _, err := r.Memory.Put(ctx, ref, platform.New{Values: r.with}); err != nil {
			return keyturn.Info{}, err
		}
	}
	return r.Memory.Put(ctx, ref, n)
}

func TestPutAgainstRival(t *testing.T) {
	t.Parallel()
	ref := keyturn.MustRef("mem/a")
	begin := func(t *testing.T, times int, with ...string) (*platform.Mount, *rival) {
		r := &rival{Memory: platformtest.NewMemory("mem", spec), with: set(with...)}
		m := mounted(r)
		if _, err := m.Put(t.Context(), ref, platform.Put{Values: set("a")}); err != nil {
			t.Fatal(err)
		}
		r.times = times
		return m, r
	}
	t.Run("a merge keeps what the rival wrote", func(t *testing.T) {
		m, _ := begin(t, 4, "a", "rival")
		c, err := m.Put(t.Context(), ref, platform.Put{Values: set("mine"), Mode: keyturn.Merge})
		if err != nil || c.Info.Version != "6" || c.Before != "5" {
			t.Fatalf("put: %+v, %v", c, err)
		}
		s, _ := m.Get(t.Context(), ref)
		if d := cmp.Diff([]string{"a", "mine", "rival"}, s.Fields); d != "" {
			t.Error(d)
		}
	})
	t.Run("it ends after five", func(t *testing.T) {
		m, r := begin(t, 100, "rival")
		_, err := m.Put(t.Context(), ref, platform.Put{Values: set("mine"), Mode: keyturn.Replace})
		wantError(t, err, keyturn.Conflict)
		if r.times != 95 {
			t.Errorf("it was tried %d times, want 5", 100-r.times)
		}
	})
	t.Run("fields of the rival do not vanish", func(t *testing.T) {
		m, _ := begin(t, 1, "a", "rival")
		_, err := m.Put(t.Context(), ref, platform.Put{Values: set("a")})
		wantError(t, err, keyturn.Conflict, "the fields rival", "--merge")
	})
	t.Run("what the caller expects is tried once", func(t *testing.T) {
		m, r := begin(t, 9, "a")
		_, err := m.Put(t.Context(), ref, platform.Put{Values: set("a"), IfVersion: "1"})
		wantError(t, err, keyturn.Conflict, "is at version 2, not 1")
		if r.times != 8 {
			t.Errorf("it was tried %d times, want once", 9-r.times)
		}
	})
	t.Run("a rollback does not overwrite", func(t *testing.T) {
		m, r := begin(t, 0, "rival")
		_, _ = m.Put(t.Context(), ref, platform.Put{Values: set("a")})
		r.times = 1
		_, err := m.Rollback(t.Context(), ref, "1")
		wantError(t, err, keyturn.Conflict)
	})
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	ref := keyturn.MustRef("mem/a")
	m := mounted(platformtest.NewMemory("mem", spec))
	big := val(strings.Repeat("x", 1025))
	for name, c := range map[string]struct {
		ref  string
		put  platform.Put
		code keyturn.Code
		says string
	}{
		"version":       {"mem/a?version=1", platform.Put{Values: set("a")}, keyturn.Invalid, "--if-version"},
		"field":         {"mem/a#b", platform.Put{Values: set("b")}, keyturn.Invalid, "write mem/a"},
		"nothing":       {"mem/a", platform.Put{}, keyturn.Invalid, "at least one field"},
		"empty merge":   {"mem/a", platform.Put{Mode: keyturn.Merge}, keyturn.Invalid, "at least one field"},
		"mode":          {"mem/a", platform.Put{Values: set("a"), Mode: "both"}, keyturn.Invalid, "'both'"},
		"large value":   {"mem/a", platform.Put{Values: map[string]keyturn.Value{"big": big}}, keyturn.Invalid, "'big' is larger than 1 KiB"},
		"large secret":  {"mem/a", platform.Put{Values: map[string]keyturn.Value{"a": val(strings.Repeat("x", 1024)), "b": val(strings.Repeat("x", 1024)), "c": val("x")}}, keyturn.Invalid, "together larger than 2 KiB"},
		"many fields":   {"mem/a", platform.Put{Values: set("1", "2", "3", "4", "5", "6", "7", "8", "9")}, keyturn.Invalid, "more than 8 fields"},
		"absent public": {"mem/a", platform.Put{Values: set("a"), Public: []string{"b"}}, keyturn.Invalid, "'b'"},
		"if version":    {"mem/a", platform.Put{Values: set("a"), IfVersion: "01"}, keyturn.Invalid, "'01'"},
		"not there":     {"mem/a", platform.Put{Values: set("a"), IfVersion: "1"}, keyturn.Conflict, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Put(t.Context(), keyturn.MustRef(c.ref), c.put)
			if e := wantError(t, err, c.code, c.says); strings.Contains(e.Message, "1025") || strings.Contains(e.Message, "1,025") {
				t.Errorf("the error tells the length of a value: %s", e.Message)
			}
		})
	}
	wantError(t, second(m.Get(t.Context(), ref)), keyturn.NotFound)
	blob := spec
	blob.Fields = false
	m = platform.NewMount("mem", platformtest.NewMemory("mem", blob), blob, "")
	wantError(t, second(m.Put(t.Context(), ref, platform.Put{Values: set("a")})), keyturn.Unsupported, "'value'")
}

func TestCarriesOver(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), keyturn.MustRef("mem/a")
	m := mounted(platformtest.NewMemory("mem", spec))
	soon := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	check := func(put platform.Put, labels map[string]string, public []string) {
		t.Helper()
		c, err := m.Put(ctx, ref, put)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(labels, c.Info.Labels); d != "" {
			t.Errorf("labels (-want +got): %s", d)
		}
		if !slices.Equal(public, c.Info.Public) {
			t.Errorf("public %q, want %q", c.Info.Public, public)
		}
		if !c.Info.Expires.Equal(put.Expires) {
			t.Errorf("expires %v, want %v", c.Info.Expires, put.Expires)
		}
	}
	team := map[string]string{"team": "x"}
	check(platform.Put{Values: set("a", "b", "c"), Labels: team, Public: []string{"b", "a", "a"}, Expires: soon}, team, []string{"a", "b"})
	check(platform.Put{Values: set("d"), Mode: keyturn.Merge}, team, []string{"a", "b"})
	check(platform.Put{Mode: keyturn.Merge, Expires: soon}, team, []string{"a", "b"})
	check(platform.Put{Values: set("a"), Mode: keyturn.Merge}, team, []string{"b"}) // a new value is secret until said otherwise
	check(platform.Put{Values: set("b", "z"), Mode: keyturn.Replace}, team, nil)
	check(platform.Put{Values: set("a", "b", "z"), Public: []string{"b"}}, team, []string{"b"})
	check(platform.Put{Values: set("b"), Mode: keyturn.Replace, Public: []string{}, Labels: map[string]string{}}, map[string]string{}, nil)
	c, err := m.Rollback(ctx, ref, "2")
	if err != nil || !slices.Equal(c.Info.Public, []string{"a", "b"}) || c.Info.Labels["team"] != "x" {
		t.Errorf("rollback: %+v, %v; want the labels and marks of version 2", c, err)
	}
	if _, _, err := m.Delete(ctx, ref); err != nil {
		t.Fatal(err)
	}
	check(platform.Put{Values: set("b")}, map[string]string{}, nil) // nothing carries over a delete
}

// between does something after each Describe, as another process may.
type between struct {
	*platformtest.Memory
	then func()
	puts int
	busy error
}

func (b *between) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	info, err := b.Memory.Describe(ctx, ref)
	if b.then != nil && err == nil {
		b.then()
	}
	return info, err
}

func (b *between) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	if b.puts++; b.busy != nil {
		return keyturn.Info{}, b.busy
	}
	return b.Memory.Put(ctx, ref, n)
}

func TestPutBetween(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), keyturn.MustRef("mem/a")
	b := &between{Memory: platformtest.NewMemory("mem", spec)}
	m := mounted(b)
	if _, err := m.Put(ctx, ref, platform.Put{Values: set("a"), Labels: map[string]string{"k": "v"}}); err != nil {
		t.Fatal(err)
	}
	// Deleted between Describe and Get: a merge could keep nothing of it.
	b.then, b.puts = func() { _, _, _ = b.Memory.Delete(ctx, ref) }, 0
	_, err := m.Put(ctx, ref, platform.Put{Values: set("b"), Mode: keyturn.Merge})
	wantError(t, err, keyturn.Conflict, "nothing to merge with: the newest version of mem/a, 1, is deleted", "'keyturn restore mem/a' first")
	if b.puts != 0 {
		t.Error("a merge over what was deleted meanwhile was put")
	}
	// A conflict that is not another writer's is not tried again.
	b.then, b.puts, b.busy = nil, 0, keyturn.E(keyturn.Conflict, "scheduled for deletion", "wait")
	_, err = m.Put(ctx, ref, platform.Put{Values: set("b")})
	wantError(t, err, keyturn.Conflict, "scheduled for deletion", "wait")
	if b.puts != 1 {
		t.Errorf("it was tried %d times, want once", b.puts)
	}
}

// writer can get and put, but cannot describe.
type writer struct {
	platform.Platform
	platform.Putter
}

func TestPutWithoutDescribe(t *testing.T) {
	t.Parallel()
	unnamed := spec
	unnamed.FieldNamesNeedValue = true
	late := spec
	late.CompareAndSet = false
	for name, m := range map[string]*platform.Mount{
		"fields need the value": platform.NewMount("mem", platformtest.NewMemory("mem", unnamed), unnamed, ""),
		"no describe": func() *platform.Mount {
			p := platformtest.NewMemory("mem", late)
			return platform.NewMount("mem", writer{p, p}, late, "")
		}(),
	} {
		ref := keyturn.MustRef("mem/a")
		c, err := m.Put(t.Context(), ref, platform.Put{Values: set("a", "b")})
		if err != nil || !c.Created {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		_, err = m.Put(t.Context(), ref, platform.Put{Values: set("b")})
		wantError(t, err, keyturn.Conflict, "the fields a")
		c, err = m.Put(t.Context(), ref, platform.Put{Values: set("c"), Mode: keyturn.Merge})
		if err != nil || c.Created || c.Before != "1" {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		if s, err := m.Get(t.Context(), ref); err != nil || !slices.Equal(s.Fields, []string{"a", "b", "c"}) {
			t.Errorf("%s: fields %q, %v", name, s.Fields, err)
		}
	}
}

// TestMergeTellsNoLength: how much fits beside the fields that a caller does not write does
// not tell how long they are.
func TestMergeTellsNoLength(t *testing.T) {
	t.Parallel()
	most := map[int]int{}
	for _, length := range []int{8, 16, 64, 100} {
		for own := 2*spec.MaxValue - 400; own <= 2*spec.MaxValue; own++ { // where the limit can be
			m := mounted(platformtest.NewMemory("mem", spec))
			ref := keyturn.MustRef("mem/a")
			if _, err := m.Put(t.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"hidden": val(strings.Repeat("h", length))}}); err != nil {
				t.Fatal(err)
			}
			half := min(own, spec.MaxValue)
			put := map[string]keyturn.Value{"x": val(strings.Repeat("x", half)), "y": val(strings.Repeat("y", own-half))}
			if _, err := m.Put(t.Context(), ref, platform.Put{Values: put, Mode: keyturn.Merge}); err == nil {
				most[length] = own
			}
		}
	}
	if most[8] == 0 || most[8] != most[16] || most[8] != most[64] || most[8] != most[100] {
		t.Errorf("beside a field of so many bytes so many fit: %v", most)
	}
}
