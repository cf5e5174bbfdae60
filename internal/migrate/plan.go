package migrate

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/migrate/files"
	"github.com/keyturn/keyturn/internal/migrate/imports"
	"github.com/keyturn/keyturn/internal/migrate/rewrite"
	"github.com/keyturn/keyturn/internal/session"
)

// Plan is what a migration would do. No exported field holds a value. Close the plan
// when it is no longer needed.
type Plan struct {
	To     keyturn.Ref    // the secret that takes the values
	Values []PlannedValue // all values of the files, in their order
	Files  []*PlannedFile // the files that are written, in the order of writing
	// Notices tell the owner of the files what else to know.
	Notices []string
	// Next are the commands that use the files afterwards.
	Next []string
	// CutOff is a migration of the same files into the same secret that was cut off.
	// Then nothing else is planned, and Apply goes on with it.
	CutOff *keyturn.Migration

	m       *Migrator
	replace bool
	values  map[string]keyturn.Value // by field
	from    map[string]string        // by field: the file that its value is from
	left    []string                 // files that still hold values afterwards
	project *PlannedFile             // the project's keyturn.yaml, where it is changed
	entries []keyturn.Binding        // the entries that the project's file gets
	// pinned is what the project's file is trusted with afterwards: set once a person
	// has seen it and said yes, otherwise nil.
	pinned []keyturn.Binding
	unlock func()
}

// PlannedValue is a value of a file, without the value itself.
type PlannedValue struct {
	File  string // as the caller named it
	Line  int    // 0 where it is not known
	Name  string
	Field string      // the field that stores the value, if it moves
	Ref   keyturn.Ref // the reference that stands for it afterwards; zero where the value stays
	Why   string      // why the value moves or stays
}

// PlannedFile is a file that a migration writes. It holds values: print its methods'
// answers only.
type PlannedFile struct {
	source rewrite.Source
	after  []byte
	named  bool        // the caller named it
	widest fs.FileMode // of a new file: the widest mode that it may have
}

// Path is the absolute path of the file, links followed.
func (f *PlannedFile) Path() string { return f.source.Path }

// Name is the file as the caller named it, or seen from the caller's folder.
func (f *PlannedFile) Name() string { return f.source.Named }

// New reports whether there is no such file yet.
func (f *PlannedFile) New() bool { return !f.source.There() }

// Link reports whether the caller named a link to the file.
func (f *PlannedFile) Link() bool { return f.source.Link }

// mode is the mode of the file afterwards.
func (f *PlannedFile) mode() fs.FileMode {
	if f.New() {
		return f.widest &^ rewrite.Umask()
	}
	return f.source.Info.Mode().Perm()
}

func (f *PlannedFile) changes() bool { return f.New() || !bytes.Equal(f.source.Data, f.after) }

// Plan reads the files, judges their values and returns what a migration would do.
// Nothing is stored or written. The folders of the files stay locked until the plan
// is closed, unless it is a dry run: Conflict where another migration is at work
// there, or where one of these files was cut off that cannot go on as asked for.
func (m *Migrator) Plan(ctx context.Context, o Options) (p *Plan, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	sources, err := m.sources(o.Files)
	if err != nil {
		return nil, err
	}
	p = &Plan{To: o.To, m: m, replace: o.Replace, values: map[string]keyturn.Value{}, from: map[string]string{}, unlock: func() {}}
	defer func() {
		if err != nil {
			p.Close()
			p = nil
		}
	}()
	var paths []string
	for _, s := range sources {
		paths = append(paths, s.Path)
	}
	if !o.DryRun {
		if p.unlock, err = rewrite.LockFolders(paths); err != nil {
			p.unlock = func() {}
			return p, err
		}
		if sources, err = m.sources(o.Files); err != nil { // as they are now that nobody else is at work
			return p, err
		}
	}
	if p.CutOff, err = m.cutOff(ctx, o, paths); err != nil {
		return p, err
	}
	if p.CutOff != nil {
		for _, s := range sources {
			if !has(*p.CutOff, s.Path) {
				m.Session.How.Desk.Say("note: %s is not part of the migration that was cut off: give the command again when it has ended", keyturn.Clean(s.Named))
			}
		}
		return p, nil
	}
	return p, (&planner{Migrator: m, ctx: ctx, o: o, sources: sources, plan: p}).read()
}

