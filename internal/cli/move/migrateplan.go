package move

import (
	"bytes"
	"fmt"
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
	"github.com/keyturn/keyturn/internal/migrate"
	"github.com/keyturn/keyturn/internal/migrate/imports"
	"github.com/keyturn/keyturn/internal/migrate/rewrite"
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
	left    []string          // files that still hold values afterwards
	next    []string          // how to go on
	project *edit             // a keyturn.yaml that is changed
	entries []keyturn.Binding // that it gets
	pin     []keyturn.Binding // what it may be trusted with, once a person has seen it and said yes; nil: nothing
}

// edit is one file and what it is to hold.
type edit struct {
	rewrite.Source
	after []byte
	asked bool        // it is one of the files that were named
	most  fs.FileMode // of a new file: the mode that it may have at most
}

// mode is what the file has afterwards.
func (e *edit) mode() fs.FileMode {
	if e.There() {
		return e.Info.Mode().Perm()
	}
	return e.most &^ rewrite.Umask()
}

func (e *edit) changes() bool { return !e.There() || !bytes.Equal(e.Data, e.after) }

// reader makes the plan.
type reader struct {
	*command.Command
	o       migrateOptions
	project string // the operator's file, which is nobody's project
	files   []rewrite.Source
	plan    plan
}

// read makes the plan for the files.
func (r *reader) read(files []rewrite.Source) error {
	r.plan = plan{ref: r.o.ref, values: map[string]keyturn.Value{}, from: map[string]string{}}
	r.files = files
	type reading struct {
		rewrite.Source
		format imports.Format  // of another tool's file
		fields []imports.Field // its fields
		file   *migrate.File   // any other file
	}
	var list []reading
	for _, s := range files {
		f := reading{Source: s, format: imports.Format(r.o.from)}
		if r.o.from == "" {
			f.format = imports.Detect(s.Named, s.Data)
		}
		var err error
		if f.format == "" {
			f.file, err = migrate.Read(s.Named, s.Data, migrate.Options{Mounts: r.o.mounts})
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
func (r *reader) fields(s rewrite.Source, format imports.Format) ([]imports.Field, error) {
	var identities []byte
	if format == imports.SOPS {
		var err error
		if identities, err = r.identities(); err != nil {
			return nil, err
		}
	}
	return imports.Fields(format, s.Named, s.Data, identities)
}

// imported takes the fields of another tool's file, which stays as it is.
func (r *reader) imported(s rewrite.Source, format imports.Format, fields []imports.Field) error {
	var err error
	for _, f := range fields {
		x := row{file: s.Named, name: f.Name, field: f.Name, why: "from " + string(format)}
		switch {
		case slices.Contains(r.o.keep, f.Name):
			x.why = "--keep"
		case len(r.o.only) > 0 && !slices.Contains(r.o.only, f.Name):
			x.why = "not in --only"
		default:
			if x.becomes, err = r.take(s.Named, f.Name, f.Value); err != nil {
				return err
			}
		}
		r.plan.rows = append(r.plan.rows, x)
	}
	if format != imports.SOPS {
		r.plan.left = append(r.plan.left, s.Named)
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
	if data, _, err := rewrite.ReadRegular(filepath.Join(folder, "sops", "age", "keys.txt")); err == nil {
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
func (r *reader) rewritten(s rewrite.Source, kind migrate.Kind) error {
	o := migrate.Options{Mounts: r.o.mounts}
	var env *edit // beside a compose file
	if kind == migrate.Compose {
		var err error
		if env, err = r.edit(filepath.Join(filepath.Dir(s.Path), ".env")); err != nil {
			return err
		}
		if names, err := document.ParseEnv(".env", env.after); err == nil {
			for _, e := range names.Entries {
				o.Taken = append(o.Taken, e.Name)
			}
		}
	}
	f, err := migrate.Read(s.Named, s.Data, o)
	if err != nil {
		return err
	}
	choice, skip := r.choice(f)
	if err := f.Choose(choice); err != nil && !skip {
		return err
	}
	moved, plain := 0, []string(nil)
	for _, e := range f.Entries() {
		x := row{file: s.Named, name: e.Name, field: e.Field, line: e.Line, why: e.Why}
		switch {
		case skip:
			x.why = "not in --only"
		case e.Secret:
			if x.becomes, err = r.take(s.Named, e.Field, e.Value); err != nil {
				return err
			}
			moved++
		case e.Reference != nil && e.Foreign:
			x.becomes = e.Reference.Short()
			moved++
		case e.Reference == nil && e.Value.Len() > 0:
			plain = append(plain, keyturn.Clean(e.Name))
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
		return keyturn.E(keyturn.Invalid, keyturn.Clean(s.Named)+" is a manifest of Kubernetes: it is never rewritten in place",
			"say --as template: a template is made beside it, without values, for 'keyturn render'")
	}
	text, err := f.Rewrite(r.plan.ref)
	if err != nil {
		return err
	}
	if kind == migrate.Manifest && len(plain) > 0 {
		r.plan.notices = append(r.plan.notices, keyturn.Clean(s.Named)+".tmpl holds the values that stay as they are: "+strings.Join(plain, ", "))
	}
	return r.write(s, kind, text, env)
}

// write plans the files that a rewritten one makes.
func (r *reader) write(s rewrite.Source, kind migrate.Kind, text migrate.Rewritten, env *edit) error {
	shown := keyturn.Quote(keyturn.Clean(s.Named))
	if kind == migrate.Manifest {
		t, err := r.beside(s, s.Path+".tmpl")
		if err != nil {
			return err
		}
		t.most &= s.Info.Mode().Perm() // it has what stays of it
		if t.There() && !bytes.Equal(t.Data, text.Template) {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(t.Named)+" is there already, with another text", "look at it, and remove it if it may go")
		}
		t.after = text.Template
		r.plan.left = append(r.plan.left, s.Named)
		r.next("keyturn render " + keyturn.Quote(keyturn.Clean(s.Named)+".tmpl") + " | kubectl apply -f -")
		return nil
	}
	e, err := r.edit(s.Path)
	if err != nil {
		return err
	}
	e.Named, e.Link, e.after, e.asked = s.Named, s.Link, text.Data, true
	switch {
	case kind == migrate.Env:
		if n := handedOn(s.Path); n != "" {
			r.plan.notices = append(r.plan.notices, n)
		}
		r.next("keyturn run --env-file " + shown + " -- COMMAND")
	case kind == migrate.Compose && len(text.Env) > 0:
		if _, err := r.beside(s, filepath.Join(filepath.Dir(s.Path), ".env")); err != nil {
			return err
		}
		if env.after, err = migrate.JoinEnv(env.Named, env.after, text.Env); err != nil {
			return err
		}
		if err := r.projectFile(s, text.Env); err != nil {
			return err
		}
		r.next("keyturn run -- docker compose up")
	case kind == migrate.JSON || kind == migrate.YAML:
		r.plan.notices = append(r.plan.notices, keyturn.Clean(s.Named)+" holds references now: what reads it must get the values from keyturn, for instance as variables")
		r.next("keyturn run --env-from " + keyturn.Quote(r.plan.ref.Short()) + " -- COMMAND")
	}
	return nil
}

// handedOn tells of a compose file beside a .env that gives it to containers as it
// is; "" where there is none.
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

func (r *reader) next(line string) {
	if !slices.Contains(r.plan.next, line) {
		r.plan.next = append(r.plan.next, line)
	}
}

// projectFile plans the entries of the project's file that 'keyturn run' looks for
// from a compose file's folder.
func (r *reader) projectFile(s rewrite.Source, lines []migrate.EnvLine) error {
	folder := filepath.Dir(s.Path)
	path, err := config.FindProject(folder, r.Env("HOME"), r.project)
	if err != nil {
		return err
	}
	own := filepath.Join(folder, config.FileName)
	if path != "" && path != own {
		return keyturn.E(keyturn.Conflict, "the project's file is "+keyturn.Clean(path)+", outside of the folder of "+keyturn.Clean(s.Named)+", and nothing is written there",
			"give that folder a project's file of its own: touch "+keyturn.Quote(own))
	}
	e, err := r.beside(s, own)
	if err != nil {
		return err
	}
	for _, l := range lines {
		r.plan.entries = append(r.plan.entries, keyturn.Binding{Name: l.Name, Ref: l.Ref})
	}
	if e.after, err = config.AddEnv(e.Named, e.after, r.plan.entries); err == nil {
		r.plan.project = e
	}
	return err
}

// beside is the file at path that a migration of s writes along with it. It is
// Conflict where that is a link, or where s is a link into another folder, unless
// the file was named itself: nobody said that another folder may be written in.
func (r *reader) beside(s rewrite.Source, path string) (*edit, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil && slices.ContainsFunc(r.files, func(f rewrite.Source) bool { return f.Path == real }) {
		return r.edit(path)
	}
	shown := "'" + keyturn.Clean(filepath.Join(filepath.Dir(s.Named), filepath.Base(path))) + "'"
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, keyturn.E(keyturn.Conflict, shown+" is a link, and would be written along with "+keyturn.Clean(s.Named), "make it a file of this folder, or take the link away")
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(r.Abs(s.Named))); err != nil || folder != filepath.Dir(path) {
		return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(s.Named)+" is a link, and files would be written in the folder that it leads to", "name the file itself: "+keyturn.Quote(keyturn.Clean(s.Path)))
	}
	return r.edit(path)
}

// edit is the file at path as planned so far.
func (r *reader) edit(path string) (*edit, error) {
	if err := r.MayWrite(path); err != nil {
		return nil, err
	}
	s, err := rewrite.Open(path, path)
	if err != nil {
		return nil, err
	}
	for _, e := range r.plan.edits {
		if e.Path == s.Path {
			return e, nil
		}
	}
	if rel, err := filepath.Rel(r.Dir, s.Path); err == nil && !strings.HasPrefix(rel, "..") {
		s.Named = rel
	}
	e := &edit{Source: s, after: s.Data, most: newMode}
	r.plan.edits = append(r.plan.edits, e)
	return e, nil
}

// checkEdits drops what stays as it is and checks that the rest can be written.
func (r *reader) checkEdits() error {
	r.plan.edits = slices.DeleteFunc(r.plan.edits, func(e *edit) bool { return !e.There() && e.after == nil || !e.changes() })
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
		if err := e.Replaceable(); err != nil {
			return err
		}
		switch err := e.Writable(); {
		case err != nil && r.o.dryRun:
			r.plan.notices = append(r.plan.notices, keyturn.AsError(err).Message)
		case err != nil:
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
		f := keyturn.MigratedFile{Path: e.Path, New: !e.There(), Mode: rewrite.Octal(e.mode())}
		if e.There() {
			texts["before-"+strconv.Itoa(i)] = keyturn.NewValue(e.Data)
		}
		texts["after-"+strconv.Itoa(i)] = keyturn.NewValue(e.after)
		op.Files = append(op.Files, f)
	}
	return op, texts
}

// changes are what the migration with this id does to the files.
func (p plan) changes(id string) []rewrite.Change {
	out := make([]rewrite.Change, len(p.edits))
	for i, e := range p.edits {
		out[i] = rewrite.Change{Path: e.Path, Before: e.Data, Had: e.There(), After: e.after, Has: true, Mode: e.mode(), Temp: rewrite.TempName(e.Path, id, i)}
	}
	return out
}

// newMode is for files that a migration makes, as far as the umask lets it: they
// hold references, but for a template.
const newMode = 0o644

func modeOf(f keyturn.MigratedFile) fs.FileMode {
	if n, err := strconv.ParseUint(f.Mode, 8, 32); err == nil {
		return fs.FileMode(n).Perm()
	}
	return newMode &^ rewrite.Umask()
}

// Limits of one migration: what the local store and the door take. They have the
// last word; but what they would refuse is not promised.
const (
	maxFields = 1000
	maxValue  = 1 << 20 // bytes
	maxSecret = 4 << 20
	maxFiles  = 200
	maxTexts  = 16 << 20 // of what files hold and are to hold
)

func (p plan) checkLimits() error {
	no := func(what, hint string) error { return keyturn.E(keyturn.Invalid, what, hint).About(p.ref) }
	if len(p.values) > maxFields {
		return no(fmt.Sprintf("these are more than %d values, and a secret has no more fields", maxFields), "migrate the files one by one, each with its own --to, or a part of a file with --only")
	}
	total := 0
	for _, f := range p.fields() {
		n := p.values[f].Len()
		if n > maxValue {
			return no("the value of '"+keyturn.Clean(f)+"' is larger than 1 MiB", "leave it in the file: --keep "+keyturn.Quote(keyturn.Clean(f)))
		}
		total += n
	}
	if total > maxSecret {
		return no("the values are together larger than 4 MiB", "migrate the files one by one, each with its own --to, or a part of a file with --only")
	}
	files, texts := 0, 0
	for _, e := range p.edits {
		if e.changes() && (e.There() || e.after != nil) {
			files, texts = files+1, texts+len(e.Data)+len(e.after)
		}
	}
	if files > maxFiles || texts > maxTexts {
		return no(fmt.Sprintf("a migration writes at most %d files of together 8 MiB", maxFiles), "name fewer at once")
	}
	return nil
}
