package app

import (
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/platformtest"
	"github.com/keyturn/keyturn/internal/state"
	"github.com/keyturn/keyturn/internal/whois"
)

// memoryDriver is the driver of a platform in memory, under the name of one that a
// configuration may name and that is not built yet.
func memoryDriver(mem map[string]*platformtest.Memory) platform.Driver {
	spec := platform.Spec{Platform: "aws", Fields: true, CompareAndSet: true, OrderedVersions: true, NumericVersions: true,
		Recovery: platform.RecoveryForever, RestoreVersion: true, DestroyVersion: true, Labels: platform.LabelLimits{Max: 8, Key: 16, Value: 16}}
	return platform.Driver{
		Name: "aws", Variable: "MEMORY_OF",
		Check: func(s platform.Settings) error {
			for _, one := range s.List {
				if one.Key != "region" {
					return s.Fault(one.Key, keyturn.E(keyturn.Invalid, "the mount '"+s.Mount+"' has no setting '"+one.Key+"'", ""))
				}
			}
			return nil
		},
		Ambient: func(env platform.Env) (bool, error) { return env.Lookup("MEMORY_OF") != "", nil },
		Open: func(_ platform.Env, s platform.Settings) (*platform.Mount, error) {
			if mem[s.Mount] == nil {
				mem[s.Mount] = platformtest.NewMemory(s.Mount, spec)
			}
			return platform.NewMount(s.Mount, mem[s.Mount], spec, "memory of "+s.Mount), nil
		},
		Actions: func() keyturn.Administration { return keyturn.Administration{Platform: "aws", Short: "Nothing"} },
	}
}

// program runs keyturn in this process, as a person with a folder of their own.
type program struct {
	t       *testing.T
	dir     string
	environ []string
}

func newProgram(t *testing.T) *program {
	dir := t.TempDir()
	return &program{t: t, dir: dir, environ: []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + filepath.Join(dir, "config"), "KEYTURN_HOME=" + filepath.Join(dir, "store"), "NO_COLOR=1"}}
}

func (p *program) configure(text string) {
	p.t.Helper()
	at := filepath.Join(p.dir, "config", "keyturn")
	if err := os.MkdirAll(at, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "keyturn.yaml"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) run(stdin string, args ...string) (out string, status int) {
	p.t.Helper()
	file := func(name, text string) *os.File {
		f, err := os.CreateTemp(p.dir, name)
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { _ = f.Close() })
		_, _ = f.WriteString(text)
		_, _ = f.Seek(0, 0)
		return f
	}
	o := file("out", "")
	writer, handler := log.Writer(), slog.Default() // which Main silences
	defer func() { slog.SetDefault(handler); log.SetOutput(writer) }()
	status = Main(Options{Args: args, In: file("in", stdin), Out: o, Err: o, Environ: p.environ, Dir: p.dir,
		Who: whois.Source{Ancestors: func() ([]whois.Process, error) { return nil, nil }, Exists: func(string) bool { return false }, UserName: func() string { return "you" }}})
	text, err := os.ReadFile(o.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text), status
}

func (p *program) must(stdin string, args ...string) string {
	p.t.Helper()
	out, status := p.run(stdin, args...)
	if status != 0 {
		p.t.Fatalf("keyturn %s: %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// TestAnotherPlatform: a platform that is added to the table by one word works through
// the whole program.
func TestAnotherPlatform(t *testing.T) {
	mem, table := map[string]*platformtest.Memory{}, drivers
	drivers = func(db *state.DB) driverTable { return append(table(db), memoryDriver(mem)) }
	t.Cleanup(func() { drivers = table })
	p := newProgram(t)
	p.configure("mounts:\n  cloud: {platform: aws, region: eu}\n")
	p.must("", "init", "--key", "file")
	p.must("first", "put", "cloud/app", "password=-")
	p.must("second", "put", "cloud/app", "password=-")
	if out := p.must("", "get", "cloud/app", "--reveal", "--field", "password"); !strings.Contains(out, "second") {
		t.Errorf("get: %s", out)
	}
	p.must("", "copy", "cloud/app", "local/app", "--yes")
	if out := p.must("", "get", "local/app", "--reveal", "--field", "password"); !strings.Contains(out, "second") {
		t.Errorf("the copy: %s", out)
	}
	if out := p.must("", "status"); !strings.Contains(out, "memory of cloud") {
		t.Errorf("status: %s", out)
	}
	if out, status := p.run("", "get", "aws/app"); status == 0 || !strings.Contains(out, "set MEMORY_OF to the server's address") {
		t.Errorf("no ambient mount: %s", out)
	}
	if out, status := p.run("", "get", "aw/app"); status == 0 || !strings.Contains(out, "did you mean 'aws'? It is there where MEMORY_OF is set") {
		t.Errorf("a slip: %s", out)
	}
	p.environ = append(p.environ, "MEMORY_OF=this")
	p.must("ambient", "put", "aws/app", "f=-")
	if mem["aws"] == nil || mem["cloud"] == nil {
		t.Error("the driver was not asked")
	}
	if !slices.ContainsFunc(Actions(), func(a keyturn.Administration) bool { return a.Platform == "aws" && a.Variable == "MEMORY_OF" }) {
		t.Error("its actions are not listed")
	}
	p.configure("mounts:\n  cloud:\n    platform: aws\n    regoin: eu\n")
	if out, status := p.run("", "get", "cloud/app"); status == 0 || !strings.Contains(out, "keyturn.yaml:4: the mount 'cloud' has no setting 'regoin'") {
		t.Errorf("a setting that there is not: %s", out)
	}
}

// TestPlatformsToCome: a platform that a configuration may name and that has no driver is
// refused when it is used.
func TestPlatformsToCome(t *testing.T) {
	p := newProgram(t)
	p.configure("mounts:\n  cloud: {platform: gcp, project: x}\n")
	p.must("", "init", "--key", "file")
	if out, status := p.run("", "get", "cloud/app"); status == 0 || !strings.Contains(out, "this keyturn does not speak to gcp yet") {
		t.Errorf("%s", out)
	}
}
