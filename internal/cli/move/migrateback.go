package move

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/cli/command"
	"github.com/keyturn/keyturn/internal/cli/move/rewrite"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/session"
)

// list shows the migrations that are kept.
func (m *migrator) list(ctx context.Context) error {
	all, err := session.Ask[*keyturn.Migrations](ctx, m.s, keyturn.ListMigrations{})
	if err != nil {
		return err
	}
	if m.JSON() {
		doc := command.Success(keyturn.ListMigrations{}.Kind(), all.Receipt)
		list := []command.MigrationDoc{}
		for _, x := range all.Migrations {
			list = append(list, command.JournalDoc(x))
		}
		doc.Migrations = &list
		return m.Print(doc)
	}
	var rows [][]string
	for _, x := range all.Migrations {
		var files []string
		for _, f := range x.Files {
			files = append(files, keyturn.Clean(f.Path))
		}
		phase := x.Phase
		if x.Open() && x.Phase != keyturn.MigrationBegun {
			phase += ", cut off"
		}
		rows = append(rows, []string{x.ID, command.When(x.Began), phase, keyturn.Clean(x.Ref.Short()), strings.Join(files, " ")})
	}
	if len(rows) == 0 && m.OnTerminal() {
		return m.Line("no migrations are kept")
	}
	return m.Columns([]string{"ID", "BEGAN", "PHASE", "INTO", "FILES"}, rows)
}

// find returns the one migration that the argument means: by its id, or by a file
// the last one that want takes. Without an argument it is the last of the caller's
// own whose files all lie below the folder that the program was started in, once a
// person has seen which that is and said yes; doing is what is asked then.
func (m *migrator) find(ctx context.Context, doing string, want func(keyturn.Migration) bool) (keyturn.Migration, error) {
	all, err := session.Ask[*keyturn.Migrations](ctx, m.s, keyturn.ListMigrations{})
	if err != nil {
		return keyturn.Migration{}, err
	}
	for _, x := range slices.Backward(all.Migrations) {
		switch {
		case len(m.o.files) > 0:
			if x.ID == m.o.files[0] || samePath(m.Command, m.o.files[0], x) && want(x) {
				return x, nil
			}
		case x.By == m.s.Actor.Principal() && m.here(x) && want(x):
			return x, m.meant(ctx, doing, x)
		}
	}
	what, hint := "there is no such migration of yours with files in this folder or below it", "name it by its ID or by a file; 'keyturn migrate --list' shows all"
	if len(m.o.files) > 0 {
		what, hint = "no migration of '"+keyturn.Clean(m.o.files[0])+"'", "'keyturn migrate --list' shows all"
	}
	return keyturn.Migration{}, keyturn.E(keyturn.NotFound, what, hint)
}

// here reports whether all files of x lie below the folder that the program was
// started in.
func (m *migrator) here(x keyturn.Migration) bool {
	folder, err := filepath.EvalSymlinks(m.Dir)
	if err != nil {
		return false
	}
	return len(x.Files) > 0 && !slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool {
		rel, err := filepath.Rel(folder, f.Path)
		return err != nil || !filepath.IsLocal(rel)
	})
}

// meant asks whether x is the migration that was meant.
func (m *migrator) meant(ctx context.Context, doing string, x keyturn.Migration) error {
	if m.Yes {
		return nil
	}
	what := "the migration " + x.ID + " of " + pathsOf(x) + ", by " + keyturn.Clean(x.By) + ", " + command.When(x.Began)
	if m.JSON() || !m.Prompt().Possible() {
		out := ""
		if m.o.out != "" {
			out = " --out " + keyturn.Quote(keyturn.Clean(m.o.out))
		}
		return keyturn.E(keyturn.Invalid, "it would be "+what+", and there is nobody to ask", "name it: keyturn migrate "+doing+" "+x.ID+out+"\nor take the last one without a question: --yes").About(x.Ref)
	}
	m.Say("%s", what)
	question := "Go on with it?"
	if m.o.rollback {
		question = "Take it back?"
	}
	yes, err := m.Prompt().Confirm(ctx, question)
	if err == nil && !yes {
		err = session.SaidNo()
	}
	return err
}

