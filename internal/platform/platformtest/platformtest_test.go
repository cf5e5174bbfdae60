package platformtest_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

// counted is a platform as Vault's: fields, counted versions, compare-and-set,
// soft delete of versions.
var counted = platform.Spec{
	Platform: "vault", Fields: true, MaxFields: 40, MaxValue: 512 << 10, MaxSecret: 1 << 20,
	CompareAndSet: true, OrderedVersions: true, NumericVersions: true,
	Recovery: platform.RecoveryForever, RestoreVersion: true, DestroyVersion: true,
	Labels: platform.LabelLimits{Max: 64, Key: 128, Value: 512, OfSecret: true}, Public: true, Expires: true,
}

// blobs is as different as can be: one blob, opaque versions in no order, no
// compare-and-set, a window, narrow names, late listings.
var blobs = platform.Spec{
	Platform: "azure", MaxValue: 25000,
	Names: platform.Rule{
		Allowed: "1 to 127 of a-z, 0-9 and -",
		Check: func(name string) string {
			if len(name) > 127 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
				return "it is too long, or has other characters"
			}
			return ""
		},
	},
	FieldNamesNeedValue: true, Recovery: platform.RecoveryWindow, EventuallyConsistent: true,
	Labels: platform.LabelLimits{Max: 15, Key: 256, Value: 256},
}

// bare is as Kubernetes: fields and compare-and-set, but neither history nor
// delete.
var bare = platform.Spec{Platform: "kubernetes", Fields: true, CompareAndSet: true, MaxSecret: 100 << 10, MaxValue: 100 << 10}

type bareMemory struct {
	platform.Platform
	platform.Describer
	platform.Putter
	platform.Destroyer
}

func barely(m *platformtest.Memory) platformtest.Harness {
	h := m.Harness()
	h.Platform = bareMemory{m, m, m, m}
	return h
}

func TestMemory(t *testing.T) {
	t.Parallel()
	t.Run("counted", func(t *testing.T) {
		platformtest.Run(t, func(*testing.T) platformtest.Harness {
			return platformtest.NewMemory("mem", counted).Harness()
		})
	})
	t.Run("folder", func(t *testing.T) {
		shared := platformtest.NewMemory("mem", counted) // as a real server would be
		platformtest.Run(t, func(*testing.T) platformtest.Harness {
			h := shared.Harness()
			h.Prefix, h.Second = "secret/under test", shared
			return h
		})
	})
	t.Run("blobs", func(t *testing.T) {
		platformtest.Run(t, func(*testing.T) platformtest.Harness {
			return platformtest.NewMemory("az", blobs).Harness()
		})
	})
	t.Run("bare", func(t *testing.T) {
		platformtest.Run(t, func(*testing.T) platformtest.Harness {
			return barely(platformtest.NewMemory("k8s", bare))
		})
	})
}

// recorder is a T that only notes what a check finds.
type recorder struct {
	mu       sync.Mutex
	ctx      context.Context
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) Skipf(string, ...any)     { runtime.Goexit() }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failing returns the names of the checks that find fault with what open makes.
func failing(t *testing.T, open func() platformtest.Harness) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, c := range platformtest.Checks() {
		r := &recorder{ctx: t.Context()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(r, open())
		}()
		<-done
		if len(r.failures) > 0 {
			out[c.Name] = r.failures
		}
	}
	return out
}

