package answer

import "github.com/keyturn/keyturn"

// Migration is a migration that is planned, under way or done. It holds names
// and reasons, and no value.
type Migration struct {
	ID    string         `json:"id,omitempty"`
	Phase string         `json:"phase"` // "planned", or a phase of the journal
	By    string         `json:"by,omitempty"`
	Ref   string         `json:"ref"`
	Files []MigratedFile `json:"files"`
	Moved *[]Migrated    `json:"moved,omitempty"`
	Kept  *[]Migrated    `json:"kept,omitempty"`
	// Fields are those that were stored, of one in the journal.
	Fields []string `json:"fields,omitempty"`
	Began  string   `json:"began,omitempty"`
	Ended  string   `json:"ended,omitempty"`
}

// MigratedFile is a file that a migration writes.
type MigratedFile struct {
	Path string `json:"path"` // absolute, links followed
	New  bool   `json:"new,omitempty"`
}

// Migrated is a value of a file that moves or stays, and why.
type Migrated struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
	Name  string `json:"name"`
	Field string `json:"field,omitempty"` // where it is stored
	Ref   string `json:"ref,omitempty"`   // what stands for it
	Why   string `json:"why"`
}

// MigrationOf returns a migration as the journal has it.
func MigrationOf(m keyturn.Migration) Migration {
	d := Migration{ID: m.ID, Phase: m.Phase, By: m.By, Ref: m.Ref.String(), Fields: m.Fields, Files: []MigratedFile{},
		Began: Stamp(m.Began), Ended: Stamp(m.Ended)}
	for _, f := range m.Files {
		d.Files = append(d.Files, MigratedFile{f.Path, f.New})
	}
	return d
}

func migrationOf(m keyturn.Migration) *Migration {
	d := MigrationOf(m)
	return &d
}

// migrated is the document of a migration that went on, was taken back or is forgotten, with
// the files that were written.
func migrated(op keyturn.Op, res *keyturn.Migrated) Document {
	kind := op.Kind()
	if _, resumed := op.(keyturn.ResumeMigration); resumed {
		kind = keyturn.MigrateSecrets{}.Kind()
	}
	doc := Success(kind, res.Receipt)
	doc.Migration = migrationOf(res.Migration)
	if o, ok := op.(keyturn.RevertMigration); ok && o.Out != "" {
		return doc // the files of the migration stay as they are
	}
	doc.Mount = res.Migration.Ref.Mount()
	if _, forgotten := op.(keyturn.ForgetMigration); forgotten {
		return doc
	}
	for _, f := range res.Migration.Files {
		doc.Artifacts = append(doc.Artifacts, f.Path)
	}
	return doc
}
