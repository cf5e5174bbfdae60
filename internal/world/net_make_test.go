//go:build linux

package world_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// TestMakeNet tells how testdata/net came to be, and makes it where KEYTURN_NET=make. It is
// not to be made anew: a store that today's program makes says nothing about yesterday's.
func TestMakeNet(t *testing.T) {
	if os.Getenv("KEYTURN_NET") != "make" {
		t.Skip("the frozen store is not to be made anew; see testdata/net/README.md")
	}
	f := newFrozen(t, "2026-01-05T08:00:00Z", time.Minute)
	f.vault.Set("app", map[string]any{"password": "made-up-in-vault"})
	f.configure()
	f.must("init", "--key", "file")
	f.early()
	f.clock = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	// The command counts from the real day, whatever the clock of the store says.
	f.must("audit", "prune", "--older-than", fmt.Sprintf("%dd", int(time.Since(f.clock.AddDate(0, -2, 0)).Hours()/24)), "--yes")
	f.secrets()
	f.uses()
	f.keys()
	f.platform()
	f.projects()
	f.cutMigrations()
	f.otherStore()
	f.clock = time.Date(2026, 5, 2, 10, 0, 0, 0, time.UTC)
	f.compares()
	f.approvals()
	f.end()
}

// configure writes what the operator and the projects say.
func (f *frozen) configure() {
	f.write(filepath.Join(f.Home, ".config", "keyturn", "keyturn.yaml"), `# the operator's configuration of the net
mounts:
  vault: {platform: vault, address: "http://`+netAddress+`"}
groups:
  web: ["user:net", "user:ben"]
rules:
  - {who: agents, may: [list, describe], on: ["local/**"]}
  - {who: agents, may: [use], on: ["local/tool"], run: ["./tool.sh **"]}
  - {who: agents, may: [use], on: ["local/compare/**"], mounts: [local]}
  - {who: agents, may: [write], on: ["local/both"], needs: {approvals: 2, from: web}}
  - {who: everyone, never: [reveal], on: ["local/prod/**"]}
`, 0o600)
	f.write(f.work("tool.sh"), "#!/bin/sh\necho \"it is $TOOL\"\n", 0o700)
	f.write(f.work("shop/keyturn.yaml"), "env:\n  SHOP_PASSWORD: kt://local/labels#password\n  SHOP_USER: kt://local/labels#user\n", 0o600)
	f.write(f.work("shop/show.sh"), "#!/bin/sh\necho \"user $SHOP_USER, password $SHOP_PASSWORD\"\n", 0o700)
	f.write(f.work("app.tmpl"), `user={{ "kt://local/labels#user" }} password={{ "kt://local/labels#password" | json }}`+"\n", 0o600)
	f.write(f.work("passphrase.txt"), "a made-up passphrase of a backup\n", 0o600)
	f.write(f.work("policy.hcl"), "path \"secret/data/app\" { capabilities = [\"read\"] }\n", 0o600)
	var bytes strings.Builder
	for i := range 256 {
		bytes.WriteByte(byte(i))
	}
	f.write(f.work("bytes"), bytes.String(), 0o600)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(f.work("key.txt"), id.String()+"\n", 0o600)
	f.write(f.work("recipients.txt"), id.Recipient().String()+"\n", 0o600)
}

// early is what happened long before, and was pruned since.
func (f *frozen) early() {
	f.put("made-up-first", "local/versions", "password=-")
	f.put("made-up-second", "local/versions", "password=-")
	f.must("store", "backup", "--to", "early.age", "--recipients-file", "recipients.txt")
	f.put("made-up-lost", "local/lost", "password=-") // after the backup
	f.must("store", "restore", "early.age", "--identity", "key.txt", "--replace", "--yes", "--key", "file")
	f.run("status")
	f.must("audit", "checkpoint", "--out", "checkpoint-before.txt")
	f.must("audit", "export", "--out", "audit-before.jsonl")
}

