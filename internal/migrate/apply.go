package migrate

import (
	"context"
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/migrate/rewrite"
	"github.com/keyturn/keyturn/internal/session"
)

// Confirm tells the person at the desk which files are written and what the project's
// file is trusted with, and asks whether to go on. After a yes Apply pins that trust
// too. It asks nothing where the caller has agreed beforehand or nobody can be asked;
// then Apply pins none. No is Denied.
func (p *Plan) Confirm(ctx context.Context) error {
	if p.m.Yes || !p.m.Session.CanAsk() {
		return nil
	}
	desk := p.m.Session.How.Desk
	pins := p.trustable(ctx)
	var lines []string
	for _, f := range p.Files {
		what := keyturn.Clean(f.Path())
		switch {
		case f.Link():
			what += ", to which " + keyturn.Clean(f.Name()) + " leads"
		case f.New():
			what += ", a new file"
		}
		lines = append(lines, "writes  "+what)
	}
	for _, b := range pins {
		lines = append(lines, "trusts  "+keyturn.Clean(b.Name)+" = "+describe.Marked(b.Ref))
	}
	if err := session.Show(ctx, desk, lines); err != nil {
		return err
	}
	what := "Rewrite " + Counted(len(p.Files), "file")
	if len(p.values) > 0 {
		what = "Store " + Counted(len(p.values), "value") + " in " + keyturn.Clean(p.To.Short())
		if len(p.Files) > 0 {
			what += " and write " + Counted(len(p.Files), "file")
		}
	}
	yes, err := desk.Confirm(ctx, what+"?")
	if err == nil && !yes {
		err = session.SaidNo()
	}
	if err == nil {
		p.pinned = pins
	}
	return err
}

// Apply stores the values, writes the files and ends the migration; where the plan is
// to go on with one that was cut off, it does that. An error after the values are
// stored says how to go on; *Interrupted where ctx ended between two files.
func (p *Plan) Apply(ctx context.Context) (*Outcome, error) {
	if p.CutOff != nil {
		return p.m.goOn(ctx, *p.CutOff)
	}
	if err := p.CheckMount(); err != nil {
		return nil, err
	}
	op, texts := p.op()
	var err error
	if len(p.values) > 0 {
		if op.Candidate, err = p.m.Session.Service.Seal(ctx, op.Ref, p.values); err != nil {
			return nil, err
		}
	}
	if len(op.Files) > 0 {
		if op.Texts, err = p.m.Session.Service.Seal(ctx, op.Ref, texts); err != nil {
			return nil, err
		}
	}
	res, err := session.Ask[*keyturn.Migrated](ctx, p.m.Session, op)
	if err != nil {
		return nil, err
	}
	if len(op.Files) > 0 {
		id := res.Migration.ID
		end, err := p.m.apply(ctx, op.Ref, id, p.changes(id))
		if err != nil {
			return nil, err
		}
		res.Migration = end.Migration
	}
	p.trustFiles(ctx)
	out := &Outcome{Migrated: *res, Notices: slices.Clone(p.Notices), Todo: p.todo(res), MayTakeBack: p.m.mayReveal(p.To)}
	if p.project != nil && !p.trust(ctx) {
		out.Notices = append(out.Notices, "before the first run, look at "+keyturn.Clean(p.project.Name())+" and say: keyturn trust")
	}
	return out, nil
}

// todo returns what remains to be done by a person.
func (p *Plan) todo(res *keyturn.Migrated) (out []string) {
	for _, l := range p.left {
		out = append(out, keyturn.Clean(l)+" still holds the values: remove it when nothing needs it any more")
	}
	if len(res.Migration.Fields) > 0 && slices.ContainsFunc(p.Files, func(f *PlannedFile) bool { return !f.New() && rewrite.InGit(f.Path()) }) {
		out = append(out, "this folder is under git: if a file with the values was ever committed, its history keeps them, so make new ones and store those")
	}
	return out
}

// trustable returns what the project's file asks for once it is written, where a
// person may be asked to trust that along with the migration: each entry has a value
// that is stored now, under its own name, or was trusted before. Otherwise it returns
// nil: whoever wrote a reference into the file said so, not this person.
func (p *Plan) trustable(ctx context.Context) []keyturn.Binding {
	s := p.m.Session
	if p.project == nil || s.Actor.Kind != keyturn.Person {
		return nil
	}
	after, err := config.ParseProject(p.project.Path(), p.project.after)
	if err != nil {
		return nil
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.ShowTrust{Path: p.project.Path()})
	if err != nil {
		return nil
	}
	for _, b := range after.Bindings() {
		_, stored := p.values[b.Ref.Field()]
		stored = stored && b.Name == b.Ref.Field() && b.Ref.Secret() == p.To && b.Ref.Version() == ""
		if !(stored && slices.Contains(p.entries, b)) && !(known.Known && slices.Contains(known.Before, b)) {
			return nil
		}
	}
	return after.Bindings()
}

// trustFiles trusts the files of variables and the templates that were written, so that
// who has migrated a file is not asked about it. It leaves out a file that asks for anything
// but what was stored now from that very line: that was somebody's who wrote the file.
func (p *Plan) trustFiles(ctx context.Context) {
	s := p.m.Session
	if s.Actor.Kind != keyturn.Person {
		return
	}
	for _, f := range p.Files {
		if f.Link() || f == p.project {
			continue
		}
		t, err := p.m.trustOf(f.Path(), f.after)
		known := &keyturn.Trusted{}
		if err == nil && len(t.Pinned)+len(t.Steers) > 0 {
			known, err = keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.ShowTrust{Path: t.Path})
		}
		ours := func(b keyturn.Binding) bool {
			_, stored := p.values[b.Ref.Field()]
			return slices.Contains(known.Before, b) || stored && b.Ref.Secret() == p.To && b.Ref.Version() == "" &&
				(b.Name == keyturn.TemplatePlace || slices.ContainsFunc(p.Values, func(v PlannedValue) bool { return v.Name == b.Name && v.Ref == b.Ref }))
		}
		if err != nil || len(t.Pinned) == 0 || slices.ContainsFunc(t.Pinned, func(b keyturn.Binding) bool { return !ours(b) }) ||
			slices.ContainsFunc(t.Steers, func(v keyturn.Setting) bool { return !slices.Contains(known.Steers, v) }) {
			continue
		}
		if _, err := s.TrustFile(ctx, t); err != nil {
			s.How.Desk.Say("note: %s is not trusted yet: %s", keyturn.Clean(f.Name()), keyturn.AsError(err).Message)
		}
	}
}

// trustOf returns a file of variables or a template as it would be trusted; an error for
// what is neither.
func (m *Migrator) trustOf(path string, text []byte) (session.Trust, error) {
	return session.TrustOfFile(path, path, text, func(name string) (string, bool) {
		v := m.Env(name)
		return v, v != ""
	})
}

// trust pins what the person was shown and agreed to. It reports whether the
// project's file is trusted as it is now, by this yes or an earlier one.
func (p *Plan) trust(ctx context.Context) bool {
	s, path := p.m.Session, p.project.Path()
	if p.pinned != nil {
		if _, err := keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.TrustProject{Path: path, Pinned: p.pinned}); err == nil {
			return true
		}
	}
	after, err := config.ParseProject(path, p.project.after)
	if err != nil {
		return false
	}
	known, err := keyturn.Do[*keyturn.Trusted](ctx, s.Service, keyturn.ShowTrust{Path: path})
	return err == nil && known.Known && len(config.Diff(known.Before, after.Bindings())) == 0
}
