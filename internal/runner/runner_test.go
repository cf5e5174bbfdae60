package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/variable"
)

// childVariable makes the test binary the command that is run: it prints its
// environment, sorted, to both streams.
const childVariable = "RUNNER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	env := os.Environ()
	slices.Sort(env)
	for _, kv := range env {
		fmt.Println(kv)
		fmt.Fprintln(os.Stderr, kv)
	}
}

const (
	long  = "fAkE-7kR2pQ9mZ4xLw8tBv" // nobody guesses it
	short = "777"                    // too short to be redacted
)

var (
	anna    = keyturn.Actor{Kind: keyturn.Person, Name: "anna", Proof: "os-user"}
	coder   = keyturn.Actor{Kind: keyturn.Agent, Name: "coder", For: "anna", Proof: "environment"}
	builder = keyturn.Actor{Kind: keyturn.ServiceKind, Name: "ci", Proof: "environment"}
	callers = []keyturn.Actor{anna, coder, builder}
)

// service is a Service that delivers what a command asks for, and keeps trust.
type service struct {
	who     keyturn.Actor
	values  map[string]string // by reference
	trusted []keyturn.Binding
	did     []string // kinds of the operations
	op      keyturn.RunCommand
	kept    map[string]string // the plain variables of a trusted file
	leases  []keyturn.LeaseInfo
	// what is delivered beside the values
	output   keyturn.Output
	why      string
	reserved bool
	closed   bool     // a person may not see the values either
	chosen   []string // what the caller may have chosen
	ended    []keyturn.EndCommand
	unseen   []string // of a template: what the caller sees by it alone
}

func (s *service) Seal(context.Context, keyturn.Ref, map[string]keyturn.Value) (string, error) {
	return "", errors.ErrUnsupported
}

func (s *service) Do(_ context.Context, op keyturn.Op) (keyturn.Result, error) {
	s.did = append(s.did, op.Kind())
	switch op := op.(type) {
	case keyturn.TrustProject:
		s.trusted = op.Pinned
		return &keyturn.Trusted{}, nil
	case keyturn.RevokeLease:
		return &keyturn.Leased{}, nil
	case keyturn.EndCommand:
		s.ended = append(s.ended, op)
		return &keyturn.Ended{}, nil
	case keyturn.RenderTemplate:
		f := &keyturn.Filling{Receipt: keyturn.Receipt{AuditID: "render"}, Values: map[keyturn.Ref]keyturn.Value{}}
		for _, ref := range op.Secrets {
			f.Values[ref] = keyturn.NewValue([]byte(s.values[ref.Short()]))
			if slices.Contains(s.unseen, ref.Short()) {
				f.Unseen = append(f.Unseen, ref)
			}
		}
		return f, nil
	case keyturn.RunCommand:
		s.op = op
		if op.Project != "" && !slices.Equal(op.Pinned, s.trusted) {
			e := keyturn.E(keyturn.Denied, "the project is not trusted yet", "").With(keyturn.Untrusted)
			e.Asks = &keyturn.Asked{Path: op.Project, Added: op.Pinned}
			return nil, e
		}
		d := &keyturn.Delivery{Receipt: keyturn.Receipt{AuditID: "run"}, Leases: s.leases, Output: s.output, Why: s.why, Reserved: s.reserved}
		for _, b := range op.Env {
			text, ok := s.values[b.Ref.Short()]
			if !ok {
				return nil, keyturn.E(keyturn.NotFound, "there is no such field", "").About(b.Ref)
			}
			d.Env = append(d.Env, keyturn.Delivered{Name: b.Name, Ref: b.Ref, Value: keyturn.NewValue([]byte(text)), Label: b.Ref.Short(),
				Open: s.who.Kind == keyturn.Person && !s.closed, Chosen: slices.Contains(s.chosen, b.Ref.Short())})
		}
		return d, nil
	}
	return nil, keyturn.E(keyturn.Unsupported, op.Kind(), "")
}

// desk is a person who says yes or no, and what the person was told.
type desk struct {
	session.Nobody
	yes   bool
	told  []string
	asked []string
}

func (d *desk) Possible() bool { return true }

func (d *desk) Say(format string, args ...any) { d.told = append(d.told, fmt.Sprintf(format, args...)) }

