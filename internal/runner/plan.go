package runner

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/variable"
	"github.com/keyturn/keyturn/internal/whois"
)

// level is where a variable comes from. Of several with one name the highest counts.
type level int

const (
	inheritedLevel level = iota
	// Options.EnvFrom is between these two; the names are known once values are fetched.
	projectLevel
	fileLevel
	flagLevel
)

// wanted is a variable that the command is to get.
type wanted struct {
	level level
	name  string
	ref   keyturn.Ref
	value keyturn.Value // where ref is zero: the value in a file of variables
	file  int           // of that file in Plan.files; -1 for what is no file
}

// planner collects the variables and files that are wanted, and everything that is
// wrong with them.
type planner struct {
	*Runner
	vars    map[string]wanted
	files   []namedFile
	failed  []*keyturn.Error
	notices []string
}

// namedFile is a file of variables that the caller named, and what it asks for.
type namedFile struct {
	keyturn.AskedFile
	lines    map[string]keyturn.Value // its plain variables
	pinnable bool                     // it is a file, which can be trusted
}

// Plan settles what the command gets, and finds the program; for an agent or a service
// that asks for a secret Fetch does the latter, since the store says what PATH it has. Plan
// tells the Desk what to know, and returns all that is wrong at once. With an error the
// plan is good for Report only.
func (r *Runner) Plan(o Options) (*Plan, error) {
	plan := &Plan{runner: r, trust: o.Trust, Op: keyturn.RunCommand{Command: o.Command, Plain: o.Plain}, weak: map[string]string{}}
	if len(o.Command) == 0 {
		return plan, keyturn.E(keyturn.Invalid, "no command was given", "")
	}
	p := &planner{Runner: r, vars: map[string]wanted{}}
	project := r.Facts.Project
	for _, b := range o.Env {
		p.variable(b)
	}
	for _, b := range project.Bindings() {
		p.want(wanted{level: projectLevel, name: b.Name, ref: b.Ref})
	}
	for _, name := range o.EnvFiles {
		if err := p.envFile(name); err != nil {
			return plan, err
		}
	}
	for _, s := range o.EnvFrom {
		if src, ok := p.source(s); ok {
			plan.Op.From = append(plan.Op.From, src)
		}
	}
	plan.inherit = p.inherited()
	p.filter()
	for _, key := range slices.Sorted(maps.Keys(p.vars)) {
		w := p.vars[key]
		if w.ref.IsZero() {
			plan.plain = append(plan.plain, launch.EnvVar{Name: w.name, Value: w.value})
			plan.fromFiles = append(plan.fromFiles, plainVariable{w.name, w.value, w.file})
			continue
		}
		plan.Op.Env = append(plan.Op.Env, keyturn.Binding{Name: w.name, Ref: w.ref})
		switch w.level {
		case inheritedLevel:
			plan.weak[key] = w.name
		case projectLevel:
			trust := session.TrustOf(project)
			plan.Op.Project, plan.Op.Pinned = trust.Path, trust.Pinned
		}
	}
	for _, b := range o.Files {
		if f, ok := p.file(b, plan.Op.Files); ok {
			plan.Op.Files = append(plan.Op.Files, f)
		}
	}
	plan.files = p.files
	for _, f := range p.files { // an agent's have none
		for _, s := range f.Steers {
			if !f.pinnable && (variable.Steers(s.Name) || len(plan.Op.Refs()) > 0) {
				p.fail(keyturn.E(keyturn.Denied, "what is piped in gives the variable "+keyturn.Clean(s.Name)+", which decides how programs run or where secrets go, and is no file that can be trusted",
					"put it into a file, or set it yourself: "+keyturn.Clean(s.Name)+"=… keyturn run …"))
				break
			}
		}
	}
	for _, f := range p.files {
		if f.pinnable && len(f.Asks)+len(f.Steers) > 0 {
			plan.Op.EnvFiles = append(plan.Op.EnvFiles, f.AskedFile)
		}
	}
	p.optional(&plan.Op, o.Optional)
	if len(p.failed) > 0 {
		return plan, keyturn.Join("the command was not started", p.failed...)
	}
	for _, n := range p.notices {
		plan.say("note: %s", n)
	}
	if plan.machine() && plan.Asks() {
		return plan, nil // see settle
	}
	if err := plan.resolve(); err != nil {
		return plan, err
	}
	if len(plan.Op.Refs()) == 0 {
		if o.Trust && project != nil && len(plan.trusts()) == 0 {
			plan.say("note: the project's file asks for no secret; there is nothing to trust")
		}
		plan.say("note: no secret was asked for; the command runs as it would without keyturn")
	}
	return plan, nil
}

func (p *planner) fail(e *keyturn.Error) { p.failed = append(p.failed, e) }

