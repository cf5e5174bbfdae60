package world_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/world"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// nowhere fails where any part of value was printed.
func nowhere(t *testing.T, value, line string, out world.Output) {
	t.Helper()
	for where, text := range map[string]string{"standard output": out.Stdout, "standard error": out.Stderr} {
		if found := search(value, []byte(text)); found != nil {
			t.Errorf("%s: the value is on %s (%v)", shortened(line), where, found)
		}
	}
	if out.Status == 1 {
		t.Errorf("%s: an internal error\n%s", shortened(line), out.Stderr)
	}
}

// noFileHolds searches all that a machine's programs have written.
func noFileHolds(t *testing.T, m *world.Machine, value string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(m.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if found := search(value, append(data, path...)); found != nil {
			t.Errorf("the value is in %s (%v)", strings.TrimPrefix(path, m.Root), found)
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("searched %d files (%v)", files, err)
	}
}

// TestCanaryVault puts a marked value through every command's way to a real Vault and
// back, with a token that may and one that may not, sealed and away, with -v and in
// JSON; what shows it on purpose is told apart.
func TestCanaryVault(t *testing.T) {
	v := onDisk(t)
	value, token := canary(), v.Root
	m := withVault(t, v.Address, token)
	agent := m.As("AI_AGENT=canary")
	in := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(in, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	js, _ := json.Marshal(map[string]any{"password": value, "user": "app", "port": 5432})
	object, file := string(js), write("value", value)
	env := "A_TOKEN='" + strings.ReplaceAll(value, "'", "") + "'\nPORT=80\n"
	v.Call(http.MethodPost, "secret/data/theirs", map[string]any{"data": json.RawMessage(js), "options": map[string]any{}}, nil)
	v.Call(http.MethodPost, "secret/metadata/theirs", map[string]any{"custom_metadata": map[string]string{"team": "web"}}, nil)
	type line struct {
		stdin string
		args  []string
		shows bool
	}
	lines := func(json ...string) []line {
		var out []line
		add := func(stdin string, args ...string) {
			out = append(out, line{stdin, append(slices.Clone(args), json...), false})
		}
		add(object, "put", "vault/secret/c", "--from-json", "-", "--label", "team=web")
		add(value, "put", "vault/secret/c", "other=-", "--merge")
		add("", "put", "vault/secret/c", "third=@"+file, "--merge", "--if-version", "1")
		add("", "put", "vault/secret/c", "fourth="+value, "--if-version", "99")
		add("", "put", "vault/secret/c", "odd\x01="+value)
		add("", "put", "vault/nowhere/c", "password="+value)
		add("", "put", "vault/secret", "password="+value)
		add("", "put", "vault/secret/public", "password="+value, "--public", "password")
		add(object+"}", "put", "vault/secret/broken", "--from-json", "-")
		for _, args := range [][]string{
			{"get", "vault/secret/c"}, {"get", "vault/secret/theirs#password"}, {"get", "vault/secret/nothing"}, {"list", "vault/"}, {"list", "vault/secret", "--shallow"},
			{"history", "vault/secret/c"}, {"status"}, {"doctor"}, {"config", "check"}, {"diff", "vault/secret/c", "vault/secret/theirs"},
			{"copy", "vault/secret/theirs", "local/copied", "--replace"}, {"copy", "vault/secret/theirs", "vault/secret/copied", "--replace", "--verify"},
			{"copy", "local/copied#password", "vault/secret/field#p"}, {"rollback", "vault/secret/c"}, {"delete", "vault/secret/c"}, {"get", "vault/secret/c"}, {"restore", "vault/secret/c"},
			{"destroy", "vault/secret/c", "--versions", "1", "--yes"}, {"get", "vault/secret/c?version=1#password"}, {"migrate", write("m.env", env), "--to", "vault/secret/env"},
			{"migrate", "--rollback"}, {"audit", "list"}, {"audit", "verify"},
		} {
			add("", args...)
		}
		script := `printf 'it is %s\n' "$P"; printf %s "$P" | base64; printf x%s "$P" | base64; printf xy%s "$P" | base64 >&2`
		for _, ref := range []string{"vault/secret/theirs#password", "vault/secret/nothing#x", "vault/nowhere/a#b"} {
			out = append(out, line{"", []string{"run", "-v", "--env", "P=" + ref, "--", "sh", "-c", script}, false})
		}
		out = append(out, line{"", []string{"render", write("broken", value[:27]+` {{ "kt://vault/secret/theirs#nothing" }} {{`), "-v"}, false},
			line{"", []string{"get", "vault/secret/theirs#password", "--reveal", "--allow-pipe"}, true},
			line{"", []string{"render", write("template", `{{ "kt://vault/secret/theirs#password" }}`), "--trust-project", "--allow-pipe"}, true})
		return out
	}
	count := 0
	each := func(on *world.Machine, may bool) {
		t.Helper()
		for _, l := range append(lines("-v"), lines("-o", "json", "-v")...) {
			out := on.Run(l.stdin, l.args...)
			count++
			if strings.Contains(out.Stdout+out.Stderr, token) {
				t.Errorf("%s: the token is printed", shortened(strings.Join(l.args, " ")))
			}
			if !l.shows {
				nowhere(t, value, strings.Join(l.args, " "), out)
			} else if shown := search(value, []byte(out.Stdout)) != nil; shown != may {
				t.Errorf("%s: shown: %v, want %v\n%s", strings.Join(l.args, " "), shown, may, out.Stderr)
			}
		}
	}
	each(m, true)
	each(agent, false)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Call(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"default"}}, &made)
	each(m.As("VAULT_TOKEN="+made.Auth.Token), false)
	each(m.As("VAULT_TOKEN=hvs.none"), false)
	v.Seal()
	each(m, false)
	m.Must("", "audit", "verify")
	noFileHolds(t, m, value)
	noFileHolds(t, m, token)
	t.Logf("%d command lines", count)
}

