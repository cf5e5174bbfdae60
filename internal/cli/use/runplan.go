package use

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
)

// passphraseFile is the one variable of ours that a command does not get: it
// leads to what opens the store.
const passphraseFile = "KEYTURN_PASSPHRASE_FILE"

// runPlan is what a command line and its surroundings ask for.
type runPlan struct {
	op      keyturn.RunCommand
	inherit []string          // the command's plain environment
	plain   []launch.EnvVar   // values of --env-file, over all but --env
	weak    map[string]string // names that are bound only because a reference was inherited
	notices []string
}

// level is where a variable comes from; of one name the highest counts.
type level int

const (
	inheritedLevel level = iota
	// --env-from is between these two; its names are known later.
	projectLevel
	fileLevel
	flagLevel
)

type wanted struct {
	level level
	name  string
	ref   keyturn.Ref
	value keyturn.Value // of --env-file, where ref is zero
}

// planner collects what is wanted, and everything that is wrong with it.
type planner struct {
	mounts []string // that there are
	guest  bool     // it is not a person who asks
	vars   map[string]wanted
	failed []*keyturn.Error
	// dropped names the variables that a guest's command does not get.
	dropped []string
}

// drops reports whether a plain variable is left out: one that changes how
// programs run is not for an agent or a service to set, for a program that is
// given a value. Without PATH, HOME and the shell nothing runs at all.
func (p *planner) drops(name string) bool {
	if !p.guest || !config.Steers(name) || slices.Contains([]string{"PATH", "PATHEXT", "HOME", "SHELL", "COMSPEC"}, strings.ToUpper(name)) {
		return false
	}
	p.dropped = append(p.dropped, name)
	return true
}

func (p *planner) fail(e *keyturn.Error) { p.failed = append(p.failed, e) }

func (p *planner) want(w wanted) {
	key := variableKey(w.name)
	old, there := p.vars[key]
	switch {
	case there && old.level == flagLevel && w.level == flagLevel:
		p.fail(keyturn.E(keyturn.Invalid, "the variable '"+w.name+"' is given twice", "give it once"))
	case !there || w.level >= old.level:
		p.vars[key] = w
	}
}

// planRun makes the operation. What is wrong is told at once, all of it.
func planRun(c *command.Command, o runOptions, facts session.Facts) (runPlan, error) {
	plan := runPlan{op: keyturn.RunCommand{Command: o.args, Plain: o.plain}, weak: map[string]string{}}
	p := &planner{mounts: facts.Mounts, guest: facts.Actor.Kind != keyturn.Person, vars: map[string]wanted{}}
	project := facts.Project
	for _, s := range o.env {
		p.flag(s)
	}
	for _, b := range project.Bindings() {
		p.want(wanted{level: projectLevel, name: b.Name, ref: b.Ref})
	}
	for _, name := range o.envFile {
		if err := planFile(c, p, &plan, name); err != nil {
			return plan, err
		}
	}
	for _, s := range o.envFrom {
		if src, ok := p.source(s); ok {
			plan.op.From = append(plan.op.From, src)
		}
	}
	plan.inherit = p.inherited(c.Environ)
	if n := len(p.dropped); n > 0 {
		slices.Sort(p.dropped)
		plan.notices = append(plan.notices, "left out, since they change how programs run: "+keyturn.Clean(strings.Join(slices.Compact(p.dropped), ", ")))
	}
	for _, key := range command.SortedKeys(p.vars) {
		w := p.vars[key]
		if w.ref.IsZero() {
			plan.plain = append(plan.plain, launch.EnvVar{Name: w.name, Value: w.value})
			continue
		}
		plan.op.Env = append(plan.op.Env, keyturn.Binding{Name: w.name, Ref: w.ref})
		switch w.level {
		case inheritedLevel:
			plan.weak[key] = w.name
		case projectLevel:
			plan.op.Project, plan.op.Pinned = realPath(project.File), project.Bindings()
		}
	}
	for _, s := range o.file {
		if b, ok := p.file(c, s, plan.op.Files); ok {
			plan.op.Files = append(plan.op.Files, b)
		}
	}
	p.optional(&plan.op, o.optional, c.Abs)
	if len(p.failed) > 0 {
		return plan, keyturn.Join("the command was not started", p.failed...)
	}
	return plan, nil
}