// want adds a variable, unless there is one of a higher level.
func (p *planner) want(w wanted) {
	key := variable.Key(w.name)
	old, there := p.vars[key]
	switch {
	case there && old.level == flagLevel && w.level == flagLevel:
		p.fail(keyturn.E(keyturn.Invalid, "the variable '"+w.name+"' is given twice", "give it once"))
	case !there || w.level >= old.level:
		p.vars[key] = w
	}
}

// variable adds one of Options.Env.
func (p *planner) variable(b Binding) {
	if !launch.ValidName(b.Name) {
		p.fail(keyturn.E(keyturn.Invalid, "--env takes NAME=REF, with a NAME of letters, digits and _", "for instance --env 'PASSWORD=local/myapp#password'"))
		return
	}
	ref, err := keyturn.ParseRef(b.Ref)
	if err != nil {
		p.fail(keyturn.E(keyturn.Invalid, "what --env gives "+b.Name+" is not a reference",
			p.correction(b.Ref, err, "--env takes a reference such as local/myapp#password; a plain value goes into the environment itself: "+b.Name+"=… keyturn run …")))
		return
	}
	p.want(wanted{level: flagLevel, name: b.Name, ref: ref})
}

// correction is the hint for a text that is no reference: the right spelling where the
// text was meant to be one, else otherwise. Such a text may be a value, and nothing of
// it is repeated.
func (p *planner) correction(text string, err error, otherwise string) string {
	mount, _, _ := strings.Cut(strings.TrimPrefix(text, keyturn.Scheme), "/")
	if strings.HasPrefix(text, keyturn.Scheme) || slices.Contains(p.Facts.Mounts, mount) {
		return keyturn.AsError(err).Hint
	}
	return otherwise
}

