package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/whois"
	"github.com/keyturn/keyturn/internal/world/servers"
)

// TestMain lets scripts run the whole program as "keyturn". Its caller is found
// out by the environment alone: who runs the tests may be an agent.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"keyturn": func() {
			os.Exit(app.Main(app.Options{Who: whois.Source{
				Ancestors: func() ([]whois.Process, error) { return nil, nil },
				Exists:    func(string) bool { return false },
			}, Now: now}))
		},
		"onterminal": onTerminal,
		"bytes":      writeBytes,
		"forge":      forge,
		"agekey":     ageKey,
		"browse":     browse,
		"xdg-open":   visit,
	})
}

// now is the time, or as much later as the variable CLOCK_AHEAD says.
func now() time.Time {
	ahead, _ := time.ParseDuration(os.Getenv("CLOCK_AHEAD"))
	return time.Now().Add(ahead)
}

// TestScripts runs what a user could type: testdata/script/COMMAND/*.txtar. With -short
// it runs the first script of each command.
func TestScripts(t *testing.T) {
	dirs, err := filepath.Glob("testdata/script/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var first []string
	for _, dir := range dirs {
		scripts, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
		if err != nil || len(scripts) == 0 {
			t.Fatalf("%s holds no script (%v)", dir, err)
		}
		first = append(first, scripts[0])
		if !testing.Short() {
			t.Run(filepath.Base(dir), func(t *testing.T) { runScripts(t, scripts) })
		}
	}
	if testing.Short() {
		runScripts(t, first)
	}
}

func runScripts(t *testing.T, files []string) {
	testscript.Run(t, testscript.Params{Files: files, Setup: setup, RequireExplicitExec: true, Cmds: map[string]func(*testscript.TestScript, bool, []string){
		"status":     status,
		"nofiles":    noFiles,
		"capture":    capture,
		"shape":      shape,
		"secretless": secretless,
		"vault":      realVault,
		"database":   realDatabase,
		"rabbitmq":   playedRabbit,
		"issuer":     startIssuer,
		"stranger":   stranger,
	}, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != ""})
}

// setup gives each script a machine of its own: a home, no configuration, no
// marks of an agent.
func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	var vars []string
	for _, v := range env.Vars {
		name, _, _ := strings.Cut(v, "=")
		if name == "HOME" || strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "KEYTURN_") || strings.HasPrefix(name, "XDG_") {
			continue
		}
		vars = append(vars, v)
	}
	env.Vars = append(vars, "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_DATA_HOME="+filepath.Join(home, ".local", "share"),
		"KEYTURN_HOME="+filepath.Join(env.WorkDir, "store"), "NO_COLOR=1", "TERM=xterm", "GORACE=atexit_sleep_ms=0")
	env.Values[testOf], env.Values[vaultOf] = env.T(), new(*servers.Vault)
	return nil
}

// status runs a command and checks its exit status: status 3 keyturn get x
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var code interface{ ExitCode() int }
		if !asExit(err, &code) {
			ts.Fatalf("%v", err)
		}
		got = code.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func asExit(err error, code *interface{ ExitCode() int }) bool {
	c, ok := err.(interface{ ExitCode() int })
	*code = c
	return ok
}

// noFiles checks that nothing matches the patterns: no file was left behind.
func noFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nofiles PATTERN...")
	}
	for _, pattern := range args {
		found, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if len(found) > 0 {
			ts.Fatalf("left behind: %v", found)
		}
	}
}

// capture sets a variable to what a pattern's first group matches in the last
// standard output or error: capture ID stderr 'approve ([a-z0-9]+)'
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME stdout|stderr PATTERN")
	}
	text := ts.ReadFile(args[1])
	group, err := firstGroup(args[2], text)
	ts.Check(err)
	ts.Setenv(args[0], group)
}