func (d *desk) Confirm(_ context.Context, question string) (bool, error) {
	d.asked = append(d.asked, question)
	return d.yes, nil
}

// caller is somebody with a folder and an environment who runs commands.
type caller struct {
	t *testing.T
	*Runner
	service *service
	desk    *desk
	session *session.Session
	// what the last command wrote
	out, err string
}

func newCaller(t *testing.T, actor keyturn.Actor, environ ...string) *caller {
	t.Helper()
	c := &caller{t: t, desk: &desk{}, service: &service{who: actor, values: map[string]string{"local/shop#A": long, "local/shop#PIN": short}}}
	dir := t.TempDir()
	facts := session.Facts{Actor: actor, Home: filepath.Join(dir, "keyturn"), Mounts: []string{"local"}}
	environ = append([]string{childVariable + "=1", "SystemRoot=" + os.Getenv("SystemRoot")}, environ...)
	c.Runner = &Runner{Facts: facts, Desk: c.desk, Environ: environ, Dir: dir, Read: os.ReadFile}
	c.session = &session.Session{Service: c.service, Facts: facts, How: session.How{Desk: c.desk},
		SameLines: func(_ context.Context, _ string, lines map[string]keyturn.Value) (same []string, err error) {
			for name, v := range lines {
				if text, ok := c.service.kept[name]; ok && v.Equal(keyturn.NewValue([]byte(text))) {
					same = append(same, name)
				}
			}
			return same, nil
		}}
	c.rule("")
	return c
}

// rule lets agents and services use all secrets by the test binary, with these variables of
// their own beside the one that makes it the command.
func (c *caller) rule(env string) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	c.session.Rules, err = rules.New(rules.Input{Rules: []rules.Source{{Who: []string{"agents", "services"}, May: []string{"use"}, On: []string{"**"},
		Run: []string{keyturn.Quote(self) + " **", "tool"}, Env: append(strings.Fields(env), childVariable), File: "ops.yaml", Line: 2}}})
	if err != nil {
		c.t.Fatal(err)
	}
}

// write makes a file in the caller's folder, and returns its path.
func (c *caller) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// run runs the test binary, and returns its plan.
func (c *caller) run(o Options) (*Plan, error) {
	c.t.Helper()
	if o.Command == nil {
		self, err := os.Executable()
		if err != nil {
			c.t.Fatal(err)
		}
		o.Command = []string{self}
	}
	var streams [2]*os.File
	for i := range streams {
		f, err := os.Create(filepath.Join(c.t.TempDir(), "stream"))
		if err != nil {
			c.t.Fatal(err)
		}
		defer f.Close()
		streams[i] = f
	}
	p, err := c.Plan(o)
	if err == nil {
		err = p.Fetch(c.t.Context(), c.session)
	}
	if err == nil {
		err = p.Run(c.t.Context(), c.session, Streams{Stdout: streams[0], Stderr: streams[1]}, time.Time{})
	}
	for i, to := range []*string{&c.out, &c.err} {
		b, err := os.ReadFile(streams[i].Name())
		if err != nil {
			c.t.Fatal(err)
		}
		*to = string(b)
	}
	return p, err
}

// gets reports whether the last command's output names a variable.
func (c *caller) gets(name string) bool { return strings.Contains("\n"+c.out, "\n"+name+"=") }

func (c *caller) told(part string) bool {
	return slices.ContainsFunc(c.desk.told, func(s string) bool { return strings.Contains(s, part) })
}

// TestNoLengths: nobody is told how long a value is, and no agent or service which of
// several is the longest.
func TestNoLengths(t *testing.T) {
	for _, who := range callers {
		var said []string
		for _, longer := range []string{"A", "PIN"} {
			c := newCaller(t, who)
			for _, name := range []string{"A", "PIN"} {
				b := make([]byte, 750_000)
				if name == longer {
					b = make([]byte, 800_000)
				}
				_, _ = rand.Read(b)
				c.service.values["local/shop#"+name] = hex.EncodeToString(b)
			}
			_, err := c.run(Options{Env: []Binding{{"A", "local/shop#A"}, {"PIN", "local/shop#PIN"}}})
			e := keyturn.AsError(err)
			if e == nil || e.Code != keyturn.Invalid {
				t.Fatal(err)
			}
			text := e.Message + "\n" + e.Hint
			if strings.Contains(text, "1600000") || strings.Contains(text, "1500000") {
				t.Errorf("%s is told a length: %s", who.Kind, text)
			}
			said = append(said, text)
		}
		if same := said[0] == said[1]; same != (who.Kind != keyturn.Person) {
			t.Errorf("%s is told %q", who.Kind, said)
		}
	}
}