// TestCanaryHostileVault: a server that says back whatever it was sent, and all it
// holds, in errors of every status and in answers of every odd shape, has none of it
// printed or written.
func TestCanaryHostileVault(t *testing.T) {
	value := canary()
	w := servers.NewWire(t)
	m := withVault(t, w.Address, "hvs."+value[3:27])
	shapes := []string{`{"errors":[%s]}`, `{"errors":%s}`, `%s`, `{"data":%s}`, `{"data":{"data":%s,"metadata":{"version":%[1]s}}}`, `{"data":{"keys":[%s],"metadata":{"custom_metadata":%[1]s}}}`}
	statuses := []int{301, 400, 403, 404, 412, 429, 500, 503}
	count := 0
	for i := range len(shapes) + len(statuses) {
		status, shape := http.StatusOK, shapes[i%len(shapes)]
		if i >= len(shapes) {
			status, shape = statuses[i-len(shapes)], shapes[i%2]
		}
		w.Before(func(out http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/") && status != 403 {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			text, _ := json.Marshal(value + string(body) + r.Header.Get("X-Vault-Token"))
			for _, h := range []string{"Location", "Retry-After", "Warning"} {
				out.Header().Set(h, "/"+value[3:27])
			}
			out.WriteHeader(status)
			_, _ = fmt.Fprintf(out, shape, text)
			return true
		})
		lines := [][]string{
			{"get", "vault/secret/a", "-v"}, {"put", "vault/secret/a", "password=-", "--replace", "-o", "json", "-v"}, {"list", "vault/secret", "-v"},
			{"run", "-v", "--env", "P=vault/secret/a#f", "--", "true"},
		}
		outs := make([]world.Output, len(lines))
		var wg sync.WaitGroup
		for j, args := range lines {
			wg.Go(func() { outs[j] = m.Run(value, args...) }) // most of it is waiting to try again
		}
		wg.Wait()
		for j, args := range lines {
			count++
			nowhere(t, value, fmt.Sprintf("status %d, %s: %s", status, shape, strings.Join(args, " ")), outs[j])
			if outs[j].Status == 0 && args[0] != "list" {
				t.Errorf("status %d, %s: %s went well", status, shape, strings.Join(args, " "))
			}
		}
	}
	noFileHolds(t, m, value)
	t.Logf("%d command lines", count)
}

// TestCanaryDebug: what Go prints of its connections when the environment asks for it
// shows neither value, password nor token, of no command; nothing is spoken of which
// it would print it.
func TestCanaryDebug(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("GitHub Actions is played by a server that the system's authorities know: elsewhere they are in no file")
	}
	value := canary()
	w := servers.NewWireTLS(t)
	w.Set("a", map[string]any{"f": value})
	var two atomic.Int64
	w.Before(func(out http.ResponseWriter, r *http.Request) bool {
		if r.ProtoMajor != 1 {
			two.Add(1)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/auth/userpass/login/"), r.URL.Path == "/v1/auth/jwt/login":
			_, _ = io.WriteString(out, `{"auth":{"client_token":"hvs.`+value[3:27]+`","accessor":"acc","policies":["app"],"lease_duration":60}}`)
		case r.URL.Path == "/actions":
			_, _ = io.WriteString(out, `{"value":"`+value[3:27]+`"}`)
		case strings.HasSuffix(r.URL.Path, "/revoke-self"):
			out.WriteHeader(http.StatusNoContent)
		default:
			return false
		}
		return true
	})
	for _, debug := range []string{"http2debug=1", "http2debug=2"} {
		m := world.New(t).As("VAULT_ADDR="+w.Address, "VAULT_CACERT="+w.CACert, "SSL_CERT_FILE="+w.CACert, "GODEBUG="+debug)
		m.Must("", "init", "--key", "file")
		for _, c := range []struct {
			stdin string
			vars  []string
			args  []string
		}{
			{value, nil, []string{"login", "vault", "--method", "userpass", "--username", "anna", "-"}},
			{"", []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + w.Address + "/actions", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + value}, []string{"login", "vault", "--method", "jwt", "--role", "ci"}},
			{"", nil, []string{"get", "vault/secret/a"}},
			{value, nil, []string{"put", "vault/secret/b", "f=-"}},
			{"", nil, []string{"list", "vault/secret/"}},
			{"", nil, []string{"run", "--env", "P=vault/secret/a#f", "--", "true"}},
			{"", nil, []string{"status"}},
			{"", nil, []string{"logout", "vault"}},
		} {
			line := debug + ": " + strings.Join(c.args, " ")
			out := m.As(c.vars...).Run(c.stdin, append(c.args, "-v")...)
			nowhere(t, value, line, out)
			if out.Status != 0 || strings.Contains(out.Stderr, "http2") {
				t.Errorf("%s: status %d\n%s", line, out.Status, shortened(out.Stderr))
			}
			if strings.Contains(out.Stdout+out.Stderr, value[3:27]) {
				t.Errorf("%s: the token is printed", line)
			}
		}
	}
	if two.Load() > 0 {
		t.Errorf("%d requests by HTTP/2", two.Load())
	}
}
