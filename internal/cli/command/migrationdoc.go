package command

import "github.com/keyturn/keyturn"

// MigrationDoc is a migration that is planned, under way or done. It holds names
// and reasons, and no value.
type MigrationDoc struct {
	ID    string            `json:"id,omitempty"`
	Phase string            `json:"phase"` // "planned", or a phase of the journal
	By    string            `json:"by,omitempty"`
	Ref   string            `json:"ref"`
	Files []MigratedFileDoc `json:"files"`
	Moved *[]MigratedDoc    `json:"moved,omitempty"`
	Kept  *[]MigratedDoc    `json:"kept,omitempty"`
	// Fields are those that were stored, of one in the journal.
	Fields []string `json:"fields,omitempty"`
	Began  string   `json:"began,omitempty"`
	Ended  string   `json:"ended,omitempty"`
}

// MigratedFileDoc is a file that a migration writes.
type MigratedFileDoc struct {
	Path string `json:"path"` // absolute, links followed
	New  bool   `json:"new,omitempty"`
}

// MigratedDoc is a value of a file that moves or stays, and why.
type MigratedDoc struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
	Name  string `json:"name"`
	Field string `json:"field,omitempty"` // where it is stored
	Ref   string `json:"ref,omitempty"`   // what stands for it
	Why   string `json:"why"`
}

// JournalDoc is a migration as the journal has it.
func JournalDoc(m keyturn.Migration) MigrationDoc {
	d := MigrationDoc{ID: m.ID, Phase: m.Phase, By: m.By, Ref: m.Ref.String(), Fields: m.Fields, Files: []MigratedFileDoc{},
		Began: Stamp(m.Began), Ended: Stamp(m.Ended)}
	for _, f := range m.Files {
		d.Files = append(d.Files, MigratedFileDoc{f.Path, f.New})
	}
	return d
}