// TestWithheldFromAgents: where one value of a command cannot be redacted, who may not see
// it sees nothing of the command's output: no agent, no service, and no person either. Who
// may see it sees the rest of it, redacted, and a notice.
func TestWithheldFromAgents(t *testing.T) {
	for i, who := range append(callers, anna) {
		c := newCaller(t, who)
		c.service.closed = i == len(callers)
		p, err := c.run(Options{Env: []Binding{{"A", "local/shop#A"}, {"PIN", "local/shop#PIN"}}})
		if err != nil || !p.Status.Started || p.Status.Code != 0 {
			t.Fatalf("%s: %+v (%v)", who.Kind, p.Status, err)
		}
		reason := "too short, too common or too easy to guess" // which of them is for who may see it
		if who.Kind == keyturn.Person && !c.service.closed {
			reason = "too short"
		}
		if !c.told("the value of local/shop#PIN is " + reason + " to be redacted") {
			t.Errorf("%s: told was %q", who.Kind, c.desk.told)
		}
		want := "redacted"
		if who.Kind != keyturn.Person || c.service.closed {
			want = "withheld"
			if c.out != "" || c.err != "" {
				t.Errorf("%s sees %q and %q", who.Kind, c.out, c.err)
			}
			if !c.told("is withheld") || !c.told("a person can store a longer value") || c.told("--public") {
				t.Errorf("told was %q", c.desk.told)
			}
		} else if !strings.Contains(c.out, "\nPIN="+short+"\n") || !strings.Contains(c.out, "A=[redacted:local/shop#A]") || c.out != c.err {
			t.Errorf("%s: output is %q and %q", who.Kind, c.out, c.err)
		}
		if doc := p.Report(nil, false); doc.Command.Output != want || p.Output != want || strings.Contains(c.out, long) {
			t.Errorf("%s: output is %q, not %q: %q", who.Kind, p.Output, want, c.out)
		}
		// Without the short value there is nothing to withhold.
		if p, err = c.run(Options{Env: []Binding{{"A", "local/shop#A"}}}); err != nil || p.Output != "redacted" || !strings.Contains(c.out, "A=[redacted:local/shop#A]") {
			t.Errorf("%s: output is %q: %q (%v)", who.Kind, p.Output, c.out, err)
		}
	}
}

// TestPathOfASecret: no value decides which program an agent or a service starts: that
// is refused before a value is asked for. A person's program is looked for in the value.
func TestPathOfASecret(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder, name := filepath.Split(self)
	for _, who := range callers {
		c := newCaller(t, who, "PATH="+folder)
		c.service.values["local/paths#PATH"] = folder
		p, err := c.run(Options{Command: []string{name}, Env: []Binding{{"PATH", "local/paths#PATH"}}})
		if who.Kind == keyturn.Person {
			if err != nil || !p.Status.Started {
				t.Errorf("%+v (%v)", p.Status, err)
			}
			continue
		}
		if !errors.Is(err, keyturn.Denied) || p.Status.Started || len(c.service.did) > 0 || c.out != "" {
			t.Errorf("%s: %+v, %q (%v)", who.Kind, p.Status, c.service.did, err)
		}
	}
}

// TestPassphraseFileStays: nobody's command gets the file of the store's passphrase,
// neither inherited nor from a file of variables, with secrets and without.
func TestPassphraseFileStays(t *testing.T) {
	for _, who := range callers {
		c := newCaller(t, who, variable.PassphraseFile+"=/somewhere/pass")
		file := c.write("app.env", "MODE=on${"+variable.PassphraseFile+"}\n"+variable.PassphraseFile+"=/elsewhere/pass\n")
		c.rule("MODE")
		for _, o := range []Options{
			{},
			{EnvFiles: []string{file}},
			{Env: []Binding{{"A", "local/shop#A"}}, EnvFiles: []string{file}},
		} {
			if _, err := c.run(o); err != nil {
				t.Fatal(err)
			}
			if gets := c.gets("MODE"); gets != (len(o.EnvFiles) > 0) {
				t.Errorf("%s: the command gets MODE: %v", who.Kind, gets)
			}
			if !c.gets(childVariable) || c.gets(variable.PassphraseFile) || strings.Contains(c.out, "pass\n") {
				t.Errorf("%s: the command gets %q", who.Kind, c.out)
			}
		}
	}
}