// flag reads NAME=REF of --env.
func (p *planner) flag(s string) {
	name, text, ok := strings.Cut(s, "=")
	if !ok || !launch.ValidName(name) {
		p.fail(keyturn.E(keyturn.Invalid, "--env takes NAME=REF, with a NAME of letters, digits and _", "for instance --env 'PASSWORD=local/myapp#password'"))
		return
	}
	ref, err := keyturn.ParseRef(text)
	if err != nil {
		p.fail(keyturn.E(keyturn.Invalid, "what --env gives "+name+" is not a reference",
			p.correction(text, err, "--env takes a reference such as local/myapp#password; a plain value goes into the environment itself: "+name+"=… keyturn run …")))
		return
	}
	p.want(wanted{level: flagLevel, name: name, ref: ref})
}

// correction is the hint for what is no reference: the right spelling where it was
// meant to be one. Anything else may be a value, of which nothing is repeated.
func (p *planner) correction(text string, err error, otherwise string) string {
	mount, _, _ := strings.Cut(strings.TrimPrefix(text, keyturn.Scheme), "/")
	if strings.HasPrefix(text, keyturn.Scheme) || slices.Contains(p.mounts, mount) {
		return keyturn.AsError(err).Hint
	}
	return otherwise
}

// source reads REF[,prefix=P] of --env-from. A name may hold commas itself.
func (p *planner) source(s string) (keyturn.Source, bool) {
	text, prefix := s, ""
	if i := strings.LastIndex(s, ",prefix="); i >= 0 {
		text, prefix = s[:i], s[i+len(",prefix="):]
	}
	before, option, more := cutLast(text)
	if p, o, ok := strings.Cut(prefix, ","); ok {
		prefix, before, option, more = p, text, o, true
	}
	if name, _, set := strings.Cut(option, "="); more && (set || launch.ValidName(prefix)) && launch.ValidName(name) && p.known(before) {
		p.fail(keyturn.E(keyturn.Invalid, "--env-from has no option '"+name+"'", "write REF[,prefix=P], for instance local/myapp,prefix=APP_"))
		return keyturn.Source{}, false
	}
	ref, err := keyturn.ParseRef(text)
	switch {
	case err != nil:
		p.fail(keyturn.E(keyturn.Invalid, "what --env-from is given is not a reference", p.correction(text, err, "write REF[,prefix=P], for instance local/myapp,prefix=APP_")))
	case prefix != "" && !launch.ValidName(prefix):
		p.fail(keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(prefix)+"' cannot begin the name of a variable", "use letters, digits and _"))
	case ref.Field() != "":
		p.fail(keyturn.E(keyturn.Invalid, "--env-from takes all fields of a secret, and "+ref.Short()+" is one field", "say --env NAME="+keyturn.Quote(ref.Short())).About(ref))
	default:
		return keyturn.Source{Ref: ref, Prefix: prefix}, true
	}
	return keyturn.Source{}, false
}

// cutLast cuts s at its last comma.
func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, ','); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// known reports whether s is a reference into a mount that there is, and so no
// value.
func (p *planner) known(s string) bool {
	ref, err := keyturn.ParseRef(s)
	return err == nil && (strings.HasPrefix(s, keyturn.Scheme) || slices.Contains(p.mounts, ref.Mount()))
}

