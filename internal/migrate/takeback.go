package migrate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/migrate/rewrite"
	"github.com/keyturn/keyturn/internal/session"
)

// Resume goes on with a migration that was cut off. named is its ID or one of its
// files; "" means the caller's last one in Dir or below, after a yes at the desk.
func (m *Migrator) Resume(ctx context.Context, named string) (*Outcome, error) {
	x, err := m.find(ctx, named, search{flag: "--resume", question: "Go on with it?",
		want: func(x keyturn.Migration) bool { return x.Phase == keyturn.MigrationStored }})
	if err != nil {
		return nil, err
	}
	unlock, err := lock(x)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return m.goOn(ctx, x)
}

// TakeBack writes back what the files of a migration held, and removes the entries
// that the migration added to a project's file from what is trusted there. The secret
// stays. named is as for Resume. It is Conflict where a file has changed since: then
// no file is written.
func (m *Migrator) TakeBack(ctx context.Context, named string) (*Outcome, error) {
	x, err := m.find(ctx, named, search{flag: "--rollback", question: "Take it back?",
		want: func(x keyturn.Migration) bool {
			return x.Phase != keyturn.MigrationBegun && x.Phase != keyturn.MigrationReverted
		}})
	if err != nil {
		return nil, err
	}
	unlock, err := lock(x)
	if err != nil {
		return nil, err
	}
	defer unlock()
	_, texts, err := m.present(ctx, x)
	if err != nil {
		return nil, err
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.Session, keyturn.RevertMigration{Ref: x.Ref, ID: x.ID, Texts: texts})
	if err != nil {
		if keyturn.AsError(err).Code == keyturn.Conflict && x.Open() {
			return nil, hinted(err, "then be rid of the migration: keyturn migrate --forget "+x.ID+" --yes")
		}
		return nil, err
	}
	for _, f := range res.Files { // before any file is there again that asks for less
		m.distrust(ctx, f)
	}
	for i, f := range slices.Backward(res.Files) {
		ch := rewrite.Change{Path: f.Path, Before: bytesOf(f.After), Had: true, After: bytesOf(f.Before), Has: !f.New,
			Mode: modeOf(f.MigratedFile), Temp: rewrite.TempName(f.Path, x.ID, i)}
		if err := ch.Apply(); err != nil {
			e := hinted(err, "every file is whole; then go on with: keyturn migrate --rollback "+x.ID)
			if e.Code == keyturn.Conflict {
				e.Hint += "; or\n" + wayOut(x.ID)
			}
			return nil, e
		}
	}
	end, err := session.Ask[*keyturn.Migrated](ctx, m.Session, keyturn.FinishMigration{Ref: x.Ref, ID: x.ID})
	if err != nil {
		return nil, err
	}
	return &Outcome{Migrated: *end, Found: x}, nil
}

// Extract writes what the files of a migration held into a folder, for their owner
// only, and leaves the files as they are. folder must exist; it is as the caller names
// it. named is as for Resume.
func (m *Migrator) Extract(ctx context.Context, named, folder string) (*Outcome, error) {
	x, err := m.find(ctx, named, search{flag: "--rollback", question: "Take it back?", more: " --out " + keyturn.Quote(keyturn.Clean(folder)),
		want: func(x keyturn.Migration) bool { return x.Phase != keyturn.MigrationBegun }})
	if err != nil {
		return nil, err
	}
	unlock, err := lock(x)
	if err != nil {
		return nil, err
	}
	defer unlock()
	to := session.Whole(m.Dir, folder)
	targets, err := m.targets(x, folder, to)
	if err != nil {
		return nil, err
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.Session, keyturn.RevertMigration{Ref: x.Ref, ID: x.ID, Out: to})
	if err != nil {
		return nil, err
	}
	out := &Outcome{Migrated: keyturn.Migrated{Receipt: res.Receipt, Migration: res.Migration}, Found: x}
	for i, f := range res.Files {
		if f.New {
			continue
		}
		ch := rewrite.Change{Path: targets[i], After: bytesOf(f.Before), Has: true, Mode: fs.FileMode(0o600), Temp: rewrite.TempName(targets[i], x.ID, i)}
		if err := ch.Apply(); err != nil {
			return nil, err
		}
		out.Wrote = append(out.Wrote, targets[i])
	}
	return out, nil
}