// Close unlocks the folders of the files.
func (p *Plan) Close() { p.unlock() }

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.values) == 0 && len(p.Files) == 0 }

// Fields returns the fields that are stored, sorted.
func (p *Plan) Fields() []string { return slices.Sorted(maps.Keys(p.values)) }

// CheckMount is NotFound where the mount that takes the values does not exist. Apply
// checks it too; a door that only shows a plan asks for it.
func (p *Plan) CheckMount() error {
	if mounts := p.m.Session.Mounts; !slices.Contains(mounts, p.To.Mount()) {
		return keyturn.E(keyturn.NotFound, "no mount '"+keyturn.Clean(p.To.Mount())+"'",
			fmt.Sprintf("the mounts are %v; more come from the operator's configuration", mounts)).About(p.To)
	}
	return nil
}

// sources opens the files that the caller named, each once.
func (m *Migrator) sources(names []string) ([]rewrite.Source, error) {
	var out []rewrite.Source
	for _, f := range names {
		s, err := rewrite.Open(f, session.Abs(m.Dir, f))
		if err != nil {
			return nil, err
		}
		if !s.There() {
			return nil, keyturn.E(keyturn.Invalid, "there is no file '"+keyturn.Clean(f)+"'", "check the path")
		}
		if err := m.Session.MayWrite(s.Path); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(x rewrite.Source) bool { return x.Path == s.Path }) {
			out = append(out, s)
		}
	}
	return out, nil
}

// cutOff returns the migration of one of the files that was cut off after its values
// were stored; nil if there is none. It removes what a crash of any migration left
// beside the files.
func (m *Migrator) cutOff(ctx context.Context, o Options, paths []string) (*keyturn.Migration, error) {
	all, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range all.Migrations {
		mine := slices.ContainsFunc(paths, func(path string) bool { return has(x, path) })
		if mine && !o.DryRun {
			tidy(x)
		}
		if !mine || !x.Open() || x.Phase == keyturn.MigrationBegun {
			continue
		}
		if x.Phase == keyturn.MigrationReverting {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files is being taken back, and was cut off",
				"go on with: keyturn migrate --rollback "+x.ID+"\n"+wayOut(x.ID))
		}
		if o.DryRun || x.Ref != o.To {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files into "+keyturn.Clean(x.Ref.Short())+" was cut off",
				"go on with: keyturn migrate --resume "+x.ID+m.orBack(x.Ref, x.ID))
		}
		return &x, nil
	}
	return nil, nil
}

// planner makes a plan from files that were read.
type planner struct {
	*Migrator
	ctx     context.Context
	o       Options
	sources []rewrite.Source
	plan    *Plan
}

// read plans what becomes of the files.
func (r *planner) read() error {
	type reading struct {
		rewrite.Source
		format imports.Format  // of another tool's file
		fields []imports.Field // the fields of such a file
		file   *files.File     // any other file
	}
	var list []reading
	for _, s := range r.sources {
		f := reading{Source: s, format: imports.Format(r.o.From)}
		if f.format == "" {
			f.format = imports.Detect(s.Named, s.Data)
		}
		var err error
		if f.format == "" {
			f.file, err = files.Read(s.Named, s.Data, files.Options{Mounts: r.o.Mounts})
		} else {
			f.fields, err = r.fields(s, f.format)
		}
		if err != nil {
			return err
		}
		list = append(list, f)
	}
	known := map[string]bool{}
	for _, f := range list {
		if f.file != nil {
			for _, e := range f.file.Entries() {
				known[e.Name], known[e.Field] = true, true
			}
		}
		for _, x := range f.fields {
			known[x.Name] = true
		}
	}
	if err := r.checkNames(known); err != nil {
		return err
	}
	// A compose file comes after the .env beside it, to which it adds.
	slices.SortStableFunc(list, func(a, b reading) int { return rank(a.file) - rank(b.file) })
	for _, f := range list {
		var err error
		if f.file == nil {
			err = r.imported(f.Source, f.format, f.fields)
		} else {
			err = r.rewritten(f.Source, f.file.Kind())
		}
		if err != nil {
			return err
		}
	}
	if err := r.plan.checkLimits(); err != nil {
		return err
	}
	return r.checkFiles()
}

