package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// tableRuns says, for each command of the table "From vault to keyturn", how a shell
// runs it here; in place of what only a person could give there is a pipe, --yes and
// names that are there. "-" begins the reason why it cannot be run. They are run in the
// table's order, and each makes what later ones use.
var tableRuns = map[string]string{
	"keyturn login vault --method oidc":                            "- login/oidc.txtar has an issuer for it",
	"keyturn login vault --method userpass --username anna":        `printf kt-fake-password | VAULT_TOKEN= keyturn login vault --method userpass --username anna - && VAULT_TOKEN= keyturn status`,
	"keyturn login vault -":                                        `printf %s "$VAULT_TOKEN" | VAULT_TOKEN= keyturn login vault -`,
	"keyturn login vault --method approle --role-id …":             `keyturn vault approle secret-id app --to-file sid && VAULT_TOKEN= keyturn login vault --method approle --role-id "$(keyturn vault approle role-id app)" - < sid`,
	"keyturn login vault --method approle --role-id … --wrapped":   `keyturn vault approle secret-id app --wrap 60s -o json | sed -n 's/.*"token": "\(.*\)",/\1/p' > wrapped && VAULT_TOKEN= keyturn login vault --method approle --role-id "$(keyturn vault approle role-id app)" --wrapped - < wrapped`,
	"keyturn status -o json":                                       `keyturn status -o json | grep '"policies"'`,
	"keyturn logout vault":                                         `VAULT_TOKEN= keyturn logout vault`,
	"keyturn put vault/secret/a k":                                 `printf three | keyturn put vault/secret/a k=-`,
	"keyturn put vault/secret/a k --if-version 3":                  `printf four | keyturn put vault/secret/a k=- --if-version 3`,
	"keyturn put vault/secret/a k --merge":                         `printf five | keyturn put vault/secret/a k=- --merge`,
	"keyturn get vault/secret/a":                                   `keyturn get vault/secret/a`,
	"keyturn get 'vault/secret/a#k' --reveal":                      `test "$(keyturn get 'vault/secret/a#k' --reveal --allow-pipe)" = five`,
	"keyturn get 'vault/secret/a?version=3'":                       `keyturn get 'vault/secret/a?version=3'`,
	"keyturn history vault/secret/a":                               `keyturn history vault/secret/a`,
	"keyturn put vault/secret/a --merge --label team=web":          `keyturn put vault/secret/a --merge --label team=web && keyturn get vault/secret/a -o json | grep '"team": "web"'`,
	"keyturn put vault/secret/a --merge --label team-":             `keyturn put vault/secret/a --merge --label team- && ! keyturn get vault/secret/a -o json | grep '"team"'`,
	"keyturn vault tune secret …":                                  `keyturn vault tune secret --max-versions 30`,
	"keyturn vault tune secret --max-versions 20":                  `keyturn vault tune secret --max-versions 20`,
	"keyturn list vault/secret/team --shallow":                     `keyturn list vault/secret/team --shallow | grep team/x`,
	"keyturn delete vault/secret/a":                                `printf six | keyturn put vault/secret/a k=- --merge && keyturn delete vault/secret/a`,
	"keyturn restore vault/secret/a --version 3":                   `keyturn restore vault/secret/a`,
	"keyturn destroy vault/secret/a --versions 1,2":                `keyturn destroy vault/secret/a --versions 1,2 --yes`,
	"keyturn destroy vault/secret/a":                               `keyturn copy vault/secret/a vault/secret/b && keyturn destroy vault/secret/b --yes`,
	"keyturn rollback vault/secret/a --to 2":                       `keyturn rollback vault/secret/a --to 4 && test "$(keyturn get 'vault/secret/a#k' --reveal --allow-pipe)" = four`,
	"keyturn run --env 'NAME=vault/secret/a#k' -- COMMAND":         `keyturn run --env 'NAME=vault/secret/a#k' -- sh -c 'test "$NAME" = four'`,
	"keyturn run --env-from vault/database/creds/myapp -- COMMAND": `keyturn run --env-from vault/database/creds/myapp -- sh -c 'test -n "$username"'`,
	"keyturn lease create … --reveal":                              `keyturn lease create vault/database/creds/myapp --reveal --allow-pipe`,
	"keyturn lease renew ID --for 1h":                              `keyturn lease renew vault/database/creds/myapp --for 1h`,
	"keyturn lease revoke ID":                                      `keyturn lease revoke vault/database/creds/myapp`,
	"keyturn vault lease revoke ID":                                `ID=$(keyturn lease create vault/database/creds/myapp -o json | sed -n 's/.*"lease_id": "\(.*\)",/\1/p') && keyturn vault lease revoke "$ID"`,
	"keyturn vault lease list PATH":                                `keyturn vault lease list database/creds/myapp`,
	"keyturn vault lease revoke-all PATH":                          `keyturn lease create vault/database/creds/myapp && keyturn vault lease revoke-all database/creds/myapp --yes`,
	"keyturn render FILE":                                          `printf '{{ "kt://vault/secret/a#k" }}' > file && keyturn render --trust-project file --out out && test "$(cat out)" = four`,
	"keyturn run":                                                  `keyturn run -- true`,
	"keyturn vault engines":                                        `keyturn vault engines`,
	"keyturn vault auth list":                                      `keyturn vault auth list`,
	"keyturn vault policy list":                                    `keyturn vault policy list`,
	"keyturn vault policy grant vault:approle/NAME REF --can read": `keyturn vault policy grant vault:approle/app vault/secret/a --can read --yes`,
	"keyturn put REF … --reader vault:approle/NAME":                `keyturn put vault/secret/c --generate k --reader vault:approle/app`,
	"keyturn vault approle create NAME …":                          `keyturn vault approle create other --token-ttl 1h`,
	"keyturn vault approle secret-id NAME --to REF":                `keyturn vault approle secret-id other --to local/other`,
	"keyturn vault status":                                         `keyturn vault status`,
	"keyturn vault database connect NAME …":                        `keyturn vault database connect second --plugin postgresql --url "$DB_URL" --username "$DB_ADMIN" --password local/db#password`,
	"keyturn vault database role write NAME …":                     `keyturn vault database role write second --db second --creation "$DB_CREATION"`,
	"keyturn vault kv tune vault/secret/a --max-versions 5 --cas-required yes --delete-version-after 90d": `keyturn vault kv tune vault/secret/a --max-versions 15 --cas-required yes --delete-version-after 90d`,
}

