//go:build linux

package world_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// The frozen store knows some places by their names: the folders of projects, the
// operator's configuration, the server that a token and a lease came from. So the store
// is always used in the same folder, and with a server at the same address.
const (
	netRoot    = "/tmp/keyturn-net-2"
	netAddress = "127.75.84.2:47582" // all of 127.0.0.0/8 is this machine
	netFrozen  = "testdata/net"
	netEnd     = "2026-05-02T12:00:00Z" // every frozen record is older, and everything that the test does is younger
	netPass    = "a made-up passphrase of the net"
)

// frozen is the machine that the frozen store was made on: its user, its clock, its
// folder and its Vault.
type frozen struct {
	*world.Machine
	t     *testing.T
	clock time.Time
	step  time.Duration // that the clock goes on with each command
	vault *frozenVault
}

// newFrozen makes the machine in an empty folder. Only one test of this computer has the
// folder at a time; others wait.
func newFrozen(t *testing.T, start string, step time.Duration) *frozen {
	t.Helper()
	clock, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	v := newFrozenVault(t)
	if err := os.RemoveAll(netRoot); err != nil { // of a test that was killed
		t.Fatal(err)
	}
	if err := os.Mkdir(netRoot, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(netRoot) })
	return &frozen{Machine: world.At(t, netRoot).As(world.User + "=net"), t: t, clock: clock, step: step, vault: v}
}

// now is the machine at the next moment of its clock.
func (f *frozen) now(vars ...string) *world.Machine {
	f.clock = f.clock.Add(f.step)
	return f.As(append([]string{world.Clock + "=" + f.clock.Format(time.RFC3339)}, vars...)...)
}

func (f *frozen) run(args ...string) world.Output { f.t.Helper(); return f.now().Run("", args...) }

func (f *frozen) must(args ...string) world.Output { f.t.Helper(); return f.now().Must("", args...) }

func (f *frozen) put(stdin string, args ...string) {
	f.t.Helper()
	f.now().Must(stdin, append([]string{"put"}, args...)...)
}

// agent runs a command as a coding agent.
func (f *frozen) agent(args ...string) world.Output {
	f.t.Helper()
	return f.now("AI_AGENT=coder").Run("", args...)
}

// ends fails the test where a command did not end with a status.
func (f *frozen) ends(out world.Output, status int, says string) {
	f.t.Helper()
	if out.Status != status || !strings.Contains(out.Stdout+out.Stderr, says) {
		f.t.Fatalf("exit status %d, want %d and %q:\n%s%s", out.Status, status, says, out.Stdout, out.Stderr)
	}
}

// terminal runs a command at a terminal, where a person waits for a question and answers
// it: first the one, then the other, and so on.
func (f *frozen) terminal(dialog []string, args ...string) string {
	f.t.Helper()
	return f.terminalAs(f.now(), dialog, args...)
}

func (f *frozen) terminalAs(m *world.Machine, dialog []string, args ...string) string {
	f.t.Helper()
	cmd := m.Command(args...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 160})
	if err != nil {
		f.t.Fatal(err)
	}
	defer tty.Close()
	watchdog := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var seen bytes.Buffer
	buf, at := make([]byte, 4096), 0
	for {
		n, err := tty.Read(buf)
		seen.Write(buf[:n])
		if len(dialog) > 0 && strings.Contains(seen.String()[at:], dialog[0]) {
			_, _ = io.WriteString(tty, dialog[1]+"\n")
			at, dialog = seen.Len(), dialog[2:]
		}
		if err != nil { // EIO: nobody has the other end any more
			break
		}
	}
	if err := cmd.Wait(); err != nil || len(dialog) > 0 {
		f.t.Fatalf("keyturn %s: %v; not asked: %q\n%s", strings.Join(args, " "), err, dialog, &seen)
	}
	return seen.String()
}

// approve says yes to a request.
func (f *frozen) approve(id string, flags ...string) string {
	f.t.Helper()
	return f.terminal([]string{"Your keyturn passphrase", netPass}, append([]string{"approve", id}, flags...)...)
}