// source reads one of Options.EnvFrom. A name may hold commas itself, so that what
// looks like an option behind a reference is refused rather than read as its end.
func (p *planner) source(s Source) (keyturn.Source, bool) {
	text, prefix := s.Ref, s.Prefix
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

// known reports whether s is a reference into a mount that exists, and so no value.
func (p *planner) known(s string) bool {
	ref, err := keyturn.ParseRef(s)
	return err == nil && (strings.HasPrefix(s, keyturn.Scheme) || slices.Contains(p.Facts.Mounts, ref.Mount()))
}

// file reads one of Options.Files. have are those before it.
func (p *planner) file(b Binding, have []keyturn.Binding) (keyturn.Binding, bool) {
	if b.Name == "" {
		p.fail(keyturn.E(keyturn.Invalid, "--file takes PATH=REF", "for instance --file 'tls.key=local/myapp#tls.key'"))
		return keyturn.Binding{}, false
	}
	path := session.Whole(p.Dir, b.Name)
	ref, err := keyturn.ParseRef(b.Ref)
	switch {
	case err != nil:
		p.fail(keyturn.E(keyturn.Invalid, "what --file puts into "+keyturn.Clean(path)+" is not a reference", p.correction(b.Ref, err, "write PATH=REF, for instance 'tls.key=local/myapp#tls.key'")))
	case slices.ContainsFunc(have, func(h keyturn.Binding) bool { return h.Name == path }):
		p.fail(keyturn.E(keyturn.Invalid, "the file '"+keyturn.Clean(path)+"' is given twice", "give it once"))
	default:
		err := p.Facts.MayWrite(path)
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

// envFile adds the variables of a .env file, and notices about it.
func (p *planner) envFile(name string) error {
	data, err := p.Read(name)
	if err != nil {
		return err
	}
	asked, vars, notices, err := session.AsksOf(name, data, func(n string) (string, bool) {
		for _, kv := range slices.Backward(p.Environ) {
			if v, ok := strings.CutPrefix(kv, n+"="); ok {
				return v, true
			}
		}
		return "", false
	})
	if err != nil {
		return err
	}
	p.notices = append(p.notices, notices...)
	f := namedFile{AskedFile: asked.AskedFile(), lines: asked.Lines}
	if path := session.Abs(p.Dir, name); name != "-" && session.IsFile(path) {
		f.Path, f.pinnable = session.Found(path), true
	}
	person := p.Facts.Actor.Kind == keyturn.Person
	if !person {
		f.Steers = nil // these are left out
	}
	for _, v := range vars {
		w := wanted{level: fileLevel, name: v.Name, value: v.Value, file: len(p.files)}
		if v.Ref != nil {
			w.ref, w.value = *v.Ref, keyturn.Value{}
		} else if variable.Key(v.Name) == variable.PassphraseFile {
			continue
		}
		p.want(w)
	}
	p.files = append(p.files, f)
	return nil
}

// inherited adds the references in the caller's environment, and returns the plain
// variables in it that the command gets.
func (p *planner) inherited() []string {
	var rest []string
	for i, kv := range p.Environ {
		name, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok || name == "" || len(value) < len(keyturn.Scheme) || !strings.EqualFold(value[:len(keyturn.Scheme)], keyturn.Scheme):
			if variable.Key(name) != variable.PassphraseFile {
				rest = append(rest, kv)
			}
			continue
		case slices.ContainsFunc(p.Environ[i+1:], func(s string) bool { return strings.HasPrefix(s, name+"=") }):
			continue // the last of one name counts
		}
		if _, there := p.vars[variable.Key(name)]; there {
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

// optional marks the variables and files that may be missing.
func (p *planner) optional(op *keyturn.RunCommand, names []string) {
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
		mark(op.Files, session.Whole(p.Dir, name))
		if !found {
			p.fail(keyturn.E(keyturn.Invalid, "--optional names '"+keyturn.Clean(name)+"', which no reference is for", "name a variable or a file that is given by a reference"))
		}
	}
}

// pathIsKnown reports whether PATH is known before values are fetched.
func (p *Plan) pathIsKnown() bool {
	isPath := func(name string) bool { return variable.Key(name) == "PATH" }
	return !slices.ContainsFunc(p.Op.Env, func(b keyturn.Binding) bool { return isPath(b.Name) }) &&
		(len(p.Op.From) == 0 || slices.ContainsFunc(p.plain, func(v launch.EnvVar) bool { return isPath(v.Name) }))
}

// resolve finds the program that the command's name stands for. Where a value decides
// PATH, a person's program may be found only after the value was fetched; an agent or
// a service may not have a value decide which program is started.
func (p *Plan) resolve() error {
	path, status, err := launch.Resolve(launch.Command{Args: p.Op.Command, Dir: p.runner.folder(), Inherit: p.inherit, Env: p.plain})
	later := !p.pathIsKnown() && (len(p.Op.From) == 0 || err != nil) && filepath.Base(p.Op.Command[0]) == p.Op.Command[0]
	switch {
	case later && p.runner.Facts.Actor.Kind == keyturn.Person:
		path = ""
	case later && err == nil:
		return keyturn.E(keyturn.Invalid, "PATH is to come from a secret, and with it what "+keyturn.Clean(p.Op.Command[0])+" is", "write the program with its path, or leave out PATH")
	case err != nil:
		p.Status = status
		return err
	}
	p.Op.Program, p.Op.Dir = path, p.runner.Dir
	if real, err := filepath.EvalSymlinks(p.Op.Dir); err == nil {
		p.Op.Dir = real
	}
	return nil
}

// folder returns Dir, as package launch takes it: "" for the folder of this process, which
// is Dir in a program that runs one command. A server has callers in other folders.
func (r *Runner) folder() string {
	here, err := os.Stat(".")
	if err != nil {
		return ""
	}
	if there, err := os.Stat(r.Dir); err == nil && os.SameFile(here, there) {
		return ""
	}
	return r.Dir
}

// variables returns the variables that are put over the plain environment. Of several
// with one name the last counts.
func (p *Plan) variables() []launch.EnvVar {
	var out []launch.EnvVar
	if d := p.delivery; d != nil {
		// The fields of Options.EnvFrom come first, and win over inherited references only.
		count := map[string]int{}
		for _, v := range d.Env {
			count[variable.Key(v.Name)]++
		}
		for i, v := range d.Env {
			key := variable.Key(v.Name)
			last := !slices.ContainsFunc(d.Env[i+1:], func(w keyturn.Delivered) bool { return variable.Key(w.Name) == key })
			if name, weak := p.weak[key]; weak && last && count[key] > 1 && !slices.Contains(d.Missing, name) {
				continue
			}
			if p.machine() && whois.IsMark(v.Name) {
				continue // a field does not decide who is recognised
			}
			out = append(out, launch.EnvVar{Name: v.Name, Value: v.Value})
		}
	}
	return slices.DeleteFunc(append(out, p.plain...), func(v launch.EnvVar) bool { return variable.Key(v.Name) == variable.PassphraseFile })
}

// nameOf returns a name of a delivered value that the caller knows: its label, or the
// reference as the caller wrote it.
func (p *Plan) nameOf(d keyturn.Delivered) string {
	if d.Label != "" {
		return d.Label
	}
	for _, b := range slices.Concat(p.Op.Env, p.Op.Files) {
		if b.Name == d.Name {
			return b.Ref.Short()
		}
	}
	return d.Ref.Secret().Short()
}

// placed adds to the error of each reference which variable or file it was for.
func (p *Plan) placed(err error) error {
	var told *keyturn.Error
	if !errors.As(err, &told) { // an interrupt
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

// placeOf returns which variables and files the reference of an error was for, as an
// addition to the message; "" where that is not known.
func (p *Plan) placeOf(e *keyturn.Error) string {
	ref := e.Ref
	if ref.IsZero() || e.Code == keyturn.Denied { // a refusal is about the secret
		return ""
	}
	var places []string
	for _, b := range p.Op.Env {
		if b.Ref == ref {
			what := "variable "
			if _, inherited := p.weak[variable.Key(b.Name)]; inherited {
				what = "inherited variable "
			}
			places = append(places, what+b.Name)
		}
	}
	for _, b := range p.Op.Files {
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
