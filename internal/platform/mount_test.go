package platform_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

var spec = platform.Spec{
	Platform: "vault", Fields: true, MaxFields: 8, MaxValue: 1 << 10, MaxSecret: 2 << 10,
	CompareAndSet: true, OrderedVersions: true, NumericVersions: true,
	Recovery: platform.RecoveryForever, RestoreVersion: true, DestroyVersion: true,
	Labels: platform.LabelLimits{Max: 4, Key: 16, Value: 16}, Public: true, Expires: true,
}

func val(s string) keyturn.Value { return keyturn.NewValue([]byte(s)) }

func set(fields ...string) map[string]keyturn.Value {
	out := map[string]keyturn.Value{}
	for _, f := range fields {
		out[f] = val("value of " + f)
	}
	return out
}

func mounted(p platform.Platform) *platform.Mount { return platform.NewMount("mem", p, spec, "memory") }

func wantError(t *testing.T, err error, code keyturn.Code, parts ...string) *keyturn.Error {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want %s", err, code)
	}
	e := keyturn.AsError(err)
	for _, p := range parts {
		if !strings.Contains(e.Message+"\n"+e.Hint, p) {
			t.Errorf("error '%s', hint '%s': want '%s' in it", e.Message, e.Hint, p)
		}
	}
	return e
}

// only has nothing but what every platform has.
type only struct{ platform.Platform }

func TestUnsupported(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), keyturn.MustRef("mem/a")
	m := platform.NewMount("mem", only{platformtest.NewMemory("mem", spec)}, platform.Spec{Platform: "vault", Fields: true}, "")
	for name, err := range map[string]error{
		"describe": second(m.Describe(ctx, ref)),
		"versions": second(m.Versions(ctx, ref)),
		"put":      second(m.Put(ctx, ref, platform.Put{Values: set("a")})),
		"rollback": second(m.Rollback(ctx, ref, "")),
		"delete":   third(m.Delete(ctx, ref)),
		"restore":  second(m.Restore(ctx, ref)),
		"destroy":  m.Destroy(ctx, ref, nil),
	} {
		t.Run(name, func(t *testing.T) {
			if e := wantError(t, err, keyturn.Unsupported); e.Hint == "" || e.Ref != ref {
				t.Errorf("hint '%s', about '%s': want what it can do instead, about '%s'", e.Hint, e.Ref, ref)
			}
		})
	}
	wantError(t, second(m.Get(ctx, ref)), keyturn.NotFound)
	if h := m.Status(ctx); !h.Reachable || h.Err != nil {
		t.Errorf("status by a listing: %+v", h)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestOtherMount(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), keyturn.MustRef("other/a")
	m := mounted(platformtest.NewMemory("mem", spec))
	for _, err := range []error{
		second(m.Get(ctx, ref)), second(m.Describe(ctx, ref)), second(m.Versions(ctx, ref)), second(m.Rollback(ctx, ref, "")),
		second(m.Put(ctx, ref, platform.Put{Values: set("a")})), third(m.Delete(ctx, ref)), second(m.Restore(ctx, ref)),
		m.Destroy(ctx, ref, nil), m.GetMany(ctx, []keyturn.Ref{ref})[0].Err, m.GetMany(ctx, []keyturn.Ref{{}})[0].Err,
		second(m.Get(ctx, keyturn.Ref{})),
	} {
		wantError(t, err, keyturn.Internal)
	}
	under, _ := keyturn.ParsePrefix("other/")
	for _, err := range m.List(ctx, under, false) {
		wantError(t, err, keyturn.Internal)
	}
}

func TestNewMount(t *testing.T) {
	t.Parallel()
	p := platformtest.NewMemory("mem", spec)
	if m := platform.NewMount("mem", p, spec, "here"); m.Name() != "mem" || m.Platform() != "vault" || m.Target() != "here" || m.Spec().MaxFields != 8 {
		t.Errorf("a mount does not say what it was made of")
	}
	for name, call := range map[string]func(){
		"no name":     func() { platform.NewMount("", p, spec, "") },
		"no platform": func() { platform.NewMount("mem", nil, spec, "") },
		"no kind":     func() { platform.NewMount("mem", p, platform.Spec{}, "") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: NewMount did not panic", name)
				}
			}()
			call()
		}()
	}
}