var asksFor = regexp.MustCompile(`keyturn approve ([a-z0-9]{8})`)

// pending is the request that a refused command has made.
func (f *frozen) pending(out world.Output) string {
	f.t.Helper()
	found := asksFor.FindStringSubmatch(out.Stderr)
	if found == nil {
		f.t.Fatalf("no request: exit status %d\n%s%s", out.Status, out.Stdout, out.Stderr)
	}
	return found[1]
}

// field is the value of one field.
func (f *frozen) field(ref string) string {
	f.t.Helper()
	return f.must("get", ref, "--reveal", "--allow-pipe").Stdout
}

// work is a path in the working folder.
func (f *frozen) work(name string) string { return filepath.Join(f.Work, name) }

func (f *frozen) read(path string) string {
	f.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

func (f *frozen) write(path, text string, mode fs.FileMode) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		f.t.Fatal(err)
	}
}

// migrations are the ids of those that are kept, by the secret that each was into.
func (f *frozen) migrations() map[string]migrationDoc {
	f.t.Helper()
	var doc struct{ Migrations []migrationDoc }
	if err := json.Unmarshal([]byte(f.must("migrate", "--list", "-o", "json").Stdout), &doc); err != nil {
		f.t.Fatal(err)
	}
	out := map[string]migrationDoc{}
	for _, m := range doc.Migrations {
		out[m.Ref] = m
	}
	return out
}

type migrationDoc struct{ ID, Ref, Phase string }

// lease is the one lease in a state.
func (f *frozen) lease(state string) lease {
	f.t.Helper()
	var doc struct{ Leases []lease }
	if err := json.Unmarshal([]byte(f.must("lease", "list", "-o", "json").Stdout), &doc); err != nil {
		f.t.Fatal(err)
	}
	list := slices.DeleteFunc(doc.Leases, func(l lease) bool { return l.State != state })
	if len(list) != 1 {
		f.t.Fatalf("%d leases are %s: %v", len(list), state, doc.Leases)
	}
	return list[0]
}

// frozenVault is a Vault that gives out the same things always, and remembers what was
// asked of it.
type frozenVault struct {
	*servers.Wire

	mu       sync.Mutex
	taken    int
	policies map[string]string
	revoked  []string // leases
	tokens   []string // that requests came with
	refuse   bool     // to revoke leases
	hang     string   // requests that begin so are not answered
	hung     chan struct{}
}

const (
	netToken = "hvs.made-up-token-of-the-net-0001"
	netTerm  = 90 * 24 * 3600 // seconds
)

func newFrozenVault(t *testing.T) *frozenVault {
	t.Helper()
	v := &frozenVault{Wire: servers.NewWire(t), policies: map[string]string{}, hung: make(chan struct{}, 8)}
	v.Before(v.answer)
	var l net.Listener
	var err error
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if l, err = net.Listen("tcp", netAddress); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v: another test has it", err)
		}
	}
	s := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return v
}