// present opens the files of x as they are now, and seals them to be compared.
func (m *migrator) present(ctx context.Context, x keyturn.Migration) (files []rewrite.Source, candidate string, err error) {
	texts := map[string]keyturn.Value{}
	if len(x.Files) == 0 {
		return nil, "", keyturn.E(keyturn.Denied, "the files of the migration "+x.ID+" are not told to you", "ask "+keyturn.Clean(x.By)+", whose it is").About(x.Ref)
	}
	for i, f := range x.Files {
		s, err := rewrite.Open(f.Path, f.Path)
		if err != nil {
			return nil, "", err
		}
		if s.Path != f.Path {
			return nil, "", keyturn.E(keyturn.Conflict, "'"+keyturn.Clean(f.Path)+"' is a link now", "put the file back to its place; or\n"+wayOut(x.ID))
		}
		if s.There() {
			texts["now-"+strconv.Itoa(i)] = keyturn.NewValue(s.Data)
		}
		files = append(files, s)
	}
	if len(texts) > 0 {
		candidate, err = m.s.Service.Seal(ctx, x.Ref, texts)
	}
	return files, candidate, err
}

// locked does something with the folders of x's files locked, and what a crash of x
// left there removed.
func (m *migrator) locked(x keyturn.Migration, do func() error) error {
	var paths []string
	for _, f := range x.Files {
		paths = append(paths, f.Path)
	}
	unlock, err := rewrite.LockFolders(paths)
	if err != nil {
		return err
	}
	defer unlock()
	tidy(x)
	return do()
}

// tidy removes what a crash of x left beside its files; their folders are locked.
func tidy(x keyturn.Migration) {
	for i, f := range x.Files {
		rewrite.Settle(f.Path, rewrite.TempName(f.Path, x.ID, i), modeOf(f))
	}
}

// resume goes on with a migration that was cut off.
func (m *migrator) resume(ctx context.Context) error {
	x, err := m.find(ctx, "--resume", func(x keyturn.Migration) bool { return x.Phase == keyturn.MigrationStored })
	if err != nil {
		return err
	}
	return m.locked(x, func() error { return m.goOn(ctx, x) })
}

// goOn writes the files of x that are not written yet, and ends it.
func (m *migrator) goOn(ctx context.Context, x keyturn.Migration) error {
	now, candidate, err := m.present(ctx, x)
	if err != nil {
		return err
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.s, keyturn.ResumeMigration{Ref: x.Ref, ID: x.ID, Texts: candidate})
	if err != nil {
		return err
	}
	changes := make([]rewrite.Change, len(res.Files))
	for i, f := range res.Files {
		if f.Holds == keyturn.HoldsOther {
			return keyturn.E(keyturn.Conflict, keyturn.Clean(f.Path)+" was changed since the migration was cut off, and is left as it is",
				"put it back to what it was and try again; or\n"+wayOut(x.ID)).About(x.Ref)
		}
		changes[i] = rewrite.Change{Path: f.Path, Before: now[i].Data, Had: now[i].There(), After: bytesOf(f.After), Has: true,
			Mode: modeOf(f.MigratedFile), Temp: rewrite.TempName(f.Path, x.ID, i)}
	}
	if err := m.apply(ctx, x.Ref, x.ID, changes); err != nil {
		return err
	}
	end, err := session.Ask[*keyturn.Migrated](ctx, m.s, keyturn.FinishMigration{Ref: x.Ref, ID: x.ID})
	if err != nil {
		return m.unfinished(x.Ref, x.ID, err)
	}
	if slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool { return filepath.Base(f.Path) == config.FileName }) {
		m.Say("note: before the first run, look at %s and say: keyturn trust", config.FileName)
	}
	said := "went on with the migration " + x.ID + ", which was cut off: " + counted(len(x.Fields), "value") + " in " + keyturn.Clean(x.Ref.Short())
	return m.ended(end, keyturn.MigrateSecrets{}.Kind(), said, m.wrote(pathsOf(x), x.Ref, x.ID))
}