// file reads PATH=REF of --file.
func (p *planner) file(c *command.Command, s string, have []keyturn.Binding) (keyturn.Binding, bool) {
	path, text, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		p.fail(keyturn.E(keyturn.Invalid, "--file takes PATH=REF", "for instance --file 'tls.key=local/myapp#tls.key'"))
		return keyturn.Binding{}, false
	}
	path = c.Abs(path)
	ref, err := keyturn.ParseRef(text)
	switch {
	case err != nil:
		p.fail(keyturn.E(keyturn.Invalid, "what --file puts into "+keyturn.Clean(path)+" is not a reference", p.correction(text, err, "write PATH=REF, for instance 'tls.key=local/myapp#tls.key'")))
	case slices.ContainsFunc(have, func(b keyturn.Binding) bool { return b.Name == path }):
		p.fail(keyturn.E(keyturn.Invalid, "the file '"+keyturn.Clean(path)+"' is given twice", "give it once"))
	default:
		err := c.MayWrite(path)
		if err == nil {
			err = launch.CheckFile(path)
		}
		if err != nil {
			p.fail(keyturn.AsError(err))
			break
		}
		return keyturn.Binding{Name: path, Ref: ref}, true
	}
	return keyturn.Binding{}, false
}

// planFile reads a .env file.
func planFile(c *command.Command, p *planner, plan *runPlan, name string) error {
	data, err := c.Input(name)
	if err != nil {
		return err
	}
	file, err := document.ParseEnv(name, data)
	if err != nil {
		return err
	}
	vars, notices, err := file.Expand(func(n string) (keyturn.Value, bool) {
		for _, kv := range slices.Backward(c.Environ) {
			if v, ok := strings.CutPrefix(kv, n+"="); ok {
				return keyturn.NewValue([]byte(v)), true
			}
		}
		return keyturn.Value{}, false
	})
	if err != nil {
		return err
	}
	for _, n := range slices.Concat(file.Notices, notices) {
		plan.notices = append(plan.notices, keyturn.Clean(n.String()))
	}
	for _, v := range vars {
		w := wanted{level: fileLevel, name: v.Name, value: v.Value}
		if v.Ref != nil {
			w.ref, w.value = *v.Ref, keyturn.Value{}
		} else if p.drops(v.Name) {
			continue
		}
		p.want(w)
	}
	return nil
}

// inherited takes over references from the environment, and returns what else is
// in it.
func (p *planner) inherited(environ []string) []string {
	var rest []string
	for i, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok || name == "" || len(value) < len(keyturn.Scheme) || !strings.EqualFold(value[:len(keyturn.Scheme)], keyturn.Scheme):
			if name != passphraseFile && !p.drops(name) {
				rest = append(rest, kv)
			}
			continue
		case slices.ContainsFunc(environ[i+1:], func(s string) bool { return strings.HasPrefix(s, name+"=") }):
			continue // the last of one name counts
		}
		if _, there := p.vars[variableKey(name)]; there {
			continue
		}
		ref, err := keyturn.ParseRef(value)
		switch {
		case err != nil:
			p.fail(keyturn.E(keyturn.Invalid, "the inherited variable "+keyturn.Clean(name)+" holds a reference that is not in canonical form", keyturn.AsError(err).Hint))
		case !launch.ValidName(name):
			p.fail(keyturn.E(keyturn.Invalid, "the inherited variable '"+keyturn.Clean(name)+"' holds a reference, and has no name that a variable can be given", "unset it"))
		default:
			p.want(wanted{level: inheritedLevel, name: name, ref: ref})
		}
	}
	return rest
}

// optional marks what may be missing.
func (p *planner) optional(op *keyturn.RunCommand, names []string, abs func(string) string) {
	for _, name := range names {
		found := false
		mark := func(list []keyturn.Binding, name string) {
			for i := range list {
				if list[i].Name == name {
					list[i].Optional, found = true, true
				}
			}
		}
		mark(op.Env, name)
		mark(op.Files, abs(name))
		if !found {
			p.fail(keyturn.E(keyturn.Invalid, "--optional names '"+keyturn.Clean(name)+"', which no reference is for", "name a variable or a file that is given by a reference"))
		}
	}
}

// pathIsKnown reports whether the command can be looked for already: nothing that
// is not read yet can change PATH.
func (p runPlan) pathIsKnown() bool {
	isPath := func(name string) bool { return variableKey(name) == "PATH" }
	return !slices.ContainsFunc(p.op.Env, func(b keyturn.Binding) bool { return isPath(b.Name) }) &&
		(len(p.op.From) == 0 || slices.ContainsFunc(p.plain, func(v launch.EnvVar) bool { return isPath(v.Name) }))
}

