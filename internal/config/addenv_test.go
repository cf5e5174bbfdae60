package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
)

func TestAddEnv(t *testing.T) {
	add := []keyturn.Binding{{Name: "B", Ref: keyturn.MustRef("local/app#B")}, {Name: "A", Ref: keyturn.MustRef("local/app#a%20b")}}
	const lines = "  B: \"kt://local/app#B\"\n  A: \"kt://local/app#a%20b\"\n"
	for name, c := range map[string]struct{ old, want string }{
		"no file":           {"", "env:\n" + lines},
		"only a comment":    {"# mine\n", "# mine\nenv:\n" + lines},
		"no last line end":  {"env:\n  Z: kt://local/z", "env:\n  Z: kt://local/z\n" + lines},
		"an empty env":      {"env:\nnever: []\n", "env:\n" + lines + "never: []\n"},
		"another section":   {"never:\n  - {who: agents, on: [\"prod/**\"]} # no\n", "never:\n  - {who: agents, on: [\"prod/**\"]} # no\nenv:\n" + lines},
		"in the middle":     {"env: # ours\n  Z: kt://local/z # last\n  # of env\n\n# of never\nnever: []\n", "env: # ours\n  Z: kt://local/z # last\n  # of env\n" + lines + "\n# of never\nnever: []\n"},
		"deeper":            {"env:\n    Z: kt://local/z\n", "env:\n    Z: kt://local/z\n" + strings.ReplaceAll(lines, "  ", "    ")},
		"CR LF":             {"env:\r\n  Z: kt://local/z\r\n", "env:\r\n  Z: kt://local/z\r\n" + strings.ReplaceAll(lines, "\n", "\r\n")},
		"one is there":      {"env:\n  B: kt://local/app#B\n", "env:\n  B: kt://local/app#B\n  A: \"kt://local/app#a%20b\"\n"},
		"all are there":     {"env: {A: \"kt://local/app#a%20b\", B: \"kt://local/app#B\"}\n", "env: {A: \"kt://local/app#a%20b\", B: \"kt://local/app#B\"}\n"},
		"behind a document": {"---\nenv:\n  Z: kt://local/z\n", "---\nenv:\n  Z: kt://local/z\n" + lines},
	} {
		got, err := config.AddEnv("keyturn.yaml", []byte(c.old), add)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s\n%v", name, got, c.want, err)
		}
	}
	for name, c := range map[string]struct {
		old  string
		add  keyturn.Binding
		code keyturn.Code
	}{
		"another reference": {"env:\n  B: kt://local/other\n", add[0], keyturn.Conflict},
		"in one line":       {"env: {Z: \"kt://local/z\"}\n", add[0], keyturn.Invalid},
		"all in one line":   {"{env: {Z: \"kt://local/z\"}}\n", add[0], keyturn.Invalid},
		"a steering name":   {"", keyturn.Binding{Name: "PATH", Ref: add[0].Ref}, keyturn.Invalid},
		"no name":           {"", keyturn.Binding{Name: "a-b", Ref: add[0].Ref}, keyturn.Invalid},
		"a broken file":     {"env: [\n", add[0], keyturn.Invalid},
		"an operator's":     {"mounts: {}\n", add[0], keyturn.Invalid},
		"after its end":     {"env:\n  Z: kt://local/z\n...\n", add[0], keyturn.Invalid},
	} {
		if got, err := config.AddEnv("keyturn.yaml", []byte(c.old), []keyturn.Binding{c.add}); !errors.Is(err, c.code) || got != nil {
			t.Errorf("%s: %q, %v; want %s", name, got, err, c.code)
		}
	}
}