// secrets puts secrets into every state.
func (f *frozen) secrets() {
	f.put("made-up-third", "local/versions", "password=-")
	f.must("destroy", "local/versions", "--versions", "1", "--yes")
	f.must("rollback", "local/versions", "--to", "2")
	f.put("made-up-deleted", "local/deleted", "value=-")
	f.must("delete", "local/deleted")
	f.put("made-up-restored-1", "local/restored", "value=-")
	f.put("made-up-restored-2", "local/restored", "value=-")
	f.must("delete", "local/restored")
	f.must("restore", "local/restored")
	f.put("made-up-gone", "local/gone", "value=-")
	f.must("destroy", "local/gone", "--yes")
	f.put("", "local/labels", "user=made-up-user", "password=made-up-password-of-labels", "--public", "user", "--label", "team=web", "--label", "tier=1", "--expires", "2099-01-01")
	f.put("", "local/labels", "--merge", "--label", "team=app", "--label", "tier-")
	f.put("", "local/binary", "bytes=@"+f.work("bytes"), "empty=", "text=grüße, 世界\nand a line")
	f.put(strings.Repeat("made-up and long ", 300), "local/large", "value=-")
	f.put("made-up-deep", "local/a/b/c/d", "value=-")
	f.put("made-up-name", "local/ünï/c.o-d_e", "fïeld=-")
	f.put("made-up-tool", "local/tool", "value=-")
	f.put("made-up-prod", "local/prod/db", "value=-")
	f.put("made-up-doomed", "local/doomed", "value=-")
	f.put("", "local/generated", "--generate", "password:24", "--generate", "id:uuid", "--if-version", "none")
	f.put("", "local/compare/a", "one=made-up-same", "two=made-up-other")
	f.put("", "local/compare/b", "one=made-up-same", "two=made-up-another")
	f.ends(f.run("get", "local/gone"), 3, "")
	f.ends(f.run("get", "local/prod/db#value", "--reveal", "--allow-pipe"), 4, "forbids")
	f.ends(f.run("put", "local/labels", "user=x"), 5, "")
}

// uses hands values on.
func (f *frozen) uses() {
	f.run("status")
	f.must("list", "local/")
	f.must("get", "local/labels")
	f.must("get", "local/labels#password", "--reveal", "--allow-pipe", "--reason", "made up: to see it")
	f.must("history", "local/versions")
	f.must("render", "--trust-project", "app.tmpl", "--out", "app.conf")
	f.must("run", "--env", "TOOL=local/tool#value", "--", "./tool.sh")
	f.must("run", "--env", "TOOL=local/tool#value", "--file", "tool.txt=local/tool#value", "--env-from", "local/labels,prefix=L_", "--no-redact", "--", "./tool.sh", "file")
	f.must("copy", "local/labels", "local/copied")
	f.must("diff", "local/labels", "local/copied")
	f.must("config", "check")
	f.must("rules", "explain", "agents", "use", "local/tool")
	f.must("audit", "list")
	f.must("audit", "verify")
	f.ends(f.agent("run", "--env", "TOOL=local/tool#value", "--", "./tool.sh"), 0, "[redacted")
	f.ends(f.now("KEYTURN_SERVICE=ci").Run("", "get", "local/tool"), 4, "")
}

// keys changes the keys once, and tries what a file as root key cannot do.
func (f *frozen) keys() {
	f.must("store", "rekey", "--yes")
	f.run("store", "unlock")
	f.run("store", "lock")
}

