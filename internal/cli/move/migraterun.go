package move

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/cli/move/rewrite"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// migrator is one run of the command.
type migrator struct {
	*command.Command
	s *session.Session
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
		paths = append(paths, s.Path)
	}
	unlock := func() {}
	if !m.o.dryRun {
		if unlock, err = rewrite.LockFolders(paths); err != nil {
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
			if !slices.ContainsFunc(open.Files, func(f keyturn.MigratedFile) bool { return f.Path == s.Path }) {
				m.Say("note: %s is not part of the migration that was cut off: give the command again when it has ended", keyturn.Clean(s.Named))
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
	if !slices.Contains(m.s.Mounts, p.ref.Mount()) {
		return keyturn.E(keyturn.NotFound, "no mount '"+keyturn.Clean(p.ref.Mount())+"'",
			fmt.Sprintf("the mounts are %v; more come from the operator's configuration", m.s.Mounts)).About(p.ref)
	}
	if m.o.dryRun || len(p.values) == 0 && len(p.edits) == 0 {
		return m.planned(p)
	}
	if m.Prompt().Possible() && !m.JSON() && !m.Yes {
		p.pin = m.trustable(ctx, p)
		if err := m.sure(ctx, p); err != nil {
			return err
		}
	}
	return m.carryOut(ctx, p)
}

// sources opens the files that were named, each once.
func (m *migrator) sources() ([]rewrite.Source, error) {
	var out []rewrite.Source
	for _, f := range m.o.files {
		s, err := rewrite.Open(f, m.Abs(f))
		if err != nil {
			return nil, err
		}
		if !s.There() {
			return nil, keyturn.E(keyturn.Invalid, "there is no file '"+keyturn.Clean(f)+"'", "check the path")
		}
		if err := m.MayWrite(s.Path); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(x rewrite.Source) bool { return x.Path == s.Path }) {
			out = append(out, s)
		}
	}
	return out, nil
}

// cutOff is the migration of one of the files that was cut off after its values
// were stored. What a crash of any of them left beside the files is removed.
func (m *migrator) cutOff(ctx context.Context, paths []string) (*keyturn.Migration, error) {
	all, err := session.Ask[*keyturn.Migrations](ctx, m.s, keyturn.ListMigrations{})
	if err != nil {
		return nil, err
	}
	for _, x := range all.Migrations {
		mine := slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool { return slices.Contains(paths, f.Path) })
		if mine && !m.o.dryRun {
			tidy(x)
		}
		if !mine || !x.Open() || x.Phase == keyturn.MigrationBegun {
			continue
		}
		if x.Phase == keyturn.MigrationReverting {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files is being taken back, and was cut off",
				"go on with: keyturn migrate --rollback "+x.ID+"\n"+wayOut(x.ID))
		}
		if m.o.dryRun || x.Ref != m.o.ref {
			return nil, keyturn.E(keyturn.Conflict, "a migration of these files into "+keyturn.Clean(x.Ref.Short())+" was cut off",
				"go on with: keyturn migrate --resume "+x.ID+m.orBack(x.Ref, x.ID))
		}
		return &x, nil
	}
	return nil, nil
}

