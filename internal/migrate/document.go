package migrate

import (
	"slices"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/answer"
)

// Document returns the JSON form of a plan that is not carried out.
func (p *Plan) Document() answer.Document {
	return answer.Document{Operation: keyturn.MigrateSecrets{}.Kind(), Mount: p.To.Mount(), Status: "success",
		Notices: p.Notices, Migration: p.document("planned")}
}

// Document returns the JSON form of the plan p once it was carried out.
func (o *Outcome) Document(p *Plan) answer.Document {
	doc := answer.Success(keyturn.MigrateSecrets{}.Kind(), o.Receipt)
	m := p.document(keyturn.MigrationEnded)
	m.ID, m.By, m.Began, m.Ended = o.Migration.ID, o.Migration.By, answer.Stamp(o.Migration.Began), answer.Stamp(o.Migration.Ended)
	doc.Migration, doc.Next, doc.Notices = m, p.Next, slices.Concat(o.Notices, o.Todo)
	if len(p.Fields()) > 0 {
		info := answer.SecretOf(o.Secret)
		doc.Secret, doc.Before = &info, answer.VersionOf(o.Before)
	}
	doc.Target = answer.Target(o.Receipt, o.Target)
	for _, f := range p.Files {
		doc.Artifacts = append(doc.Artifacts, f.Path())
	}
	return doc
}

// document returns which values move and which stay, and why.
func (p *Plan) document(phase string) *answer.Migration {
	d := &answer.Migration{Phase: phase, Ref: p.To.String(), Files: []answer.MigratedFile{}, Moved: &[]answer.Migrated{}, Kept: &[]answer.Migrated{}}
	for _, f := range p.Files {
		d.Files = append(d.Files, answer.MigratedFile{Path: f.Path(), New: f.New()})
	}
	for _, x := range p.Values {
		row := answer.Migrated{File: x.File, Line: x.Line, Name: x.Name, Why: x.Why}
		if x.Ref.IsZero() {
			*d.Kept = append(*d.Kept, row)
			continue
		}
		row.Field, row.Ref = x.Field, x.Ref.String()
		*d.Moved = append(*d.Moved, row)
	}
	return d
}
