package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/runner"
	"github.com/keyturn/keyturn/internal/session"
)

// TestRunWithoutADoor: package runner holds by itself, with a whole program below it and
// no command line above it, what an agent's command is not given and does not show, and
// that a person's yes trusts a project.
func TestRunWithoutADoor(t *testing.T) {
	shell, err := os.Stat("/bin/sh")
	if err != nil || shell.IsDir() {
		t.Skip("the command that is run is a shell of Unix")
	}
	const password, pin = "kR7pQ2mZ9xLw4tBv8sNc", "777" // the pin is too short to be redacted
	d := newDesk(t)
	d.init()
	dir, err := filepath.EvalSymlinks(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(config.FileName, "env:\n  DB_PASSWORD: kt://local/shop#password\n")
	rules := write("rules.yaml", "rules:\n  - {who: agents, may: [use], on: [\"local/shop\"], run: [\"sh **\"]}\n")
	environ := append(d.m.Environ, "KEYTURN_PASSPHRASE_FILE=/somewhere/pass", "NODE_OPTIONS=--require=x", "PATH=/usr/bin:/bin")

	// run runs a command as whoever the environment speaks of.
	run := func(environ []string, o runner.Options) (*runner.Plan, string, error) {
		t.Helper()
		m := d.m.Options
		m.Environ = environ
		s, err := m.machine().open(t.Context(), session.How{Config: rules, Desk: agreeable{}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		r := &runner.Runner{Facts: s.Facts, Desk: s.How.Desk, Environ: environ, Dir: dir, Read: os.ReadFile}
		p, err := r.Plan(o)
		if err == nil {
			err = p.Fetch(t.Context(), s)
		}
		if err == nil {
			err = p.Run(t.Context(), s, runner.Streams{Stdout: out, Stderr: out}, time.Time{})
		}
		text, readErr := os.ReadFile(out.Name())
		if readErr != nil {
			t.Fatal(readErr)
		}
		return p, string(text), err
	}
	s, err := d.m.open(t.Context(), session.How{Config: rules, Desk: agreeable{}, Trusting: true, Yes: true})
	if err == nil {
		_, _, err = session.TrustConfig(t.Context(), s)
	}
	if err == nil {
		err = s.Close()
	}
	if err == nil {
		s, err = d.m.open(t.Context(), session.How{Config: rules, Desk: session.Nobody{}})
	}
	if err != nil {
		t.Fatal(err)
	}
	ref := keyturn.MustRef("local/shop")
	id, err := s.Service.Seal(t.Context(), ref, map[string]keyturn.Value{"password": keyturn.NewValue([]byte(password)), "pin": keyturn.NewValue([]byte(pin))})
	if err == nil {
		_, err = s.Service.Do(t.Context(), keyturn.PutSecret{Ref: ref, Candidate: id})
	}
	if closeErr := s.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}

	sh := func(script string) []string { return []string{"sh", "-c", script} }
	show := runner.Options{Command: sh(`echo "[$DB_PASSWORD|$PIN|$NODE_OPTIONS|$KEYTURN_PASSPHRASE_FILE]"`)}
	agent := append(environ, "CLAUDECODE=1")

	// An agent cannot trust the project; a person says yes when asked, and gets all but
	// what opens the store.
	if _, out, err := run(agent, show); keyturn.AsError(err).Code != keyturn.Denied || out != "" {
		t.Fatalf("%q (%v)", out, err)
	}
	if _, out, err := run(environ, show); err != nil || out != "[[redacted:local/shop#password]||--require=x|]\n" {
		t.Fatalf("%q (%v)", out, err)
	}
	// The agent gets no variable that changes how programs run.
	if _, out, err := run(agent, show); err != nil || out != "[[redacted]|||]\n" {
		t.Errorf("%q (%v)", out, err)
	}
	// It sees nothing once a value cannot be redacted, and the command runs all the same.
	with := show
	with.Env = []runner.Binding{{Name: "PIN", Ref: "local/shop#pin"}}
	p, out, err := run(agent, with)
	if err != nil || out != "" || p.Output != "withheld" || !p.Status.Started || p.Status.Code != 0 {
		t.Errorf("%q, %q, %+v (%v)", out, p.Output, p.Status, err)
	}
	if p, out, err = run(environ, with); err != nil || p.Output != "redacted" || !strings.Contains(out, pin) || strings.Contains(out, password) {
		t.Errorf("%q, %q (%v)", out, p.Output, err)
	}
	// No value decides which program the agent starts.
	with.Env = []runner.Binding{{Name: "PATH", Ref: "local/shop#pin"}}
	if _, out, err := run(agent, with); keyturn.AsError(err).Code != keyturn.Denied || out != "" {
		t.Errorf("%q (%v)", out, err)
	}
}
