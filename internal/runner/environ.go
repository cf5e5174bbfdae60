package runner

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/durable"
	"github.com/keyturn/keyturn/internal/launch"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
	"github.com/keyturn/keyturn/internal/variable"
	"github.com/keyturn/keyturn/internal/whois"
)

// Which variables a command gets. Of references filter decides, whatever they come from.
// A person's command gets the plain variables that the person has. That of an agent or a
// service which is given a secret gets, in this order:
//
//   - HOME, PATH, USER, LOGNAME and SHELL as the person had them who trusted the
//     configuration; PWD, KEYTURN_HOME, and the marks by which its caller is recognised;
//   - settings of language, terminal and system, with harmless texts: variable.Passes;
//   - what the rules of all its secrets name under env;
//   - of files of variables also what is as it was when a person trusted the file;
//   - what the rules give a value.

// filter judges all names that references are for. Nobody's command gets the file of the
// store's passphrase. No agent or service has a value decide how a program runs, or by what
// it is recognised; a person only with --env, where the name was typed.
func (p *planner) filter() {
	machine := p.Facts.Actor.Kind != keyturn.Person
	for _, key := range slices.Sorted(maps.Keys(p.vars)) {
		w := p.vars[key]
		if w.ref.IsZero() {
			continue
		}
		name, short := keyturn.Clean(w.name), w.ref.Short()
		switch {
		case variable.Key(w.name) == variable.PassphraseFile:
			p.fail(keyturn.E(keyturn.Invalid, "no command gets "+variable.PassphraseFile, "leave it out").About(w.ref))
		case machine && (variable.Leads(w.name) || whois.IsMark(w.name)):
			e := keyturn.E(keyturn.Denied, "only a person may have a secret in the variable "+name+", which changes how programs run, where they lead or who is recognised",
				"give the secret another name: --env NAME="+keyturn.Quote(short)).About(w.ref)
			e.By = "rule"
			p.fail(e)
		case machine || !variable.Steers(w.name):
		case w.level == flagLevel:
			p.notices = append(p.notices, name+" changes how programs run, and is to come from "+keyturn.Clean(short))
		default:
			p.fail(keyturn.E(keyturn.Denied, "the variable "+name+", which changes how programs run, is to come from a secret"+w.level.origin(),
				"if you mean it, type it: --env "+keyturn.Quote(w.name+"="+short)).About(w.ref))
		}
	}
}

func (l level) origin() string {
	switch l {
	case inheritedLevel:
		return " by the environment"
	case projectLevel:
		return " by the project's file"
	}
	return " by a file of variables"
}

// plainVariable is a plain variable of a file.
type plainVariable struct {
	name  string
	value keyturn.Value
	file  int // in Plan.files; -1 for what is no file
}

// settle makes the environment of an agent's or a service's command, and finds its
// program. The session is open.
func (p *Plan) settle(ctx context.Context, s *session.Session) error {
	dir := p.runner.Dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	p.Op.Dir = dir
	env, trusted := map[string]string{}, map[string]string{}
	for _, kv := range s.TrustedEnv {
		if name, value, ok := strings.Cut(kv, "="); ok && slices.Contains(variable.Mine(), variable.Key(name)) {
			trusted[variable.Key(name)] = value
		}
	}
	maps.Copy(env, trusted)
	caller := map[string]string{}
	for _, kv := range p.runner.Environ {
		if name, value, ok := strings.Cut(kv, "="); ok && launch.ValidName(name) {
			caller[variable.Key(name)] = value
		}
	}
	ruled, callers, err := p.find(s, trusted["PATH"], caller["PATH"])
	if err != nil {
		return err
	}
	marks := map[string]bool{}
	for _, kv := range whois.Carried(p.runner.Environ, s.Actor) {
		name, value, _ := strings.Cut(kv, "=")
		env[variable.Key(name)], marks[variable.Key(name)] = value, true
	}
	pass, left := map[string]bool{}, map[string]bool{}
	for _, kv := range p.inherit { // what holds no reference
		name, value, ok := strings.Cut(kv, "=")
		key := variable.Key(name)
		switch {
		case !ok || name == "" || marks[key]:
		case key == "PATH" && !callers:
			left[name] = value != trusted[key]
		case key == "KEYTURN_HOME":
			env[key] = value
		case ruled.Pass(name) || variable.Passes(name, value) && (key != "TMPDIR" || ownFolder(value)):
			env[key], pass[key] = value, true
		case key == "PWD" || key == "OLDPWD" || key == "SHLVL" || key == "_" || variable.Ours(name) || trusted[key] == value && value != "":
		default:
			left[name] = launch.ValidName(name)
		}
	}
	env["PWD"] = dir
	p.inherit = nil
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.inherit = append(p.inherit, name+"="+env[name])
	}
	if err := p.settleFiles(ctx, s, ruled, pass, left); err != nil {
		return err
	}
	for name, value := range ruled.Fixed() {
		p.plain = append(p.plain, launch.EnvVar{Name: name, Value: keyturn.NewValue([]byte(value))})
		delete(left, name)
	}
	p.Op.Pass = slices.Sorted(maps.Keys(pass))
	maps.DeleteFunc(left, func(_ string, out bool) bool { return !out })
	p.left = slices.Sorted(maps.Keys(left))
	return nil
}

