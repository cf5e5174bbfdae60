package move

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/config"
)

// migrator is one run of the command.
type migrator struct {
	*command.Command
	s *command.Session
	o migrateOptions
}

// migrate is a new migration, or goes on with one of the same files.
func (m *migrator) migrate(ctx context.Context) error {
	files, err := m.sources()
	if err != nil {
		return err
	}
	var paths []string
	for _, s := range files {
		paths = append(paths, s.path)
	}
	unlock := func() {}
	if !m.o.dryRun {
		if unlock, err = lockFolders(paths); err != nil {
			return err
		}
		if files, err = m.sources(); err != nil { // as they are now that nobody else is at work
			unlock()
			return err
		}
	}
	defer unlock()
	open, err := m.cutOff(ctx, paths)
	if err != nil {
		return err
	}
	if open != nil {
		for _, s := range files {
			if !slices.ContainsFunc(open.Files, func(f keyturn.MigratedFile) bool { return f.Path == s.path }) {
				m.Say("note: %s is not part of the migration that was cut off: give the command again when it has ended", keyturn.Clean(s.named))
			}
		}
		return m.goOn(ctx, *open)
	}
	operator := ""
	if m.s.Operator != nil {
		operator = m.s.Operator.File
	}
	r := &reader{Command: m.Command, o: m.o, project: operator}
	if err := r.read(files); err != nil {
		return err
	}
	p := r.plan
	if !m.JSON() {
		if err := m.show(p); err != nil {
			return err
		}
	}
	if m.o.dryRun || len(p.values) == 0 && len(p.edits) == 0 {
		return m.planned(p)
	}
	if m.Prompt().Possible() && !m.JSON() && !m.Yes {
		if err := m.sure(ctx, p); err != nil {
			return err
		}
	}
	return m.carryOut(ctx, p)
}

// sources opens the files that were named, each once.
func (m *migrator) sources() ([]source, error) {
	var out []source
	for _, f := range m.o.files {
		s, err := openSource(f, m.Abs(f))
		if err != nil {
			return nil, err
		}
		if !s.there() {
			return nil, keyturn.E(keyturn.Invalid, "there is no file '"+keyturn.Clean(f)+"'", "check the path")
		}
		if !slices.ContainsFunc(out, func(x source) bool { return x.path == s.path }) {
			out = append(out, s)
		}
	}
	return out, nil
}

// cutOff is the migration of one of the files that was cut off after its values
// were stored.
func (m *migrator) cutOff(ctx context.Context, paths []string) (*keyturn.Migration, error) {
	all, err := command.Ask[*keyturn.Migrations](ctx, m.Command, m.s, keyturn.ListMigrations{})
	if err != nil {
		return nil, err
	}
	for _, x := range all.Migrations {
		mine := slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool { return slices.Contains(paths, f.Path) })
		if !mine || !x.Open() || x.Phase == keyturn.MigrationBegun {
			continue
		}
		if x.Phase == keyturn.MigrationReverting {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files is being taken back, and was cut off", "go on with: keyturn migrate --rollback "+x.ID)
		}
		if m.o.dryRun || x.Ref != m.o.ref {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files into "+keyturn.Clean(x.Ref.Short())+" was cut off",
				"go on with: keyturn migrate --resume "+x.ID+"\nor take it back: keyturn migrate --rollback "+x.ID)
		}
		return &x, nil
	}
	return nil, nil
}

// sure asks once.
func (m *migrator) sure(ctx context.Context, p plan) error {
	what := "Rewrite " + counted(len(p.edits), "file")
	if len(p.values) > 0 {
		what = "Store " + counted(len(p.values), "value") + " in " + keyturn.Clean(p.ref.Short())
		if len(p.edits) > 0 {
			what += " and write " + counted(len(p.edits), "file")
		}
	}
	yes, err := m.Prompt().Confirm(ctx, what+"?")
	if err == nil && !yes {
		err = command.SaidNo()
	}
	return err
}

