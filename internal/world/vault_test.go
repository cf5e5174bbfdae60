package world_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// withVault is a machine with a store, whose VAULT_ADDR and VAULT_TOKEN are these.
func withVault(t *testing.T, address, token string) *world.Machine {
	t.Helper()
	m := world.New(t).As("VAULT_ADDR="+address, "VAULT_TOKEN="+token)
	m.Must("", "init", "--key", "file")
	return m
}

// onDisk is an unsealed Vault on disk with an engine at secret/.
func onDisk(t *testing.T) *servers.Vault {
	t.Helper()
	v := servers.VaultOnDisk(t)
	v.Unseal()
	v.Call(http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // a new engine upgrades itself first
		resp, err := http.Get(v.Address + "/v1/sys/health")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return v
			}
		}
		if time.Now().After(end) {
			t.Fatal("the server is not active")
		}
	}
}

// TestKillVault kills a real Vault (-9) at any time of a put: afterwards the secret is
// the old or the new one, whole, and what keyturn said of it is true, or it said that
// it does not know. KEYTURN_SOAK says how many kills (8).
func TestKillVault(t *testing.T) {
	v := onDisk(t)
	m := withVault(t, v.Address, v.Root)
	w := &writer{ref: "vault/secret/kill"}
	var usual []time.Duration
	for range 3 {
		began := time.Now()
		if err := w.start(t, m).Wait(); err != nil {
			t.Fatal(err)
		}
		w.acked = w.tried
		usual = append(usual, time.Since(began))
	}
	slices.Sort(usual)
	told := map[string]int{}
	rounds := soak(t, 8)
	for range rounds {
		w.tried++
		done := make(chan world.Output, 1)
		n := w.tried
		go func() {
			done <- m.Run(w.body(n), "put", w.ref, "--from-json", "-", "-o", "json")
		}()
		time.Sleep(time.Duration(rand.Int64N(int64(usual[1]))))
		v.Kill()
		out := <-done
		v.Start()
		v.Unseal()
		var answer struct {
			Status string
			Error  struct{ Code, Outcome string }
		}
		if err := json.Unmarshal([]byte(out.Stdout), &answer); err != nil {
			t.Fatalf("%v\n%s%s", err, out.Stdout, out.Stderr)
		}
		before := w.acked
		if answer.Status == "success" {
			w.acked = n // and check fails where it is lost
		}
		w.check(t, m) // sets acked to what is there
		switch {
		case answer.Status == "success":
			told["success"]++
		case answer.Error.Code != "unavailable" || out.Status != 7:
			t.Errorf("exit status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
		case answer.Error.Outcome == "unknown":
			told[fmt.Sprintf("unknown, written: %v", w.acked == n)]++
		case w.acked != before:
			t.Errorf("it said that put %d has not happened, and it has:\n%s", n, out.Stdout)
		default:
			told["not done"]++
		}
	}
	t.Logf("%d kills: %v", rounds, told)
	m.Must("", "audit", "verify")
}

// between is a proxy before a server: then is called once, before request number n of
// those that begin so is passed on.
func between(t *testing.T, address, begin string, n int64, then func()) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Method+" "+r.URL.Path, begin) && seen.Add(1) == n {
			then()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestSealedDuringRun: a Vault that is sealed while references are resolved has the
// command not started, with the code of a sealed server; one that is sealed while the
// command runs lets it go on, redacted.
func TestSealedDuringRun(t *testing.T) {
	v := onDisk(t)
	value := canary()
	for i := range 40 {
		v.Call(http.MethodPost, fmt.Sprintf("secret/data/s%d", i), map[string]any{"data": map[string]string{"f": value}}, nil)
	}
	m := withVault(t, between(t, v.Address, "GET /v1/secret/data/", 20, v.Seal), v.Root)
	args := []string{"run"}
	for i := range 40 {
		args = append(args, "--env", fmt.Sprintf("S%d=vault/secret/s%d#f", i, i))
	}
	started := filepath.Join(m.Work, "started")
	out := m.Run("", append(args, "--", "touch", started)...)
	if _, err := os.Stat(started); out.Status != 125 || err == nil || !strings.Contains(out.Stderr, "sealed") || !strings.Contains(out.Stderr, "unseal") {
		t.Errorf("sealed in the middle: exit status %d (%v)\n%s%s", out.Status, err, out.Stdout, out.Stderr)
	}
	if found := search(value, []byte(out.Stdout+out.Stderr)); found != nil {
		t.Errorf("the value is printed (%v)", found)
	}
	v.Unseal()

	m = withVault(t, v.Address, v.Root)
	cmd := m.Command("run", "--env", "S=vault/secret/s1#f", "--", "sh", "-c", `touch `+started+`; read go; printf %s "$S"`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(started); err == nil {
			break
		}
	}
	v.Seal()
	_, _ = io.WriteString(stdin, "go\n")
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil || stdout.String() != "[redacted:vault/secret/s1#f]" {
		t.Errorf("sealed while it ran: %v, %q", err, stdout.String())
	}
}

// TestTokenEndsDuringList: a token that is revoked in the middle of a listing ends it
// with Expired, and what was not listed is not passed over in silence.
func TestTokenEndsDuringList(t *testing.T) {
	v := servers.VaultDev(t)
	for i := range 120 {
		v.Call(http.MethodPost, "secret/data/s"+strconv.Itoa(i), map[string]any{"data": map[string]string{"f": "v"}}, nil)
	}
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"root"}}, &made)
	revoke := func() {
		v.Call(http.MethodPost, "auth/token/revoke", map[string]string{"token": made.Auth.Token}, nil)
	}
	m := withVault(t, between(t, v.Address, "GET /v1/secret/metadata/", 70, revoke), made.Auth.Token)
	out := m.Run("", "list", "vault/secret", "-o", "json")
	var answer struct {
		Status string
		Error  struct{ Code, Hint string }
	}
	if err := json.Unmarshal([]byte(out.Stdout), &answer); err != nil {
		t.Fatalf("%v\n%s", err, out.Stdout)
	}
	if out.Status != 8 || answer.Error.Code != "expired" || !strings.Contains(answer.Error.Hint, "keyturn login vault") {
		t.Errorf("exit status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
	}
	if strings.Contains(out.Stdout+out.Stderr, made.Auth.Token) {
		t.Error("the token is printed")
	}
}

