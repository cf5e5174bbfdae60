// Package app is the wiring: it reads the configuration and the environment, opens the
// store, and joins store, platforms, rules, log and broker into a running program. It
// alone may import all other packages.
package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli"
	"github.com/keyturn/keyturn/internal/cli/term"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/home"
	"github.com/keyturn/keyturn/internal/journal"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/platform"
	"github.com/keyturn/keyturn/internal/platform/local"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/whois"
)

// Version is set at build time; a plain 'go install' takes it from the module.
var Version = ""

// Options are what Main takes from outside. Zero members mean the real machine.
type Options struct {
	Args    []string
	In      *os.File
	Out     *os.File
	Err     *os.File
	Environ []string
	Dir     string
	Who     whois.Source
	Now     func() time.Time
}

// Main runs keyturn once and returns its exit status. A panic ends it without the
// panic's own value, which could hold a secret.
func Main(o Options) (status int) {
	// What the standard library logs by itself (parts of what servers answered, for
	// instance) is for nobody; this silences package log, too.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // most runs end before it is worth to clear up: a tenth of the time for some MiB
	}
	m := o.machine()
	defer func() {
		if p := recover(); p != nil {
			_, _ = m.Err.WriteString("keyturn: a bug in keyturn ended the program\n  please report it with these lines\n" + string(debug.Stack()))
			status = keyturn.Internal.Exit()
		}
	}()
	_ = launch.HardenSelf() // best effort: what the system lacks, it lacks
	p := &cli.Program{Program: m.program(), Terminal: term.Terminal{In: m.In, Out: m.Out, Err: m.Err}}
	return p.Run(m.Args)
}

// Program returns what a door opens sessions with. The command line is one such door;
// Main runs it.
func (o Options) Program() session.Program { return o.machine().program() }

func (m machine) program() session.Program {
	return session.Program{Version: version(), Environ: m.Environ, Dir: m.Dir, Actions: Actions(),
		Open: m.open, Create: m.create, Restore: m.restore, Peek: m.peek, Facts: m.facts, Inspect: m.inspect}
}

// machine is Options with everything filled in.
type machine struct {
	Options
	making bool // the store is being made, and the configuration made known to it
}