func (v *frozenVault) answer(w http.ResponseWriter, r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens = append(v.tokens, r.Header.Get("X-Vault-Token"))
	if v.hang != "" && strings.HasPrefix(r.Method+" "+path, v.hang) {
		v.hung <- struct{}{}
		v.mu.Unlock()
		<-r.Context().Done()
		v.mu.Lock()
		return true
	}
	says := func(status int, answer any) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_ = json.NewEncoder(w).Encode(answer)
		}
		return true
	}
	data := func(d map[string]any) bool { return says(http.StatusOK, map[string]any{"data": d}) }
	given := func() bool { return says(http.StatusNoContent, nil) }
	lease := func(id string) map[string]any {
		return map[string]any{"lease_id": id, "lease_duration": netTerm, "renewable": true}
	}
	name, isPolicy := strings.CutPrefix(path, "sys/policies/acl/")
	var asked struct {
		LeaseID string `json:"lease_id"`
		Policy  string
	}
	_ = json.Unmarshal(body, &asked)
	switch {
	case path == "auth/userpass/login/net":
		return says(http.StatusOK, map[string]any{"auth": map[string]any{"client_token": netToken, "accessor": "accessor-of-the-net", "policies": []string{"default"},
			"lease_duration": netTerm, "renewable": true}})
	case path == "auth/token/revoke-self":
		return given()
	case path == "sys/internal/ui/mounts/database" || strings.HasPrefix(path, "sys/internal/ui/mounts/database/"):
		return data(map[string]any{"path": "database/", "type": "database"})
	case path == "sys/internal/ui/mounts/auth/approle":
		return data(map[string]any{"path": "approle/", "type": "approle"})
	case path == "database/creds/app":
		v.taken++
		answer := lease("database/creds/app/net-" + string(rune('0'+v.taken)))
		answer["data"] = map[string]any{"username": "made-up-user", "password": "made-up-password-of-a-lease"}
		return says(http.StatusOK, answer)
	case path == "sys/leases/renew":
		return says(http.StatusOK, lease(asked.LeaseID))
	case path == "sys/leases/lookup":
		return data(map[string]any{"id": asked.LeaseID, "ttl": netTerm})
	case path == "sys/leases/revoke" && v.refuse:
		return says(http.StatusBadRequest, map[string]any{"errors": []string{"made up: the database does not answer"}})
	case path == "sys/leases/revoke":
		v.revoked = append(v.revoked, asked.LeaseID)
		return given()
	case isPolicy && r.Method == http.MethodGet && v.policies[name] != "":
		return data(map[string]any{"name": name, "policy": v.policies[name]})
	case isPolicy && r.Method != http.MethodGet:
		v.policies[name] = asked.Policy
		return given()
	case path == "sys/policies/acl":
		return data(map[string]any{"keys": []string{"default"}})
	case path == "auth/approle/role/app":
		return data(map[string]any{"token_ttl": 3600, "token_policies": []string{"app"}})
	case path == "auth/approle/role/app/role-id":
		return data(map[string]any{"role_id": "made-up-role"})
	case path == "auth/approle/role/app/secret-id" && r.Header.Get("X-Vault-Wrap-TTL") != "":
		return says(http.StatusOK, map[string]any{"wrap_info": map[string]any{"token": "hvs.made-up-wrapping-token", "accessor": "made-up-wrapping", "ttl": 60,
			"creation_time": "2026-05-01T00:00:00Z", "wrapped_accessor": "made-up-accessor"}})
	case path == "auth/approle/role/app/secret-id":
		return data(map[string]any{"secret_id": "made-up-secret-id", "secret_id_accessor": "made-up-accessor", "secret_id_ttl": 0})
	case path == "sys/wrapping/unwrap":
		return data(map[string]any{"secret_id": "made-up-secret-id", "secret_id_accessor": "made-up-accessor", "secret_id_ttl": 0})
	}
	return false
}

// refuses has it revoke no leases from now on, or revoke them.
func (v *frozenVault) refuses(refuse bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refuse = refuse
}

// used reports whether a request came with a token.
func (v *frozenVault) used(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.tokens, token)
}

func (v *frozenVault) ended(lease string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.revoked, lease)
}