// sure asks once, below what is written and what is trusted.
func (m *migrator) sure(ctx context.Context, p plan) error {
	for _, e := range p.edits {
		what := keyturn.Clean(e.Path)
		switch {
		case e.Link:
			what += ", to which " + keyturn.Clean(e.Named) + " leads"
		case !e.There():
			what += ", a new file"
		}
		m.Say("writes  %s", what)
	}
	for _, b := range p.pin {
		m.Say("trusts  %s = %s", keyturn.Clean(b.Name), keyturn.Clean(b.Ref.Short()))
	}
	what := "Rewrite " + counted(len(p.edits), "file")
	if len(p.values) > 0 {
		what = "Store " + counted(len(p.values), "value") + " in " + keyturn.Clean(p.ref.Short())
		if len(p.edits) > 0 {
			what += " and write " + counted(len(p.edits), "file")
		}
	}
	yes, err := m.Prompt().Confirm(ctx, what+"?")
	if err == nil && !yes {
		err = session.SaidNo()
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
	res, err := session.Ask[*keyturn.Migrated](ctx, m.s, op)
	if err != nil {
		return err
	}
	if len(op.Files) > 0 {
		id := res.Migration.ID
		if err := m.apply(ctx, op.Ref, id, p.changes(id)); err != nil {
			return err
		}
		end, err := session.Ask[*keyturn.Migrated](ctx, m.s, keyturn.FinishMigration{Ref: op.Ref, ID: id})
		if err != nil {
			return m.unfinished(op.Ref, id, err)
		}
		res.Migration = end.Migration
	}
	m.trust(ctx, &p)
	return m.done(p, res)
}

// apply makes changes of files in their order.
func (m *migrator) apply(ctx context.Context, ref keyturn.Ref, id string, changes []rewrite.Change) error {
	for _, ch := range changes {
		if ctx.Err() != nil {
			m.Say("the migration %s is half done; go on with: keyturn migrate --resume %s", id, id)
			return command.ErrInterrupted
		}
		if err := ch.Apply(); err != nil {
			return m.unfinished(ref, id, err)
		}
	}
	return nil
}

// unfinished tells how to go on with a migration whose values are stored.
func (m *migrator) unfinished(ref keyturn.Ref, id string, err error) error {
	e := *keyturn.AsError(err)
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "the values are stored, and every file is whole; go on with: keyturn migrate --resume " + id + m.orBack(ref, id)
	return &e
}

// mayReveal reports whether the rules let the caller see ref's values, and so take
// a migration into it back, without asking anybody.
func (m *migrator) mayReveal(ref keyturn.Ref) bool {
	return m.s.Rules.Decide(rules.Request{Actor: m.s.Actor, Verb: keyturn.Reveal, Path: ref.Path()}).Effect == rules.Allow
}

// orBack is the other way on from a migration that was cut off, for who may.
func (m *migrator) orBack(ref keyturn.Ref, id string) string {
	if !m.mayReveal(ref) {
		return ""
	}
	return "\nor take it back: keyturn migrate --rollback " + id
}

// wayOut is how to be rid of a migration whose files hold something else by now.
func wayOut(id string) string {
	return "what the files held goes elsewhere with: keyturn migrate --rollback " + id + " --out FOLDER\nthen be rid of the migration: keyturn migrate --forget " + id + " --yes"
}

// trustable is what the project's file asks for when it is written, where a person
// may be asked to trust that along with the migration: each entry is one of a value
// that is stored now, under its own name, or was trusted before. Nil otherwise.
func (m *migrator) trustable(ctx context.Context, p plan) []keyturn.Binding {
	if p.project == nil || m.s.Actor.Kind != keyturn.Person {
		return nil
	}
	after, err := config.ParseProject(p.project.Path, p.project.after)
	if err != nil {
		return nil
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.ShowTrust{Path: p.project.Path})
	if err != nil {
		return nil
	}
	for _, b := range after.Bindings() {
		_, stored := p.values[b.Ref.Field()]
		stored = stored && b.Name == b.Ref.Field() && b.Ref.Secret() == p.ref && b.Ref.Version() == ""
		if !(stored && slices.Contains(p.entries, b)) && !(known.Known && slices.Contains(known.Before, b)) {
			return nil
		}
	}
	return after.Bindings()
}

// trust pins what the person was shown and said yes to. Where nobody did, it tells
// what is still to be said, unless it was said before.
func (m *migrator) trust(ctx context.Context, p *plan) {
	if p.project == nil {
		return
	}
	if p.pin != nil {
		if _, err := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.TrustProject{Path: p.project.Path, Pinned: p.pin}); err == nil {
			return
		}
	}
	after, err := config.ParseProject(p.project.Path, p.project.after)
	if known, no := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.ShowTrust{Path: p.project.Path}); err == nil && no == nil &&
		known.Known && len(config.Diff(known.Before, after.Bindings())) == 0 {
		return
	}
	p.notices = append(p.notices, "before the first run, look at "+keyturn.Clean(p.project.Named)+" and say: keyturn trust")
}

// distrust takes the entries that a migration put into a project's file out of what
// is trusted there. Who may not trust may not do that either: a file that is as it
// was before asks for none of them.
func (m *migrator) distrust(ctx context.Context, f keyturn.MigrationFile) {
	if filepath.Base(f.Path) != config.FileName || m.s.Actor.Kind != keyturn.Person {
		return
	}
	before, err := config.ParseProject(f.Path, bytesOf(f.Before))
	if err != nil {
		return
	}
	after, err := config.ParseProject(f.Path, bytesOf(f.After))
	if err != nil {
		return
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.ShowTrust{Path: f.Path})
	if err != nil || !known.Known {
		return
	}
	keep := slices.DeleteFunc(slices.Clone(known.Before), func(b keyturn.Binding) bool {
		return slices.Contains(after.Bindings(), b) && !slices.Contains(before.Bindings(), b)
	})
	if len(keep) < len(known.Before) {
		if _, err = keyturn.Do[*keyturn.Trusted](ctx, m.s.Service, keyturn.TrustProject{Path: f.Path, Pinned: keep}); err != nil {
			m.Say("note: what %s asked for stays trusted: %s", keyturn.Clean(f.Path), keyturn.AsError(err).Message)
		}
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
		if e.Link {
			m.Say("note: %s is a link; the file is %s", keyturn.Clean(e.Named), keyturn.Clean(e.Path))
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
		out = append(out, keyturn.Clean(e.Named))
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
			doc.Artifacts = append(doc.Artifacts, e.Path)
		}
		return command.Done(p.said(res), m.Print(doc))
	}
	m.tell(p)
	lines := []string{}
	if len(p.values) > 0 {
		lines = append(lines, p.said(res)+"  "+m.Dim(arrow(res.Receipt, res.Target)))
	}
	if len(p.edits) > 0 {
		lines = append(lines, m.wrote(p.named(""), p.ref, res.Migration.ID))
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

// wrote tells which files were written, and to who may take it back how.
func (m *migrator) wrote(files string, ref keyturn.Ref, id string) string {
	if !m.mayReveal(ref) {
		return "wrote " + files
	}
	return "wrote " + files + "; take it back with: keyturn migrate --rollback " + id
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
	if len(res.Migration.Fields) > 0 && slices.ContainsFunc(p.edits, func(e *edit) bool { return e.There() && rewrite.InGit(e.Path) }) {
		out = append(out, "this folder is under git: if a file with the values was ever committed, its history keeps them, so make new ones and store those")
	}
	return out
}

// doc is the plan in JSON.
func (p plan) doc(phase string) command.MigrationDoc {
	d := command.MigrationDoc{Phase: phase, Ref: p.ref.String(), Files: []command.MigratedFileDoc{}, Moved: &[]command.MigratedDoc{}, Kept: &[]command.MigratedDoc{}}
	for _, e := range p.edits {
		d.Files = append(d.Files, command.MigratedFileDoc{Path: e.Path, New: !e.There()})
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