// broken are platforms with one fault each, and the check that must find it.
var broken = []struct {
	name, check string
	open        func() platformtest.Harness
}{
	{"loses a trailing newline", "values", puts(func(n *platform.New) {
		n.Values = each(n.Values, func(s string) string { return strings.TrimSuffix(s, "\n") })
	})},
	{"repairs invalid UTF-8", "values", puts(func(n *platform.New) {
		n.Values = each(n.Values, func(s string) string { return strings.ToValidUTF8(s, "?") })
	})},
	{"ends values at a NUL", "values", puts(func(n *platform.New) {
		n.Values = each(n.Values, func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s })
	})},
	{"takes base64 for a wrapping", "values", puts(func(n *platform.New) {
		n.Values = each(n.Values, func(s string) string {
			if b, err := base64.StdEncoding.DecodeString(s); err == nil && s != "" {
				return string(b)
			}
			return s
		})
	})},
	{"truncates large values", "largest", puts(func(n *platform.New) {
		n.Values = each(n.Values, func(s string) string { return s[:min(len(s), 400<<10)] })
	})},
	{"takes less than MaxValue", "largest", lies(func(s *platform.Spec) { s.MaxValue *= 2 })},
	{"merges where it should replace", "whole version", wraps(func(m *platformtest.Memory) platform.Platform { return merges{m} })},
	{"folds case", "names", wraps(func(m *platformtest.Memory) platform.Platform { return folds{m} })},
	{"lists twice", "list", lists(func(in []keyturn.Info) []keyturn.Info { return append(in, in...) })},
	{"lists one page", "list", lists(func(in []keyturn.Info) []keyturn.Info { return in[:min(len(in), 20)] })},
	{"lists by text prefix", "list prefix", wraps(func(m *platformtest.Memory) platform.Platform { return textPrefix{m} })},
	{"reads values to list", "list", wraps(func(m *platformtest.Memory) platform.Platform { return reading{m} })},
	{"reads values to describe", "describe", wraps(func(m *platformtest.Memory) platform.Platform { return peeking{m} })},
	{"lets two racers win", "compare-and-set race", wraps(func(m *platformtest.Memory) platform.Platform { return racy{m} })},
	{"ignores what is expected", "compare-and-set", puts(func(n *platform.New) { n.IfVersion = "" })},
	{"claims compare-and-set", "compare-and-set", wraps(func(m *platformtest.Memory) platform.Platform {
		return putting{m, func(n *platform.New) { n.IfVersion = "" }}
	})},
	{"sorts versions by text", "versions", wraps(func(m *platformtest.Memory) platform.Platform { return textOrder{m} })},
	{"claims to count versions", "versions", func() platformtest.Harness {
		opaque := counted
		opaque.NumericVersions = false
		h := platformtest.NewMemory("mem", opaque).Harness()
		h.Spec = counted
		return h
	}},
	{"is internal when not found", "not found", wraps(func(m *platformtest.Memory) platform.Platform { return rude{m} })},
	{"takes 01 for 1", "not found", wraps(func(m *platformtest.Memory) platform.Platform { return lenient{m} })},
	{"cannot restore", "delete", wraps(func(m *platformtest.Memory) platform.Platform { return forgetful{m} })},
	{"deletes twice", "delete", wraps(func(m *platformtest.Memory) platform.Platform { return twice{m} })},
	{"claims a window", "delete", lies(func(s *platform.Spec) { s.Recovery = platform.RecoveryWindow })},
	{"claims no recovery", "spec", lies(func(s *platform.Spec) { s.Recovery = platform.NoRecovery })},
	{"destroys some, then fails", "destroy versions", wraps(func(m *platformtest.Memory) platform.Platform { return partial{m} })},
	{"keeps what is destroyed", "destroy", wraps(func(m *platformtest.Memory) platform.Platform { return keeping{m} })},
	{"loses labels", "labels", puts(func(n *platform.New) { n.Labels = nil })},
	{"loses labels that a put does not name", "labels", puts(func(n *platform.New) {
		if n.Labels == nil {
			n.Labels = map[string]string{}
		}
	})},
	{"keeps no public marks", "labels", puts(func(n *platform.New) { n.Public = nil })},
	{"keeps no expiry", "labels", puts(func(n *platform.New) { n.Expires = time.Time{} })},
	{"claims not to know fields", "describe", lies(func(s *platform.Spec) { s.FieldNamesNeedValue = true })},
	{"tells values in errors", "canary", wraps(func(m *platformtest.Memory) platform.Platform { return leaky{m, plainly} })},
	{"tells values in base64", "canary", wraps(func(m *platformtest.Memory) platform.Platform { return leaky{m, in64} })},
	{"logs values", "canary", func() platformtest.Harness {
		m := platformtest.NewMemory("mem", counted)
		var (
			mu  sync.Mutex
			log strings.Builder
		)
		h := m.Harness()
		h.Platform, h.Log = putting{m, func(n *platform.New) {
			mu.Lock()
			defer mu.Unlock()
			for _, v := range n.Values {
				log.Write(v.Reveal())
			}
		}}, log.String
		return h
	}},
	{"goes on when cancelled", "cancellation", wraps(func(m *platformtest.Memory) platform.Platform { return deaf{m} })},
	{"lists when cancelled", "cancellation", wraps(func(m *platformtest.Memory) platform.Platform { return deafList{m} })},
	{"answers for another mount", "list", func() platformtest.Harness {
		h := platformtest.NewMemory("other", counted).Harness()
		h.Mount = "mem"
		return h
	}},
	{"has a name rule that takes next to nothing", "names", lies(func(s *platform.Spec) {
		s.Names = platform.Rule{Allowed: "nothing", Check: func(n string) string {
			if strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(n) > 16 {
				return "no"
			}
			return ""
		}}
	})},
}

