// Package servers starts real servers for tests: built by the script 'build'
// beside this file ('make real' calls it), on loopback, on a free port, stopped
// with the test.
//
// A server that was not built skips the test and says so; with KEYTURN_REAL=1, as
// 'make real' sets it, that is a failure.
package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// short skips a test that needs a real server, where -short is given.
func short(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real server: -short leaves it out")
	}
}

// Program returns the path of a server that was built. With -short the test is skipped.
func Program(t testing.TB, name string) string {
	t.Helper()
	short(t)
	_, file, _, _ := runtime.Caller(0)
	sum := sha256.New()
	for _, f := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(file), name, f))
		if err != nil {
			t.Skipf("no source of %s here: %v", name, err)
		}
		sum.Write(data)
	}
	cache := os.Getenv("KEYTURN_SERVERS")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "keyturn", "servers")
	}
	path := filepath.Join(cache, name+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("KEYTURN_REAL") != "" {
			t.Fatalf("%s was not built: run internal/world/servers/build (%v)", name, err)
		}
		t.Skipf("%s was not built: 'make real' does it", name)
	}
	return path
}

// output keeps what a server prints, for a test that fails.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Vault is a running Vault.
type Vault struct {
	Address string
	Root    string   // a root token; "" before Init
	Keys    []string // key shares, where it is not a dev server
	T       int      // so many of them unseal it

	CACert string // of a server with TLS: path of a PEM file
	// ClientCert and ClientKey show a client to a server that asks for it: PEM files.
	ClientCert, ClientKey string

	t      testing.TB
	dir    string
	client *http.Client
	config string
	cmd    *exec.Cmd
	out    *output
}

// VaultDev starts a dev server: unsealed, in memory, KV version 2 at "secret".
func VaultDev(t testing.TB) *Vault {
	t.Helper()
	token := make([]byte, 12)
	_, _ = rand.Read(token)
	v := &Vault{t: t, dir: t.TempDir(), Root: hex.EncodeToString(token)}
	port := freePort(t)
	v.Address = fmt.Sprintf("http://127.0.0.1:%d", port)
	v.start("server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+v.Root, fmt.Sprintf("-dev-listen-address=127.0.0.1:%d", port))
	v.wait(func(s status) bool { return s.Initialized && !s.Sealed })
	return v
}

// VaultTLS starts a dev server that speaks TLS, with a certificate authority of its
// own.
func VaultTLS(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{t: t, dir: t.TempDir(), Root: "root"}
	port := freePort(t)
	v.Address = fmt.Sprintf("https://127.0.0.1:%d", port)
	v.start("server", "-dev-tls", "-dev-tls-cert-dir="+v.dir, "-dev-no-store-token", "-dev-root-token-id="+v.Root, fmt.Sprintf("-dev-listen-address=127.0.0.1:%d", port))
	v.CACert = filepath.Join(v.dir, "vault-ca.pem")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		pem, err := os.ReadFile(v.CACert)
		if err != nil {
			continue
		}
		pool := x509.NewCertPool()
		if pool.AppendCertsFromPEM(pem) {
			v.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
			break
		}
	}
	v.wait(func(s status) bool { return s.Initialized && !s.Sealed })
	return v
}

// VaultOnDisk starts a server with file storage that is initialized, with 2 of 3
// key shares, and still sealed. It is no cluster.
func VaultOnDisk(t testing.TB) *Vault {
	t.Helper()
	v := &Vault{t: t, dir: t.TempDir(), T: 2}
	port := freePort(t)
	v.Address = fmt.Sprintf("http://127.0.0.1:%d", port)
	v.configure(map[string]any{
		"storage":  map[string]any{"file": map[string]any{"path": filepath.Join(v.dir, "data")}},
		"listener": map[string]any{"tcp": map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", port), "tls_disable": true}},
	})
	v.Start()
	v.initialize()
	return v
}

// VaultRaft starts a cluster of so many servers with raft storage, which has an
// active one, the first; 2 of 3 key shares unseal each. All are unsealed.
func VaultRaft(t testing.TB, size int) []*Vault {
	t.Helper()
	var all []*Vault
	for i := range size {
		v := &Vault{t: t, dir: t.TempDir(), T: 2}
		port, cluster := freePort(t), freePort(t)
		v.Address = fmt.Sprintf("http://127.0.0.1:%d", port)
		data := filepath.Join(v.dir, "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		v.configure(map[string]any{
			"storage": map[string]any{"raft": map[string]any{"path": data, "node_id": fmt.Sprintf("node%d", i), "performance_multiplier": "1",
				"autopilot_reconcile_interval": "250ms", "autopilot_update_interval": "250ms"}},
			"listener": map[string]any{"tcp": map[string]any{"address": fmt.Sprintf("127.0.0.1:%d", port),
				"cluster_address": fmt.Sprintf("127.0.0.1:%d", cluster), "tls_disable": true}},
			"cluster_addr": fmt.Sprintf("https://127.0.0.1:%d", cluster),
		})
		v.Start()
		if i == 0 {
			v.initialize()
			v.Unseal()
			v.call(http.MethodPost, "sys/storage/raft/autopilot/configuration", map[string]string{"server_stabilization_time": "250ms"}, nil)
		} else {
			v.Keys, v.Root = all[0].Keys, all[0].Root
			v.call(http.MethodPost, "sys/storage/raft/join", map[string]string{"leader_api_addr": all[0].Address}, nil)
			v.Unseal()
		}
		all = append(all, v)
	}
	// One that has just joined has no vote yet: without it no other one is elected.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if all[0].voters() == size {
			return all
		}
	}
	t.Fatalf("the servers make no cluster:\n%s", all[0].out)
	return nil
}