// watched counts the reads that run at a time.
type watched struct {
	*platformtest.Memory
	running, most atomic.Int64
	do            func(ref keyturn.Ref)
}

func (w *watched) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	n := w.running.Add(1)
	defer w.running.Add(-1)
	for m := w.most.Load(); n > m && !w.most.CompareAndSwap(m, n); m = w.most.Load() {
	}
	if w.do != nil {
		w.do(ref)
	}
	return w.Memory.Get(ctx, ref)
}

func TestGetMany(t *testing.T) {
	t.Parallel()
	w := &watched{Memory: platformtest.NewMemory("mem", spec)}
	m := mounted(w)
	var refs []keyturn.Ref
	for i := range 50 {
		ref := keyturn.MustRef(fmt.Sprintf("mem/s%d", i))
		if _, err := m.Put(t.Context(), ref, platform.Put{Values: set("a", "b")}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"", "a", "b", "absent"} {
			r, _ := ref.WithField(f)
			refs = append(refs, r)
		}
	}
	var together sync.WaitGroup // the first two reads wait for each other
	together.Add(2)
	var waited atomic.Int64
	w.do = func(keyturn.Ref) {
		if waited.Add(1) <= 2 {
			together.Done()
			together.Wait()
		}
	}
	w.Reads.Store(0)
	for i, o := range m.GetMany(t.Context(), refs) {
		switch f := refs[i].Field(); {
		case f == "absent":
			if e := wantError(t, o.Err, keyturn.NotFound, "a, b"); e.Ref != refs[i] {
				t.Errorf("the error is about %s, want %s", e.Ref, refs[i])
			}
		case o.Err != nil:
			t.Errorf("%s: %v", refs[i], o.Err)
		case f == "" && len(o.Secret.Values) != 2 || f != "" && len(o.Secret.Values) != 1:
			t.Errorf("%s: %d values", refs[i], len(o.Secret.Values))
		case o.Secret.Ref != refs[i].Secret():
			t.Errorf("%s got %s", refs[i], o.Secret.Ref)
		}
	}
	if n := w.Reads.Load(); n != 50 {
		t.Errorf("%d reads of 50 secrets", n)
	}
	if n := w.most.Load(); n < 2 || n > 16 {
		t.Errorf("%d reads at a time, want 2 to 16", n)
	}
	two := m.GetMany(t.Context(), []keyturn.Ref{refs[0], refs[0]})
	delete(two[0].Secret.Values, "a")
	two[0].Secret.Labels["x"] = "y"
	if len(two[1].Secret.Values) != 2 || len(two[1].Secret.Labels) != 0 {
		t.Errorf("two outcomes share their maps")
	}
	if out := m.GetMany(t.Context(), nil); len(out) != 0 {
		t.Errorf("GetMany of nothing: %v", out)
	}

	ctx, cancel := context.WithCancel(t.Context())
	w.do = func(keyturn.Ref) { cancel() }
	w.Reads.Store(0)
	for i, o := range m.GetMany(ctx, refs) {
		if o.Err == nil {
			t.Errorf("%s was read after its context was cancelled", refs[i])
		} else if refs[i].Field() != "absent" && !errors.Is(o.Err, context.Canceled) {
			t.Errorf("%s: %v, want it cancelled", refs[i], o.Err)
		}
	}
}

