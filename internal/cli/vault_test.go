package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// notOnDev are examples of 'keyturn vault' that a dev server, which is never sealed,
// has one key share and no leases, cannot show. They are in testdata/script.
var notOnDev = map[string]string{
	"keyturn vault unseal --share local/unseal#one":                                            "the server has no such share",
	"keyturn vault lease revoke database/creds/myapp/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6":     "there is no such lease",
	"keyturn vault lease revoke-all database/creds/myapp --yes":                                "there are no leases",
	"keyturn vault approle destroy-secret-id myapp 84896a0c-1347-aa90-a4f6-aca8b7558780 --yes": "the accessor is made up",
}

// TestVaultExamples runs the examples of all commands about Vault, as printed and in
// the order of the help, against one real server: what one makes the next ones use.
func TestVaultExamples(t *testing.T) {
	v := servers.VaultDev(t)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root)
	m.Must("", "init", "--key", "file")
	m.Must("", "put", "vault/secret/myapp/config", "--generate", "password")
	const hcl = "path \"secret/data/myapp/config\" {\n  capabilities = [\"read\"]\n}\n"
	if err := os.WriteFile(filepath.Join(m.Work, "myapp.hcl"), []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	later := func(path string) bool { return strings.HasSuffix(path, "grant") } // the help lists them before the role, which they need
	last := func(path string) bool { return path == "approle delete" || path == "seal" }
	n := examples(t, m, func(path string) bool {
		return path != "database" && !strings.HasPrefix(path, "database ") && !later(path) && !last(path)
	}, strings.NewReplacer())
	n += examples(t, m, later, strings.NewReplacer())
	n += examples(t, m, last, strings.NewReplacer())
	if n < 30 {
		t.Errorf("only %d examples were run", n)
	}
}

// TestVaultDatabaseExamples does the same for the database engine, with a real
// PostgreSQL in the place of the example's.
func TestVaultDatabaseExamples(t *testing.T) {
	v, d := servers.VaultDev(t), servers.Postgres(t)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root)
	m.Must("", "init", "--key", "file")
	m.Must(d.Password, "put", "local/db", "password=-")
	m.Must("", "vault", "enable", "database")
	real := strings.NewReplacer("db.example.com:5432/shop", fmt.Sprintf("127.0.0.1:%d/postgres?sslmode=disable", d.Port))
	later := func(path string) bool { return path == "database rotate-root" || path == "database delete" }
	n := examples(t, m, func(path string) bool { return strings.HasPrefix(path, "database ") && !later(path) }, real)
	n += examples(t, m, later, real) // the help lists them before the roles, which need the connection
	if n < 9 {
		t.Errorf("only %d examples were run", n)
	}
}

// examples runs those of the commands below 'vault' that are wanted, and counts them.
func examples(t *testing.T, m *world.Machine, wanted func(path string) bool, instead *strings.Replacer) int {
	ran := map[string]bool{}
	walk(t, func(cmd *cobra.Command, path string) {
		below, ok := strings.CutPrefix(path, "vault ")
		if !ok || cmd.HasSubCommands() || !wanted(below) {
			return
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" || notOnDev[line] != "" || ran[line] {
				continue
			}
			ran[line] = true
			if out := m.Shell(instead.Replace(line)); out.Status != 0 {
				t.Errorf("%s\nexit status %d\n%s%s", line, out.Status, out.Stdout, out.Stderr)
			}
		}
	})
	return len(ran)
}

// TestVaultDocs: the page about Vault has a row for each action, and no other ones.
func TestVaultDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "platforms", "vault.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(page), "\n## Administration\n")
	part, _, _ = strings.Cut(part, "\n## ")
	rows := map[string]bool{}
	for line := range strings.Lines(part) {
		if strings.HasPrefix(line, "| `keyturn ") {
			rows[strings.TrimSpace(line)] = true
		}
	}
	if !ok || len(rows) == 0 {
		t.Fatal("the page has no table of actions")
	}
	for _, list := range app.Actions() {
		for _, a := range list.Actions {
			row := "| `keyturn " + list.Platform + " " + a.Name + "` | " + a.Short + " |"
			if !rows[row] {
				t.Errorf("docs/platforms/vault.md lacks the row %s", row)
			}
			delete(rows, row)
		}
	}
	for row := range rows {
		t.Errorf("docs/platforms/vault.md tells of what there is not: %s", row)
	}
}

// TestVaultFiveCommands runs the five commands of the page, and logs in with what they
// made.
func TestVaultFiveCommands(t *testing.T) {
	v := servers.VaultDev(t)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root)
	m.Must("", "init", "--key", "file")
	m.Must("", "put", "vault/secret/myapp/config", "--generate", "password")
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "platforms", "vault.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "\n## Administration\n")
	_, block, _ := strings.Cut(part, "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	lines := strings.Split(strings.TrimSpace(block), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d commands, not five", len(lines))
	}
	for _, line := range lines {
		out := m.Shell(line)
		if out.Status != 0 {
			t.Fatalf("%s\nexit status %d\n%s%s", line, out.Status, out.Stdout, out.Stderr)
		}
	}
	roleID, err := os.ReadFile(filepath.Join(m.Work, "role-id"))
	if err != nil {
		t.Fatal(err)
	}
	role := strings.TrimSpace(string(roleID))
	id, err := os.ReadFile(filepath.Join(m.Work, "secret-id"))
	if err != nil {
		t.Fatal(err)
	}
	var login struct {
		Auth struct {
			Policies []string `json:"policies"`
		} `json:"auth"`
	}
	v.Call("POST", "auth/approle/login", map[string]string{"role_id": role, "secret_id": strings.TrimSpace(string(id))}, &login)
	if !slices.Contains(login.Auth.Policies, "myapp-reader") {
		t.Errorf("the service gets %v", login.Auth.Policies)
	}

	// and what the service does with it
	_, block, _ = strings.Cut(part, "```sh\nkeyturn login vault --method approle")
	block, _, _ = strings.Cut("keyturn login vault --method approle"+block, "```")
	service := m.As("VAULT_TOKEN=")
	for line := range strings.Lines(block) {
		line = strings.Replace(strings.TrimSpace(line), "./server", `sh -c 'test -n "$DB_PASSWORD"'`, 1)
		if out := service.Shell(line); out.Status != 0 {
			t.Errorf("%s\nexit status %d\n%s%s", line, out.Status, out.Stdout, out.Stderr)
		}
	}
	if out := service.Run("", "get", "vault/secret/myapp/config"); out.Status != 4 {
		t.Errorf("get without --reveal: exit status %d", out.Status)
	}
}
