package admin

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
)

// elsewhere are answers about paths that are no engine or login method of an action's
// kind, and would take its requests.
var elsewhere = map[string]string{
	"GET sys/internal/ui/mounts/old":                   `{"data":{"path":"old/","type":"kv"}}`,
	"GET sys/internal/ui/mounts/secret/metadata":       `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`,
	"GET sys/internal/ui/mounts/database/creds":        `{"data":{"path":"database/","type":"database"}}`,
	"GET sys/internal/ui/mounts/sys":                   `{"data":{"path":"sys/","type":"system"}}`,
	"GET sys/internal/ui/mounts/auth/kubernetes":       `{"data":{"path":"kubernetes/","type":"kubernetes"}}`,
	"GET sys/internal/ui/mounts/auth/approle/role/app": `{"data":{"path":"approle/","type":"approle"}}`,
}

// TestPaths: an action that takes --path or PATH changes and reads nothing where that is
// not the path of what the action is about.
func TestPaths(t *testing.T) {
	t.Parallel()
	prefixes := []string{"lease list", "lease revoke-all"} // of leases, by the API itself
	tried := 0
	for _, act := range List().Actions {
		i := slices.IndexFunc(act.Inputs, func(in keyturn.Input) bool { return in.Name == "path" })
		if i < 0 || slices.Contains(prefixes, act.Name) {
			continue
		}
		at := slices.IndexFunc(rows, func(x row) bool { return x.action == act.Name })
		paths := []string{"old", "secret/metadata", "database/creds", "sys", "kubernetes", "approle/role/app", "nosuch"}
		switch act.Name {
		case "enable", "auth enable": // at any path that is free, says the server
			paths = []string{"secret/tune", "tune", "approle/tune"}
		case "settings", "tune", "disable":
			paths = paths[1:]
		}
		for _, path := range paths {
			x := rows[at]
			x.answers, x.args = elsewhere, platform.Args{"path": {path}}
			for name, texts := range rows[at].args {
				if name != "path" {
					x.args[name] = texts
				}
			}
			w := &wire{}
			_, err := x.run(t, w)
			if !errors.Is(err, keyturn.NotFound) && !errors.Is(err, keyturn.Invalid) && !errors.Is(err, keyturn.Denied) {
				t.Errorf("%s at %s: %v", act.Name, path, err)
			}
			for _, asked := range w.asked {
				if !strings.HasPrefix(asked, "GET sys/internal/ui/mounts/") && asked != "GET sys/mounts" && asked != "GET sys/auth" {
					t.Errorf("%s at %s asks %s", act.Name, path, asked)
				}
			}
			tried++
		}
	}
	if tried < 100 {
		t.Errorf("%d tried", tried)
	}
	// A principal's method is one, too.
	x := rows[slices.IndexFunc(rows, func(x row) bool { return x.action == keyturn.ActionGrant })]
	x.answers, x.args = elsewhere, platform.Args{"principal": {"vault:approle/role/app/secret-id"}, "can": {"read"}}
	w := &wire{}
	if _, err := x.run(t, w); !errors.Is(err, keyturn.NotFound) || len(w.asked) != 2 {
		t.Errorf("a grant to what is within a method: %v, asked %v", err, w.asked)
	}
}