func TestPanicPasses(t *testing.T) {
	t.Parallel()
	w := &watched{Memory: platformtest.NewMemory("mem", spec), do: func(keyturn.Ref) { panic("a bug") }}
	m := mounted(w)
	refs := make([]keyturn.Ref, 100)
	for i := range refs {
		refs[i] = keyturn.MustRef(fmt.Sprintf("mem/s%d", i))
	}
	for name, call := range map[string]func(){
		"get":      func() { _, _ = m.Get(t.Context(), refs[0]) },
		"get many": func() { m.GetMany(t.Context(), refs) },
	} {
		func() {
			defer func() {
				if p := recover(); p != "a bug" {
					t.Errorf("%s: recovered %v, want the platform's panic", name, p)
				}
			}()
			call()
			t.Errorf("%s swallowed a panic", name)
		}()
	}
}

// faulty fails as it is told.
type faulty struct {
	*platformtest.Memory
	err error
}

func (f faulty) Get(context.Context, keyturn.Ref) (keyturn.Secret, error) {
	return keyturn.Secret{}, f.err
}
func (f faulty) Put(context.Context, keyturn.Ref, platform.New) (keyturn.Info, error) {
	return keyturn.Info{}, f.err
}
func (f faulty) List(context.Context, string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) { yield(keyturn.Info{}, f.err) }
}
func (f faulty) Status(context.Context) keyturn.Health {
	return keyturn.Health{Identity: "a\x1b[2Jb", Detail: "c\u202ed", Err: keyturn.AsError(f.err)}
}

func TestErrorsOfPlatform(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), keyturn.MustRef("mem/a#b")
	own := keyturn.E(keyturn.Denied, "no\x1b[2J way", "one\u202e\ntwo")
	m := mounted(faulty{platformtest.NewMemory("mem", spec), own})
	e := wantError(t, second(m.Get(ctx, ref)), keyturn.Denied)
	if e.Message != "no\ufffd[2J way" || e.Hint != "one\ufffd\ntwo" || e.Ref != ref {
		t.Errorf("the error is not clean, or about '%s': %q, %q", e.Ref, e.Message, e.Hint)
	}
	if own.Message == e.Message || !own.Ref.IsZero() {
		t.Errorf("the platform's error was changed")
	}
	if h := m.Status(ctx); h.Identity != "a\ufffd[2Jb" || h.Detail != "c\ufffdd" || h.Err.Message != e.Message {
		t.Errorf("the status is not clean: %+v", h)
	}
	for err, want := range map[error]keyturn.Code{
		context.Canceled:            keyturn.Unavailable,
		context.DeadlineExceeded:    keyturn.Unavailable,
		errors.New("broken"):        keyturn.Internal,
		keyturn.NotFound:            keyturn.Internal, // a bare code says nothing
		fmt.Errorf("wrap: %w", own): keyturn.Denied,
	} {
		far := spec
		far.Remote = true
		here := mounted(faulty{platformtest.NewMemory("mem", spec), err})
		if e := wantError(t, second(here.Put(ctx, ref.Secret(), platform.Put{Values: set("a")})), want); e.Unknown {
			t.Errorf("a put on this machine that ended with '%v' is told to have no known outcome", err)
		}
		m := platform.NewMount("mem", faulty{platformtest.NewMemory("mem", spec), err}, far, "memory")
		change := second(m.Put(ctx, ref.Secret(), platform.Put{Values: set("a")}))
		e := wantError(t, change, want)
		if !errors.Is(e, err) && want != keyturn.Denied {
			t.Errorf("%v is not in the chain of its error", err)
		}
		if open := want == keyturn.Unavailable; e.Unknown != open {
			t.Errorf("a put that ended with '%v': outcome unknown %v, want %v", err, e.Unknown, open)
		} else if open {
			wantError(t, change, want, "keyturn history mem/a")
		}
		if e := wantError(t, second(m.Get(ctx, ref)), want); e.Unknown {
			t.Errorf("a read has no outcome")
		}
		for _, err := range m.List(ctx, prefix("mem/"), false) {
			wantError(t, err, want)
		}
	}
}

func prefix(s string) keyturn.Prefix {
	p, err := keyturn.ParsePrefix(s)
	if err != nil {
		panic(err)
	}
	return p
}