// settleFiles decides about the plain variables of files.
func (p *Plan) settleFiles(ctx context.Context, s *session.Session, ruled rules.Environment, pass, left map[string]bool) error {
	same := make([][]string, len(p.files))
	for i, f := range p.files {
		if !f.pinnable || len(f.lines) == 0 || s.SameLines == nil {
			continue
		}
		var err error
		if same[i], err = s.SameLines(ctx, f.Path, f.lines); err != nil {
			return err
		}
	}
	p.plain = nil
	for _, v := range p.fromFiles {
		key, text := variable.Key(v.name), textOf(v.value)
		switch {
		case whois.IsMark(v.name) || variable.Ours(v.name) || key == "PATH":
			left[v.name] = true
			continue
		case ruled.Pass(v.name) || variable.Passes(v.name, text) && key != "TMPDIR":
			pass[key] = true
		case v.file >= 0 && slices.Contains(same[v.file], v.name):
			f := &p.files[v.file].AskedFile
			f.Kept = append(f.Kept, v.name)
		default:
			left[v.name] = true
			continue
		}
		delete(left, v.name)
		p.plain = append(p.plain, launch.EnvVar{Name: v.name, Value: v.value})
	}
	p.Op.EnvFiles = nil
	for i := range p.files {
		if f := &p.files[i]; f.pinnable {
			slices.Sort(f.Kept)
			p.Op.EnvFiles = append(p.Op.EnvFiles, f.AskedFile)
		}
	}
	return nil
}

// find finds the program in the trusted PATH, or in the caller's where the rules of all
// secrets let that pass, also with the program that is found there. It returns what those
// rules let pass, and whether PATH is the caller's.
func (p *Plan) find(s *session.Session, trusted, callers string) (rules.Environment, bool, error) {
	in := func(path string) (rules.Environment, error) {
		var env []string
		if path != "" {
			env = []string{"PATH=" + path}
		}
		program, status, err := launch.Resolve(launch.Command{Args: p.Op.Command, Dir: p.runner.folder(), Inherit: env})
		p.Op.Program, p.Status = program, status
		return p.ruled(s), err
	}
	ruled, err := in(trusted)
	if ruled.Pass("PATH") {
		if theirs, errTheirs := in(callers); errTheirs == nil && theirs.Pass("PATH") {
			return theirs, true, nil
		}
		ruled, err = in(trusted)
	}
	name := p.Op.Command[0]
	if err != nil && keyturn.AsError(err).Code == keyturn.NotFound && filepath.Base(name) == name {
		err = keyturn.E(keyturn.NotFound, keyturn.Clean(name)+" is not in the PATH that you trusted", "a person takes their present one with: keyturn config trust").Because(err)
	}
	return ruled, false, err
}

// ruled returns what the rules of all secrets let pass to the command as it is known now.
func (p *Plan) ruled(s *session.Session) rules.Environment {
	var questions []rules.Request
	for _, ref := range p.Op.Refs() {
		q := rules.Request{Actor: s.Actor, Verb: keyturn.Use, Path: ref.Path(), Sink: rules.Sink{Run: p.Op.Command, Program: p.Op.Program, Dir: p.Op.Dir}}
		shown := q
		shown.Verb, shown.Sink = keyturn.Reveal, rules.Sink{}
		if len(p.Op.Files) > 0 && s.Rules.Decide(shown).Effect != rules.Allow {
			return nil // it takes an approval
		}
		questions = append(questions, q)
	}
	return s.Rules.Environment(questions)
}

// tellLeft names what the command of an agent or a service does not get of its caller's
// variables, and what would let it pass. It offers no variable that steers programs or
// leads them elsewhere.
func (p *Plan) tellLeft(s *session.Session) {
	if len(p.left) == 0 {
		return
	}
	const most, mostOffered = 20, 8
	var names, entries []string
	for i, n := range p.left {
		if i < most {
			names = append(names, keyturn.Clean(n))
		}
		if len(entries) < mostOffered && variable.Check(n) == nil && variable.Risk(n) == "" && !variable.Leads(n) && !whois.IsMark(n) {
			entries = append(entries, n)
		}
	}
	if more := len(p.left) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	how := "say them in the command: env NAME=VALUE … " + keyturn.Clean(p.Op.Command[0])
	if ref := p.Op.Refs()[0]; p.ruled(s) != nil {
		d := s.Rules.Decide(rules.Request{Actor: s.Actor, Verb: keyturn.Use, Path: ref.Path(), Sink: rules.Sink{Run: p.Op.Command, Program: p.Op.Program, Dir: p.Op.Dir}})
		how = "the rule at " + d.Where() + " can name what the command needs"
		if len(entries) > 0 {
			how += ", for instance env: [" + strings.Join(entries, ", ") + "]"
		}
	}
	p.say("note: left out of the environment: %s; %s", strings.Join(names, ", "), how)
}

// textOf is the text of a plain variable of a file, which is judged by it.
func textOf(v keyturn.Value) string { return string(v.Reveal()) }

// ownFolder reports whether path is a folder of this user, or one in which nobody changes
// the files of others.
func ownFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && filepath.IsAbs(path) && info.IsDir() && (!durable.Foreign(info) || info.Mode()&os.ModeSticky != 0)
}
