package servers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Wire is a Vault in this process that answers as its API is documented
// (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2), as far as it is
// asked here: one engine of KV version 2 at secret/, without policies. It is for what
// a real one does not do when it is told to: to be slow, to throttle, to break off.
// What only it proves is said in the test that uses it.
type Wire struct {
	Address string
	CACert  string // a file, of one that speaks TLS

	mu       sync.Mutex
	before   func(w http.ResponseWriter, r *http.Request) bool
	slow     time.Duration
	secrets  map[string][]map[string]any // versions by path
	requests []string
	now, max int // requests under way
}

// NewWire starts one.
func NewWire(t testing.TB) *Wire {
	t.Helper()
	w := &Wire{secrets: map[string][]map[string]any{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.Address = s.URL
	return w
}

// NewWireTLS starts one that speaks TLS, and HTTP/2 to whoever wants it.
func NewWireTLS(t testing.TB) *Wire {
	t.Helper()
	w := &Wire{secrets: map[string][]map[string]any{}}
	s := httptest.NewUnstartedServer(w)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	w.Address, w.CACert = s.URL, filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, w.CACert, "CERTIFICATE", s.Certificate().Raw)
	return w
}

// Before has f asked before each request from now on; it answers true where it has
// answered itself. It is called for several requests at a time. Nil ends it.
func (w *Wire) Before(f func(w http.ResponseWriter, r *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = f
}

// Slow sets how long each answer takes from now on.
func (w *Wire) Slow(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = d
}

// Set writes a secret's next version.
func (w *Wire) Set(path string, data map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[path] = append(w.secrets[path], data)
}

// Versions tells how many versions a secret has.
func (w *Wire) Versions(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.secrets[path])
}

// Requests lists what was asked, "METHOD path", with all that begin so; the most
// that were under way at a time comes with them.
func (w *Wire) Requests(begin string) (list []string, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if strings.HasPrefix(r, begin) {
			list = append(list, r)
		}
	}
	return list, w.max
}

// ServeHTTP implements http.Handler.
func (w *Wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	w.mu.Lock()
	w.requests = append(w.requests, r.Method+" "+path)
	w.now++
	w.max = max(w.max, w.now)
	before, slow := w.before, w.slow
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	time.Sleep(slow)
	if before != nil && before(out, r) {
		return
	}
	status, answer := w.answer(r, path)
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(out).Encode(answer)
	}
}

func (w *Wire) answer(r *http.Request, path string) (int, any) {
	data := func(v any) (int, any) { return http.StatusOK, map[string]any{"data": v} }
	nothing := map[string]any{"errors": []string{}}
	engine := map[string]any{"path": "secret/", "type": "kv", "options": map[string]string{"version": "2"}}
	if path == "sys/internal/ui/mounts" {
		return data(map[string]any{"secret": map[string]any{"secret/": engine}, "auth": map[string]any{}})
	}
	if strings.HasPrefix(path, "sys/internal/ui/mounts/secret") {
		return data(engine)
	}
	if path == "sys/seal-status" {
		return http.StatusOK, map[string]any{"initialized": true, "t": 1, "n": 1, "version": "1.21.1"}
	}
	if path == "auth/token/lookup-self" {
		return data(map[string]any{"display_name": "token", "ttl": 0})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	what, name, _ := strings.Cut(strings.TrimPrefix(path, "secret/"), "/")
	versions := w.secrets[name]
	switch {
	case r.Method == "LIST" && what == "metadata":
		keys := map[string]bool{}
		for full := range w.secrets {
			if rest, ok := strings.CutPrefix(full, name); ok && (name == "" || strings.HasSuffix(name, "/")) {
				key, _, deeper := strings.Cut(rest, "/")
				if deeper {
					key += "/"
				}
				keys[key] = true
			}
		}
		if len(keys) == 0 {
			return http.StatusNotFound, nothing
		}
		return data(map[string]any{"keys": slices.Sorted(maps.Keys(keys))})
	case r.Method == http.MethodPost && what == "data":
		return w.put(r, name)
	case len(versions) == 0:
		return http.StatusNotFound, nothing
	case what == "data":
		n := len(versions)
		if v, err := strconv.Atoi(r.URL.Query().Get("version")); err == nil && v > 0 {
			n = v
		}
		if n > len(versions) {
			return http.StatusNotFound, nothing
		}
		return data(map[string]any{"data": versions[n-1], "metadata": version(n)})
	case what == "metadata":
		all := map[string]any{}
		for i := range versions {
			all[strconv.Itoa(i+1)] = version(i + 1)
		}
		return data(map[string]any{"current_version": len(versions), "versions": all, "custom_metadata": nil})
	case what == "subkeys":
		keys := map[string]any{}
		for k := range versions[len(versions)-1] {
			keys[k] = nil
		}
		return data(map[string]any{"subkeys": keys, "metadata": version(len(versions))})
	}
	return http.StatusNotFound, nothing
}

// put is called with w locked.
func (w *Wire) put(r *http.Request, name string) (int, any) {
	var body struct {
		Data    map[string]any
		Options struct{ CAS *int }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return http.StatusBadRequest, map[string]any{"errors": []string{"failed to parse JSON input"}}
	}
	if cas := body.Options.CAS; cas != nil && *cas != len(w.secrets[name]) {
		return http.StatusBadRequest, map[string]any{"errors": []string{"check-and-set parameter did not match the current version"}}
	}
	w.secrets[name] = append(w.secrets[name], body.Data)
	return http.StatusOK, map[string]any{"data": version(len(w.secrets[name]))}
}

func version(n int) map[string]any {
	return map[string]any{"version": n, "created_time": fmt.Sprintf("2026-01-24T10:00:%02dZ", n%60), "deletion_time": "", "destroyed": false, "custom_metadata": nil}
}
