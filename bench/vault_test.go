//go:build unix

package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// The goals of the platform vault: so much of the time and memory of the programs that
// people use today, in the same run.
const (
	goalTime   = 0.25 // of 'vault kv get'
	goalMemory = 0.30
	goalMany   = 0.50 // of 'vals eval', 200 references
)

// vaults compares reading from a real Vault with Vault's own command line, and
// resolving many references with vals.
func vaults(t *testing.T) {
	v := servers.VaultDev(t)
	theirs, vals := servers.Program(t, "vault"), servers.Program(t, "vals")
	m, p := machine(t), build(t)
	const rules = "rules:\n  - {who: agents, may: [list, describe, use, reveal], on: [\"vault/**\"], run: [\"true\"]}\n"
	at := func(address string) *world.Machine {
		text := "mounts:\n  vault: {platform: vault, address: \"" + address + "\"}\n" + rules
		if err := os.WriteFile(filepath.Join(m.Home, ".config", "keyturn", "keyturn.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		with := m.As("VAULT_ADDR="+address, "VAULT_TOKEN="+v.Root, "VALS_LOG=none")
		with.Must("", "status")
		return with
	}
	var refs, foreign []string
	for i := range 200 {
		name := fmt.Sprintf("bench/s%d", i)
		v.Call(http.MethodPost, "secret/data/"+name, map[string]any{"data": map[string]string{"password": fmt.Sprintf("value-%d-of-ordinary-length", i)}}, nil)
		refs = append(refs, fmt.Sprintf("S%d=kt://vault/secret/%s#password", i, name))
		foreign = append(foreign, fmt.Sprintf("S%d: ref+vault://secret/%s#/password", i, name))
	}
	write := func(name string, lines []string) string {
		path := filepath.Join(m.Work, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, yaml := write("refs.env", refs), write("refs.yaml", foreign)

	var b strings.Builder
	row := func(name string, micros, mib []float64, goals ...float64) {
		fmt.Fprintf(&b, "%-34s %9.1f ms %9.1f ms %6.2f of the time (goal %.2f)", name, micros[0]/1000, micros[1]/1000, micros[0]/micros[1], goals[0])
		fmt.Fprintf(&b, " %9.1f MiB %7.1f MiB %6.2f", mib[0], mib[1], mib[0]/mib[1])
		if len(goals) > 1 {
			fmt.Fprintf(&b, " (goal %.2f)", goals[1])
		}
		b.WriteByte('\n')
	}
	b.WriteString("median of the runs, keyturn | the other:\n")
	direct := at(v.Address)
	micros, mib := compare(t, direct, p, 30, []string{p.keyturn, "get", "vault/secret/bench/s1#password", "--reveal", "--allow-pipe"},
		[]string{theirs, "kv", "get", "-field=password", "secret/bench/s1"})
	row("get | vault kv get", micros, mib, goalTime, goalMemory)
	run := []string{p.keyturn, "run", "--trust-project", "--env-file", ours, "--", "true"}
	eval := []string{vals, "eval", "-f", yaml}
	micros, mib = compare(t, direct, p, 15, run, eval)
	row("200 references: run | vals eval", micros, mib, goalMany)
	far := at(delayed(t, v.Address, 20*time.Millisecond))
	micros, mib = compare(t, far, p, 5, run, eval)
	row("the same, each request 20 ms later", micros, mib, goalMany)
	t.Log(b.String())
}

// delayed is a proxy before a server that passes each request on after a while.
func delayed(t *testing.T, address string, by time.Duration) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(by)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