func (o Options) machine() machine {
	if o.Args == nil {
		o.Args = os.Args[1:]
	}
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Dir == "" {
		o.Dir, _ = os.Getwd()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Who.Environ = o.Environ
	return machine{Options: o}
}

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func (m machine) env(name string) string {
	for _, v := range slices.Backward(m.Environ) {
		if v, ok := strings.CutPrefix(v, name+"="); ok {
			return v
		}
	}
	return ""
}

// locations says where the operator's configuration may be.
func (m machine) locations(how session.How) config.Locations {
	if how.Home != "" {
		return config.Locations{} // quickstart touches nothing of yours
	}
	loc := config.Locations{Explicit: how.Config, System: config.SystemFolder()}
	user := m.env("HOME")
	switch {
	case runtime.GOOS == "windows":
		loc.User = m.env("AppData")
	case runtime.GOOS == "darwin" && user != "":
		loc.User = filepath.Join(user, "Library", "Application Support")
	case filepath.IsAbs(m.env("XDG_CONFIG_HOME")):
		loc.User = m.env("XDG_CONFIG_HOME")
	case user != "":
		loc.User = filepath.Join(user, ".config")
	}
	return loc
}

// driverEnv is what drivers get from outside.
func (m machine) driverEnv(caller keyturn.Actor) platform.Env {
	return platform.Env{Lookup: m.env, Now: m.Now, Caller: caller.Kind}
}

// caller finds out who is calling, and where keyturn's own folder is.
func (m machine) caller(how session.How) (session.Facts, error) {
	var f session.Facts
	var err error
	if f.Home, err = home.Path(how, m.env, m.Dir); err != nil {
		return f, err
	}
	f.Actor = m.Who.Actor()
	if how.Demo {
		f.Actor = keyturn.Actor{Kind: keyturn.Person, Name: "you", Proof: "demonstration"}
	}
	return f, nil
}

// facts reads the configuration that the caller's own environment names, and finds out who
// is calling. That configuration judges people; see stand for the others.
func (m machine) facts(how session.How) (session.Facts, error) {
	f, err := m.caller(how)
	if err != nil {
		return f, err
	}
	if f.Operator, err = config.LoadOperator(m.locations(how)); err != nil {
		return f, err
	}
	return f, m.finish(how, &f)
}

// unopened returns what is known before the store is open: of people all, of agents and
// services only who they are, and the system's file that only root can change.
func (m machine) unopened(how session.How) (session.Facts, error) {
	f, err := m.caller(how)
	if err != nil {
		return f, err
	}
	if f.Actor.Kind == keyturn.Person {
		return m.facts(how)
	}
	if how.Home == "" {
		f.Operator = home.Held(journal.Machine{})
	}
	return f, m.finish(how, &f)
}

// finish adds to f what follows from the operator's file: the project's file, mounts and
// rules.
func (m machine) finish(how session.How, f *session.Facts) (err error) {
	if err := checkMounts(drivers(nil), f.Operator); err != nil {
		return err
	}
	if how.Home == "" {
		operatorFile := m.operatorPath(how)
		if f.Operator != nil {
			operatorFile = f.Operator.File
		}
		if f.Project, err = config.LoadProject(m.Dir, m.env("HOME"), operatorFile); err != nil {
			return err
		}
	}
	f.Operators = operatorFiles(m.locations(how), f.Operator)
	env := m.driverEnv(f.Actor)
	if how.Home != "" { // quickstart touches nothing of yours
		env.Lookup = func(string) string { return "" }
	}
	f.Mounts = mountNames(drivers(nil), f.Operator, env)
	f.Rules, err = rules.New(ruleInput(f.Operator, f.Project))
	return err
}

func ruleInput(o *config.Operator, p *config.Project) rules.Input {
	var in rules.Input
	if o != nil {
		for _, r := range o.Rules {
			in.Rules = append(in.Rules, rules.Source(r))
		}
		for _, g := range o.Groups {
			in.Groups = append(in.Groups, rules.Group(g))
		}
	}
	if p != nil {
		for _, r := range p.Never {
			in.Project = append(in.Project, rules.Source(r))
		}
	}
	return in
}

// expected checks what a project's file expects of the mounts: it narrows, and a
// mount that is something else is refused before anything happens.
func expected(f session.Facts) error {
	if f.Project == nil {
		return nil
	}
	for _, e := range f.Project.Expect {
		mount, known := f.Operator.Mount(e.Mount)
		for _, s := range e.Settings {
			have := mount.Setting(s.Key)
			if s.Key == "platform" {
				if have = mount.Platform; e.Mount == local.Name && !known {
					have = local.Name
				}
			}
			if have != s.Value {
				return keyturn.E(keyturn.Conflict, "this project expects the mount '"+e.Mount+"' with "+s.Key+" "+keyturn.Clean(s.Value)+
					", and the operator's configuration has "+orNone(have), "see "+keyturn.Clean(f.Project.File)+" and 'keyturn config check'")
			}
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return keyturn.Clean(s)
}

// remember writes a rule into the operator's configuration, and finds out whether the file
// is to be pinned again.
func (m machine) remember(how session.How, st *standing) (remember func(rules.Rule) (string, error), repin func() (keyturn.UseConfig, bool)) {
	var pins keyturn.UseConfig
	var yes bool
	remember = func(r rules.Rule) (string, error) {
		path, err := m.locations(how).Target()
		if err != nil {
			return "", err
		}
		before, err := config.LoadOperator(config.Locations{Explicit: path})
		if err != nil && !errors.Is(err, keyturn.Invalid) { // which there may be none of yet
			return "", err
		}
		if err := st.remembers(path, before); err != nil {
			return "", err
		}
		line, err := config.Remember(path, config.Rule(r.Source()))
		if err != nil {
			return "", err
		}
		pins, yes, err = st.remembered(path, before)
		return rules.Position{File: path, Line: line}.String(), err
	}
	return remember, func() (keyturn.UseConfig, bool) { return pins, yes }
}

func whoIs(a keyturn.Actor) func(context.Context) (keyturn.Actor, error) {
	return func(context.Context) (keyturn.Actor, error) { return a, nil }
}