// carryOut stores the values, writes the files and ends the migration.
func (m *migrator) carryOut(ctx context.Context, p plan) error {
	op, texts := p.op(m.o.replace)
	var err error
	if len(p.values) > 0 {
		if op.Candidate, err = m.s.Service.Seal(ctx, op.Ref, p.values); err != nil {
			return err
		}
	}
	if len(op.Files) > 0 {
		if op.Texts, err = m.s.Service.Seal(ctx, op.Ref, texts); err != nil {
			return err
		}
	}
	res, err := command.Ask[*keyturn.Migrated](ctx, m.Command, m.s, op)
	if err != nil {
		return err
	}
	if len(op.Files) > 0 {
		id := res.Migration.ID
		if err := m.apply(ctx, id, p.changes(id)); err != nil {
			return err
		}
		end, err := command.Ask[*keyturn.Migrated](ctx, m.Command, m.s, keyturn.FinishMigration{Ref: op.Ref, ID: id})
		if err != nil {
			return unfinished(id, err)
		}
		res.Migration = end.Migration
	}
	m.trust(ctx, &p)
	return m.done(p, res)
}

// apply makes changes of files in their order.
func (m *migrator) apply(ctx context.Context, id string, changes []change) error {
	for _, ch := range changes {
		if ctx.Err() != nil {
			m.Say("the migration %s is half done; go on with: keyturn migrate --resume %s", id, id)
			return command.ErrInterrupted
		}
		if err := ch.apply(); err != nil {
			return unfinished(id, err)
		}
	}
	return nil
}

// unfinished tells how to go on with a migration whose values are stored.
func unfinished(id string, err error) error {
	e := *keyturn.AsError(err)
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "the values are stored, and every file is whole; go on with: keyturn migrate --resume " + id +
		"\nor take it back: keyturn migrate --rollback " + id
	return &e
}

// trust pins what a project's file asks for now, where a person has just been
// shown it, and had said yes to all that was there before.
func (m *migrator) trust(ctx context.Context, p *plan) {
	if p.project == nil {
		return
	}
	say := func() {
		p.notices = append(p.notices, "before the first run, look at "+keyturn.Clean(p.project.named)+" and say: keyturn trust")
	}
	before, err := config.ParseProject(p.project.path, p.project.data)
	if err != nil {
		say()
		return
	}
	after, err := config.ParseProject(p.project.path, p.project.after)
	if err != nil || m.s.Actor.Kind != keyturn.Person {
		say()
		return
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.ShowTrust{Path: p.project.path})
	if err != nil || len(before.Bindings()) > 0 && !(known.Known && len(config.Diff(known.Before, before.Bindings())) == 0) {
		say()
		return
	}
	if _, err := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.TrustProject{Path: p.project.path, Pinned: after.Bindings()}); err != nil {
		say()
	}
}

// show prints what moves and what stays, and why.
func (m *migrator) show(p plan) error {
	var rows [][]string
	last := ""
	for _, x := range p.rows {
		file, becomes := "", "stays"
		if x.file != last {
			file, last = keyturn.Clean(x.file), x.file
		}
		if x.becomes != "" {
			becomes = keyturn.Clean(x.becomes)
		}
		rows = append(rows, []string{file, keyturn.Clean(x.name), becomes, keyturn.Clean(x.why)})
	}
	if len(rows) == 0 {
		return nil
	}
	return m.Table([]string{"FILE", "NAME", "BECOMES", "WHY"}, rows)
}

// tell says what the owner of the files should know beside the answer.
func (m *migrator) tell(p plan) {
	for _, e := range p.edits {
		if e.link {
			m.Say("note: %s is a link; the file is %s", keyturn.Clean(e.named), keyturn.Clean(e.path))
		}
	}
	for _, n := range p.notices {
		m.Say("note: %s", keyturn.CleanLines(n))
	}
}

// planned ends where nothing is to be done: a dry run, or nothing to move.
func (m *migrator) planned(p plan) error {
	if m.JSON() {
		doc := command.Answer{Operation: keyturn.MigrateSecrets{}.Kind(), Mount: p.ref.Mount(), Status: "success", Notices: p.notices}
		d := p.doc("planned")
		doc.Migration = &d
		return m.Print(doc)
	}
	m.tell(p)
	if len(p.values) == 0 && len(p.edits) == 0 {
		return m.Line("nothing to migrate")
	}
	said := "would write"
	if len(p.values) > 0 {
		said = "would store " + counted(len(p.values), "value") + " in " + keyturn.Clean(p.ref.Short())
		if len(p.edits) > 0 {
			said += " and write"
		}
	}
	return m.Line("%s%s; nothing was done (--dry-run)", said, p.named(" "))
}

