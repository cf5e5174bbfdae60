package vault

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/vault/api"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// What a real Vault does not do when it is told to is tried against a server of our
// own: throttling, breaking off, being slow. What these tests say of its answers is
// said of Vault's documentation, and not of Vault.

func wired(t *testing.T, w *servers.Wire) *platform.Mount {
	t.Helper()
	c := api.Config{Address: w.Address, Namespace: "team/a", Token: func(context.Context) (keyturn.Value, error) { return keyturn.NewValue([]byte("hvs.fake")), nil }}
	return platform.NewMount("vault", open(t, c), Spec, "test")
}

// refusing answers the first n requests that begin so with a status.
func refusing(n int64, begin string, status int, header http.Header) func(http.ResponseWriter, *http.Request) bool {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/"), begin) || seen.Add(1) > n {
			return false
		}
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, `{"errors":["kt-canary-of-a-status"]}`)
		return true
	}
}

// TestRetriedOnTheWire: every status that passes is tried again, for a read always, for
// a put where the server says that it has not begun.
func TestRetriedOnTheWire(t *testing.T) {
	ref := keyturn.MustRef("vault/secret/a")
	one := platform.Put{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("new"))}, Mode: keyturn.Replace}
	for status, c := range map[int]struct{ put int }{ // how often a put is sent
		http.StatusPreconditionFailed: {3}, http.StatusTooManyRequests: {3}, 472: {3}, 473: {3}, http.StatusServiceUnavailable: {3},
		http.StatusInternalServerError: {1}, http.StatusBadGateway: {1}, http.StatusGatewayTimeout: {1},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := servers.NewWire(t)
			w.Set("a", map[string]any{"f": "old"})
			w.Before(refusing(2, "GET secret/data/a", status, nil))
			s, err := wired(t, w).Get(t.Context(), ref)
			if list, _ := w.Requests("GET secret/data/a"); err != nil || len(list) != 3 || !s.Values["f"].Equal(keyturn.NewValue([]byte("old"))) {
				t.Errorf("get: %v after %d requests", err, len(list))
			}
			w.Before(refusing(2, "POST secret/data/a", status, nil))
			_, err = wired(t, w).Put(t.Context(), ref, one)
			e := keyturn.AsError(err)
			list, _ := w.Requests("POST secret/data/a")
			if len(list) != c.put || c.put == 3 && (err != nil || w.Versions("a") != 2) {
				t.Errorf("put: %v after %d requests, %d versions", err, len(list), w.Versions("a"))
			}
			if c.put == 1 && (e == nil || e.Code != keyturn.Unavailable || !e.Unknown || !strings.Contains(e.Hint, "keyturn history vault/secret/a")) {
				t.Errorf("put whose outcome is open: %+v", e)
			}
			w.Before(refusing(9, "GET secret/data/a", status, nil))
			_, err = wired(t, w).Get(t.Context(), ref)
			want(t, "never answered", err, keyturn.Unavailable, "")
			if err != nil && (!strings.Contains(err.Error(), "(tried 4 times)") || strings.Contains(err.Error(), "canary")) {
				t.Errorf("never answered: %v", err)
			}
		})
	}
}

// TestRetryAfter: when the server says when to come back, that is waited for, unless
// nobody would.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := servers.NewWire(t)
	w.Set("a", map[string]any{"f": "v"})
	ref := keyturn.MustRef("vault/secret/a")
	w.Before(refusing(1, "GET secret/data/a", http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}))
	began := time.Now()
	if _, err := wired(t, w).Get(t.Context(), ref); err != nil || time.Since(began) < time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	w.Before(refusing(9, "GET secret/data/a", http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}}))
	began = time.Now()
	_, err := wired(t, w).Get(t.Context(), ref)
	want(t, "an hour", err, keyturn.Unavailable, "try again in 1h0m0s")
	if time.Since(began) > time.Second {
		t.Errorf("it waited %v", time.Since(began))
	}
	if list, _ := w.Requests("GET secret/data/a"); len(list) != 3 {
		t.Errorf("asked %d times, want 3", len(list))
	}
}