// TestVaultTable runs the table of the page that tells a user of vault what to type
// here, against a real server with a real PostgreSQL behind it.
func TestVaultTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "platforms", "vault.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "\n## From `vault` to `keyturn`\n")
	table, _, _ = strings.Cut(table, "\n## ")
	if !ok {
		t.Fatal("the page has no such table")
	}
	v, d := servers.VaultDev(t), servers.Postgres(t)
	m := world.New(t).As("VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.Root,
		fmt.Sprintf("DB_URL=postgresql://{{username}}:{{password}}@127.0.0.1:%d/postgres?sslmode=disable", d.Port), "DB_ADMIN=admin",
		`DB_CREATION=CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`)
	m.Must("", "init", "--key", "file")
	m.Must(d.Password, "put", "local/db", "password=-")
	v.Call("POST", "sys/auth/userpass", map[string]string{"type": "userpass"}, nil)
	v.Call("POST", "auth/userpass/users/anna", map[string]string{"password": "kt-fake-password"}, nil)
	for _, line := range []string{
		"printf one | keyturn put vault/secret/a k=-", "printf two | keyturn put vault/secret/a k=-", "keyturn put vault/secret/team/x --generate k",
		"keyturn vault auth enable approle", "keyturn vault approle create app",
		"keyturn vault enable database", strings.ReplaceAll(tableRuns["keyturn vault database connect NAME …"], "second", "first"),
		`keyturn vault database role write myapp --db first --creation "$DB_CREATION" --ttl 1h --max-ttl 24h`,
	} {
		if out := m.Shell(line); out.Status != 0 {
			t.Fatalf("%s\n%s%s", line, out.Stdout, out.Stderr)
		}
	}
	ran := map[string]bool{}
	for row := range strings.Lines(table) {
		_, ours, ok := strings.Cut(row, " | ")
		if !ok {
			continue
		}
		commands := regexp.MustCompile("`(keyturn [^`]+)`").FindAllStringSubmatch(ours, -1)
		if len(commands) == 0 && !strings.HasPrefix(row, "| `vault …`") {
			t.Errorf("the row has no command of ours: %s", row)
		}
		for _, c := range commands {
			script := tableRuns[c[1]]
			if ran[c[1]] = true; script == "" && c[1] != "keyturn …" {
				t.Errorf("tableRuns does not say how to run: %s", c[1])
			}
			if script == "" || strings.HasPrefix(script, "- ") {
				continue
			}
			if out := m.Shell(script); out.Status != 0 {
				t.Errorf("%s\nexit status %d of %s\n%s%s", c[1], out.Status, script, out.Stdout, out.Stderr)
			}
		}
	}
	for c := range tableRuns {
		if !ran[c] {
			t.Errorf("tableRuns runs what the page does not have: %s", c)
		}
	}
}