// voters tells how many servers of a cluster elect the active one.
func (v *Vault) voters() int {
	var conf struct {
		Data struct {
			Config struct {
				Servers []struct{ Voter bool }
			}
		}
	}
	if v.try(http.MethodGet, "sys/storage/raft/configuration", nil, &conf) != nil {
		return 0
	}
	n := 0
	for _, s := range conf.Data.Config.Servers {
		if s.Voter {
			n++
		}
	}
	return n
}

// configure writes the configuration of a server on disk.
func (v *Vault) configure(conf map[string]any) {
	v.t.Helper()
	conf["api_addr"], conf["disable_mlock"] = v.Address, true
	raw, _ := json.Marshal(conf)
	v.config = filepath.Join(v.dir, "vault.json")
	if err := os.WriteFile(v.config, raw, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// initialize has the key shares and the root token made.
func (v *Vault) initialize() {
	v.t.Helper()
	var made struct {
		Keys []string `json:"keys_base64"`
		Root string   `json:"root_token"`
	}
	v.call(http.MethodPut, "sys/init", map[string]int{"secret_shares": 3, "secret_threshold": v.T}, &made)
	v.Keys, v.Root = made.Keys, made.Root
}

// Active reports whether a server is the active one of its cluster.
func (v *Vault) Active() bool {
	var l struct {
		Self bool `json:"is_self"`
	}
	return v.try(http.MethodGet, "sys/leader", nil, &l) == nil && l.Self
}

// Start starts a server on disk once more, after Kill; it is sealed then.
func (v *Vault) Start() {
	v.t.Helper()
	v.start("server", "-config="+v.config)
	v.wait(func(status) bool { return true })
}

func (v *Vault) start(args ...string) {
	v.t.Helper()
	v.cmd, v.out = exec.Command(Program(v.t, "vault"), args...), &output{}
	v.cmd.Dir, v.cmd.Stdout, v.cmd.Stderr = v.dir, v.out, v.out
	v.cmd.Env = []string{"HOME=" + v.dir, "PATH=" + os.Getenv("PATH")}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	cmd := v.cmd
	v.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// Kill ends the server as a power cut does.
func (v *Vault) Kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
}

type status struct{ Initialized, Sealed bool }

func (v *Vault) wait(ready func(status) bool) {
	v.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var s status
		if err := v.try(http.MethodGet, "sys/seal-status", nil, &s); err == nil && ready(s) {
			return
		}
	}
	v.t.Fatalf("the server did not come up:\n%s", v.out)
}

// Unseal gives as many key shares as it takes.
func (v *Vault) Unseal() {
	v.t.Helper()
	for _, k := range v.Keys[:v.T] {
		v.call(http.MethodPut, "sys/unseal", map[string]string{"key": k}, nil)
	}
	// A write says that the active state is reached, not the seal's.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if v.try(http.MethodGet, "sys/mounts", nil, nil) == nil {
			return
		}
	}
	v.t.Fatalf("the server did not unseal:\n%s", v.out)
}

// Seal seals the server.
func (v *Vault) Seal() {
	v.t.Helper()
	v.call(http.MethodPut, "sys/seal", nil, nil)
}

// Call does one request of the API as root, independently of keyturn's own client;
// out may be nil.
func (v *Vault) Call(method, path string, in, out any) {
	v.t.Helper()
	v.call(method, path, in, out)
}

func (v *Vault) call(method, path string, in, out any) {
	v.t.Helper()
	if err := v.try(method, path, in, out); err != nil {
		v.t.Fatalf("vault: %s %s: %v", method, path, err)
	}
}

func (v *Vault) try(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.Address+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", v.Root)
	client := v.client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var said struct{ Errors []string }
		_ = json.NewDecoder(resp.Body).Decode(&said)
		return fmt.Errorf("status %d: %v", resp.StatusCode, said.Errors)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
