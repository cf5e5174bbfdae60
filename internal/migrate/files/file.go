package files

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
)

// Kind is the kind of a file.
type Kind string

// The kinds of files.
const (
	Env      Kind = "env"      // NAME=VALUE lines; values become references in place
	Compose  Kind = "compose"  // values become ${NAME:?…}, filled in from a .env of references beside it
	Manifest Kind = "manifest" // Secrets of Kubernetes; a template is made, and the file stays as it is
	JSON     Kind = "json"     // strings become references in place
	YAML     Kind = "yaml"     // strings become references in place
)

// Entry is one value of a file. Its names are the file's own, and not cleaned.
type Entry struct {
	// Name is the variable, or the path of keys ("database.password"). Choice's Keep
	// and Only match it. A name may occur more than once.
	Name string
	// Field is the name of the field that stores the value. Two entries that move
	// share a field only if their values are equal, or if the later line of a .env
	// file replaces the earlier one (both then have the later value).
	Field string
	// Where is the place in the terms of the file:
	// "services.db.environment.POSTGRES_PASSWORD", "Secret/app.data.password".
	Where string
	Line  int // from 1
	// Value is what a program that reads the file gets: quotes and escapes undone,
	// variables expanded where the file itself defines them, base64 decoded.
	Value keyturn.Value
	// Secret is set if the value moves: store it under Field. Rewrite puts a
	// reference in its place.
	Secret bool
	// Why is the reason why the value moves or stays, for people: "name says
	// password", "long random text", "well-known configuration", "a boolean".
	Why string
	// Reference is set if the value is a reference already: one of keyturn's, or one
	// of another tool that Options.Mounts translates exactly (then Foreign is true,
	// and Rewrite writes Reference in its place). Nothing is stored for it; Secret is
	// false.
	Reference *keyturn.Ref
	Foreign   bool
}

// Options are what Read needs to know beside the file. The zero value is usable.
type Options struct {
	// Mounts names the mount for each place in references of other tools; its keys
	// are those of imports.Reference.
	Mounts map[string]string
	// Taken are names that the new variables of a compose file must not have, because
	// the .env file beside it defines them already.
	Taken []string
}

// File is a file as it was read. It is not safe for concurrent use.
type File struct {
	name    string
	kind    Kind
	data    []byte
	items   []item
	first   []item // as judged by Read: every choice starts from these
	notices []document.Notice
	body    body
	// unsettled is the reason why the choice made by Read cannot be carried out.
	unsettled error
}

// item is an entry with what is needed to rewrite it.
type item struct {
	Entry
	span         // what Rewrite replaces
	stuck string // why the entry can never move; "" if it can
	kept  bool   // the caller asked for it to stay
	leaf  int    // its index among the leaves of a JSON or YAML file
	owner string // the service, the extension or the Secret that it belongs to
	begin string // compose: the text before its value in a list, "NAME="
	coded bool   // manifest: the value is in base64
	known string // the name to judge the value by, if that is not Name
}

// span is a run of bytes.
type span struct{ start, end int }

// body is what differs between the kinds of files.
type body interface {
	// choose completes a choice: it adds what has to move too, and refuses what cannot.
	choose(f *File) error
	// rewrite makes the new text and checks it.
	rewrite(f *File, secret keyturn.Ref) (Rewritten, error)
}

// Rewritten is the new text of a file.
type Rewritten struct {
	// Data is the new text of the file itself. It is nil for a manifest.
	Data []byte
	// Template is the text for 'keyturn render' that makes the manifest again. It
	// is nil for every other kind.
	Template []byte
	// Env are the lines of the .env file that a rewritten compose file needs, for
	// JoinEnv. It is empty for every other kind.
	Env []EnvLine
}

// EnvLine is a line NAME=kt://… of a .env file.
type EnvLine struct {
	Name string
	Ref  keyturn.Ref
}

// Choice says which values move. The zero value follows the judgement of Read.
type Choice struct {
	All  bool     // everything that can move, except empty values
	Keep []string // names or fields that stay
	Only []string // if any: names or fields that move, and nothing else
}

// Kind returns what the file is.
func (f *File) Kind() Kind { return f.kind }

// Name returns the name that Read was given.
func (f *File) Name() string { return f.name }

// Entries returns the values of the file in their order, as last chosen. The caller
// may change the slice.
func (f *File) Entries() []Entry {
	out := make([]Entry, len(f.items))
	for i, it := range f.items {
		out[i] = it.Entry
	}
	return out
}

// Notices returns what to tell the owner of the file: other files that it names and
// that may hold values, sections that were left alone, defaults that stay.
func (f *File) Notices() []document.Notice { return append([]document.Notice(nil), f.notices...) }

// Rewrite returns the text of the file with a reference to a field of secret in place
// of each entry that moves. It is Invalid if Read's judgement cannot be carried out
// without a choice (see Choose), if no reference can stand in an entry's place, or if
// the new text would not read as it should; the error names the place.
func (f *File) Rewrite(secret keyturn.Ref) (Rewritten, error) {
	if secret.IsZero() {
		return Rewritten{}, keyturn.E(keyturn.Invalid, "no secret to move the values to", "say --to MOUNT/NAME")
	}
	if f.unsettled != nil {
		return Rewritten{}, f.unsettled
	}
	return f.body.rewrite(f, secret.Secret())
}