// TestReferencesThatSteer: no secret becomes a variable that changes how programs run, by
// whatever way; but for a person's --env, with a notice. Nobody's command gets the file of
// the store's passphrase by any way.
func TestReferencesThatSteer(t *testing.T) {
	ways := map[string]func(c *caller, name string) Options{
		"typed": func(_ *caller, name string) Options { return Options{Env: []Binding{{name, "local/shop#A"}}} },
		"file": func(c *caller, name string) Options {
			return Options{EnvFiles: []string{c.write("x.env", name+"=kt://local/shop#A\n")}}
		},
		"expanded": func(c *caller, name string) Options {
			return Options{EnvFiles: []string{c.write("x.env", "Z=kt://local/shop#A\n"+name+"=${Z}\n")}}
		},
		"inherited": func(c *caller, name string) Options {
			c.Environ = append(c.Environ, name+"=kt://local/shop#A")
			return Options{}
		},
		"project": func(c *caller, name string) Options {
			c.Facts.Project = &config.Project{File: filepath.Join(c.Dir, config.FileName),
				Env: []config.Binding{{Binding: keyturn.Binding{Name: name, Ref: keyturn.MustRef("local/shop#A")}}}}
			c.service.trusted = c.Facts.Project.Bindings()
			return Options{}
		},
	}
	for _, who := range callers {
		for way, options := range ways {
			for name, for_ := range map[string]string{"LD_PRELOAD": "typed", "DYLD_INSERT_LIBRARIES": "typed", "NODE_OPTIONS": "typed", "GIT_CONFIG_VALUE_0": "typed", "npm_config_script_shell": "typed",
				"KEYTURN_CONFIG": "typed", "MAKEFILES": "typed", "OPENSSL_CONF": "typed", "ENV": "person", "HOME": "person", "EDITOR": "person", "PAGER": "person", "AI_AGENT": "person", "HTTPS_PROXY": "person", "http_proxy": "person", "SSL_CERT_FILE": "person", "XDG_CONFIG_HOME": "person",
				variable.PassphraseFile: "nobody", "DB_PASSWORD": "all", "path": "all"} {
				c := newCaller(t, who)
				p, err := c.run(options(c, name))
				person := who.Kind == keyturn.Person
				want := for_ == "all" || person && (for_ == "person" || for_ == "typed" && way == "typed")
				if want != (err == nil) || want != c.gets(name) {
					t.Errorf("%s, %s, %s: gets it: %v, want %v (%v)", who.Kind, way, name, c.gets(name), want, err)
				}
				if !want && (p.Status.Started || len(c.service.did) > 0) {
					t.Errorf("%s, %s, %s: asked for %q", who.Kind, way, name, c.service.did)
				}
				if noticed := c.told("changes how programs run"); noticed != (want && for_ == "typed") {
					t.Errorf("%s, %s, %s: told %q", who.Kind, way, name, c.desk.told)
				}
			}
		}
	}
}

