package keyturn_test

import (
	"strings"
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

// Texts of any kind: those that hold an address with a password, and those that only look
// a little like one.
func TestPlainText(t *testing.T) {
	for text, plain := range map[string]bool{
		"": true, "myapp": true, "24h": true, "10.0.0.0/8": true, "100%01 sure": true,
		"auth/userpass/login/anna@example.com/h5d2": true, "oidc/google/anna@example.com": true,
		"user:anna@example.com": true, "registry:5000/img@sha256:ab": true, "token=default": true,
		"arn:aws:sts::1:assumed-role/R/anna@example.com": true, "the password 'root' user": true,
		"see https://vault.example.com:8200/ui/people/@anna": true, "# see https://medium.com/@hashicorp/x": true,
		"path \"secret/data/people/anna@example.com/*\" {\n  capabilities = [\"read\"]\n}\n":                          true,
		"path \"auth/userpass/users/anna@example.com/password\" {\n  allowed_parameters = { \"password\" = [] }\n}\n": true,

		"postgresql://{{username}}:{{password}}@db:5432/x":           true,
		"postgresql://admin@db/x":                                    true,
		"postgresql://admin:@db/x":                                   true,
		"postgresql://admin:kt-fake@db/x":                            false,
		"postgresql://:kt-fake@db/x":                                 false,
		"HTTPS://admin:kt@fake@db/x":                                 false,
		"the shop is at postgresql://admin:kt-fake@db/x":             false,
		"first line\n# 'postgresql://admin:kt-fake@db/x'\n":          false,
		"postgresql://admin:%6bt-fake@db/x":                          false,
		"postgresql://admin%3Akt-fake@db/x":                          false,
		"postgresql://a:{{password}}@db/x postgresql://a:{{pw}}@db/": false,
	} {
		if keyturn.PlainText(text) != plain {
			t.Errorf("%q: %v", text, !plain)
		}
	}
	// Linear: a long text takes no longer than it is long.
	if !keyturn.PlainText(strings.Repeat("a://", 1<<20)) || !keyturn.PlainText(strings.Repeat(`password"`, 1<<18)) {
		t.Error("a long text holds a password")
	}
}

func FuzzPlainText(f *testing.F) {
	for _, s := range []string{"", "a://", "%2570", "postgresql://{{username}}:{{password}}@db/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if keyturn.PlainText(s + "\npostgresql://admin:kt-fake@db/x\n" + s) {
			t.Errorf("%q hides a password", s)
		}
	})
}