// TestBroken shows that each fault is found, by the check that is there for it.
func TestBroken(t *testing.T) {
	t.Parallel()
	if found := failing(t, func() platformtest.Harness { return platformtest.NewMemory("mem", counted).Harness() }); len(found) > 0 {
		t.Fatalf("the suite finds fault with a sound platform: %v", found)
	}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			found := failing(t, b.open)
			if len(found[b.check]) == 0 {
				t.Errorf("check '%s' does not find it; found: %v", b.check, found)
			}
		})
	}
}

func each(values map[string]keyturn.Value, f func(string) string) map[string]keyturn.Value {
	out := map[string]keyturn.Value{}
	for k, v := range values {
		out[k] = keyturn.NewValue([]byte(f(string(v.Reveal()))))
	}
	return out
}

func wraps(wrap func(*platformtest.Memory) platform.Platform) func() platformtest.Harness {
	return func() platformtest.Harness {
		m := platformtest.NewMemory("mem", counted)
		h := m.Harness()
		h.Platform = wrap(m)
		return h
	}
}

func puts(change func(*platform.New)) func() platformtest.Harness {
	return wraps(func(m *platformtest.Memory) platform.Platform { return putting{m, change} })
}

func lists(change func([]keyturn.Info) []keyturn.Info) func() platformtest.Harness {
	return wraps(func(m *platformtest.Memory) platform.Platform { return listing{m, change} })
}

func lies(change func(*platform.Spec)) func() platformtest.Harness {
	return func() platformtest.Harness {
		h := platformtest.NewMemory("mem", counted).Harness()
		change(&h.Spec)
		return h
	}
}

type putting struct {
	*platformtest.Memory
	change func(*platform.New)
}

func (p putting) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	p.change(&n)
	return p.Memory.Put(ctx, ref, n)
}

type merges struct{ *platformtest.Memory }

func (p merges) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	if s, err := p.Get(ctx, ref); err == nil {
		maps.Copy(s.Values, n.Values)
		n.Values = s.Values
	}
	return p.Memory.Put(ctx, ref, n)
}

type folds struct{ *platformtest.Memory }

func lower(ref keyturn.Ref) keyturn.Ref {
	r, _ := keyturn.NewRef(ref.Mount(), strings.ToLower(ref.Name()))
	r, _ = r.WithVersion(ref.Version())
	return r
}

func (p folds) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	info, err := p.Memory.Put(ctx, lower(ref), n)
	info.Ref = ref
	return info, err
}

func (p folds) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	s, err := p.Memory.Get(ctx, lower(ref))
	s.Ref = ref.Secret()
	return s, err
}

func (p folds) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	info, err := p.Memory.Describe(ctx, lower(ref))
	info.Ref = ref.Secret()
	return info, err
}

type listing struct {
	*platformtest.Memory
	change func([]keyturn.Info) []keyturn.Info
}

func (p listing) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		var all []keyturn.Info
		for info, err := range p.Memory.List(ctx, prefix) {
			if err != nil {
				yield(info, err)
				return
			}
			all = append(all, info)
		}
		for _, info := range p.change(all) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

type textPrefix struct{ *platformtest.Memory }

