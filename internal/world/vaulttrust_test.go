package world_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// proxy is a proxy that connects to anybody, and counts what it is asked for.
type proxy struct {
	*httptest.Server
	asked atomic.Int64
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if r.Method != http.MethodConnect {
			r.RequestURI = ""
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}))
	t.Cleanup(p.Close)
	return p
}

// configured is a machine with an operator's configuration of one mount, which an
// agent may list.
func configured(t *testing.T, settings string) *world.Machine {
	t.Helper()
	m := world.New(t)
	folder := filepath.Join(m.Home, ".config", "keyturn")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "mounts:\n  prod: {platform: vault, " + settings + "}\nrules:\n  - {who: agents, may: [describe, list], on: [\"prod/**\"]}\n"
	if err := os.WriteFile(filepath.Join(folder, "keyturn.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Must("", "init", "--key", "file")
	return m
}

// TestEnvironmentIsForPeople: which proxy is used and whose certificates are trusted
// comes from the environment for people alone; for an agent, which sets its own
// variables, from the operator's configuration.
func TestEnvironmentIsForPeople(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the system's authorities are in no file, and 0.0.0.0 may be nobody")
	}
	secure, plain, by := servers.NewWireTLS(t), servers.NewWire(t), newProxy(t)
	// No proxy of the environment is used for loopback; this address is as good as it.
	anywhere := func(w *servers.Wire) string { return strings.Replace(w.Address, "127.0.0.1", "0.0.0.0", 1) }
	tls := fmt.Sprintf("address: %q, server_name: example.com", anywhere(secure))
	trusted := tls + fmt.Sprintf(", ca_cert: %q", secure.CACert)
	for _, w := range []*servers.Wire{secure, plain} {
		w.Set("a", map[string]any{"f": "v"})
	}
	requests := func() int {
		a, _ := secure.Requests("")
		b, _ := plain.Requests("")
		return len(a) + len(b)
	}
	for name, c := range map[string]struct {
		settings  string
		vars      []string
		agent     bool
		status    int
		byProxy   bool
		unreached bool
	}{
		"a person's proxy":              {settings: trusted, vars: []string{"HTTPS_PROXY=" + by.URL}, byProxy: true},
		"an agent's proxy":              {settings: trusted, vars: []string{"HTTPS_PROXY=" + by.URL, "https_proxy=" + by.URL}, agent: true},
		"a person's proxy, plain":       {settings: fmt.Sprintf("address: %q, insecure: true", anywhere(plain)), vars: []string{"HTTP_PROXY=" + by.URL}, byProxy: true},
		"an agent's proxy, plain":       {settings: fmt.Sprintf("address: %q, insecure: true", anywhere(plain)), vars: []string{"HTTP_PROXY=" + by.URL, "http_proxy=" + by.URL}, agent: true},
		"the operator's proxy":          {settings: trusted + fmt.Sprintf(", proxy: %q", by.URL), agent: true, byProxy: true},
		"the operator's before others":  {settings: trusted + fmt.Sprintf(", proxy: %q", by.URL), vars: []string{"HTTPS_PROXY=http://127.0.0.1:1"}, byProxy: true},
		"a person's authorities":        {settings: tls, vars: []string{"SSL_CERT_FILE=" + secure.CACert}},
		"an agent's authorities":        {settings: tls, vars: []string{"SSL_CERT_FILE=" + secure.CACert}, agent: true, status: 4, unreached: true},
		"an agent's folder":             {settings: tls, vars: []string{"SSL_CERT_DIR=" + filepath.Dir(secure.CACert)}, agent: true, status: 4, unreached: true},
		"an agent's, and the mount has": {settings: trusted, vars: []string{"SSL_CERT_FILE=/nowhere"}, agent: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := configured(t, c.settings)
			vars := append(c.vars, "NO_PROXY=", "no_proxy=")
			if c.agent {
				m.As("SSL_CERT_FILE="+secure.CACert).Must("hvs.fake", "login", "prod", "-")
				vars = append(vars, "AI_AGENT=coder")
			} else {
				vars = append(vars, "VAULT_TOKEN=hvs.fake")
			}
			before, asked := by.asked.Load(), requests()
			out := m.As(vars...).Run("", "list", "prod/secret/")
			if out.Status != c.status || c.status == 0 && !strings.Contains(out.Stdout, "secret/a") {
				t.Errorf("status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
			}
			if used := by.asked.Load() > before; used != c.byProxy {
				t.Errorf("by the proxy: %v", used)
			}
			if reached := requests() > asked; reached == c.unreached {
				t.Errorf("reached: %v", reached)
			}
		})
	}
}

// TestFilesOfAMount: a relative path in the operator's configuration is beside it, and
// not in the folder where keyturn is started.
func TestFilesOfAMount(t *testing.T) {
	w := servers.NewWireTLS(t)
	w.Set("a", map[string]any{"f": "v"})
	ca, err := os.ReadFile(w.CACert)
	if err != nil {
		t.Fatal(err)
	}
	m := configured(t, fmt.Sprintf("address: %q, ca_cert: certs/ca.pem", w.Address)).As("VAULT_TOKEN=hvs.fake")
	beside := filepath.Join(m.Home, ".config", "keyturn", "certs")
	here := filepath.Join(m.Work, "certs")
	for _, dir := range []string{beside, here} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(here, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := m.Run("", "list", "prod/secret/"); out.Status != 2 || !strings.Contains(out.Stderr, filepath.Join(beside, "ca.pem")) {
		t.Errorf("one in the current folder: status %d\n%s", out.Status, out.Stderr)
	}
	if err := os.Rename(filepath.Join(here, "ca.pem"), filepath.Join(beside, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if out := m.Run("", "list", "prod/secret/"); out.Status != 0 || !strings.Contains(out.Stdout, "secret/a") {
		t.Errorf("one beside the configuration: status %d\n%s", out.Status, out.Stderr)
	}
}