func rank(f *files.File) int {
	if f != nil && f.Kind() == files.Compose {
		return 1
	}
	return 0
}

// checkNames refuses a name to keep or to move that no file has.
func (r *planner) checkNames(known map[string]bool) error {
	for _, name := range slices.Concat(r.o.Keep, r.o.Only) {
		if known[name] {
			continue
		}
		e := keyturn.E(keyturn.Invalid, "no value is named '"+keyturn.Clean(name)+"'", "--dry-run shows the names")
		if near := keyturn.Nearest(name, slices.Values(slices.Sorted(maps.Keys(known)))); near != "" {
			e.Hint = "did you mean " + keyturn.Quote(near) + "?"
		}
		return e
	}
	return nil
}

// fields reads the file of another tool.
func (r *planner) fields(s rewrite.Source, format imports.Format) ([]imports.Field, error) {
	var identities []byte
	if format == imports.SOPS {
		var err error
		if identities, err = r.identities(); err != nil {
			return nil, err
		}
	}
	return imports.Fields(format, s.Named, s.Data, identities)
}

// identities returns the age identities that sops would use: those of two variables,
// or of its own file.
func (r *planner) identities() ([]byte, error) {
	text := []byte(r.Env("SOPS_AGE_KEY"))
	if file := r.Env("SOPS_AGE_KEY_FILE"); file != "" {
		data, err := session.ReadFile(r.ctx, r.Dir, file)
		return append(append(text, '\n'), data...), err
	}
	folder := r.Env("XDG_CONFIG_HOME")
	switch {
	case folder == "" && runtime.GOOS == "darwin":
		folder = filepath.Join(r.Env("HOME"), "Library", "Application Support")
	case folder == "" && runtime.GOOS == "windows":
		folder = r.Env("AppData")
	case folder == "":
		folder = filepath.Join(r.Env("HOME"), ".config")
	}
	if data, _, err := rewrite.ReadRegular(filepath.Join(folder, "sops", "age", "keys.txt")); err == nil {
		text = append(append(text, '\n'), data...)
	}
	return text, nil
}

// imported plans the fields of another tool's file. The file stays as it is.
func (r *planner) imported(s rewrite.Source, format imports.Format, fields []imports.Field) error {
	var err error
	for _, f := range fields {
		x := PlannedValue{File: s.Named, Name: f.Name, Field: f.Name, Why: "from " + string(format)}
		switch {
		case slices.Contains(r.o.Keep, f.Name):
			x.Why = "--keep"
		case len(r.o.Only) > 0 && !slices.Contains(r.o.Only, f.Name):
			x.Why = "not in --only"
		default:
			if x.Ref, err = r.take(s.Named, f.Name, f.Value); err != nil {
				return err
			}
		}
		r.plan.Values = append(r.plan.Values, x)
	}
	if format != imports.SOPS {
		r.plan.left = append(r.plan.left, s.Named)
	}
	r.next("keyturn run --env-from " + keyturn.Quote(r.plan.To.Short()) + " -- COMMAND")
	return nil
}

// take plans to store a value and returns the reference that stands for it. Two
// files that give a field different values are Invalid.
func (r *planner) take(file, field string, v keyturn.Value) (keyturn.Ref, error) {
	ref, err := r.plan.To.WithField(field)
	if err != nil {
		return ref, err
	}
	if old, ok := r.plan.values[field]; ok && !old.Equal(v) {
		return ref, keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(field)+"' has one value in "+keyturn.Clean(r.plan.from[field])+" and another in "+keyturn.Clean(file),
			"migrate them one by one, each with its own --to")
	}
	r.plan.values[field], r.plan.from[field] = v, file
	return ref, nil
}

