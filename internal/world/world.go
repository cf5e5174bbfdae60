// Package world is test support: the whole program on a machine of its own, in a
// few lines.
//
//	func TestMain(m *testing.M) { world.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		m := world.New(t)
//		m.Must("", "init", "--key", "file")
//		out := m.Run("s3cret", "put", "local/myapp", "password=-")
//	}
//
// The program is the test's own binary, started again under the name keyturn. Who
// is calling is found out by the environment alone, since whoever runs the tests
// may be an agent: see [Machine.As].
package world

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/whois"
)

// Variables of a machine's environment that change what the program takes for real.
const (
	Clock = "WORLD_CLOCK" // when the program starts, as RFC 3339 has it; from there its clock goes on
	User  = "WORLD_USER"  // the name of the user who runs it
)

// Main runs the tests of a package, or keyturn where the binary was started under
// that name. Call it from TestMain.
func Main(m *testing.M) {
	if strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == "keyturn" {
		os.Exit(app.Main(options()))
	}
	os.Exit(m.Run())
}

func options() app.Options {
	o := app.Options{Who: whois.Source{
		Ancestors: func() ([]whois.Process, error) { return nil, nil },
		Exists:    func(string) bool { return false },
	}}
	if name := os.Getenv(User); name != "" {
		o.Who.UserName = func() string { return name }
	}
	if start, err := time.Parse(time.RFC3339, os.Getenv(Clock)); err == nil {
		began := time.Now()
		o.Now = func() time.Time { return start.Add(time.Since(began)) }
	}
	return o
}

// Machine is a sandbox: folders of its own, and an environment without marks of
// an agent and without any configuration.
type Machine struct {
	Root  string   // everything the program may write lies below
	Home  string   // HOME
	Store string   // KEYTURN_HOME; does not exist yet
	Work  string   // the working folder
	Temp  string   // TMPDIR
	Env   []string // the whole environment

	t testing.TB
}

// New makes a machine. Nothing of it is left when the test ends.
func New(t testing.TB) *Machine {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return At(t, root)
}

// At makes a machine in a folder that is there: its real path, links followed. The folder
// is the caller's to remove; folders that are in it already stay as they are. With -short
// the test is skipped.
func At(t testing.TB, root string) *Machine {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the whole program many times: -short leaves it out")
	}
	m := &Machine{t: t, Root: root, Home: filepath.Join(root, "home"), Store: filepath.Join(root, "store"),
		Work: filepath.Join(root, "work"), Temp: filepath.Join(root, "tmp")}
	bin := t.TempDir() // not below Root: nothing there is the program's doing
	for _, dir := range []string{m.Home, m.Work, m.Temp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := "keyturn"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
		t.Fatal(err)
	}
	m.Env = []string{
		"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + m.Home, "TMPDIR=" + m.Temp, "KEYTURN_HOME=" + m.Store, "NO_COLOR=1", "TERM=xterm",
		"GORACE=atexit_sleep_ms=0", // the race detector would have every process wait a second at its end
		"XDG_CONFIG_HOME=" + filepath.Join(m.Home, ".config"), "XDG_DATA_HOME=" + filepath.Join(m.Home, ".local", "share"),
	}
	for _, keep := range []string{"SystemRoot", "LANG", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(keep); ok {
			m.Env = append(m.Env, keep+"="+v)
		}
	}
	return m
}

// As returns the same machine with more variables in its environment, for
// instance "AI_AGENT=demo", which makes the caller an agent.
func (m *Machine) As(vars ...string) *Machine {
	other := *m
	other.Env = append(slices.Clone(m.Env), vars...)
	return &other
}

// Output is how a command ended.
type Output struct {
	Stdout, Stderr string
	Status         int // -1: ended by a signal
}

// Command prepares keyturn with arguments; it is the caller's to start.
func (m *Machine) Command(args ...string) *exec.Cmd { return m.command("keyturn", args...) }

func (m *Machine) command(name string, args ...string) *exec.Cmd {
	path := name
	for _, dir := range filepath.SplitList(strings.TrimPrefix(m.Env[0], "PATH=")) {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			path = found
			break
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = m.Env, m.Work
	return cmd
}

// Run runs keyturn to its end, with stdin as its standard input.
func (m *Machine) Run(stdin string, args ...string) Output {
	m.t.Helper()
	return m.end(m.Command(args...), stdin)
}

// Must is Run of a command that has to succeed.
func (m *Machine) Must(stdin string, args ...string) Output {
	m.t.Helper()
	out := m.Run(stdin, args...)
	if out.Status != 0 {
		m.t.Fatalf("keyturn %s: exit status %d\n%s%s", strings.Join(args, " "), out.Status, out.Stdout, out.Stderr)
	}
	return out
}

// Shell runs a script of the shell to its end; keyturn is in its PATH.
func (m *Machine) Shell(script string) Output {
	m.t.Helper()
	return m.end(m.command("sh", "-c", script), "")
}

func (m *Machine) end(cmd *exec.Cmd, stdin string) Output {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("%s: %v", cmd, err)
	}
	return Output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
