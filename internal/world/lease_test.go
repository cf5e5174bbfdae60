package world_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// leasing is a machine with a real Vault before a real database.
type leasing struct {
	*world.Machine
	t     *testing.T
	vault *servers.Vault
	db    *servers.Database
}

func newLeasing(t *testing.T, db func(testing.TB) *servers.Database, ttl, most time.Duration) *leasing {
	t.Helper()
	v := servers.VaultDev(t)
	d := db(t)
	d.Engine(v, "database", ttl, most)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root)
	m.Must("", "init", "--key", "file")
	return &leasing{m, t, v, d}
}

// run is the command line of a run with both fields of one credential.
func (l *leasing) run(script string, flags ...string) []string {
	args := append([]string{"run", "--env", "DB_USER=vault/database/creds/myapp#username", "--env", "DB_PASS=vault/database/creds/myapp#password"}, flags...)
	return append(args, "--", "sh", "-c", script)
}

// leases is what 'keyturn lease list' tells.
func (l *leasing) leases() []lease {
	l.t.Helper()
	var doc struct {
		Leases []lease `json:"leases"`
	}
	out := l.Must("", "lease", "list", "-o", "json")
	if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil {
		l.t.Fatalf("%v: %s", err, out.Stdout)
	}
	return doc.Leases
}

type lease struct {
	ID, Ref, State, Problem string
	Native                  string   `json:"lease_id"`
	TTL                     int      `json:"ttl"`
	Fields                  []string `json:"fields"`
}

func (l *leasing) noUsers(when string) {
	l.t.Helper()
	if users := l.db.Users(); len(users) > 0 {
		l.t.Errorf("%s: the database still has %v", when, users)
	}
}

// eventually waits for something that another process is about to do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func databases(t *testing.T, test func(t *testing.T, db func(testing.TB) *servers.Database)) {
	t.Run("PostgreSQL", func(t *testing.T) { test(t, servers.Postgres) })
	t.Run("MariaDB", func(t *testing.T) { test(t, servers.MariaDB) })
}

// The user that a run is given can log in while it runs, is one for both fields, is
// redacted, and is gone after.
func TestLeaseRun(t *testing.T) {
	databases(t, func(t *testing.T, db func(testing.TB) *servers.Database) {
		l := newLeasing(t, db, time.Hour, 24*time.Hour)
		kept := filepath.Join(l.t.TempDir(), "kept") // outside of what is searched below
		out := l.Must("", l.run(`(`+l.db.Client()+`) >/dev/null && echo in; echo "I am $DB_USER"; printf '%s\n%s' "$DB_USER" "$DB_PASS" >`+kept)...)
		if !strings.Contains(out.Stdout, "in\nI am [redacted:vault/database/creds/myapp#username]") {
			t.Errorf("%s%s", out.Stdout, out.Stderr)
		}
		data, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		user, pass, _ := strings.Cut(string(data), "\n")
		if user == "" || pass == "" || l.db.Login(user, pass) == nil {
			t.Error("the credential works after the run")
		}
		l.noUsers("after the run")
		if list := l.leases(); len(list) > 0 {
			t.Errorf("leases %v", list)
		}
		// What it exits with is passed on, and what it was given is in no log or store.
		if out := l.Run("", l.run("exit 7")...); out.Status != 7 {
			t.Errorf("status %d", out.Status)
		}
		audit := l.Must("", "audit", "list", "-o", "json")
		for _, needle := range []string{user, pass} {
			if strings.Contains(audit.Stdout, needle) || found(t, l.Root, needle) {
				t.Error("what was leased is written somewhere")
			}
		}
		for _, want := range []string{`"op":"create-lease"`, `"op":"revoke-lease"`, "database/creds/myapp/"} {
			if !strings.Contains(strings.ReplaceAll(audit.Stdout, `": "`, `":"`), want) {
				t.Errorf("the log does not tell of %s", want)
			}
		}
		l.noUsers("at the end")
	})
}

func found(t *testing.T, root, needle string) (yes bool) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		yes = yes || bytes.Contains(data, []byte(needle))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// begin starts a run whose command says "ready" and waits.
func (l *leasing) begin(script string, flags ...string) (cmd *exec.Cmd, stderr *bytes.Buffer, stdout io.Reader) {
	l.t.Helper()
	cmd = l.Command(l.run("echo ready; "+script, flags...)...)
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		_ = cmd.Wait()
		l.t.Fatalf("it does not begin: %v\n%s", err, stderr)
	}
	return cmd, stderr, out
}