// targets returns a path in the folder to for each file of x; named is the folder as
// the caller names it. It is Conflict where such a file exists.
func (m *Migrator) targets(x keyturn.Migration, named, to string) ([]string, error) {
	if info, err := os.Stat(to); err != nil || !info.IsDir() {
		return nil, keyturn.E(keyturn.Invalid, "there is no folder '"+keyturn.Clean(named)+"'", "make it first, where nobody else can read: mkdir -m 700 "+keyturn.Quote(named))
	}
	if err := m.Session.MayWrite(filepath.Join(to, "file")); err != nil {
		return nil, err
	}
	var out []string
	for i, f := range x.Files {
		name := filepath.Base(f.Path)
		if slices.ContainsFunc(x.Files[:i], func(g keyturn.MigratedFile) bool { return filepath.Base(g.Path) == name }) {
			name = strconv.Itoa(i) + "-" + name
		}
		path := filepath.Join(to, name)
		if err := m.Session.MayWrite(path); err != nil {
			return nil, err
		}
		if _, err := os.Lstat(path); err == nil && !f.New {
			return nil, keyturn.E(keyturn.Conflict, "'"+keyturn.Clean(path)+"' is there already", "say another folder, or remove it")
		}
		out = append(out, path)
	}
	return out, nil
}

// Forget destroys what is kept of a migration, after a yes at the desk. named is its
// ID or one of its files. A migration that was cut off ends with it, whatever its
// files hold, and the person is told so.
func (m *Migrator) Forget(ctx context.Context, named string) (*Outcome, error) {
	x, err := m.find(ctx, named, search{flag: "--forget", question: "Go on with it?", want: func(keyturn.Migration) bool { return true }})
	if err != nil {
		return nil, err
	}
	what := "what " + Paths(x) + " held before the migration " + x.ID
	open := x.Phase == keyturn.MigrationStored || x.Phase == keyturn.MigrationReverting
	cut := "the migration was cut off: what its files held may be nowhere else"
	switch {
	case m.Yes:
	case !m.Session.CanAsk():
		e := keyturn.E(keyturn.Invalid, "this destroys "+what+" for ever, and there is nobody to ask", "say it: keyturn migrate --forget "+x.ID+" --yes").About(x.Ref)
		if open {
			e.Hint = cut + "\n" + wayOut(x.ID)
		}
		return nil, e
	default:
		desk := m.Session.How.Desk
		if open {
			desk.Say("%s; to take it out first: keyturn migrate --rollback %s --out FOLDER", cut, x.ID)
		}
		yes, err := desk.Confirm(ctx, "Destroy "+what+", for ever?")
		if err != nil {
			return nil, err
		}
		if !yes {
			return nil, session.SaidNo()
		}
	}
	unlock, err := lock(x)
	if err != nil {
		return nil, err
	}
	defer unlock()
	op := keyturn.ForgetMigration{Ref: x.Ref, ID: x.ID}
	end, err := session.Ask[*keyturn.Migrated](ctx, m.Session, op)
	if open && errors.Is(err, keyturn.Conflict) {
		// The caller may forget it, but not while it is open.
		if _, err := session.Ask[*keyturn.Migrated](ctx, m.Session, keyturn.FinishMigration{Ref: x.Ref, ID: x.ID}); err != nil {
			return nil, err
		}
		end, err = session.Ask[*keyturn.Migrated](ctx, m.Session, op)
	}
	if err != nil {
		return nil, err
	}
	return &Outcome{Migrated: *end, Found: x}, nil
}

// search says which migration find looks for.
type search struct {
	want     func(keyturn.Migration) bool // which ones a file, or no name at all, can mean
	question string                       // asked where no name was given
	flag     string                       // for the hint where nobody can be asked: of 'keyturn migrate'
	more     string                       // further flags of that hint
}

// find returns the migration that the caller named by its ID, or by one of its files:
// then the last one that s wants. Without a name it is the last that s wants of the
// caller's own whose files all lie in Dir or below, once a person has seen which it is
// and said yes.
func (m *Migrator) find(ctx context.Context, named string, s search) (keyturn.Migration, error) {
	all, err := m.List(ctx)
	if err != nil {
		return keyturn.Migration{}, err
	}
	for _, x := range slices.Backward(all.Migrations) {
		switch {
		case named != "":
			if x.ID == named || m.samePath(named, x) && s.want(x) {
				return x, nil
			}
		case x.By == m.Session.Actor.Principal() && m.here(x) && s.want(x):
			return x, m.meant(ctx, x, s)
		}
	}
	what, hint := "there is no such migration of yours with files in this folder or below it", "name it by its ID or by a file; 'keyturn migrate --list' shows all"
	if named != "" {
		what, hint = "no migration of '"+keyturn.Clean(named)+"'", "'keyturn migrate --list' shows all"
	}
	return keyturn.Migration{}, keyturn.E(keyturn.NotFound, what, hint)
}

// samePath reports whether a file that the caller names is one of a migration.
func (m *Migrator) samePath(named string, x keyturn.Migration) bool {
	abs := session.Abs(m.Dir, named)
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if folder, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(folder, filepath.Base(abs))
	}
	return has(x, abs)
}

// here reports whether all files of x lie in Dir or below.
func (m *Migrator) here(x keyturn.Migration) bool {
	folder, err := filepath.EvalSymlinks(m.Dir)
	if err != nil {
		return false
	}
	return len(x.Files) > 0 && !slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool {
		rel, err := filepath.Rel(folder, f.Path)
		return err != nil || !filepath.IsLocal(rel)
	})
}