// TestPartialFailures: of many references each fails by itself, is told by itself, and
// the ones that were throttled or broke once are not among them. What the server does
// is played: a real one does not on demand.
func TestPartialFailures(t *testing.T) {
	w := servers.NewWire(t)
	value := canary()
	args := []string{"run"}
	for i := range 30 {
		w.Set("s"+strconv.Itoa(i), map[string]any{"f": value})
		args = append(args, "--env", fmt.Sprintf("S%d=vault/secret/s%d#f", i, i))
	}
	var once [30]atomic.Bool
	w.Before(func(out http.ResponseWriter, r *http.Request) bool {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/v1/secret/data/s"))
		if err != nil {
			return false
		}
		status := map[int]int{3: 403, 4: 500, 5: 404}[n]
		if status == 0 && n >= 20 && !once[n].Swap(true) {
			status = 429
		}
		if status == 0 {
			return false
		}
		out.WriteHeader(status)
		_ = json.NewEncoder(out).Encode(map[string][]string{"errors": {"permission denied for " + value}})
		return true
	})
	m := withVault(t, w.Address, "hvs.fake")
	out := m.Run("", append(args, "--", "touch", "started")...)
	if _, err := os.Stat(filepath.Join(m.Work, "started")); out.Status != 125 || err == nil {
		t.Errorf("exit status %d, %v", out.Status, err)
	}
	for _, told := range []string{"3 references failed", "vault/secret/s3#f", "for the variable S4", "for the variable S5", "denied: ", "unavailable: ", "not_found: ", "(tried 4 times)"} {
		if !strings.Contains(out.Stderr, told) {
			t.Errorf("it does not say %q:\n%s", told, out.Stderr)
		}
	}
	if found := search(value, []byte(out.Stdout+out.Stderr)); found != nil {
		t.Errorf("the value is printed (%v)", found)
	}
}

// TestRunOfServerThatIsDown: a run asks a server that is not well four times, and not
// four times more for the same secret.
func TestRunOfServerThatIsDown(t *testing.T) {
	w := servers.NewWire(t)
	w.Set("a", map[string]any{"f": "v", "g": "v"})
	w.Before(func(out http.ResponseWriter, _ *http.Request) bool {
		out.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	m := withVault(t, w.Address, "hvs.fake")
	out := m.Run("", "run", "--env", "A=vault/secret/a#f", "--env", "B=vault/secret/a#g", "--", "true")
	if out.Status != 125 || !strings.Contains(out.Stderr, "(tried 4 times)") {
		t.Errorf("exit status %d\n%s", out.Status, out.Stderr)
	}
	if asked, _ := w.Requests(""); len(asked) != 4 {
		t.Errorf("asked %d times: %v", len(asked), asked)
	}
	w.Before(nil)
	if out := m.Run("", "run", "--env", "A=vault/secret/a#f", "--env", "B=vault/secret/a#g", "--", "true"); out.Status != 0 {
		t.Errorf("exit status %d\n%s", out.Status, out.Stderr)
	}
}