// choice returns the part of the options that is about this file. skip is set where
// the options name values that move and none is of this file.
func (r *planner) choice(f *files.File) (c files.Choice, skip bool) {
	has := func(name string) bool {
		return slices.ContainsFunc(f.Entries(), func(e files.Entry) bool { return e.Name == name || e.Field == name })
	}
	c.All = r.o.All
	for _, k := range r.o.Keep {
		if has(k) {
			c.Keep = append(c.Keep, k)
		}
	}
	for _, k := range r.o.Only {
		if has(k) {
			c.Only = append(c.Only, k)
		}
	}
	return c, len(r.o.Only) > 0 && len(c.Only) == 0
}

// rewritten plans what becomes of a file and of the files that belong to it.
func (r *planner) rewritten(s rewrite.Source, kind files.Kind) error {
	o := files.Options{Mounts: r.o.Mounts}
	var env *PlannedFile // beside a compose file
	if kind == files.Compose {
		var err error
		if env, err = r.file(filepath.Join(filepath.Dir(s.Path), ".env")); err != nil {
			return err
		}
		if names, err := document.ParseEnv(".env", env.after); err == nil {
			for _, e := range names.Entries {
				o.Taken = append(o.Taken, e.Name)
			}
		}
	}
	f, err := files.Read(s.Named, s.Data, o)
	if err != nil {
		return err
	}
	choice, skip := r.choice(f)
	if err := f.Choose(choice); err != nil && !skip {
		return err
	}
	moved, plain := 0, []string(nil)
	for _, e := range f.Entries() {
		x := PlannedValue{File: s.Named, Name: e.Name, Field: e.Field, Line: e.Line, Why: e.Why}
		switch {
		case skip:
			x.Why = "not in --only"
		case e.Secret:
			if x.Ref, err = r.take(s.Named, e.Field, e.Value); err != nil {
				return err
			}
			moved++
		case e.Reference != nil && e.Foreign:
			x.Ref = *e.Reference
			moved++
		case e.Reference == nil && e.Value.Len() > 0:
			plain = append(plain, keyturn.Clean(e.Name))
		}
		r.plan.Values = append(r.plan.Values, x)
	}
	for _, n := range f.Notices() {
		r.notice(n.String())
	}
	if moved == 0 || skip {
		return nil
	}
	if f.Kind() == files.Manifest && r.o.As == "" {
		return keyturn.E(keyturn.Invalid, keyturn.Clean(s.Named)+" is a manifest of Kubernetes: it is never rewritten in place",
			"say --as template: a template is made beside it, without values, for 'keyturn render'")
	}
	text, err := f.Rewrite(r.plan.To)
	if err != nil {
		return err
	}
	if kind == files.Manifest && len(plain) > 0 {
		r.notice(keyturn.Clean(s.Named) + ".tmpl holds the values that stay as they are: " + strings.Join(plain, ", "))
	}
	return r.write(s, kind, text, env)
}

// write plans the files that a rewritten one makes.
func (r *planner) write(s rewrite.Source, kind files.Kind, text files.Rewritten, env *PlannedFile) error {
	shown := keyturn.Quote(keyturn.Clean(s.Named))
	if kind == files.Manifest {
		t, err := r.beside(s, s.Path+".tmpl")
		if err != nil {
			return err
		}
		t.widest &= s.Info.Mode().Perm() // the template holds the values that stay
		if !t.New() && !bytes.Equal(t.source.Data, text.Template) {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(t.Name())+" is there already, with another text", "look at it, and remove it if it may go")
		}
		t.after = text.Template
		r.plan.left = append(r.plan.left, s.Named)
		r.next("keyturn render " + keyturn.Quote(keyturn.Clean(s.Named)+".tmpl") + " | kubectl apply -f -")
		return nil
	}
	f, err := r.file(s.Path)
	if err != nil {
		return err
	}
	f.source.Named, f.source.Link, f.after, f.named = s.Named, s.Link, text.Data, true
	switch {
	case kind == files.Env:
		if n := handedOn(s.Path); n != "" {
			r.notice(n)
		}
		r.next("keyturn run --env-file " + shown + " -- COMMAND")
	case kind == files.Compose && len(text.Env) > 0:
		if _, err := r.beside(s, filepath.Join(filepath.Dir(s.Path), ".env")); err != nil {
			return err
		}
		if env.after, err = files.JoinEnv(env.Name(), env.after, text.Env); err != nil {
			return err
		}
		if err := r.projectFile(s, text.Env); err != nil {
			return err
		}
		r.next("keyturn run -- docker compose up")
	case kind == files.JSON || kind == files.YAML:
		r.notice(keyturn.Clean(s.Named) + " holds references now: what reads it must get the values from keyturn, for instance as variables")
		r.next("keyturn run --env-from " + keyturn.Quote(r.plan.To.Short()) + " -- COMMAND")
	}
	return nil
}

