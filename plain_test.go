package keyturn_test

import (
	"testing"

	"github.com/keyturn/keyturn"
)

func TestPlainAddress(t *testing.T) {
	for address, plain := range map[string]bool{
		"postgresql://{{username}}:{{password}}@db:5432/x?sslmode=disable": true,
		"{{username}}:{{password}}@tcp(127.0.0.1:3306)/":                   true,
		"postgresql://db:5432/x":                                           true,
		"host=db user={{username}} password={{password}}":                  true,
		"postgresql://admin@db/x":                                          true,
		"postgresql://admin:kt-fake@db/x":                                  false,
		"admin:kt-fake@tcp(db)/":                                           false,
		"{{username}}:kt@fake@tcp(db)/":                                    false,
		"host=db PASSWORD=kt-fake":                                         false,
		"host=db password={{password}} password=kt-fake":                   false,
		"host=db user=admin password = kt-fake":                            false,
		"host=db user={{username}} password = '{{password}}'":              true,
		"host=db password={{password}}kt-fake":                             false,
		"host=db sslpassword=kt-fake password={{password}}":                false,
		"postgresql://{{username}}:{{password}}@db/x?pass%77ord=kt-fake":   false,
		"postgresql://{{username}}:{{password}}@db/x?pass%2577ord=kt-fake": false,
		"postgresql://admin%3Akt-fake@db/x":                                false,
		"admin:kt-fake@tcp(db)/?x=a://b":                                   false,
		"admin:kt-fake@tcp(db)/?x={{username}}:{{password}}@h":             false,
		"admin/kt-fake@localhost:1521/x":                                   false,
		"{{username}}/{{password}}@localhost:1521/x":                       true,
		"jdbc:sqlserver://db;password=kt-fake":                             false,
		"mongodb+srv://{{username}}:{{password}}@db/admin?tls=true":        true,
		"{{username}}:{{password}}kt@tcp(db)/":                             false,
		"{{username}}:{{PASSWORD}}@tcp(db)/":                               false,
		"postgresql://{{username}}:{{password}}@a:1,b:2/x":                 true,
		"postgresql://db/x\x01":                                            false,
	} {
		if keyturn.PlainAddress(address) != plain {
			t.Errorf("%s: %v", address, !plain)
		}
	}
}

func TestPlainStatements(t *testing.T) {
	for text, plain := range map[string]bool{
		`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}";`: true,
		`CREATE USER '{{name}}'@'%' IDENTIFIED WITH caching_sha2_password BY '{{password}}' PASSWORD EXPIRE NEVER;`:                                          true,
		`REASSIGN OWNED BY "{{name}}" TO "admin"; DROP OWNED BY "{{name}}";`:                                                                                 true,
		`CREATE USER '{{name}}'@'%' IDENTIFIED VIA pam;`:                                                                                                     true,
		`{"db": "admin", "roles": [{"role": "read"}]}`:                                                                                                       true,
		`CREATE ROLE "{{name}}" PASSWORD 'kt-fake'`:                                                                                                          false,
		`CREATE ROLE "{{name}}" PASSWORD E'kt-fake'`:                                                                                                         false,
		`CREATE ROLE "{{name}}" PASSWORD $$kt-fake$$`:                                                                                                        false,
		`CREATE ROLE "{{name}}" PASSWORD '{{password}}kt-fake'`:                                                                                              false,
		`CREATE ROLE "{{name}}" PASSWORD '{{password}}'; ALTER ROLE app PASSWORD 'kt-fake'`:                                                                  false,
		`CREATE USER '{{name}}'@'%' IDENTIFIED BY 'kt-fake'`:                                                                                                 false,
		`CREATE USER '{{name}}'@'%' IDENTIFIED WITH mysql_native_password AS "kt-fake"`:                                                                      false,
		`CREATE USER '{{name}}'@'%' identified by password 'kt-fake'`:                                                                                        false,
		"{\"user\": \"x\", \"password\": \"{{password}}\", \"password\": \"kt-fake\"}":                                                                       false,
		`SET PASSWORD = PASSWORD('kt-fake')`:                                                                                                                 false,
		`{"password": "kt-fake"}`:                                                                                                                            false,
	} {
		if keyturn.PlainStatements(text) != plain {
			t.Errorf("%s: %v", text, !plain)
		}
	}
}