func (p textPrefix) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range p.Memory.List(ctx, "") {
			if err == nil && !strings.HasPrefix(info.Ref.Name(), prefix) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

type reading struct{ *platformtest.Memory }

func (p reading) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return func(yield func(keyturn.Info, error) bool) {
		for info, err := range p.Memory.List(ctx, prefix) {
			_, _ = p.Get(ctx, info.Ref)
			if !yield(info, err) {
				return
			}
		}
	}
}

type peeking struct{ *platformtest.Memory }

func (p peeking) Describe(ctx context.Context, ref keyturn.Ref) (keyturn.Info, error) {
	s, err := p.Get(ctx, ref)
	return s.Info, err
}

type racy struct{ *platformtest.Memory }

func (p racy) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	info, err := p.Describe(ctx, ref)
	if n.IfVersion != "" && (err != nil) != (n.IfVersion == keyturn.None) || err == nil && n.IfVersion != "" && info.Version != n.IfVersion {
		return keyturn.Info{}, keyturn.E(keyturn.Conflict, "another version is newest", "")
	}
	time.Sleep(time.Millisecond)
	n.IfVersion = ""
	return p.Memory.Put(ctx, ref, n)
}

type textOrder struct{ *platformtest.Memory }

func (p textOrder) Versions(ctx context.Context, ref keyturn.Ref) ([]keyturn.Info, error) {
	out, err := p.Memory.Versions(ctx, ref)
	slices.SortFunc(out, func(a, b keyturn.Info) int { return strings.Compare(b.Version, a.Version) })
	return out, err
}

type rude struct{ *platformtest.Memory }

func (p rude) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	s, err := p.Memory.Get(ctx, ref)
	if err != nil {
		err = fmt.Errorf("HTTP 404")
	}
	return s, err
}

type lenient struct{ *platformtest.Memory }

func (p lenient) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	ref, _ = ref.WithVersion(strings.TrimLeft(ref.Version(), "0"))
	return p.Memory.Get(ctx, ref)
}

type forgetful struct{ *platformtest.Memory }

func (p forgetful) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	info, err := p.Describe(ctx, ref)
	if err == nil {
		err = p.Destroy(ctx, ref, []string{info.Version})
	}
	info.State, info.Current = keyturn.Deleted, false
	return info, time.Time{}, err
}

type twice struct{ *platformtest.Memory }

func (p twice) Delete(ctx context.Context, ref keyturn.Ref) (keyturn.Info, time.Time, error) {
	if info, err := p.Describe(ctx, ref); err == nil && info.State == keyturn.Deleted {
		return info, time.Time{}, nil
	}
	return p.Memory.Delete(ctx, ref)
}

type partial struct{ *platformtest.Memory }

func (p partial) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	if len(versions) == 0 {
		return p.Memory.Destroy(ctx, ref, nil)
	}
	for _, v := range versions {
		if err := p.Memory.Destroy(ctx, ref, []string{v}); err != nil {
			return err
		}
	}
	return nil
}

type keeping struct{ *platformtest.Memory }

func (p keeping) Destroy(ctx context.Context, ref keyturn.Ref, versions []string) error {
	if len(versions) == 0 {
		_, _, err := p.Delete(ctx, ref)
		return err
	}
	return p.Memory.Destroy(ctx, ref, versions)
}

type leaky struct {
	*platformtest.Memory
	tell func(keyturn.Value) string
}

func plainly(v keyturn.Value) string { return string(v.Reveal()) }
func in64(v keyturn.Value) string {
	return base64.StdEncoding.EncodeToString([]byte("{" + string(v.Reveal())))
}

func (p leaky) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	info, err := p.Memory.Put(ctx, ref, n)
	if err != nil {
		body := ""
		for _, v := range n.Values {
			body += p.tell(v)
		}
		err = keyturn.E(keyturn.AsError(err).Code, "refused", "").Because(fmt.Errorf("the server did not take %q", body))
	}
	return info, err
}

type deaf struct{ *platformtest.Memory }

func (p deaf) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	return p.Memory.Put(context.WithoutCancel(ctx), ref, n)
}

type deafList struct{ *platformtest.Memory }

func (p deafList) List(ctx context.Context, prefix string) iter.Seq2[keyturn.Info, error] {
	return p.Memory.List(context.WithoutCancel(ctx), prefix)
}