// handedOn warns of a compose file beside the .env file at path that may hand it to
// containers unread; "" where there is none.
func handedOn(path string) string {
	for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"} {
		s, err := rewrite.Open(name, filepath.Join(filepath.Dir(path), name))
		if err != nil || !s.There() {
			continue
		}
		_, after, found := bytes.Cut(s.Data, []byte("env_file"))
		if found && bytes.Contains(after, []byte(filepath.Base(path))) {
			return name + " has an env_file: if it hands " + keyturn.Clean(filepath.Base(path)) +
				" to a container, that gets the references as they are; name its variables under environment instead, as NAME: ${NAME}"
		}
	}
	return ""
}

func (r *planner) notice(text string) { r.plan.Notices = append(r.plan.Notices, text) }

// next adds a command that uses the files afterwards, once.
func (r *planner) next(line string) {
	if !slices.Contains(r.plan.Next, line) {
		r.plan.Next = append(r.plan.Next, line)
	}
}

// projectFile plans the entries of the project's file that 'keyturn run' finds from
// the folder of a compose file. It is Conflict where that file is in another folder.
func (r *planner) projectFile(s rewrite.Source, lines []files.EnvLine) error {
	operator := "" // the operator's file, which is nobody's project
	if r.Session.Operator != nil {
		operator = r.Session.Operator.File
	}
	folder := filepath.Dir(s.Path)
	path, err := config.FindProject(folder, r.Env("HOME"), operator)
	if err != nil {
		return err
	}
	own := filepath.Join(folder, config.FileName)
	if path != "" && path != own {
		return keyturn.E(keyturn.Conflict, "the project's file is "+keyturn.Clean(path)+", outside of the folder of "+keyturn.Clean(s.Named)+", and nothing is written there",
			"give that folder a project's file of its own: touch "+keyturn.Quote(own))
	}
	f, err := r.beside(s, own)
	if err != nil {
		return err
	}
	for _, l := range lines {
		r.plan.entries = append(r.plan.entries, keyturn.Binding{Name: l.Name, Ref: l.Ref})
	}
	if f.after, err = config.AddEnv(f.Name(), f.after, r.plan.entries); err == nil {
		r.plan.project = f
	}
	return err
}

// beside plans the file at path, which a migration of s writes along with it. It is
// Conflict where that file is a link, or where s is a link into another folder,
// unless the caller named the file itself: nobody said that another folder may be
// written in.
func (r *planner) beside(s rewrite.Source, path string) (*PlannedFile, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil && slices.ContainsFunc(r.sources, func(f rewrite.Source) bool { return f.Path == real }) {
		return r.file(path)
	}
	shown := "'" + keyturn.Clean(filepath.Join(filepath.Dir(s.Named), filepath.Base(path))) + "'"
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, keyturn.E(keyturn.Conflict, shown+" is a link, and would be written along with "+keyturn.Clean(s.Named), "make it a file of this folder, or take the link away")
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(session.Abs(r.Dir, s.Named))); err != nil || folder != filepath.Dir(path) {
		return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(s.Named)+" is a link, and files would be written in the folder that it leads to", "name the file itself: "+keyturn.Quote(keyturn.Clean(s.Path)))
	}
	return r.file(path)
}

