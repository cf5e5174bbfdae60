package move

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/document"
	"github.com/keyturn/keyturn/internal/document/imports"
	"github.com/keyturn/keyturn/internal/document/migrate"
)

// row is one value of a file in the plan. It does not hold the value.
type row struct {
	file, name, field string
	line              int
	becomes           string // a reference or a variable; "" stays
	why               string
}

// plan is what a migration would do.
type plan struct {
	ref     keyturn.Ref
	rows    []row
	values  map[string]keyturn.Value // by field
	from    map[string]string        // the file that a field's value is from
	edits   []*edit
	notices []string
	left    []string // files that still hold values afterwards
	next    []string // how to go on
	project *edit    // a keyturn.yaml that is changed
}

// edit is one file and what it is to hold.
type edit struct {
	source
	after []byte
	asked bool // it is one of the files that were named
}

func (e *edit) changes() bool { return !e.there() || !bytes.Equal(e.data, e.after) }

// reader makes the plan.
type reader struct {
	*command.Command
	o       migrateOptions
	project string // the operator's file, which is nobody's project
	plan    plan
}

// read makes the plan for the files.
func (r *reader) read(files []source) error {
	r.plan = plan{ref: r.o.ref, values: map[string]keyturn.Value{}, from: map[string]string{}}
	type reading struct {
		source
		format imports.Format  // of another tool's file
		fields []imports.Field // its fields
		file   *migrate.File   // any other file
	}
	var list []reading
	for _, s := range files {
		f := reading{source: s, format: imports.Format(r.o.from)}
		if r.o.from == "" {
			f.format = imports.Detect(s.named, s.data)
		}
		var err error
		if f.format == "" {
			f.file, err = migrate.Read(s.named, s.data, migrate.Options{Mounts: r.o.mounts})
		} else {
			f.fields, err = r.fields(s, f.format)
		}
		if err != nil {
			return err
		}
		list = append(list, f)
	}
	if err := r.named(func(yield func(string)) {
		for _, f := range list {
			if f.file != nil {
				for _, e := range f.file.Entries() {
					yield(e.Name)
					yield(e.Field)
				}
			}
			for _, x := range f.fields {
				yield(x.Name)
			}
		}
	}); err != nil {
		return err
	}
	// A compose file comes after the .env beside it, to which it adds.
	slices.SortStableFunc(list, func(a, b reading) int { return rank(a.file) - rank(b.file) })
	for _, f := range list {
		var err error
		if f.file == nil {
			err = r.imported(f.source, f.format, f.fields)
		} else {
			err = r.rewritten(f.source)
		}
		if err != nil {
			return err
		}
	}
	return r.checkEdits()
}

func rank(f *migrate.File) int {
	if f != nil && f.Kind() == migrate.Compose {
		return 1
	}
	return 0
}

// named refuses a --keep or --only that no file has.
func (r *reader) named(each func(yield func(string))) error {
	known := map[string]bool{}
	each(func(name string) { known[name] = true })
	for _, name := range slices.Concat(r.o.keep, r.o.only) {
		if known[name] {
			continue
		}
		e := keyturn.E(keyturn.Invalid, "no value is named '"+keyturn.Clean(name)+"'", "--dry-run shows the names")
		if near := keyturn.Nearest(name, func(yield func(string) bool) {
			for _, k := range command.SortedKeys(known) {
				if !yield(k) {
					return
				}
			}
		}); near != "" {
			e.Hint = "did you mean " + keyturn.Quote(near) + "?"
		}
		return e
	}
	return nil
}

// fields reads another tool's file.
func (r *reader) fields(s source, format imports.Format) ([]imports.Field, error) {
	var identities []byte
	if format == imports.SOPS {
		var err error
		if identities, err = r.identities(); err != nil {
			return nil, err
		}
	}
	return imports.Fields(format, s.named, s.data, identities)
}

// imported takes the fields of another tool's file, which stays as it is.
func (r *reader) imported(s source, format imports.Format, fields []imports.Field) error {
	var err error
	for _, f := range fields {
		x := row{file: s.named, name: f.Name, field: f.Name, why: "from " + string(format)}
		switch {
		case slices.Contains(r.o.keep, f.Name):
			x.why = "--keep"
		case len(r.o.only) > 0 && !slices.Contains(r.o.only, f.Name):
			x.why = "not in --only"
		default:
			if x.becomes, err = r.take(s.named, f.Name, f.Value); err != nil {
				return err
			}
		}
		r.plan.rows = append(r.plan.rows, x)
	}
	if format != imports.SOPS {
		r.plan.left = append(r.plan.left, s.named)
	}
	r.next("keyturn run --env-from " + keyturn.Quote(r.plan.ref.Short()) + " -- COMMAND")
	return nil
}