// However the run ends, the lease is revoked by keyturn itself.
func TestLeaseEnds(t *testing.T) {
	l := newLeasing(t, servers.Postgres, time.Hour, 24*time.Hour)
	for name, s := range map[string]struct {
		script string
		send   syscall.Signal // to keyturn; 0: to nobody
		status int
	}{
		"child killed":  {"kill -9 $$", 0, 137},
		"interrupted":   {"exec sleep 60", syscall.SIGINT, 130},
		"terminated":    {"exec sleep 60", syscall.SIGTERM, 143},
		"hung up":       {"exec sleep 60", syscall.SIGHUP, 129},
		"child ignores": {"trap '' TERM; sleep 2; exit 3", syscall.SIGTERM, 3},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, stderr, _ := l.begin(s.script)
			if s.send != 0 {
				if len(l.db.Users()) != 1 {
					t.Errorf("users %v", l.db.Users())
				}
				_ = cmd.Process.Signal(s.send)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != s.status {
				t.Errorf("status %d, want %d\n%s", got, s.status, stderr)
			}
			l.noUsers(name)
			if list := l.leases(); len(list) > 0 {
				t.Errorf("leases %v", list)
			}
		})
	}
}

// A keyturn that is killed leaves its lease to the next start, which says so once.
func TestLeaseKilled(t *testing.T) {
	l := newLeasing(t, servers.Postgres, time.Hour, 24*time.Hour)
	cmd, _, _ := l.begin("exec sleep 60")
	if list := l.leases(); len(list) != 1 || list[0].State != "active" || len(l.db.Users()) != 1 {
		t.Fatalf("while it runs: %v, %v", list, l.db.Users())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	out := l.Must("", "status")
	if n := strings.Count(out.Stderr, "\n"); n != 1 || !strings.Contains(out.Stderr, "revoked the lease") || !strings.Contains(out.Stderr, "vault/database/creds/myapp") {
		t.Errorf("the next start says: %q", out.Stderr)
	}
	l.noUsers("after the next start")
	if out := l.Must("", "status"); strings.Contains(out.Stderr, "lease") {
		t.Errorf("it is said again: %q", out.Stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(l.Store, "running", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if list := l.leases(); len(list) > 0 {
		t.Errorf("leases %v", list)
	}
}

// What was taken at one server is not revoked at another, which knows nothing of it.
func TestLeaseOtherServer(t *testing.T) {
	l := newLeasing(t, servers.Postgres, time.Hour, 24*time.Hour)
	second := servers.VaultDev(t)
	elsewhere := l.As("VAULT_ADDR="+second.Address, "VAULT_TOKEN="+second.Root)
	cmd, _, _ := l.begin("exec sleep 60")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out := elsewhere.Must("", "status"); strings.Contains(out.Stderr, "revoked") {
		t.Errorf("it is said to be revoked at another server: %s", out.Stderr)
	}
	for _, does := range []string{"revoke", "renew"} {
		out := elsewhere.Run("", "lease", does, "vault/database/creds/myapp")
		if out.Status != 5 || !strings.Contains(out.Stderr, l.vault.Address) || !strings.Contains(out.Stderr, second.Address) {
			t.Errorf("%s elsewhere: status %d: %s", does, out.Status, out.Stderr)
		}
	}
	if len(l.db.Users()) != 1 {
		t.Fatalf("users %v", l.db.Users())
	}
	if out := l.As("VAULT_ADDR="+l.vault.Address+"/").Must("", "status"); !strings.Contains(out.Stderr, "revoked the lease") {
		t.Errorf("back at its server: %q", out.Stderr)
	}
	l.noUsers("back at its server")
}

// A token that may take a lease and not revoke it leaves nothing behind for ever: when
// the lease is over, the journal forgets it.
func TestLeaseMayNotRevoke(t *testing.T) {
	t.Parallel()
	l := newLeasing(t, servers.Postgres, 3*time.Second, time.Hour)
	l.vault.Call("PUT", "sys/policies/acl/taker", map[string]any{"policy": `path "database/creds/myapp" { capabilities = ["read"] }`}, nil)
	var made struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	l.vault.Call("POST", "auth/token/create", map[string]any{"policies": []string{"taker"}}, &made)
	least := l.As("VAULT_ADDR="+l.vault.Address, "VAULT_TOKEN="+made.Auth.ClientToken)
	least.Must("", "lease", "create", "vault/database/creds/myapp")
	if out := least.Run("", "lease", "revoke", "vault/database/creds/myapp"); out.Status != 4 {
		t.Fatalf("status %d: %s", out.Status, out.Stderr)
	}
	eventually(t, "the database has no users", func() bool { return len(l.db.Users()) == 0 })
	time.Sleep(time.Second) // the server removes the lease after the user
	least.Must("", "lease", "revoke", "vault/database/creds/myapp")
	if list := l.leases(); len(list) > 0 {
		t.Errorf("leases %v", list)
	}
}

// What a killed process kept to be known by goes with the next command, also where it
// had no lease.
func TestLeaseFileOfKilled(t *testing.T) {
	m := world.New(t)
	m.Must("", "init", "--key", "file")
	dir := filepath.Join(m.Store, "running")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "adeadone"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.Must("", "list", "local")
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// While the platform refuses, the lease stays visible; then it is revoked.
func TestLeaseRefused(t *testing.T) {
	l := newLeasing(t, servers.Postgres, time.Hour, 24*time.Hour)
	l.Must("", "lease", "create", "vault/database/creds/myapp")
	l.db.Stop()
	out := l.Run("", "lease", "revoke", "vault/database/creds/myapp")
	if out.Status != 7 || !strings.Contains(out.Stderr, "keyturn lease list") {
		t.Errorf("status %d: %s", out.Status, out.Stderr)
	}
	list := l.leases()
	if len(list) != 1 || list[0].State != "revoking" || list[0].Problem != "unavailable" {
		t.Fatalf("leases %v", list)
	}
	if out := l.Run("", "doctor"); !strings.Contains(out.Stdout, list[0].ID) {
		t.Errorf("doctor does not tell of it:\n%s", out.Stdout)
	}
	l.db.Start()
	if len(l.db.Users()) != 1 {
		t.Fatalf("users %v: nothing was refused", l.db.Users())
	}
	l.Must("", "lease", "revoke", list[0].ID)
	l.noUsers("after the second try")
}

// A short lease is renewed as long as the command runs.
func TestLeaseRenewed(t *testing.T) {
	t.Parallel()
	l := newLeasing(t, servers.Postgres, 5*time.Second, time.Hour)
	out := l.Must("", l.run(`sleep 8; (`+l.db.Client()+`) >/dev/null && echo in`)...)
	if out.Stdout != "in\n" || out.Stderr != "" {
		t.Errorf("%s%s", out.Stdout, out.Stderr)
	}
	if n := strings.Count(strings.ReplaceAll(l.Must("", "audit", "list", "-o", "json").Stdout, `": "`, `":"`), `"op":"renew-lease"`); n < 2 {
		t.Errorf("%d renewals", n)
	}
	l.noUsers("at the end")
}

// One that cannot live longer is told of once.
func TestLeaseLongest(t *testing.T) {
	t.Parallel()
	l := newLeasing(t, servers.Postgres, 3*time.Second, 4*time.Second)
	out := l.Must("", l.run(`sleep 6`)...)
	if n := strings.Count(out.Stderr, "reached its longest time"); n != 1 || strings.Count(out.Stderr, "note:") != 1 {
		t.Errorf("told %d times: %s", n, out.Stderr)
	}
	l.noUsers("at the end")
}

// Sealed in the middle of a run: it is told once, the command goes on, and the lease
// is revoked by a later start when the server is open again.
func TestLeaseSealed(t *testing.T) {
	t.Parallel()
	v := servers.VaultOnDisk(t)
	v.Unseal()
	db := servers.Postgres(t)
	db.Engine(v, "database", 6*time.Second, time.Hour)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root)
	m.Must("", "init", "--key", "file")
	l := &leasing{m, t, v, db}
	cmd, stderr, out := l.begin("sleep 6; echo done")
	v.Seal()
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(rest) != "done\n" {
		t.Errorf("%v: %s", err, rest)
	}
	if strings.Count(stderr.String(), "could not be renewed") != 1 || !strings.Contains(stderr.String(), "sealed") || !strings.Contains(stderr.String(), "was not revoked") {
		t.Errorf("%s", stderr)
	}
	if list := l.leases(); len(list) != 1 || list[0].State != "revoking" || list[0].Problem != "sealed" {
		t.Errorf("leases %v", list)
	}
	v.Unseal()
	l.Must("", "lease", "revoke", "vault/database/creds/myapp")
	eventually(t, "the database has no users", func() bool { return len(db.Users()) == 0 })
}

// What is taken by hand: values go nowhere unless they are asked for, and a lease is
// renewed and revoked by its id, the platform's name, or what it is of.
func TestLeaseByHand(t *testing.T) {
	databases(t, func(t *testing.T, db func(testing.TB) *servers.Database) {
		l := newLeasing(t, db, time.Hour, 24*time.Hour)
		out := l.Must("", "lease", "create", "vault/database/creds/myapp", "-o", "json")
		var doc struct {
			Operation, Status string
			Lease             lease
			Secret            *struct{ Values map[string]string }
		}
		if err := json.Unmarshal([]byte(out.Stdout), &doc); err != nil || doc.Operation != "create-lease" || doc.Secret != nil || doc.Lease.TTL != 3600 || doc.Lease.State != "active" ||
			strings.Join(doc.Lease.Fields, " ") != "password username" || !strings.HasPrefix(doc.Lease.Native, "database/creds/myapp/") {
			t.Fatalf("%v: %s", err, out.Stdout)
		}
		users := l.db.Users()
		if len(users) != 1 || strings.Contains(out.Stdout, users[0]) {
			t.Errorf("users %v: %s", users, out.Stdout)
		}
		renewed := l.Must("", "lease", "renew", doc.Lease.ID, "--for", "2h")
		if !strings.Contains(renewed.Stdout, "in 2h0m0s") {
			t.Errorf("%s", renewed.Stdout)
		}
		second := l.Must("", "lease", "create", "vault/database/creds/myapp", "--reveal", "-o", "json")
		first := doc.Lease
		if err := json.Unmarshal([]byte(second.Stdout), &doc); err != nil || doc.Secret == nil || l.db.Login(doc.Secret.Values["username"], doc.Secret.Values["password"]) != nil {
			t.Fatalf("%v: what is revealed does not work", err)
		}
		if out := l.Run("", "lease", "revoke", "vault/database/creds/myapp"); out.Status != 5 || !strings.Contains(out.Stderr, first.ID) || !strings.Contains(out.Stderr, doc.Lease.ID) {
			t.Errorf("which of the two: status %d, %s", out.Status, out.Stderr)
		}
		l.Must("", "lease", "revoke", doc.Lease.Native)
		if l.db.Login(doc.Secret.Values["username"], doc.Secret.Values["password"]) == nil {
			t.Error("the credential works after it was revoked")
		}
		l.Must("", "lease", "revoke", "vault/database/creds/myapp")
		l.noUsers("at the end")
		if out := l.Run("", "lease", "revoke", first.ID); out.Status != 3 {
			t.Errorf("status %d: %s", out.Status, out.Stderr)
		}
		text := l.Must("", "lease", "create", "vault/database/creds/myapp", "--reveal")
		if !regexp.MustCompile(`(?m)^password: \S{8,}$`).MatchString(text.Stdout) {
			t.Errorf("%s", text.Stdout)
		}
		// Other commands do not read it.
		for _, args := range [][]string{{"get", "vault/database/creds/myapp"}, {"get", "vault/database/creds/myapp#password", "--reveal"}} {
			if out := l.Run("", args...); out.Status != 10 || !strings.Contains(out.Stderr, "keyturn lease create") {
				t.Errorf("%v: status %d: %s", args, out.Status, out.Stderr)
			}
		}
		for args, status := range map[string]int{"lease create vault/database/creds/nosuch": 3, "lease create vault/secret/app": 10, "lease create local/app": 10} {
			if out := l.Run("", strings.Fields(args)...); out.Status != status {
				t.Errorf("%s: status %d: %s", args, out.Status, out.Stderr)
			}
		}
	})
}

// For an agent a rule is needed for each half, and one denied reference has nothing
// taken.
func TestLeaseAgents(t *testing.T) {
	l := newLeasing(t, servers.Postgres, time.Hour, 24*time.Hour)
	config := func(rules string) {
		t.Helper()
		dir := filepath.Join(l.Home, ".config", "keyturn")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := "mounts:\n  vault: {platform: vault, address: " + l.vault.Address + "}\nrules:\n" + rules
		if err := os.WriteFile(filepath.Join(dir, "keyturn.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l.Must("", "config", "trust", "--yes")
	}
	l.Must(l.vault.Root, "login", "vault", "-") // VAULT_TOKEN is not for agents
	agent := l.As("AI_AGENT=coder")
	use := `  - {who: agents, may: [use], on: ["vault/database/creds/*"], run: ["sh -c **"]}` + "\n"
	config(use)
	out := agent.Run("", l.run("echo $DB_USER")...)
	if out.Status != 125 || !strings.Contains(out.Stderr, "may not lease vault/database/creds/myapp") {
		t.Errorf("without a rule for lease: status %d: %s", out.Status, out.Stderr)
	}
	config(`  - {who: agents, may: [lease], on: ["vault/database/creds/*"]}` + "\n")
	if out := agent.Run("", l.run("echo $DB_USER")...); out.Status != 125 || !strings.Contains(out.Stderr, "may not use") {
		t.Errorf("without a rule for use: status %d: %s", out.Status, out.Stderr)
	}
	if out := agent.Run("", "lease", "create", "vault/database/creds/myapp", "--reveal"); out.Status != 4 || !strings.Contains(out.Stderr, "reveal") {
		t.Errorf("without a rule for reveal: status %d: %s", out.Status, out.Stderr)
	}
	l.noUsers("before any may")
	config(use + `  - {who: agents, may: [lease], on: ["vault/database/creds/*"]}` + "\n")
	if out := agent.Run("", l.run("echo $DB_USER")...); out.Status != 0 || !strings.Contains(out.Stdout, "[redacted") {
		t.Errorf("with both: status %d: %s%s", out.Status, out.Stdout, out.Stderr)
	}
	l.noUsers("at the end")
}