// resolve finds the program that the command's name stands for. Where a value is to
// decide PATH, and a person asks, that may have to wait until it is read.
func (p *runPlan) resolve(c *command.Command, actor keyturn.Actor) (launch.Status, error) {
	path, st, err := launch.Resolve(launch.Command{Args: p.op.Command, Inherit: p.inherit, Env: p.plain})
	later := !p.pathIsKnown() && (len(p.op.From) == 0 || err != nil) && filepath.Base(p.op.Command[0]) == p.op.Command[0]
	switch {
	case later && actor.Kind == keyturn.Person:
		path = ""
	case later && err == nil:
		return launch.Status{}, keyturn.E(keyturn.Invalid, "PATH is to come from a secret, and with it what "+keyturn.Clean(p.op.Command[0])+" is", "write the program with its path, or leave out PATH")
	case err != nil:
		return st, err
	}
	p.op.Program, p.op.Dir = path, realPath(c.Dir)
	return launch.Status{}, nil
}

// variables puts everything into the order in which the last of one name counts.
func (p runPlan) variables(d *keyturn.Delivery) []launch.EnvVar {
	var out []launch.EnvVar
	if d != nil {
		// The fields of --env-from come first, and win over what was inherited only.
		count := map[string]int{}
		for _, v := range d.Env {
			count[variableKey(v.Name)]++
		}
		for i, v := range d.Env {
			key := variableKey(v.Name)
			last := !slices.ContainsFunc(d.Env[i+1:], func(w keyturn.Delivered) bool { return variableKey(w.Name) == key })
			if name, weak := p.weak[key]; weak && last && count[key] > 1 && !slices.Contains(d.Missing, name) {
				continue
			}
			out = append(out, launch.EnvVar{Name: v.Name, Value: v.Value})
		}
	}
	return append(out, p.plain...)
}

// nameOf names a delivered value in words that the caller knows: its label, or
// the reference as the caller wrote it.
func (p runPlan) nameOf(d keyturn.Delivered) string {
	if d.Label != "" {
		return d.Label
	}
	for _, b := range slices.Concat(p.op.Env, p.op.Files) {
		if b.Name == d.Name {
			return b.Ref.Short()
		}
	}
	return d.Ref.Secret().Short()
}

// placed says of each reference that failed which variable or file it was for. Of
// one that the command line names that is clear; of others it is not.
func (p runPlan) placed(err error) error {
	var told *keyturn.Error
	if !errors.As(err, &told) { // none, or an interrupt
		return err
	}
	e := *told
	if len(e.Each) == 0 {
		e.Message += p.placeOf(&e)
		return &e
	}
	e.Each = slices.Clone(e.Each)
	for i, each := range e.Each {
		one := *each
		one.Message += p.placeOf(&one)
		e.Each[i] = &one
	}
	return &e
}

func (p runPlan) placeOf(e *keyturn.Error) string {
	ref := e.Ref
	if ref.IsZero() || e.Code == keyturn.Denied { // which is about the secret
		return ""
	}
	var places []string
	for _, b := range p.op.Env {
		if b.Ref == ref {
			what := "variable "
			if _, inherited := p.weak[variableKey(b.Name)]; inherited {
				what = "inherited variable "
			}
			places = append(places, what+b.Name)
		}
	}
	for _, b := range p.op.Files {
		if b.Ref == ref {
			places = append(places, "file "+keyturn.Clean(b.Name))
		}
	}
	if len(places) == 0 {
		return ""
	}
	which := ""
	if !strings.Contains(e.Message, ref.Path()) {
		which = ref.Short() + ", "
	}
	return " (" + which + "for the " + strings.Join(places, ", ") + ")"
}

// variableKey is a variable's name as this system tells names apart.
func variableKey(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// realPath is a path without symbolic links, so that one file has one name.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