// platform does what a Vault has a part in.
func (f *frozen) platform() {
	f.now().Must("made-up-password\n", "login", "vault", "--method", "userpass", "--username", "net", "-")
	f.must("logout", "vault", "--yes")
	f.now().Must("made-up-password\n", "login", "vault", "--method", "userpass", "--username", "net", "-")
	f.must("list", "vault/")
	f.must("get", "vault/secret/app#password", "--reveal", "--allow-pipe")
	f.put("made-up-new-in-vault", "vault/secret/new", "value=-")
	f.must("copy", "local/versions", "vault/secret/copied", "--yes")
	f.must("vault", "policy", "write", "app", "policy.hcl", "--yes")
	f.must("vault", "policy", "read", "app")
	f.must("vault", "approle", "secret-id", "app", "--to", "local/approle#secret_id")
	f.ends(f.run("vault", "policy", "read", "none"), 3, "")
	f.must("lease", "create", "vault/database/creds/app")
	f.must("lease", "renew", "vault/database/creds/app", "--for", "720h")
	f.must("lease", "revoke", "vault/database/creds/app")
	f.must("lease", "list")
	f.must("run", "--env", "DB=vault/database/creds/app#password", "--", "./tool.sh")
	f.killedAt("GET database/creds/app", "lease", "create", "vault/database/creds/app") // nobody knows what became of it
	f.must("lease", "list")
}

// projects trusts a project, and migrates files of others.
func (f *frozen) projects() {
	f.ends(f.run("trust", "shop"), 4, "--yes")
	f.must("trust", "shop", "--yes")
	f.write(f.work("shop/keyturn.yaml"), f.read(f.work("shop/keyturn.yaml"))+"  SHOP_TOOL: kt://local/tool#value\n", 0o600)
	f.must("trust", "shop", "--yes")
	for _, name := range []string{"ended", "reverted", "forgotten", "reverting"} {
		f.write(f.work(name+"/.env"), envFile(name, "A_TOKEN"), 0o640)
		f.write(f.work(name+"/c.env"), envFile(name, "C_SECRET"), 0o640)
		f.must("migrate", name+"/.env", name+"/c.env", "--to", "local/migrated/"+name)
	}
	f.must("migrate", "--rollback", "reverted/.env")
	f.must("migrate", "--forget", "forgotten/.env", "--yes")
	id := f.migrations()["kt://local/migrated/reverting"].ID
	f.write(f.work("reverting/.keyturn-migrate-"+id+"-1/x"), "in its way", 0o600)
	f.ends(f.run("migrate", "--rollback", id), 7, "go on with")
	if err := os.RemoveAll(f.work("reverting/.keyturn-migrate-" + id + "-1")); err != nil {
		f.t.Fatal(err)
	}
}