// named are the files that are written, in a sentence.
func (p plan) named(before string) string {
	var out []string
	for _, e := range p.edits {
		out = append(out, keyturn.Clean(e.named))
	}
	if len(out) == 0 {
		return ""
	}
	return before + strings.Join(out, ", ")
}

// done prints what was done, and what comes next.
func (m *migrator) done(p plan, res *keyturn.Migrated) error {
	hints := p.hints(res)
	if m.JSON() {
		doc := command.Success(keyturn.MigrateSecrets{}.Kind(), res.Receipt)
		d := p.doc(keyturn.MigrationEnded)
		d.ID, d.By, d.Began, d.Ended = res.Migration.ID, res.Migration.By, command.Stamp(res.Migration.Began), command.Stamp(res.Migration.Ended)
		doc.Migration, doc.Next, doc.Notices = &d, p.next, slices.Concat(p.notices, hints)
		if len(p.values) > 0 {
			info := command.InfoDoc(res.Secret)
			doc.Secret, doc.Before = &info, command.VersionOf(res.Before)
		}
		doc.Target = strings.TrimPrefix(arrow(res.Receipt, res.Target), "→ ")
		for _, e := range p.edits {
			doc.Artifacts = append(doc.Artifacts, e.path)
		}
		return command.Done(p.said(res), m.Print(doc))
	}
	m.tell(p)
	lines := []string{}
	if len(p.values) > 0 {
		lines = append(lines, p.said(res)+"  "+m.Dim(arrow(res.Receipt, res.Target)))
	}
	if len(p.edits) > 0 {
		lines = append(lines, "wrote "+p.named("")+"; take it back with: keyturn migrate --rollback "+res.Migration.ID)
	}
	for _, n := range p.next {
		lines = append(lines, "use it with: "+m.Bold(n))
	}
	for _, l := range lines {
		if err := m.Line("%s", l); err != nil {
			return command.Done(p.said(res), err)
		}
	}
	for _, h := range hints {
		m.Say("note: %s", h)
	}
	return nil
}

// said is what was stored, in a sentence.
func (p plan) said(res *keyturn.Migrated) string {
	name := keyturn.Clean(p.ref.Short())
	switch {
	case len(p.values) == 0:
		return "wrote" + p.named(" ")
	case !res.Written:
		return name + " held " + counted(len(p.values), "value") + " already, the same"
	}
	return "stored " + counted(len(p.values), "value") + " in " + name + " version " + keyturn.Clean(res.Secret.Version) + ", read back and compared"
}

// hints are what is left to do that this program cannot do.
func (p plan) hints(res *keyturn.Migrated) (out []string) {
	for _, l := range p.left {
		out = append(out, keyturn.Clean(l)+" still holds the values: remove it when nothing needs it any more")
	}
	if len(res.Migration.Fields) > 0 && slices.ContainsFunc(p.edits, func(e *edit) bool { return e.there() && inGit(e.path) }) {
		out = append(out, "this folder is under git: if a file with the values was ever committed, its history keeps them, so make new ones and store those")
	}
	return out
}

// doc is the plan in JSON.
func (p plan) doc(phase string) command.MigrationDoc {
	d := command.MigrationDoc{Phase: phase, Ref: p.ref.String(), Files: []command.MigratedFileDoc{}, Moved: &[]command.MigratedDoc{}, Kept: &[]command.MigratedDoc{}}
	for _, e := range p.edits {
		d.Files = append(d.Files, command.MigratedFileDoc{Path: e.path, New: !e.there()})
	}
	for _, x := range p.rows {
		row := command.MigratedDoc{File: x.file, Line: x.line, Name: x.name, Why: x.why}
		if x.becomes == "" {
			*d.Kept = append(*d.Kept, row)
			continue
		}
		row.Field, row.Ref = x.field, keyturn.Scheme+x.becomes
		*d.Moved = append(*d.Moved, row)
	}
	return d
}

// arrow tells where a write went, as every write does.
func arrow(r keyturn.Receipt, target string) string {
	s := "→ " + r.Platform
	if target != "" {
		s += " " + keyturn.Clean(target)
	}
	return s
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// samePath reports whether a file that was named is one of a migration.
func samePath(c *command.Command, named string, m keyturn.Migration) bool {
	abs := c.Abs(named)
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if folder, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(folder, filepath.Base(abs))
	}
	return slices.ContainsFunc(m.Files, func(f keyturn.MigratedFile) bool { return f.Path == abs })
}