// TestNet opens a store that an earlier program made and that was frozen then, checks
// that it is read as it was, goes on with all that was left open in it, and restores the
// backups that were made of it. It must hold for every later program.
func TestNet(t *testing.T) {
	f := newFrozen(t, netEnd, time.Second)
	copyTree(t, filepath.Join(netFrozen, "root"), f.Root)
	for _, name := range []string{"app", "new", "copied"} {
		f.vault.Set(name, map[string]any{"value": "made-up-in-vault"})
	}
	f.vault.refuses(true) // so that nothing is tidied up before it is looked at
	// First an agent, for whom no configuration becomes known by its use.
	f.ends(f.agent("get", "local/tool"), 0, "value")
	f.readAll(false)
	f.vault.refuses(false)
	f.log()
	f.leases()
	f.requests()
	f.projectsGoOn()
	f.migrationsGoOn()
	f.goOn()
	for _, b := range []struct {
		file, ref, value string
		flags            []string
	}{
		{"early.age", "local/versions#password", "made-up-second", []string{"--identity", "key.txt"}},
		{"key.age", "local/labels#password", "made-up-password-of-labels", []string{"--identity", "key.txt", "--checkpoint", "checkpoint-before.txt"}},
		{"passphrase.age", "local/labels#password", "made-up-password-of-labels", []string{"--passphrase-file", "passphrase.txt"}},
		{"new.age", "local/new#value", "made-up-new", []string{"--identity", "key.txt", "--checkpoint", "checkpoint.txt"}},
	} {
		f.restored(b.file, b.ref, b.value, b.flags...)
	}
	locked := f.now("KEYTURN_HOME="+filepath.Join(f.Root, "locked"), "KEYTURN_PASSPHRASE_FILE="+f.work("passphrase.txt"))
	if got := locked.Must("", "get", "local/locked#value", "--reveal", "--allow-pipe").Stdout; got != "made-up-locked" {
		t.Errorf("the store behind a passphrase holds %q", got)
	}
	locked.Must("", "audit", "verify")
}

// log checks that the log is whole, and that every record of it is the same, byte for
// byte, as in the export of then.
func (f *frozen) log() {
	f.t.Helper()
	f.ends(f.run("audit", "verify", "--checkpoint", "checkpoint.txt"), 0, "unchanged")
	f.ends(f.run("audit", "verify", "--checkpoint", "checkpoint-before.txt"), 0, "unchanged")
	f.must("audit", "export", "--out", "now.jsonl")
	f.must("audit", "verify", "now.jsonl", "--checkpoint", "checkpoint.txt")
	then, now := f.read(f.work("audit.jsonl")), f.read(f.work("now.jsonl"))
	end := strings.LastIndex(strings.TrimSuffix(then, "\n"), "\n") + 1 // the checkpoint stands last
	if !strings.HasPrefix(now, then[:end]) {
		f.t.Errorf("the records are not what they were:\n%s", firstDifference(now, then[:end]))
	}
}

// leases ends all leases: the one that could not be revoked then and the one that a
// killed program held, which were refused once more just now, are tried again.
func (f *frozen) leases() {
	f.t.Helper()
	f.clock = f.clock.Add(10 * time.Minute)
	f.must("status")
	for _, id := range []string{"database/creds/app/net-3", "database/creds/app/net-5"} {
		if !f.vault.ended(id) {
			f.t.Errorf("the lease %s was not revoked", id)
		}
	}
	f.must("lease", "renew", f.lease("active").ID, "--for", "720h")
	active := f.lease("active")
	f.must("lease", "revoke", active.ID)
	if !f.vault.ended(active.Native) {
		f.t.Errorf("the lease %s was not revoked", active.Native)
	}
	f.must("lease", "revoke", f.lease("unknown").ID, "--forget")
	if !f.vault.used(netToken) {
		f.t.Error("the token of the frozen login was not used")
	}
	f.must("logout", "vault", "--yes")
}

// requests answers what was asked for, and uses what was said yes to.
func (f *frozen) requests() {
	f.t.Helper()
	f.ends(f.agent("diff", "local/compare/a#one", "local/compare/b#one"), 0, "")
	f.ends(f.agent("diff", "local/compare/a#one", "local/compare/b#one"), 0, "")
	f.ends(f.agent("diff", "local/compare/a#one", "local/compare/b#one"), 4, "at most 10 fields in a day")

	f.ends(f.agent("destroy", "local/doomed", "--yes"), 0, "")
	// The value is words: since an agent could guess it, what the program prints is withheld.
	f.ends(f.agent("run", "--env", "TOOL=local/labels#password", "--", "./tool.sh", "remembered"), 0, "withheld: the value of local/labels#password")
	f.pending(f.agent("put", "local/approved", "value=made-up-approved", "--replace")) // once is once

	asked := f.agent("put", "local/asked", "value=made-up-asked", "--reason", "made up: it is needed")
	list := f.read(filepath.Join(netFrozen, "golden", "requests.json"))
	if id := f.pending(asked); !strings.Contains(list, `"`+id+`"`) {
		f.t.Error("the same asking made another request: its values, or the request itself, are no longer known")
	}
	f.approve(f.pending(asked))
	f.ends(f.agent("put", "local/asked", "value=made-up-asked"), 0, "")
	if got := f.field("local/asked#value"); got != "made-up-asked" {
		f.t.Errorf("local/asked holds %q", got)
	}

	both := f.agent("put", "local/both", "value=made-up-both")
	f.terminalAs(f.now(world.User+"=ben"), []string{"A new passphrase", "a made-up passphrase of ben", "once more", "a made-up passphrase of ben"}, "approve", f.pending(both))
	f.ends(f.agent("put", "local/both", "value=made-up-both"), 0, "")
}