// TestThrottledListing: each request of a listing is tried again by itself, so that a
// throttle in the middle neither ends it nor has it name anything twice.
func TestThrottledListing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	t.Parallel()
	w := servers.NewWire(t)
	var names []string
	for i := range 150 {
		name := fmt.Sprintf("f%d/s%03d", i%3, i)
		w.Set(name, map[string]any{"f": "v"})
		names = append(names, "vault/secret/"+name)
	}
	var n atomic.Int64
	w.Before(func(out http.ResponseWriter, r *http.Request) bool {
		if n.Add(1)%7 != 0 {
			return false
		}
		out.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	prefix, err := keyturn.ParsePrefix("vault/")
	if err != nil {
		t.Fatal(err)
	}
	list := func() (got []string, err error) {
		for info, err := range wired(t, w).List(t.Context(), prefix, false) {
			if err != nil {
				return got, err
			}
			got = append(got, info.Ref.Short())
		}
		slices.Sort(got)
		return got, nil
	}
	got, err := list()
	slices.Sort(names)
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("%d of %d names: %v", len(got), len(names), err)
	}
	if _, most := w.Requests(""); most > together {
		t.Errorf("%d requests at a time", most)
	}
	// One that never answers ends it, soon.
	w.Before(refusing(1<<30, "GET secret/metadata/f1/s001", http.StatusTooManyRequests, nil))
	began := time.Now()
	_, err = list()
	want(t, "one never answers", err, keyturn.Unavailable, "")
	if time.Since(began) > 3*time.Second {
		t.Errorf("it took %v to say so", time.Since(began))
	}
}

// TestManyFromASlowServer: fields of one secret are one request, the engine is asked
// for once, several requests are under way at a time and not more, and each reference
// has an answer of its own.
func TestManyFromASlowServer(t *testing.T) {
	t.Parallel()
	w := servers.NewWire(t)
	const slow = 20 * time.Millisecond
	w.Slow(slow)
	w.Before(refusing(1<<30, "GET secret/data/s07", http.StatusForbidden, nil))
	var refs []keyturn.Ref
	for i := range 200 {
		name := fmt.Sprintf("s%02d", i%50)
		if i < 50 && i != 8 {
			w.Set(name, map[string]any{"f0": i, "f1": "x", "f2": "y", "f3": "z"})
		}
		refs = append(refs, keyturn.MustRef(fmt.Sprintf("vault/secret/%s#f%d", name, i/50)))
	}
	began := time.Now()
	out := wired(t, w).GetMany(t.Context(), refs)
	took := time.Since(began)
	for i, o := range out {
		code := keyturn.Code("")
		switch i % 50 {
		case 7:
			code = keyturn.Denied
		case 8:
			code = keyturn.NotFound
		}
		e := keyturn.AsError(o.Err)
		if e == nil && (code != "" || o.Secret.Values[refs[i].Field()].Len() == 0) || e != nil && (e.Code != code || e.Ref != refs[i]) {
			t.Errorf("%s: %v", refs[i].Short(), o.Err)
		}
	}
	reads, most := w.Requests("GET secret/data/")
	if len(reads) != 50 {
		t.Errorf("%d reads of 50 secrets", len(reads))
	}
	if lookups, _ := w.Requests("GET sys/internal/ui/mounts/"); len(lookups) != 1 {
		t.Errorf("the engine was looked up %d times", len(lookups))
	}
	if most > 16 || most < 4 {
		t.Errorf("%d requests at a time", most)
	}
	if alone := 50 * slow; took > alone {
		t.Errorf("200 references took %v; one after another they take %v", took, alone)
	}
}

// TestNamespace: every request names it, the one for the engine too.
func TestNamespace(t *testing.T) {
	w := servers.NewWire(t)
	w.Set("a", map[string]any{"f": "v"})
	var without atomic.Int64
	w.Before(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Vault-Namespace") != "team/a" || r.Header.Get("X-Vault-Request") != "true" {
			without.Add(1)
		}
		return false
	})
	m := wired(t, w)
	ref := keyturn.MustRef("vault/secret/a")
	_, err := m.Get(t.Context(), ref)
	if err == nil {
		_, err = m.Put(t.Context(), ref, platform.Put{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("w"))}})
	}
	if err == nil {
		_, err = m.Describe(t.Context(), ref)
	}
	prefix, prefixErr := keyturn.ParsePrefix("vault/")
	for _, e := range m.List(t.Context(), prefix, false) {
		if e != nil {
			err = e
		}
	}
	if err != nil || prefixErr != nil || without.Load() > 0 {
		t.Errorf("%v; %d requests without it", err, without.Load())
	}
	if all, _ := w.Requests(""); len(all) < 6 {
		t.Errorf("only %d requests were seen", len(all))
	}
}

// TestBrokenOffPut: a connection that ends after a put was sent leaves its outcome
// open, and the put is not sent again.
func TestBrokenOffPut(t *testing.T) {
	w := servers.NewWire(t)
	w.Before(func(out http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		panic(http.ErrAbortHandler)
	})
	_, err := wired(t, w).Put(t.Context(), keyturn.MustRef("vault/secret/a"), platform.Put{Values: map[string]keyturn.Value{"f": keyturn.NewValue([]byte("w"))}})
	e := keyturn.AsError(err)
	if list, _ := w.Requests("POST "); e == nil || e.Code != keyturn.Unavailable || !e.Unknown || len(list) != 1 {
		t.Errorf("%+v after %d requests", e, len(list))
	}
}