func TestShallow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := mounted(platformtest.NewMemory("mem", spec))
	for _, n := range []string{"a", "a/b", "a/c/d", "a/c/e", "a%20b/c", "ab", "z/z/z"} {
		if _, err := m.Put(ctx, keyturn.MustRef("mem/"+n), platform.Put{Values: set("a")}); err != nil {
			t.Fatal(err)
		}
	}
	for under, want := range map[string][]string{
		"mem/":     {"kt://mem/a", "kt://mem/ab", "mem/a%20b/", "mem/a/", "mem/z/"},
		"mem/a/":   {"kt://mem/a", "kt://mem/a/b", "mem/a/c/"},
		"mem/a/c/": {"kt://mem/a/c/d", "kt://mem/a/c/e"},
		"mem/no/":  nil,
	} {
		var got []string
		for info, err := range m.List(ctx, prefix(under), true) {
			if err != nil {
				t.Fatal(err)
			}
			if info.Ref.IsZero() {
				got = append(got, info.Path)
				prefix(info.Path)
			} else {
				got = append(got, info.Ref.String())
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got): %s", under, d)
		}
	}
	for range m.List(ctx, prefix("mem/"), true) {
		break
	}
}

// impostor answers about other secrets, or with deleted ones.
type impostor struct {
	*platformtest.Memory
	change func(*keyturn.Info)
}

func (p impostor) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	s, err := p.Memory.Get(ctx, ref)
	p.change(&s.Info)
	return s, err
}

func (p impostor) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	info, err := p.Memory.Put(ctx, ref, n)
	p.change(&info)
	return info, err
}

func (p impostor) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return p.Memory.List(ctx, "")
}

// TestBrokenContracts: what a platform answers and makes no sense is neither the caller's
// fault nor a bug of keyturn: a store is damaged, a server is not what it should be. A
// change may have happened.
func TestBrokenContracts(t *testing.T) {
	t.Parallel()
	for _, remote := range []bool{false, true} {
		code, spec := keyturn.Corrupt, spec
		if spec.Remote = remote; remote {
			code = keyturn.Unavailable
		}
		brokenContracts(t, code, func(p platform.Platform) *platform.Mount { return platform.NewMount("mem", p, spec, "memory") })
	}
}

func brokenContracts(t *testing.T, code keyturn.Code, mounted func(platform.Platform) *platform.Mount) {
	ctx, ref := t.Context(), keyturn.MustRef("mem/a/b")
	for name, change := range map[string]func(*keyturn.Info){
		"another secret": func(i *keyturn.Info) { i.Ref = keyturn.MustRef("mem/other") },
		"with a field":   func(i *keyturn.Info) { i.Ref = keyturn.MustRef("mem/a/b#c") },
		"deleted":        func(i *keyturn.Info) { i.State = keyturn.Deleted },
		"no state":       func(i *keyturn.Info) { i.State = "" },
		"no version":     func(i *keyturn.Info) { i.Version = "" },
	} {
		memory := platformtest.NewMemory("mem", spec)
		m := mounted(impostor{memory, change})
		_, err := m.Put(ctx, ref, platform.Put{Values: set("c")})
		if name == "deleted" {
			if err != nil {
				t.Fatal(err)
			}
		} else if e := wantError(t, err, code); !e.Unknown {
			t.Errorf("%s: the put was made, and its outcome counts as known", name)
		}
		if s, err := m.Get(ctx, ref); !errors.Is(err, code) || len(s.Values) > 0 {
			t.Errorf("%s: error %v, %d values; want %s and none", name, err, len(s.Values), code)
		}
		_, err = m.Put(ctx, ref, platform.Put{Values: set("d"), Mode: keyturn.Merge})
		wantError(t, err, code)
		if infos, _ := memory.Versions(ctx, ref); len(infos) != 1 {
			t.Errorf("%s: a merge on it was written", name)
		}
		for _, err := range m.List(ctx, prefix("mem/x"), false) {
			wantError(t, err, code)
		}
	}
}