// projectsGoOn runs a command of a project that was trusted then.
func (f *frozen) projectsGoOn() {
	f.t.Helper()
	m := f.now()
	m.Work = f.work("shop")
	f.ends(m.Run("", "run", "--", "./show.sh"), 0, "user made-up-user, password [redacted:local/labels#password]")
}

// migrationsGoOn ends what was cut short, and takes back what had ended.
func (f *frozen) migrationsGoOn() {
	f.t.Helper()
	all := f.migrations()
	f.must("migrate", "--resume", all["kt://local/migrated/stored"].ID)
	for name, variable := range map[string]string{".env": "A_TOKEN", "c.env": "C_SECRET"} {
		want := "# of stored\n" + variable + "=kt://local/migrated/stored#" + variable + "\nPORT=80\n"
		if got := f.read(f.work("stored/" + name)); got != want {
			f.t.Errorf("stored/%s, gone on with: %q, want %q", name, got, want)
		}
	}
	f.must("migrate", "begun/.env", "--to", "local/migrated/begun")
	for _, name := range []string{"stored", "reverting", "ended"} {
		f.must("migrate", "--rollback", all["kt://local/migrated/"+name].ID)
		for file, variable := range map[string]string{".env": "A_TOKEN", "c.env": "C_SECRET"} {
			if got, want := f.read(f.work(name+"/"+file)), envFile(name, variable); got != want {
				f.t.Errorf("%s/%s, taken back: %q, want %q", name, file, got, want)
			}
		}
	}
	f.must("migrate", "--forget", all["kt://local/migrated/ended"].ID, "--yes")
}

// goOn writes, changes the keys, and makes a backup.
func (f *frozen) goOn() {
	f.t.Helper()
	f.put("made-up-new", "local/new", "value=-")
	f.put("made-up-fifth", "local/versions", "password=-")
	f.must("restore", "local/deleted")
	if got := f.field("local/deleted#value"); got != "made-up-deleted" {
		f.t.Errorf("local/deleted, restored, holds %q", got)
	}
	if got := f.field("local/binary#bytes"); got != f.read(f.work("bytes")) {
		f.t.Errorf("local/binary holds %q", got)
	}
	f.must("store", "rekey", "--yes")
	f.must("audit", "verify", "--checkpoint", "checkpoint.txt")
	if got := f.field("local/versions?version=2#password"); got != "made-up-second" {
		f.t.Errorf("version 2 of local/versions is %q", got)
	}
	f.must("store", "backup", "--to", "new.age", "--recipients-file", "recipients.txt")
}

// restored restores a backup into a folder of its own.
func (f *frozen) restored(file, ref, value string, flags ...string) {
	f.t.Helper()
	home := "KEYTURN_HOME=" + filepath.Join(f.Root, "of-"+file)
	f.now(home).Must("", append([]string{"store", "restore", file, "--key", "file"}, flags...)...)
	f.now(home).Must("", "audit", "verify")
	if got := f.now(home).Must("", "get", ref, "--reveal", "--allow-pipe").Stdout; got != value {
		f.t.Errorf("restored of %s, %s is %q, want %q", file, ref, got, value)
	}
}