// The texts of an action that hold a password, whatever input they are given as, and
// those that only look a little like one.
func TestPlainText(t *testing.T) {
	for text, plain := range map[string]bool{
		"": true, "myapp": true, "kv-v2": true, "24h": true, "10.0.0.0/8": true, "database/creds/role/Ab3": true,
		"userpass/anna@example.com": true, "oidc/google/anna@example.com": true, "approle/myapp": true,
		"secrets of the shop, owner: anna@example.com": true, "ask mailto:anna@example.com": true,
		"see https://vault.example.com/ui/vault/secrets: all passwords of the shop": true,
		"how tokens are made: see https://developer.hashicorp.com/vault/docs.":      true,

		"postgresql://{{username}}:{{password}}@db:5432/x?sslmode=disable": true,
		"{{username}}:{{password}}@tcp(127.0.0.1:3306)/":                   true,
		"host=db user={{username}} password={{password}}":                  true,
		"host=db user={{username}} password = '{{password}}'":              true,
		"{{username}}/{{password}}@localhost:1521/x":                       true,
		"mongodb+srv://{{username}}:{{password}}@db/admin?tls=true":        true,
		"postgresql://{{username}}:{{password}}@a:1,b:2/x":                 true,
		"postgresql://admin@db/x":                                          true,
		"postgresql://admin:kt-fake@db/x":                                  false,
		"postgresql://admin:kt fake@db/x":                                  false,
		"postgresql://admin:kt'fake@db/x":                                  false,
		"the shop is at postgresql://admin:kt-fake@db/x":                   false,
		`the shop is at "postgresql://admin:kt fake@db/x"`:                 false,
		"first line\npostgresql://admin:kt-fake@db/x\n":                    false,
		"first line\n\tadmin:kt-fake@db\n":                                 false,
		"admin:kt-fake@tcp(db)/":                                           false,
		"admin:kt fake@tcp(db)/":                                           false,
		"{{username}}:kt@fake@tcp(db)/":                                    false,
		"host=db PASSWORD=kt-fake":                                         false,
		"password=kt-fake":                                                 false,
		"host=db password={{password}} password=kt-fake":                   false,
		"host=db user=admin password = kt-fake":                            false,
		"host=db password={{password}}kt-fake":                             false,
		"host=db sslpassword=kt-fake password={{password}}":                false,
		"postgresql://{{username}}:{{password}}@db/x?pass%77ord=kt-fake":   false,
		"postgresql://{{username}}:{{password}}@db/x?pass%2577ord=kt-fake": false,
		"postgresql://admin%3Akt-fake@db/x":                                false,
		"admin:kt-fake@tcp(db)/?x=a://b":                                   false,
		"admin:kt-fake@tcp(db)/?x={{username}}:{{password}}@h":             false,
		"admin/kt-fake@localhost:1521/x":                                   false,
		"jdbc:sqlserver://db;password=kt-fake":                             false,
		"{{username}}:{{password}}kt@tcp(db)/":                             false,
		"{{username}}:{{PASSWORD}}@tcp(db)/":                               false,
		"postgresql://db/x\x01":                                            false,
		"https://vault.example.com/v1/secret?token=kt-fake":                false,

		`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}";`: true,
		`CREATE USER '{{name}}'@'%' IDENTIFIED WITH caching_sha2_password BY '{{password}}' PASSWORD EXPIRE NEVER;`:                                          true,
		`REASSIGN OWNED BY "{{name}}" TO "admin"; DROP OWNED BY "{{name}}";`:                                                                                 true,
		`CREATE LOGIN [{{name}}] WITH PASSWORD = '{{password}}';`:                                                                                            true,
		`{"db": "admin", "roles": [{"role": "read"}]}`:                                                                                                       true,
		`CREATE ROLE "{{name}}" PASSWORD 'kt-fake'`:                                                                                                          false,
		"CREATE ROLE \"{{name}}\"\n  PASSWORD 'kt-fake'":                                                                                                     false,
		`CREATE ROLE "{{name}}"PASSWORD'kt-fake'`:                                                                                                            false,
		`CREATE ROLE "{{name}}" PASSWORD E'kt-fake'`:                                                                                                         false,
		`CREATE ROLE "{{name}}" PASSWORD $$kt-fake$$`:                                                                                                        false,
		`CREATE ROLE "{{name}}" PASSWORD '{{password}}kt-fake'`:                                                                                              false,
		`CREATE ROLE "{{name}}" PASSWORD '{{password}}'; ALTER ROLE app PASSWORD 'kt-fake'`:                                                                  false,
		`CREATE USER '{{name}}'@'%' IDENTIFIED BY 'kt-fake'`:                                                                                                 false,
		`CREATE USER '{{name}}'@'%' identified by password 'kt-fake'`:                                                                                        false,
		"{\"user\": \"x\", \"password\": \"{{password}}\", \"password\": \"kt-fake\"}":                                                                       false,
		`SET PASSWORD = PASSWORD('kt-fake')`:                                                                                                                 false,
		`{"password": "kt-fake"}`:                                                                                                                            false,

		// Policies, most of them from Vault's own documentation.
		"path \"auth/userpass/users/{{identity.entity.aliases.x.name}}/password\" {\n  capabilities = [\"update\"]\n  allowed_parameters = {\n    \"password\" = []\n  }\n}\n":     true,
		"path \"secret/data/x\" {\n  capabilities = [\"create\"]\n  required_parameters = [\"password\", \"token\"]\n  denied_parameters = { \"password\" = [\"a\", \"b\"] }\n}\n": true,
		"# Reset a password, \"reset password\"\n# see https://developer.hashicorp.com/vault/docs/secrets: tokens\npath \"auth/token/create\" { capabilities = [\"update\"] }\n":   true,
		"path \"secret/data/x\" {\n  required_parameters = [\"password\", \"old_password\", \"password\"]\n}\n":                                                                    true,
		`path "sys/policies/password/x" { capabilities = ["read"] }`:                                                                                                               true,
		`{"path": {"auth/userpass/users/+/password": {"capabilities": ["update"]}}}`:                                                                                               true,
		"# admin is postgresql://admin:kt-fake@db\npath \"secret/*\" { capabilities = [\"read\"] }\n":                                                                              false,
	} {
		if keyturn.PlainText(text) != plain {
			t.Errorf("%s: %v", text, !plain)
		}
	}
}

// Whatever a text is, looking at it ends, and a password in an address on a line of its
// own is found.
func FuzzPlainText(f *testing.F) {
	for _, s := range []string{"", "myapp", "path \"auth/users/password\" {}", "PASSWORD 'x'", "password\"", "identified by '", "a:b@c", "postgresql://", "x\x01", "%2570assword=x", "\n'password'\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		keyturn.PlainText(s)
		if keyturn.PlainText(s + "\npostgresql://admin:kt-fake@db/x\n" + s) {
			t.Errorf("it hides a password: %q", s)
		}
	})
}
