package cli_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/cli"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/world"
)

// notRun are lines of examples that cannot run here.
var notRun = map[string]string{
	"keyturn lease list vault/ -o json": "there is no server, and no mount of it: see testdata/script/lease",
	"keyturn put vault/secret/myapp/config --generate password --reader vault:approle/myapp --policy-out policy.hcl": "it needs a Vault with that role: see testdata/script/put/reader.txtar",
	"keyturn approve k3m9x2ab":                                                        "asks on a terminal, and the request is made up",
	"keyturn approve k3m9x2ab --remember":                                             "asks on a terminal, and the request is made up",
	"keyturn get local/myapp --field password --copy":                                 "needs a terminal and a clipboard",
	"keyturn login vault --method approle --role-id \"$ROLE_ID\" --wrapped - < token": "needs a server: see testdata/script/login",
	"keyturn login vault --method approle --role-id \"$ROLE_ID\" - < secret-id":       "needs a server: see testdata/script/login",
	"keyturn login vault --method jwt --role deploy":                                  "needs a server: see testdata/script/login",
	"keyturn login vault --method oidc":                                               "needs a server: see testdata/script/login",
	"keyturn login vault --method userpass --username anna":                           "needs a server: see testdata/script/login",
	"keyturn logout vault":                                                            "needs a server: see testdata/script/logout",
	"keyturn logout vault --keep":                                                     "needs a server: see testdata/script/logout",
	"keyturn run --env-from vault/database/creds/myapp,prefix=DB_ -- ./server":        "needs a server and a database: see testdata/script/lease",
	"keyturn lease create vault/database/creds/myapp":                                 "needs a server and a database: see testdata/script/lease",
	"keyturn lease create vault/database/creds/myapp --reveal -o json":                "needs a server and a database: see testdata/script/lease",
	"keyturn lease renew vault/database/creds/myapp":                                  "needs a server and a database: see testdata/script/lease",
	"keyturn lease renew 06axk4x1ycx3v3snr8g7yr1ch4 --for 2h":                         "needs a server and a database: see testdata/script/lease",
	"keyturn lease revoke vault/database/creds/myapp":                                 "needs a server and a database: see testdata/script/lease",
	"keyturn lease revoke 06axk4x1ycx3v3snr8g7yr1ch4 --forget":                        "needs a server and a database: see testdata/script/lease",
	"keyturn list --pick":                                                             "needs a terminal",
	"keyturn put local/myapp password":                                                "asks on a terminal",
	"keyturn store lock":                                                              "needs a store under a passphrase",
	"keyturn store unlock":                                                            "needs a store under a passphrase and a keychain",
	"keyturn store unlock --for 30m":                                                  "needs a store under a passphrase and a keychain",
}

// tree is the tree of commands with those about one platform.
func tree() *cobra.Command {
	return cli.Tree(&cli.Program{Program: session.Program{Actions: app.Actions()}})
}

// walk visits every command but the root, help and what is hidden.
func walk(t *testing.T, visit func(cmd *cobra.Command, path string)) {
	t.Helper()
	count := 0
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Hidden || sub.Name() == "help" {
				continue
			}
			count++
			visit(sub, strings.TrimPrefix(sub.CommandPath(), "keyturn "))
			each(sub)
		}
	}
	each(tree())
	if count < 15 {
		t.Fatalf("only %d commands found: this test holds nothing", count)
	}
}

// TestEveryCommand: a command says what it is, shows how it is used, and is tried
// by scripts that a user could type.
func TestEveryCommand(t *testing.T) {
	walk(t, func(cmd *cobra.Command, path string) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: one line says what it does, without a full stop: %q", path, cmd.Short)
		}
		if !strings.Contains(cmd.Example, "keyturn "+path) {
			t.Errorf("%s: its help has no example of it", path)
		}
		name, _, _ := strings.Cut(path, " ")
		if scripts, _ := filepath.Glob(filepath.Join("testdata", "script", name, "*.txtar")); len(scripts) == 0 {
			t.Errorf("%s: there is no testdata/script/%s/*.txtar", path, name)
		}
	})
}