// envFile is a file of a project before it is migrated.
func envFile(name, variable string) string {
	return "# of " + name + "\n" + variable + "=made-up-value-of-" + name + "-0123456789\nPORT=80\n"
}

// readings are what the program must answer about the frozen store, byte for byte but for
// the ids of the questions themselves, which are new each time.
var readings = []struct {
	name string
	args []string
}{
	{"list", []string{"list", "local/"}},
	{"requests", []string{"approve"}},
	{"leases", []string{"lease", "list"}},
	{"migrations", []string{"migrate", "--list"}},
	{"trust", []string{"trust", "shop"}},
	{"export", []string{"audit", "verify", "audit.jsonl", "--checkpoint", "checkpoint.txt"}},
	{"export-before-pruning", []string{"audit", "verify", "audit-before.jsonl", "--checkpoint", "checkpoint-before.txt"}},
	{"records", []string{"audit", "list", "--until", netEnd}},
	{"vault", []string{"list", "vault/"}},
}

var ownID = regexp.MustCompile(`"audit_id": "[^"]*"`)

func (f *frozen) reading(args ...string) string {
	f.t.Helper()
	return ownID.ReplaceAllString(f.must(append(args, "-o", "json")...).Stdout, `"audit_id": "-"`)
}

// golden compares an answer with the frozen one, or freezes it where freeze is set.
func (f *frozen) golden(freeze bool, name string, got string) {
	f.t.Helper()
	path := filepath.Join(netFrozen, "golden", name+".json")
	if freeze {
		f.write(path, got, 0o644)
		return
	}
	if want := f.read(path); got != want {
		f.t.Errorf("%s is not what it was when it was frozen:\n%s", name, firstDifference(got, want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "now:  " + a + "\nthen: " + b
		}
	}
	return "none"
}

// read compares all that can be read, with every version of every secret, with what was
// frozen, or freezes it.
func (f *frozen) readAll(freeze bool) {
	f.t.Helper()
	for _, r := range readings {
		got := f.reading(r.args...)
		if r.name == "records" {
			got = kindsOf(f.t, got)
		}
		f.golden(freeze, r.name, got)
	}
	var list struct {
		Secrets []struct {
			Ref     string
			Version json.Number
		}
	}
	if err := json.Unmarshal([]byte(f.must("list", "local/", "-o", "json").Stdout), &list); err != nil || len(list.Secrets) == 0 {
		f.t.Fatalf("%v: no secrets", err)
	}
	all := bytes.Buffer{}
	for _, s := range list.Secrets {
		if s.Version == "1" { // its history says no more than the list
			out := f.run("get", s.Ref, "--reveal", "--allow-pipe", "-o", "json")
			all.WriteString(ownID.ReplaceAllString(out.Stdout, `"audit_id": "-"`))
			continue
		}
		history := f.reading("history", s.Ref)
		all.WriteString(history)
		var doc struct {
			Secrets []struct{ Version json.Number }
		}
		if err := json.Unmarshal([]byte(history), &doc); err != nil {
			f.t.Fatal(err)
		}
		for _, v := range doc.Secrets {
			out := f.run("get", s.Ref, "--version", v.Version.String(), "--reveal", "--allow-pipe", "-o", "json")
			all.WriteString(ownID.ReplaceAllString(out.Stdout, `"audit_id": "-"`))
		}
	}
	f.golden(freeze, "secrets", all.String())
}

// kindsOf counts the records of each kind of operation, phase and status.
func kindsOf(t *testing.T, list string) string {
	t.Helper()
	var doc struct {
		Records []struct {
			Phase, Status string
			Op            struct{ Op string }
		}
	}
	if err := json.Unmarshal([]byte(list), &doc); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range doc.Records {
		count[strings.TrimRight(strings.Join([]string{r.Phase, cmp.Or(r.Op.Op, "-"), r.Status}, " "), " ")]++
	}
	out, err := json.MarshalIndent(count, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// copyTree copies files, for their owner only.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(path, ".sh") {
			mode = 0o700
		}
		return os.WriteFile(filepath.Join(to, rel), data, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}