// rollback writes back what the files held, or puts it elsewhere.
func (m *migrator) rollback(ctx context.Context) error {
	x, err := m.find(ctx, "--rollback", func(x keyturn.Migration) bool {
		return x.Phase != keyturn.MigrationBegun && (x.Phase != keyturn.MigrationReverted || m.o.out != "")
	})
	if err != nil {
		return err
	}
	if m.o.out != "" {
		return m.locked(x, func() error { return m.extract(ctx, x) })
	}
	return m.locked(x, func() error { return m.revert(ctx, x) })
}

func (m *migrator) revert(ctx context.Context, x keyturn.Migration) error {
	_, candidate, err := m.present(ctx, x)
	if err != nil {
		return err
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.s, keyturn.RevertMigration{Ref: x.Ref, ID: x.ID, Texts: candidate})
	if err != nil {
		if e := *keyturn.AsError(err); e.Code == keyturn.Conflict && x.Open() {
			e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "then be rid of the migration: keyturn migrate --forget " + x.ID + " --yes"
			return &e
		}
		return err
	}
	for _, f := range res.Files {
		m.distrust(ctx, f)
	}
	for i, f := range slices.Backward(res.Files) {
		ch := rewrite.Change{Path: f.Path, Before: bytesOf(f.After), Had: true, After: bytesOf(f.Before), Has: !f.New,
			Mode: modeOf(f.MigratedFile), Temp: rewrite.TempName(f.Path, x.ID, i)}
		if err := ch.Apply(); err != nil {
			e := *keyturn.AsError(err)
			e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + "every file is whole; then go on with: keyturn migrate --rollback " + x.ID
			if e.Code == keyturn.Conflict {
				e.Hint += "; or\n" + wayOut(x.ID)
			}
			return &e
		}
	}
	end, err := session.Ask[*keyturn.Migrated](ctx, m.s, keyturn.FinishMigration{Ref: x.Ref, ID: x.ID})
	if err != nil {
		return err
	}
	said := "taken back: " + pathsOf(x) + " as before the migration " + x.ID
	return m.ended(end, keyturn.RevertMigration{}.Kind(), said,
		keyturn.Clean(x.Ref.Short())+" stays in the store; if nothing uses it: keyturn delete "+keyturn.Quote(x.Ref.Short()))
}

// extract writes what the files held into a folder, and leaves them as they are.
func (m *migrator) extract(ctx context.Context, x keyturn.Migration) error {
	folder := m.Abs(m.o.out)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return keyturn.E(keyturn.Invalid, "there is no folder '"+keyturn.Clean(m.o.out)+"'", "make it first, where nobody else can read: mkdir -m 700 "+keyturn.Quote(m.o.out))
	}
	if err := m.MayWrite(filepath.Join(folder, "file")); err != nil {
		return err
	}
	var targets []string
	for i, f := range x.Files {
		name := filepath.Base(f.Path)
		if slices.ContainsFunc(x.Files[:i], func(g keyturn.MigratedFile) bool { return filepath.Base(g.Path) == name }) {
			name = strconv.Itoa(i) + "-" + name
		}
		path := filepath.Join(folder, name)
		if _, err := os.Lstat(path); err == nil && !f.New {
			return keyturn.E(keyturn.Conflict, "'"+keyturn.Clean(path)+"' is there already", "say another folder, or remove it")
		}
		targets = append(targets, path)
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.s, keyturn.RevertMigration{Ref: x.Ref, ID: x.ID, Out: folder})
	if err != nil {
		return err
	}
	var wrote []string
	for i, f := range res.Files {
		if f.New {
			continue
		}
		ch := rewrite.Change{Path: targets[i], After: bytesOf(f.Before), Has: true, Mode: fs.FileMode(0o600), Temp: rewrite.TempName(targets[i], x.ID, i)}
		if err := ch.Apply(); err != nil {
			return err
		}
		wrote = append(wrote, targets[i])
	}
	if m.JSON() {
		doc := command.Success(keyturn.RevertMigration{}.Kind(), res.Receipt)
		d := command.JournalDoc(res.Migration)
		doc.Migration, doc.Artifacts = &d, wrote
		return m.Print(doc)
	}
	for _, w := range wrote {
		if err := m.Line("wrote %s, for its owner only", keyturn.Clean(w)); err != nil {
			return err
		}
	}
	return nil
}