// TestExamples runs every line of every example, as printed, in a sandbox with a
// store, a project and the programs that they speak of.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the examples are for a shell that Windows does not have")
	}
	try := func(t *testing.T, m *world.Machine, line string) {
		t.Helper()
		if notRun[line] != "" {
			return
		}
		if out := m.Shell(line); out.Status != 0 {
			t.Errorf("%s\nexit status %d\n%s%s", line, out.Status, out.Stdout, out.Stderr)
		}
	}
	lines := func(cmd *cobra.Command) (out []string) {
		for line := range strings.Lines(cmd.Example) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
		return out
	}
	seen := map[string]bool{}
	for _, line := range lines(tree()) {
		seen[line] = true
		try(t, furnished(t, ""), line)
	}
	walk(t, func(cmd *cobra.Command, path string) {
		for _, line := range lines(cmd) {
			seen[line] = true
		}
		if path == "vault" || strings.HasPrefix(path, "vault ") {
			return // see TestVaultExamples
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var own []string
			for _, line := range lines(cmd) {
				if !slices.Contains(own, line) {
					own = append(own, line)
				}
			}
			if path == "init" { // each on a machine that has no store yet
				for _, line := range own {
					try(t, world.New(t), line)
				}
				return
			}
			m := furnished(t, path)
			for _, line := range own {
				try(t, m, line)
			}
		})
	})
	for line := range notRun {
		if !seen[line] {
			t.Errorf("no example reads %q any more: take it off the list", line)
		}
	}
}

// furnished is a machine on which the examples of a command make sense.
func furnished(t *testing.T, path string) *world.Machine {
	t.Helper()
	m := world.New(t)
	write := func(path, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	const project = "env:\n  PASSWORD: kt://local/myapp#password\n"
	write(filepath.Join(m.Work, "keyturn.yaml"), project, 0o600)
	write(filepath.Join(m.Home, "src", "shop", "keyturn.yaml"), project, 0o600)
	write(filepath.Join(m.Work, "server.key"), "a key\n", 0o600)
	env, fields := "A_TOKEN=kt://local/myapp#password\nLOG_LEVEL=debug\n", []string{"--generate", "tls.key", "user=app"}
	if path == "put" || path == "rollback" { // before anything was put there
		env, fields = "A_TOKEN=a token\nLOG_LEVEL=debug\n", nil
	}
	if path == "migrate" {
		env = "A_TOKEN=a made-up token\nLOG_LEVEL=debug\n"
		write(filepath.Join(m.Work, "compose.yaml"), "services:\n  db:\n    environment:\n      POSTGRES_USER: shop\n      POSTGRES_PASSWORD: made-up\n", 0o600)
		write(filepath.Join(m.Work, "secret.yaml"), "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData:\n  password: made-up\n", 0o600)
	}
	write(filepath.Join(m.Work, ".env"), env, 0o600)
	write(filepath.Join(m.Work, "app.conf.tmpl"), `password = {{ "kt://local/myapp#password" | json }}`+"\n", 0o600)
	write(filepath.Join(m.Work, "server"), "#!/bin/sh\nexit 0\n", 0o700)
	bin := t.TempDir()
	for _, program := range []string{"npm", "psql", "ssh"} {
		write(filepath.Join(bin, program), "#!/bin/sh\ncat >/dev/null\nexit 0\n", 0o700)
	}
	m = m.As("PATH="+bin+string(filepath.ListSeparator)+strings.TrimPrefix(m.Env[0], "PATH="), "TOKEN=a token")
	m.Must("", "init", "--key", "file")
	m.Must("", append([]string{"put", "local/myapp", "--generate", "password"}, fields...)...)
	m.Must("", "put", "local/myapp", "--generate", "password", "--merge")
	m.Must("", "trust", "--yes")
	if path == "trust" || path == "render" || path == "run" { // the files were looked at
		m.Must("", "trust", ".env", "app.conf.tmpl", "--yes")
	}
	if path == "audit verify" { // something to verify, and to hold it against
		m.Must("", "audit", "checkpoint", "--out", "checkpoint.txt")
		m.Must("", "audit", "export", "--out", "audit.jsonl")
	}
	if strings.HasPrefix(path, "store") {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(m.Work, "key.txt"), id.String()+"\n", 0o600)
		write(filepath.Join(m.Work, "recipients.txt"), id.Recipient().String()+"\n", 0o600)
		write(filepath.Join(m.Work, "passphrase.txt"), "correct horse battery\n", 0o600)
		if path == "store" || path == "store restore" {
			m.Must("", "store", "backup", "--to", "keyturn.age", "--recipients-file", "recipients.txt")
		}
	}
	if path == "diff" {
		m.Must("", "copy", "local/myapp", "local/myapp-test")
		m.Must("", "copy", "local/myapp#password", "local/worker#DB_PASSWORD")
	}
	return m
}