// TestEnvironmentOfMachines: the command of an agent or a service gets no variable of its
// caller but those that are listed, with HOME and PATH as a person had them, and what the
// rules name. A person's command gets all.
func TestEnvironmentOfMachines(t *testing.T) {
	steal := []string{"LD_PRELOAD=/tmp/x.so", "npm_config_script_shell=/tmp/sh", "MAKEFILES=/tmp/m", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.pager", "PYTHONUSERBASE=/tmp/p",
		"PERLLIB=/tmp/p", "SHELLOPTS=xtrace", "PS4=$(id)", "OPENSSL_CONF=/tmp/o", "HTTPS_PROXY=http://127.0.0.1:9", "SSL_CERT_FILE=/tmp/c", "AWS_CONFIG_FILE=/tmp/a",
		"LANG=/tmp/x", "LC_ALL=../x", "TERM=:x", "LANGUAGE=a b", "TMPDIR=relative", "UNHEARD_OF=1", "KEYTURN_CONFIG=/tmp/k", "EDITOR=/tmp/e"}
	pass := []string{"LC_TIME=de_DE.UTF-8", "TZ=Europe/Berlin", "NO_COLOR=1", "COLUMNS=80", "CI=true"}
	mine := []string{"HOME=/tmp/theirs", "PATH=/tmp/theirs:/bin", "USER=mallory", "SHELL=/tmp/sh", "KEYTURN_HOME=/k", "CODEX_SANDBOX=seatbelt", "KEYTURN_SERVICE=ci"}
	for _, who := range callers {
		c := newCaller(t, who, slices.Concat(steal, pass, mine)...)
		c.session.TrustedEnv = []string{"HOME=/home/anna", "PATH=/usr/bin:/bin", "USER=anna", "LD_PRELOAD=/no"}
		if who.Kind == keyturn.Agent {
			c.session.Actor.Proof, c.Facts.Actor.Proof = "ancestor", "ancestor"
		}
		p, err := c.run(Options{Env: []Binding{{"A", "local/shop#A"}}})
		if err != nil {
			t.Fatal(err)
		}
		has := func(kv string) bool { return strings.Contains("\n"+c.out, "\n"+kv+"\n") }
		if who.Kind == keyturn.Person {
			for _, kv := range slices.Concat(steal, pass, mine) {
				if !has(kv) && !strings.HasPrefix(kv, "LD_PRELOAD") {
					t.Errorf("a person's command lacks %s", kv)
				}
			}
			if len(c.service.op.Pass) > 0 {
				t.Errorf("passes %q", c.service.op.Pass)
			}
			continue
		}
		for _, kv := range steal {
			name, _, _ := strings.Cut(kv, "=")
			if c.gets(name) || slices.Contains(c.service.op.Pass, name) {
				t.Errorf("%s: gets %s", who.Kind, name)
			}
		}
		for _, kv := range append(pass, "HOME=/home/anna", "PATH=/usr/bin:/bin", "USER=anna", "KEYTURN_HOME=/k", "CODEX_SANDBOX=seatbelt", "KEYTURN_SERVICE=ci", "PWD="+p.Op.Dir) {
			if !has(kv) {
				t.Errorf("%s: lacks %s: %s", who.Kind, kv, c.out)
			}
		}
		if c.gets("SHELL") || c.gets("AI_AGENT") != (who.Kind == keyturn.Agent) || who.Kind == keyturn.Agent && !has("AI_AGENT=coder") {
			t.Errorf("%s: %s", who.Kind, c.out)
		}
		if want := []string{"CI", "COLUMNS", "LC_TIME", "NO_COLOR", childVariable, "TZ"}; runtime.GOOS != "windows" && !slices.Equal(c.service.op.Pass, want) {
			t.Errorf("%s: the form says %q", who.Kind, c.service.op.Pass)
		}
		if !c.told("left out of the environment: AWS_CONFIG_FILE, ") || !c.told("; the rule at ops.yaml:2 can name what the command needs, for instance env: [LANG, ") || c.told("env: [AWS_CONFIG_FILE") || c.told("EDITOR=VALUE") || c.told("…") {
			t.Errorf("%s: told %q", who.Kind, c.desk.told)
		}
		for _, kv := range slices.Concat(steal, mine) { // values never
			if _, value, _ := strings.Cut(kv, "="); len(value) > 6 && c.told(value) {
				t.Errorf("%s: told %s", who.Kind, value)
			}
		}
		// What the rules name passes, and what they give a value has that one.
		c.rule("UNHEARD_OF AWS_* HOME CC=gcc LANG=C")
		if _, err = c.run(Options{Env: []Binding{{"A", "local/shop#A"}}}); err != nil {
			t.Fatal(err)
		}
		for _, kv := range []string{"UNHEARD_OF=1", "AWS_CONFIG_FILE=/tmp/a", "HOME=/tmp/theirs", "CC=gcc", "LANG=C", "PATH=/usr/bin:/bin"} {
			if !has(kv) {
				t.Errorf("%s: lacks %s", who.Kind, kv)
			}
		}
		if c.gets("LD_PRELOAD") || !slices.Contains(c.service.op.Pass, "HOME") || slices.Contains(c.service.op.Pass, "CC") {
			t.Errorf("%s: %q", who.Kind, c.service.op.Pass)
		}
	}
}