// forget destroys what is kept of a migration. One that was cut off ends with it,
// whatever its files hold: that is to be said.
func (m *migrator) forget(ctx context.Context) error {
	x, err := m.find(ctx, "--forget", func(keyturn.Migration) bool { return true })
	if err != nil {
		return err
	}
	what := "what " + pathsOf(x) + " held before the migration " + x.ID
	open := x.Phase == keyturn.MigrationStored || x.Phase == keyturn.MigrationReverting
	cut := "the migration was cut off: what its files held may be nowhere else"
	if !m.Yes {
		if m.JSON() || !m.Prompt().Possible() {
			e := keyturn.E(keyturn.Invalid, "this destroys "+what+" for ever, and there is nobody to ask", "say it: keyturn migrate --forget "+x.ID+" --yes").About(x.Ref)
			if open {
				e.Hint = cut + "\n" + wayOut(x.ID)
			}
			return e
		}
		if open {
			m.Say("%s; to take it out first: keyturn migrate --rollback %s --out FOLDER", cut, x.ID)
		}
		yes, err := m.Prompt().Confirm(ctx, "Destroy "+what+", for ever?")
		if err != nil {
			return err
		}
		if !yes {
			return session.SaidNo()
		}
	}
	return m.locked(x, func() error {
		op := keyturn.ForgetMigration{Ref: x.Ref, ID: x.ID}
		end, err := session.Ask[*keyturn.Migrated](ctx, m.s, op)
		if open && errors.Is(err, keyturn.Conflict) {
			// It may be forgotten, but not while it is open.
			if _, err := session.Ask[*keyturn.Migrated](ctx, m.s, keyturn.FinishMigration{Ref: x.Ref, ID: x.ID}); err != nil {
				return err
			}
			end, err = session.Ask[*keyturn.Migrated](ctx, m.s, op)
		}
		if err != nil {
			return err
		}
		return m.ended(end, op.Kind(), "destroyed "+what)
	})
}

// ended prints the answer of what is about a migration that was there.
func (m *migrator) ended(res *keyturn.Migrated, kind, said string, next ...string) error {
	if m.JSON() {
		doc := command.Success(kind, res.Receipt)
		doc.Mount = res.Migration.Ref.Mount()
		d := command.JournalDoc(res.Migration)
		doc.Migration = &d
		if kind != (keyturn.ForgetMigration{}).Kind() {
			for _, f := range res.Migration.Files {
				doc.Artifacts = append(doc.Artifacts, f.Path)
			}
		}
		return command.Done(said, m.Print(doc))
	}
	for _, l := range append([]string{said}, next...) {
		if err := m.Line("%s", l); err != nil {
			return command.Done(said, err)
		}
	}
	return nil
}

func pathsOf(x keyturn.Migration) string {
	var out []string
	for _, f := range x.Files {
		out = append(out, keyturn.Clean(f.Path))
	}
	return strings.Join(out, ", ")
}

// bytesOf is the one place here that looks into a value: the text of a file, on
// its way back into the file.
func bytesOf(v keyturn.Value) []byte { return v.Reveal() }