// identities are the age identities that sops would use: of two variables, or of
// its own file.
func (r *reader) identities() ([]byte, error) {
	text := []byte(r.Env("SOPS_AGE_KEY"))
	if file := r.Env("SOPS_AGE_KEY_FILE"); file != "" {
		data, err := command.ReadFile(r.Abs(file))
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
	if data, err := command.ReadFile(filepath.Join(folder, "sops", "age", "keys.txt")); err == nil {
		text = append(append(text, '\n'), data...)
	}
	return text, nil
}

// take puts a value into the plan and returns the reference that stands for it.
func (r *reader) take(file, field string, v keyturn.Value) (string, error) {
	ref, err := r.plan.ref.WithField(field)
	if err != nil {
		return "", err
	}
	if old, ok := r.plan.values[field]; ok && !old.Equal(v) {
		return "", keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(field)+"' has one value in "+keyturn.Clean(r.plan.from[field])+" and another in "+keyturn.Clean(file),
			"migrate them one by one, each with its own --to")
	}
	r.plan.values[field], r.plan.from[field] = v, file
	return ref.Short(), nil
}

// choice is what of the flags is about this file.
func (r *reader) choice(f *migrate.File) (c migrate.Choice, skip bool) {
	has := func(name string) bool {
		return slices.ContainsFunc(f.Entries(), func(e migrate.Entry) bool { return e.Name == name || e.Field == name })
	}
	c.All = r.o.all
	for _, k := range r.o.keep {
		if has(k) {
			c.Keep = append(c.Keep, k)
		}
	}
	for _, k := range r.o.only {
		if has(k) {
			c.Only = append(c.Only, k)
		}
	}
	return c, len(r.o.only) > 0 && len(c.Only) == 0
}

// rewritten plans what becomes of a file and of what belongs to it.
func (r *reader) rewritten(s source) error {
	o := migrate.Options{Mounts: r.o.mounts}
	env, err := r.edit(filepath.Join(filepath.Dir(s.path), ".env"))
	if err != nil {
		return err
	}
	if names, err := document.ParseEnv(".env", env.after); err == nil && env.path != s.path {
		for _, e := range names.Entries {
			o.Taken = append(o.Taken, e.Name)
		}
	}
	f, err := migrate.Read(s.named, s.data, o)
	if err != nil {
		return err
	}
	choice, skip := r.choice(f)
	if err := f.Choose(choice); err != nil && !skip {
		return err
	}
	moved := 0
	for _, e := range f.Entries() {
		x := row{file: s.named, name: e.Name, field: e.Field, line: e.Line, why: e.Why}
		switch {
		case skip:
			x.why = "not in --only"
		case e.Secret:
			if x.becomes, err = r.take(s.named, e.Field, e.Value); err != nil {
				return err
			}
			moved++
		case e.Reference != nil && e.Foreign:
			x.becomes = e.Reference.Short()
			moved++
		}
		r.plan.rows = append(r.plan.rows, x)
	}
	for _, n := range f.Notices() {
		r.plan.notices = append(r.plan.notices, n.String())
	}
	if moved == 0 || skip {
		return nil
	}
	if f.Kind() == migrate.Manifest && r.o.as == "" {
		return keyturn.E(keyturn.Invalid, keyturn.Clean(s.named)+" is a manifest of Kubernetes: it is never rewritten in place",
			"say --as template: a template is made beside it, without values, for 'keyturn render'")
	}
	text, err := f.Rewrite(r.plan.ref)
	if err != nil {
		return err
	}
	return r.write(s, f.Kind(), text, env)
}

// write plans the files that a rewritten one makes.
func (r *reader) write(s source, kind migrate.Kind, text migrate.Rewritten, env *edit) error {
	shown := keyturn.Quote(keyturn.Clean(s.named))
	if kind == migrate.Manifest {
		t, err := r.edit(s.path + ".tmpl")
		if err != nil {
			return err
		}
		if t.there() && !bytes.Equal(t.data, text.Template) {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(t.named)+" is there already, with another text", "look at it, and remove it if it may go")
		}
		t.after = text.Template
		r.plan.left = append(r.plan.left, s.named)
		r.next("keyturn render " + keyturn.Quote(keyturn.Clean(s.named)+".tmpl") + " | kubectl apply -f -")
		return nil
	}
	e, err := r.edit(s.path)
	if err != nil {
		return err
	}
	e.named, e.link, e.after, e.asked = s.named, s.link, text.Data, true
	switch {
	case kind == migrate.Env:
		if n := handedOn(s.path); n != "" {
			r.plan.notices = append(r.plan.notices, n)
		}
		r.next("keyturn run --env-file " + shown + " -- COMMAND")
	case kind == migrate.Compose && len(text.Env) > 0:
		if env.after, err = migrate.JoinEnv(env.named, env.after, text.Env); err != nil {
			return err
		}
		if err := r.projectFile(filepath.Dir(s.path), text.Env); err != nil {
			return err
		}
		r.next("keyturn run -- docker compose up")
	case kind == migrate.JSON || kind == migrate.YAML:
		r.plan.notices = append(r.plan.notices, keyturn.Clean(s.named)+" holds references now: what reads it must get the values from keyturn, for instance as variables")
		r.next("keyturn run --env-from " + keyturn.Quote(r.plan.ref.Short()) + " -- COMMAND")
	}
	return nil
}