// TestProgramOfMachines: the program of an agent's or a service's command is found in the
// PATH that a person trusted, or in the caller's where the rules let that pass.
func TestProgramOfMachines(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a script for a shell of Unix")
	}
	for _, who := range []keyturn.Actor{coder, builder} {
		c := newCaller(t, who)
		for _, f := range []string{"mine/tool", "theirs/tool", "theirs/other"} {
			path := filepath.Join(c.Dir, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+filepath.Dir(f)+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		c.Environ = append(c.Environ, "PATH="+filepath.Join(c.Dir, "theirs"))
		c.session.TrustedEnv = []string{"PATH=" + filepath.Join(c.Dir, "mine")}
		secret := []Binding{{"A", "local/shop#A"}}
		if p, err := c.run(Options{Command: []string{"tool"}, Env: secret}); err != nil || c.out != "mine\n" || p.Op.Program != filepath.Join(c.Dir, "mine", "tool") {
			t.Errorf("%s: %q, %q (%v)", who.Kind, c.out, p.Op.Program, err)
		}
		p, err := c.run(Options{Command: []string{"other"}, Env: secret})
		if e := keyturn.AsError(err); !errors.Is(err, keyturn.NotFound) || p.Status.Code != 127 || e.Message != "other is not in the PATH that you trusted" || !strings.Contains(e.Hint, "keyturn config trust") {
			t.Errorf("%s: %+v (%v)", who.Kind, p.Status, err)
		}
		c.rule("PATH")
		if p, err := c.run(Options{Command: []string{"tool"}, Env: secret}); err != nil || c.out != "theirs\n" || !slices.Contains(p.Op.Pass, "PATH") {
			t.Errorf("%s: %q (%v)", who.Kind, c.out, err)
		}
		// A rule for one program is for that one, whatever PATH passes.
		c.session.Rules, err = rules.New(rules.Input{Rules: []rules.Source{{Who: []string{"agents", "services"}, May: []string{"use"}, On: []string{"**"}, Env: []string{"PATH"},
			Run: []string{filepath.Join(c.Dir, "mine", "tool")}}}})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.run(Options{Command: []string{"tool"}, Env: secret}); err != nil || c.out != "mine\n" || slices.Contains(p.Op.Pass, "PATH") {
			t.Errorf("%s: %q, %q (%v)", who.Kind, c.out, p.Op.Pass, err)
		}
	}
}

// TestFilesOfVariables: an operation names each file of variables with what it asks for.
// For an agent or a service it keeps those plain variables that are as a person trusted
// them, but none that decides where a program leads; from a person's pipe it takes no
// variable that changes how programs run.
func TestFilesOfVariables(t *testing.T) {
	for _, who := range callers {
		c := newCaller(t, who)
		c.service.kept = map[string]string{"PORT": "3000", "HTTPS_PROXY": "http://192.0.2.1:1", "MODE": "on", "NODE_OPTIONS": "--x", "PATH": "/tmp/x", "AI_AGENT": "", "KEYTURN_HOME": "/x"}
		path := c.write("app.env", "A=kt://local/shop#A\nPORT=3000\nHTTPS_PROXY=http://192.0.2.1:1\nMODE=off\nNODE_OPTIONS=--x\nLANG=C\nPATH=/tmp/x\nAI_AGENT=\nKEYTURN_HOME=/x\n")
		p, err := c.run(Options{EnvFiles: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Op.EnvFiles) != 1 || p.Op.EnvFiles[0].Path != session.Found(path) || len(p.Op.EnvFiles[0].Asks) != 1 {
			t.Fatalf("%+v", p.Op)
		}
		f := p.Op.EnvFiles[0]
		if who.Kind == keyturn.Person {
			want := []keyturn.Setting{{Name: "HTTPS_PROXY", Text: "http://192.0.2.1:1"}, {Name: "KEYTURN_HOME", Text: "/x"}, {Name: "NODE_OPTIONS", Text: "--x"}, {Name: "PATH", Text: "/tmp/x"}}
			if !slices.Equal(f.Steers, want) || len(f.Kept) > 0 || !c.gets("MODE") || !c.gets("HTTPS_PROXY") {
				t.Errorf("%+v", f)
			}
			c.Read = func(string) ([]byte, error) { return []byte("A=kt://local/shop#A\nLD_PRELOAD=/tmp/x.so\n"), nil }
			if _, err = c.Plan(Options{Command: []string{os.Args[0]}, EnvFiles: []string{"-"}}); !errors.Is(err, keyturn.Denied) {
				t.Errorf("from a pipe: %v", err)
			}
			continue
		}
		if len(f.Steers) > 0 || !slices.Equal(f.Kept, []string{"NODE_OPTIONS", "PORT"}) || !slices.Contains(p.Op.Pass, "LANG") {
			t.Errorf("%s: %+v, %q", who.Kind, f, p.Op.Pass)
		}
		if !c.gets("PORT") || !c.gets("NODE_OPTIONS") || !c.gets("LANG") || c.gets("MODE") || strings.Contains(c.out, "/tmp/x") || c.gets("AI_AGENT") || c.gets("KEYTURN_HOME") || c.gets("HTTPS_PROXY") {
			t.Errorf("%s: %s", who.Kind, c.out)
		}
	}
}

// TestPrecedence: of several sources with one name the command line wins, then files of
// variables, then the project, then what is inherited.
func TestPrecedence(t *testing.T) {
	c := newCaller(t, anna, "IN=kt://local/shop#A", "PROJECT=kt://local/shop#PIN", "FILE=inherited")
	ref := func(s string) keyturn.Ref { return keyturn.MustRef(s) }
	var err error
	c.Facts.Project, err = config.ParseProject(filepath.Join(c.Dir, config.FileName), []byte("env:\n  PROJECT: kt://local/project#P\n  FILE: kt://local/project#F\n  FLAG: kt://local/project#G\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(Options{Command: []string{os.Args[0]}, Env: []Binding{{"FLAG", "local/flag#G"}},
		EnvFiles: []string{c.write("app.env", "FILE=kt://local/file#F\nFLAG=plain\n")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []keyturn.Binding{{Name: "FILE", Ref: ref("local/file#F")}, {Name: "FLAG", Ref: ref("local/flag#G")},
		{Name: "IN", Ref: ref("local/shop#A")}, {Name: "PROJECT", Ref: ref("local/project#P")}}
	if !slices.Equal(p.Op.Env, want) || len(p.Op.Pinned) != 3 || p.Op.Project == "" {
		t.Errorf("%+v", p.Op)
	}
}

// TestErrorsRepeatNoValue: what stands where a reference should may be a value.
func TestErrorsRepeatNoValue(t *testing.T) {
	c := newCaller(t, coder)
	p, err := c.Plan(Options{Command: []string{os.Args[0]}, Env: []Binding{{"A", long}, {"B", "local/shop#A"}, {"B", "local/shop#PIN"}, {long + "=", ""}},
		EnvFrom: []Source{{Ref: long}, {Ref: "local/shop,x=1"}, {Ref: "local/shop#A"}}, Files: []Binding{{"a", long}, {"", long}}, Optional: []string{"NONE"}})
	e := keyturn.AsError(err)
	if e.Code != keyturn.Invalid || len(e.Each) != 9 || len(c.service.did) > 0 {
		t.Fatalf("%d errors (%v)", len(e.Each), err)
	}
	for _, each := range e.Each {
		if strings.Contains(each.Message+each.Hint, long) {
			t.Errorf("%s (%s)", each.Message, each.Hint)
		}
	}
	if doc := p.Report(e, false); doc.Status != "error" || len(doc.Errors) != 9 || doc.Command.Started {
		t.Errorf("%+v", doc)
	}
}

// TestTrustIsAskedFor: where a project's file is not trusted yet, a person who can be
// asked is shown what it asks for, and after a yes the command runs.
func TestTrustIsAskedFor(t *testing.T) {
	for _, x := range []struct {
		who        keyturn.Actor
		yes, quiet bool
		asked, ran bool
	}{
		{who: anna, yes: true, asked: true, ran: true},
		{who: anna, asked: true},
		{who: anna, yes: true, quiet: true},
		{who: coder, yes: true},
		{who: builder, yes: true},
	} {
		c := newCaller(t, x.who)
		var err error
		if c.Facts.Project, err = config.ParseProject(filepath.Join(c.Dir, config.FileName), []byte("env:\n  A: kt://local/shop#A\n")); err != nil {
			t.Fatal(err)
		}
		c.desk.yes, c.session.How.Quiet = x.yes, x.quiet
		p, err := c.run(Options{})
		if asked := len(c.desk.asked) == 1 && c.told("+ A = local/shop#A"); asked != x.asked || p.Status.Started != x.ran {
			t.Errorf("%+v: asked was %q, told %q, started %v", x, c.desk.asked, c.desk.told, p.Status.Started)
		}
		if !x.ran && (!errors.Is(err, keyturn.Denied) || len(c.service.trusted) > 0) {
			t.Errorf("%+v: trusted are %v (%v)", x, c.service.trusted, err)
		}
	}
}

// TestLeasesEnd: what was leased for a command is revoked when the command has ended,
// also where it could not be started.
func TestLeasesEnd(t *testing.T) {
	for _, prevented := range []bool{false, true} {
		c := newCaller(t, anna)
		c.service.leases = []keyturn.LeaseInfo{{ID: "l1", Ref: keyturn.MustRef("local/shop"), Seconds: 3600, Renewable: true}}
		p, err := c.Plan(Options{Command: []string{os.Args[0]}, Env: []Binding{{"A", "local/shop#A"}}})
		if err == nil {
			err = p.Fetch(t.Context(), c.session)
		}
		if err != nil || !p.HasLeases() {
			t.Fatalf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if prevented {
			cancel()
		}
		err = p.Run(ctx, c.session, Streams{}, time.Time{})
		cancel()
		if prevented != errors.Is(err, context.Canceled) || prevented == p.Status.Started {
			t.Errorf("%+v (%v)", p.Status, err)
		}
		if want := []string{"run-command", "revoke-lease"}; !slices.Equal(c.service.did, want) {
			t.Errorf("operations were %q", c.service.did)
		}
	}
}

// TestCapture: a door without streams gets what the command writes to both of them, no
// more than an agent may see, and as it is where nothing is redacted.
func TestCapture(t *testing.T) {
	for _, x := range []struct {
		env  []Binding
		want string
	}{
		{[]Binding{{"A", "local/shop#A"}}, "A=[redacted:local/shop#A]\n"},
		{[]Binding{{"A", "local/shop#A"}, {"PIN", "local/shop#PIN"}}, ""},
		{nil, childVariable + "=1\n"},
	} {
		c := newCaller(t, coder)
		p, err := c.Plan(Options{Command: []string{os.Args[0]}, Env: x.env})
		if err == nil {
			err = p.Fetch(t.Context(), c.session)
		}
		var out strings.Builder
		if err == nil {
			err = p.Capture(t.Context(), c.session, &out, time.Time{})
		}
		if err != nil || !p.Status.Started || p.Status.Code != 0 {
			t.Fatalf("%+v (%v)", p.Status, err)
		}
		if got := out.String(); strings.Count(got, x.want) != 2 && x.want != "" || x.want == "" && got != "" || strings.Contains(got, long) {
			t.Errorf("%v: captured is %q", x.env, got)
		}
	}
}

// TestFolder: the command starts in the caller's folder, which is also where a program
// with a slash in its name is looked for, whichever folder this process is in.
func TestFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a script for a shell of Unix")
	}
	c := newCaller(t, coder, "PATH="+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(c.Dir, "where"), []byte("#!/bin/sh\npwd -P\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := c.run(Options{Command: []string{"./where"}})
	if err != nil || c.out != p.Op.Dir+"\n" || filepath.Dir(p.Op.Program) != c.Dir {
		t.Errorf("started %q in %q, and asked for %q (%v)", p.Op.Program, c.out, p.Op.Dir, err)
	}
	c.Dir = filepath.Join(c.Dir, "none")
	if p, err := c.run(Options{}); !errors.Is(err, keyturn.Invalid) || p.Status.Started {
		t.Errorf("%+v (%v)", p.Status, err)
	}
}