// meant asks whether x, which the caller did not name, is the migration that was
// meant.
func (m *Migrator) meant(ctx context.Context, x keyturn.Migration, s search) error {
	if m.Yes {
		return nil
	}
	what := "the migration " + x.ID + " of " + Paths(x) + ", by " + keyturn.Clean(x.By) + ", " + describe.When(x.Began)
	if !m.Session.CanAsk() {
		return keyturn.E(keyturn.Invalid, "it would be "+what+", and there is nobody to ask",
			"name it: keyturn migrate "+s.flag+" "+x.ID+s.more+"\nor take the last one without a question: --yes").About(x.Ref)
	}
	m.Session.How.Desk.Say("%s", what)
	yes, err := m.Session.How.Desk.Confirm(ctx, s.question)
	if err == nil && !yes {
		err = session.SaidNo()
	}
	return err
}

// lock locks the folders of x's files, and removes what a crash of x left there.
func lock(x keyturn.Migration) (unlock func(), err error) {
	var paths []string
	for _, f := range x.Files {
		paths = append(paths, f.Path)
	}
	unlock, err = rewrite.LockFolders(paths)
	if err == nil {
		tidy(x)
	}
	return unlock, err
}

// present opens the files of x as they are now, and seals their texts for the broker
// to compare.
func (m *Migrator) present(ctx context.Context, x keyturn.Migration) (files []rewrite.Source, candidate string, err error) {
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
		candidate, err = m.Session.Service.Seal(ctx, x.Ref, texts)
	}
	return files, candidate, err
}

// goOn writes the files of x that are not written yet, and ends x. The folders of the
// files must be locked.
func (m *Migrator) goOn(ctx context.Context, x keyturn.Migration) (*Outcome, error) {
	now, texts, err := m.present(ctx, x)
	if err != nil {
		return nil, err
	}
	res, err := session.Ask[*keyturn.MigrationFiles](ctx, m.Session, keyturn.ResumeMigration{Ref: x.Ref, ID: x.ID, Texts: texts})
	if err != nil {
		return nil, err
	}
	changes := make([]rewrite.Change, len(res.Files))
	for i, f := range res.Files {
		if f.Holds == keyturn.HoldsOther {
			return nil, keyturn.E(keyturn.Conflict, keyturn.Clean(f.Path)+" was changed since the migration was cut off, and is left as it is",
				"put it back to what it was and try again; or\n"+wayOut(x.ID)).About(x.Ref)
		}
		changes[i] = rewrite.Change{Path: f.Path, Before: now[i].Data, Had: now[i].There(), After: bytesOf(f.After), Has: true,
			Mode: modeOf(f.MigratedFile), Temp: rewrite.TempName(f.Path, x.ID, i)}
	}
	end, err := m.apply(ctx, x.Ref, x.ID, changes)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Migrated: *end, Found: x, MayTakeBack: m.mayReveal(x.Ref)}
	if slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool { return filepath.Base(f.Path) == config.FileName }) {
		out.Notices = append(out.Notices, "before the first run, look at "+config.FileName+" and say: keyturn trust")
	}
	return out, nil
}

// distrust removes the entries that a migration put into a project's file from what is
// trusted there, so that the same entries are not trusted when the file holds them
// again. A caller who may not trust may not do that either; trusting less is not
// needed then, because the file asks for less once it is as it was.
func (m *Migrator) distrust(ctx context.Context, f keyturn.MigrationFile) {
	s := m.Session
	if s.Actor.Kind != keyturn.Person {
		return
	}
	asks := func(text []byte) []keyturn.Binding {
		if filepath.Base(f.Path) == config.FileName {
			p, err := config.ParseProject(f.Path, text)
			if err != nil {
				return nil
			}
			return p.Bindings()
		}
		t, err := m.trustOf(f.Path, text)
		if err != nil {
			return nil
		}
		return t.Pinned
	}
	before, after := asks(bytesOf(f.Before)), asks(bytesOf(f.After))
	if len(after) == 0 {
		return
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.ShowTrust{Path: f.Path})
	if err != nil || !known.Known {
		return
	}
	keep := slices.DeleteFunc(slices.Clone(known.Before), func(b keyturn.Binding) bool {
		return slices.Contains(after, b) && !slices.Contains(before, b)
	})
	if len(keep) == len(known.Before) {
		return
	}
	if _, err = keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.TrustProject{Path: f.Path, Pinned: keep, Steers: known.Steers}); err != nil {
		s.How.Desk.Say("note: what %s asked for stays trusted: %s", keyturn.Clean(f.Path), keyturn.AsError(err).Message)
	}
}

// bytesOf is the only place of the package that looks into a value: the text of a
// file, on its way back into the file.
func bytesOf(v keyturn.Value) []byte { return v.Reveal() }