// file returns the file at path as planned so far.
func (r *planner) file(path string) (*PlannedFile, error) {
	if err := r.Session.MayWrite(path); err != nil {
		return nil, err
	}
	s, err := rewrite.Open(path, path)
	if err != nil {
		return nil, err
	}
	for _, f := range r.plan.Files {
		if f.Path() == s.Path {
			return f, nil
		}
	}
	if rel, err := filepath.Rel(r.Dir, s.Path); err == nil && !strings.HasPrefix(rel, "..") {
		s.Named = rel
	}
	f := &PlannedFile{source: s, after: s.Data, widest: newMode}
	r.plan.Files = append(r.plan.Files, f)
	return f, nil
}

// checkFiles drops files that stay as they are, and checks that the others can be
// written.
func (r *planner) checkFiles() error {
	r.plan.Files = slices.DeleteFunc(r.plan.Files, func(f *PlannedFile) bool { return f.New() && f.after == nil || !f.changes() })
	// The files that belong to a named one are written before it.
	slices.SortStableFunc(r.plan.Files, func(a, b *PlannedFile) int {
		switch {
		case a.named == b.named:
			return 0
		case a.named:
			return 1
		}
		return -1
	})
	for _, f := range r.plan.Files {
		if err := f.source.Replaceable(); err != nil {
			return err
		}
		switch err := f.source.Writable(); {
		case err != nil && r.o.DryRun:
			r.notice(keyturn.AsError(err).Message)
		case err != nil:
			return err
		}
	}
	return nil
}

// Limits of one migration, as the local store and the broker have them. Those have
// the last word; checking early keeps a plan from promising what they would refuse.
const (
	maxFields = 1000
	maxValue  = 1 << 20 // bytes
	maxSecret = 4 << 20
	maxFiles  = 200
	maxTexts  = 16 << 20 // of all files, before and after
)

func (p *Plan) checkLimits() error {
	no := func(what, hint string) error { return keyturn.E(keyturn.Invalid, what, hint).About(p.To) }
	if len(p.values) > maxFields {
		return no(fmt.Sprintf("these are more than %d values, and a secret has no more fields", maxFields), "migrate the files one by one, each with its own --to, or a part of a file with --only")
	}
	total := 0
	for _, f := range p.Fields() {
		n := p.values[f].Len()
		if n > maxValue {
			return no("the value of '"+keyturn.Clean(f)+"' is larger than 1 MiB", "leave it in the file: --keep "+keyturn.Quote(keyturn.Clean(f)))
		}
		total += n
	}
	if total > maxSecret {
		return no("the values are together larger than 4 MiB", "migrate the files one by one, each with its own --to, or a part of a file with --only")
	}
	n, texts := 0, 0
	for _, f := range p.Files {
		if f.changes() && (!f.New() || f.after != nil) {
			n, texts = n+1, texts+len(f.source.Data)+len(f.after)
		}
	}
	if n > maxFiles || texts > maxTexts {
		return no(fmt.Sprintf("a migration writes at most %d files of together 8 MiB", maxFiles), "name fewer at once")
	}
	return nil
}

// op returns the operation that the plan asks for, without the ids of its candidates,
// and the texts of its files to be sealed.
func (p *Plan) op() (keyturn.MigrateSecrets, map[string]keyturn.Value) {
	op := keyturn.MigrateSecrets{Ref: p.To, Fields: p.Fields(), Replace: p.replace}
	texts := map[string]keyturn.Value{}
	for i, f := range p.Files {
		if !f.New() {
			texts["before-"+strconv.Itoa(i)] = keyturn.NewValue(f.source.Data)
		}
		texts["after-"+strconv.Itoa(i)] = keyturn.NewValue(f.after)
		op.Files = append(op.Files, keyturn.MigratedFile{Path: f.Path(), New: f.New(), Mode: rewrite.Octal(f.mode())})
	}
	return op, texts
}

// changes returns what the migration with this id does to the files.
func (p *Plan) changes(id string) []rewrite.Change {
	out := make([]rewrite.Change, len(p.Files))
	for i, f := range p.Files {
		out[i] = rewrite.Change{Path: f.Path(), Before: f.source.Data, Had: !f.New(), After: f.after, Has: true, Mode: f.mode(), Temp: rewrite.TempName(f.Path(), id, i)}
	}
	return out
}
