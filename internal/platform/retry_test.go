package platform_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
)

// faltering fails so many times with an error before each thing it does.
type faltering struct {
	*platformtest.Memory
	times int
	err   error
	calls int
}

func (f *faltering) falter() error {
	if f.calls++; f.calls <= f.times {
		return f.err
	}
	return nil
}

func (f *faltering) Get(ctx context.Context, ref keyturn.Ref) (keyturn.Secret, error) {
	if err := f.falter(); err != nil {
		return keyturn.Secret{}, err
	}
	return f.Memory.Get(ctx, ref)
}

func (f *faltering) Put(ctx context.Context, ref keyturn.Ref, n platform.New) (keyturn.Info, error) {
	if err := f.falter(); err != nil {
		return keyturn.Info{}, err
	}
	return f.Memory.Put(ctx, ref, n)
}

// TestRetried: what a network does to a request is tried again, a change whose
// outcome is open is not, and nothing is on a platform that is not remote.
func TestRetried(t *testing.T) {
	throttled := keyturn.E(keyturn.Unavailable, "too many requests", "")
	open := &keyturn.Error{Code: keyturn.Unavailable, Message: "cut off", Unknown: true}
	for name, c := range map[string]struct {
		remote bool
		times  int
		err    error
		put    bool
		calls  int
		code   keyturn.Code
	}{
		"once":                    {true, 1, throttled, false, 2, ""},
		"three times":             {true, 3, throttled, false, 4, ""},
		"too often":               {true, 9, throttled, false, 4, keyturn.Unavailable},
		"a put":                   {true, 2, throttled, true, 3, ""},
		"a put of unknown ending": {true, 2, open, true, 1, keyturn.Unavailable},
		"denied":                  {true, 1, keyturn.E(keyturn.Denied, "no", ""), false, 1, keyturn.Denied},
		"not remote":              {false, 1, throttled, false, 1, keyturn.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ref := keyturn.MustRef("mem/a")
				f := &faltering{Memory: platformtest.NewMemory("mem", counted), times: c.times, err: c.err}
				spec := counted
				spec.Remote = c.remote
				m := platform.NewMount("mem", f, spec, "test")
				values := map[string]keyturn.Value{"f": keyturn.NewValue([]byte("v"))}
				var err error
				began := time.Now()
				if c.put {
					_, err = m.Put(t.Context(), ref, platform.Put{Values: values, Mode: keyturn.Replace})
				} else {
					if _, e := f.Memory.Put(t.Context(), ref, platform.New{Values: values}); e != nil {
						t.Fatal(e)
					}
					_, err = m.Get(t.Context(), ref)
				}
				if e := keyturn.AsError(err); e != nil && e.Code != c.code || e == nil && c.code != "" {
					t.Errorf("%v, want %q", err, c.code)
				}
				if f.calls != c.calls {
					t.Errorf("called %d times, want %d", f.calls, c.calls)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
				if c.calls == 4 && err != nil && !strings.Contains(err.Error(), "tried 4 times") {
					t.Errorf("it does not say how often: %v", err)
				}
			})
		})
	}
}

// TestRetryEndsWithItsCaller: nobody waits for a pause that the caller does not.
func TestRetryEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := counted
		spec.Remote = true
		f := &faltering{Memory: platformtest.NewMemory("mem", counted), times: 9, err: keyturn.E(keyturn.Unavailable, "down", "")}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := platform.NewMount("mem", f, spec, "test").Get(ctx, keyturn.MustRef("mem/a"))
		if !errors.Is(err, keyturn.Unavailable) || time.Since(began) > 50*time.Millisecond || f.calls != 1 {
			t.Errorf("%v after %v and %d calls", err, time.Since(began), f.calls)
		}
	})
}

var counted = platform.Spec{Platform: "test", Fields: true, CompareAndSet: true, OrderedVersions: true, NumericVersions: true}