// cutMigrations kills a migration that has only begun, and one that has stored its values
// and rewritten the first of its files.
func (f *frozen) cutMigrations() {
	f.write(f.work("begun/.env"), envFile("begun", "A_TOKEN"), 0o640)
	f.killedAt("POST secret/data/begun", "migrate", "begun/.env", "--to", "vault/secret/begun")
	first, second := f.work("stored/.env"), f.work("stored/c.env")
	for range 200 {
		f.write(first, envFile("stored", "A_TOKEN"), 0o640)
		f.write(second, envFile("stored", "C_SECRET"), 0o640)
		cmd := f.now().Command("migrate", first, second, "--to", "local/migrated/stored")
		if err := cmd.Start(); err != nil {
			f.t.Fatal(err)
		}
		for range 100_000 {
			if data, _ := os.ReadFile(first); strings.Contains(string(data), "kt://") {
				break
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		m := f.migrations()["kt://local/migrated/stored"]
		if m.Phase == "stored" && strings.Contains(f.read(first), "kt://") && !strings.Contains(f.read(second), "kt://") {
			return
		}
		if m.ID != "" {
			f.run("migrate", "--resume", m.ID)
			f.must("migrate", "--forget", m.ID, "--yes")
		}
		f.run("destroy", "local/migrated/stored", "--yes")
	}
	f.t.Fatal("a migration ends before it can be killed")
}

// otherStore makes another store, which a passphrase protects.
func (f *frozen) otherStore() {
	other := f.now("KEYTURN_HOME="+filepath.Join(f.Root, "locked"), "KEYTURN_PASSPHRASE_FILE="+f.work("passphrase.txt"))
	other.Must("", "init", "--key", "passphrase")
	other.Must("made-up-locked", "put", "local/locked", "value=-")
}

// compares takes of the budget of compares, but for two of one secret.
func (f *frozen) compares() {
	for range 8 {
		f.ends(f.agent("diff", "local/compare/a#one", "local/compare/b#one"), 0, "")
	}
}

// approvals makes requests, and says yes to some.
func (f *frozen) approvals() {
	f.agent("put", "local/expired", "value=made-up-expired")
	f.clock = f.clock.Add(61 * time.Minute)
	used := f.pending(f.agent("put", "local/approved", "value=made-up-approved"))
	f.terminal([]string{"A new passphrase", netPass, "once more", netPass}, "approve", used)
	f.ends(f.agent("put", "local/approved", "value=made-up-approved"), 0, "")
	f.approve(f.pending(f.agent("run", "--env", "TOOL=local/labels#password", "--", "./tool.sh", "remembered")), "--remember")
	f.approve(f.pending(f.agent("destroy", "local/doomed", "--yes"))) // not used
	both := f.pending(f.agent("put", "local/both", "value=made-up-both"))
	f.approve(both)
	f.agent("put", "local/asked", "value=made-up-asked", "--reason", "made up: it is needed")
	f.agent("get", "local/labels#password", "--reveal", "--allow-pipe")
	f.now("AI_AGENT=other").Run("", "delete", "local/tool")
}

// end leaves two leases behind, and one that a killed program held; and makes the last
// backups, export and checkpoint while it holds it.
func (f *frozen) end() {
	f.must("lease", "create", "vault/database/creds/app")
	f.vault.refuses(true)
	f.ends(f.run("lease", "revoke", f.lease("active").ID), 7, "")
	f.must("lease", "create", "vault/database/creds/app")
	cmd := f.now().Command("run", "--env", "DB=vault/database/creds/app#password", "--", "sh", "-c", "echo ready; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		f.t.Fatal(err)
	}
	f.must("store", "backup", "--to", "key.age", "--recipients-file", "recipients.txt")
	f.must("store", "backup", "--to", "passphrase.age", "--passphrase-file", "passphrase.txt")
	f.must("audit", "checkpoint", "--out", "checkpoint.txt")
	f.must("audit", "export", "--out", "audit.jsonl")
	f.kill(cmd)
	_ = in.Close()
	end, err := time.Parse(time.RFC3339, netEnd)
	if err != nil || !f.clock.Before(end) {
		f.t.Fatalf("%v: it is %s already", err, f.clock)
	}
	f.clock = end
	if err := os.RemoveAll(filepath.Join(netFrozen, "root")); err != nil {
		f.t.Fatal(err)
	}
	if found, err := filepath.Glob(filepath.Join(f.Store, "replaced-*")); err != nil || len(found) != 1 || os.RemoveAll(found[0]) != nil {
		f.t.Fatalf("the store that was replaced: %v, %v", found, err)
	}
	for _, name := range []string{"keyturn.db-shm", "running"} {
		if err := os.RemoveAll(filepath.Join(f.Store, name)); err != nil {
			f.t.Fatal(err)
		}
	}
	copyTree(f.t, f.Root, filepath.Join(netFrozen, "root"))
	f.readAll(true)
}

// killedAt starts a command, waits until the Vault has a request of it that it does not
// answer, and kills the command (-9).
func (f *frozen) killedAt(request string, args ...string) {
	f.t.Helper()
	f.vault.mu.Lock()
	f.vault.hang = request
	f.vault.mu.Unlock()
	cmd := f.now().Command(args...)
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-f.vault.hung:
	case <-time.After(20 * time.Second):
		f.t.Errorf("no request %s", request)
	}
	f.kill(cmd)
	f.vault.mu.Lock()
	f.vault.hang = ""
	f.vault.mu.Unlock()
}

func (f *frozen) kill(cmd *exec.Cmd) {
	f.t.Helper()
	_ = cmd.Process.Kill()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		f.t.Fatalf("it could not be killed: %v", err)
	}
}
