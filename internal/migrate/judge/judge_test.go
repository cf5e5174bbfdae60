package judge

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        Leaning
		why         string
	}{
		{"DB_PASSWORD", "fake", Moves, "name says password"},
		{"DBPASSWORD", "fake", Moves, "name says password"},
		{"dbPassword", "fake", Moves, "name says password"},
		{"POSTGRES_PWD", "fake", Moves, "name says pwd"},
		{"database.passwd", "fake", Moves, "name says passwd"},
		{"STRIPE_API_KEY", "fake", Moves, "name says api key"},
		{"APIKEY", "fake", Moves, "name says apikey"},
		{"AWS_ACCESS_KEY_ID", "fake", Moves, "name says access key"},
		{"SECRET_KEY_BASE", "fake", Moves, "name says secret key"},
		{"RELEASE_COOKIE", "fake", Moves, "name says cookie"},
		{"PASSWORD_SALT", "fake", Moves, "name says salt"},
		{"ConnectionString", "fake", Moves, "name says connection string"},
		{"SENTRY_DSN", "https://fake@sentry.example.com/1", Moves, "name says dsn"},
		{"SLACK_WEBHOOK_URL", "https://hooks.example.com/fake", Moves, "name says webhook"},
		{"ADMIN_PASSWORD", "admin", Moves, "name says password"},
		{"DB_PASSWORD", "hunter.two", Moves, "name says password"},
		{"REDIS_PASSWORD", "null", Moves, "name says password"},
		{"AUTH_TOKEN", "production", Moves, "name says token"},

		{"ANYTHING", "postgres://u:fake@h/db", Moves, "an address with a password"},
		{"LOG_LEVEL", "redis://:fake@h:6379", Moves, "an address with a password"},
		{"BROKERS", "amqp://a:fake@h1,amqp://a:fake@h2", Moves, "an address with a password"},
		{"KEY_PATH", "-----BEGIN OPENSSH PRIVATE KEY-----\nfake\n-----END OPENSSH PRIVATE KEY-----", Moves, "a private key"},
		{"ANYTHING", "eyJmYWtlIjoxfQ.eyJmYWtlIjoxfQ.ZmFrZQ", Moves, "a web token (JWT)"},
		{"ANYTHING", "ghp_fakefakefakefakefakefakefakefakefake", Moves, "a key of GitHub by its beginning"},
		{"ANYTHING", "3q9fK2mZ7xLp0Vb8RtYw", Moves, "long random text"},
		{"ANYTHING", "0123456789abcdef0123456789abcdef", Moves, "long random text"},
		{"ANYTHING", "https://api.example.com/hook/3q9fK2mZ7xLp0Vb8RtYw", Unsure, ""},
		{"ANYTHING", "https://api.example.com/?token=fake", Unsure, ""},

		{"DB_PASSWORD", "", Stays, "empty"},
		{"FLAG", "true", Stays, "a boolean"},
		{"FLAG", "Off", Stays, "a boolean"},
		{"ANYTHING", "5432", Stays, "a short number"},
		{"ANYTHING", "15m", Stays, "a short number"},
		{"ANYTHING", "0.75", Stays, "a short number"},
		{"ANYTHING", "512mb", Stays, "a short number"},
		{"DB_PASSWORD", "12345", Stays, "a short number, though its name says password"},
		{"PASSWORD_RESET", "true", Stays, "a boolean, though its name says password"},
		{"DB_PASSWORD", "1234abcd", Moves, "name says password"},
		{"ANYTHING", "123456789012", Unsure, ""},

		{"SESSION_TOKEN_TTL", "one day", Stays, "well-known configuration"},
		{"PASSWORD_MIN_LENGTH", "twelve", Stays, "well-known configuration"},
		{"TLS_KEY_FILE", "/etc/tls/key.pem", Stays, "well-known configuration"},
		{"SECRET_NAME", "app/db", Stays, "well-known configuration"},
		{"AUTH_PROVIDER", "ldap", Stays, "well-known configuration"},
		{"AUTH_URL", "https://login.example.com/realms/a", Stays, "an address without credentials"},
		{"TOKEN_ENDPOINT", "https://login.example.com/token", Stays, "an address without credentials"},
		{"JWT_PUBLIC_KEY", "fake", Stays, "a public key by its name"},
		{"STRIPE_PUBLISHABLE_KEY", "fake", Stays, "a public key by its name"},
		{"SIGNING", "-----BEGIN PUBLIC KEY-----\nfake\n-----END PUBLIC KEY-----", Stays, "a public key or certificate"},
		{"NEXT_PUBLIC_API_KEY", "fake", Stays, "public by its name"},
		{"NEXT_PUBLIC_ANON_KEY", "eyJmYWtlIjoxfQ.eyJmYWtlIjoxfQ.ZmFrZQ", Stays, "public by its name"},
		{"VITE_DB", "postgres://u:fake@h/db", Moves, "an address with a password"},
		{"NODE_ENV", "production", Stays, "well-known configuration"},
		{"node_env", "whatever it is", Stays, "well-known configuration"},
		{"TZ", "Europe/Berlin", Stays, "well-known configuration"},
		{"DB_HOST", "db.internal", Stays, "well-known configuration"},
		{"ANYTHING", "debug", Stays, "well-known configuration"},
		{"ANYTHING", "localhost:3000", Stays, "an address without credentials"},
		{"ANYTHING", "10.0.0.0/8, 192.168.0.1", Stays, "an address without credentials"},
		{"ANYTHING", "http://localhost:8080/api?version=2", Stays, "an address without credentials"},
		{"ANYTHING", "/var/lib/app", Stays, "a path"},

		{"ANYTHING", "fake", Unsure, ""},
		{"TOKENIZER", "wordpiece", Unsure, ""},
		{"AUTHOR", "somebody", Unsure, ""},
		{"KEYBOARD", "qwertz", Unsure, ""},
		{"ANYTHING", "some words that nobody drew at random 123", Unsure, ""},
	} {
		if got := Of(c.name, []byte(c.value)); got != (Verdict{c.want, c.why}) {
			t.Errorf("%s: %v %q, want %v %q", c.name, got.Leaning, got.Why, c.want, c.why)
		}
	}
}

func TestCollection(t *testing.T) {
	for name, want := range map[string]bool{"ConnectionStrings": true, "connection_strings": true, "apiTokens": true, "secrets": true, "auth": false, "": false, "strings": false} {
		if Collection(name) != want {
			t.Errorf("Collection(%q) is not %v", name, want)
		}
	}
}

// FuzzOf: a reason never holds a piece of the value, unless it is one of the
// reason's own words.
func FuzzOf(f *testing.F) {
	f.Add("DB_PASSWORD", "canary-fake-value")
	f.Add("X", "postgres://u:fake@h/db")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, name, value string) {
		v := Of(name, []byte(value))
		if (v.Leaning == Unsure) != (v.Why == "") {
			t.Errorf("%v with the reason %q", v.Leaning, v.Why)
		}
		if len(value) > 40 && strings.Contains(v.Why, value) && !strings.Contains(name, value) {
			t.Errorf("the reason %q quotes the value", v.Why)
		}
	})
}