// handedOn tells of a compose file beside a .env that gives it to containers as it
// is; "" where there is none.
func handedOn(path string) string {
	for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil || len(text) > document.MaxSize {
			continue
		}
		_, after, found := bytes.Cut(text, []byte("env_file"))
		if found && bytes.Contains(after, []byte(filepath.Base(path))) {
			return name + " has an env_file: if it hands " + keyturn.Clean(filepath.Base(path)) +
				" to a container, that gets the references as they are; name its variables under environment instead, as NAME: ${NAME}"
		}
	}
	return ""
}

func (r *reader) next(line string) {
	if !slices.Contains(r.plan.next, line) {
		r.plan.next = append(r.plan.next, line)
	}
}

// projectFile plans the entries of the project's file that 'keyturn run' looks for
// from a compose file's folder.
func (r *reader) projectFile(folder string, lines []migrate.EnvLine) error {
	path, err := config.FindProject(folder, r.Env("HOME"), r.project)
	if err != nil {
		return err
	}
	if path == "" {
		path = filepath.Join(folder, config.FileName)
	}
	e, err := r.edit(path)
	if err != nil {
		return err
	}
	var add []keyturn.Binding
	for _, l := range lines {
		add = append(add, keyturn.Binding{Name: l.Name, Ref: l.Ref})
	}
	if e.after, err = config.AddEnv(e.named, e.after, add); err == nil {
		r.plan.project = e
	}
	return err
}

// edit is the file at path as planned so far.
func (r *reader) edit(path string) (*edit, error) {
	s, err := openSource(path, path)
	if err != nil {
		return nil, err
	}
	for _, e := range r.plan.edits {
		if e.path == s.path {
			return e, nil
		}
	}
	if rel, err := filepath.Rel(r.Dir, s.path); err == nil && !strings.HasPrefix(rel, "..") {
		s.named = rel
	}
	e := &edit{source: s, after: s.data}
	r.plan.edits = append(r.plan.edits, e)
	return e, nil
}

// checkEdits drops what stays as it is and checks that the rest can be written.
func (r *reader) checkEdits() error {
	r.plan.edits = slices.DeleteFunc(r.plan.edits, func(e *edit) bool { return !e.there() && e.after == nil || !e.changes() })
	// What belongs to a file is written before it.
	slices.SortStableFunc(r.plan.edits, func(a, b *edit) int {
		switch {
		case a.asked == b.asked:
			return 0
		case a.asked:
			return 1
		}
		return -1
	})
	for _, e := range r.plan.edits {
		if err := e.replaceable(); err != nil {
			return err
		}
		if r.o.dryRun {
			continue
		}
		if err := e.writable(); err != nil {
			return err
		}
	}
	return nil
}

// fields are the names of what is stored, sorted.
func (p plan) fields() []string { return command.SortedKeys(p.values) }

// op is the operation that the plan asks for, without the ids of its candidates,
// and its sealed texts.
func (p plan) op(replace bool) (keyturn.MigrateSecrets, map[string]keyturn.Value) {
	op := keyturn.MigrateSecrets{Ref: p.ref, Fields: p.fields(), Replace: replace}
	texts := map[string]keyturn.Value{}
	for i, e := range p.edits {
		f := keyturn.MigratedFile{Path: e.path, New: !e.there()}
		if e.there() {
			f.Mode = octal(e.info.Mode())
			texts["before-"+strconv.Itoa(i)] = keyturn.NewValue(e.data)
		}
		texts["after-"+strconv.Itoa(i)] = keyturn.NewValue(e.after)
		op.Files = append(op.Files, f)
	}
	return op, texts
}

// changes are what the migration with this id does to the files.
func (p plan) changes(id string) []change {
	out := make([]change, len(p.edits))
	for i, e := range p.edits {
		out[i] = change{path: e.path, before: e.data, had: e.there(), after: e.after, has: true, mode: newMode, temp: tempName(e.path, id, i)}
		if e.there() {
			out[i].mode = e.info.Mode().Perm()
		}
	}
	return out
}

// newMode is for files that a migration makes: they hold references only.
const newMode = 0o644

func octal(mode fs.FileMode) string { return "0" + strconv.FormatUint(uint64(mode.Perm()), 8) }

func modeOf(f keyturn.MigratedFile) fs.FileMode {
	if n, err := strconv.ParseUint(f.Mode, 8, 32); err == nil && !f.New {
		return fs.FileMode(n).Perm()
	}
	return newMode
}
