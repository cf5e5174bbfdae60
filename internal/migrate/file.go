package migrate

import (
	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/document"
)

// Kind says what a file is.
type Kind string

// The kinds of files.
const (
	Env      Kind = "env"      // NAME=VALUE lines; values become references in place
	Compose  Kind = "compose"  // values become ${NAME:?…}, and a .env of references is needed beside it
	Manifest Kind = "manifest" // Secrets of Kubernetes; never rewritten in place: a template is made
	JSON     Kind = "json"     // strings become references in place
	YAML     Kind = "yaml"     // strings become references in place
)

// Entry is one value of a file. Its names are the file's own, and not cleaned.
type Entry struct {
	// Name is what people call it: the variable, or the path of its keys
	// ("database.password"). It is what Choice's Keep and Only match. A name may
	// occur more than once.
	Name string
	// Field is the name of the field that holds the value when it is stored. Two
	// entries of a file that move have the same field only where their values are
	// the same, or where the later line of a .env file replaces the earlier one
	// (both then have the later one's value).
	Field string
	// Where is the place in the file's own words:
	// "services.db.environment.POSTGRES_PASSWORD", "Secret/app.data.password".
	Where string
	Line  int // from 1
	// Value is what the program that reads the file would see: quotes and escapes
	// undone, variables filled in where the file itself gives them, base64 decoded.
	Value keyturn.Value
	// Secret says that the value moves: it is to be stored under Field, and
	// Rewrite puts a reference in its place.
	Secret bool
	// Why says in a few plain words why the value moves or stays: "name says
	// password", "long random text", "well-known configuration", "a boolean".
	Why string
	// Reference is set where the value is a reference already: one of keyturn's,
	// or one of another tool for which Options.Mounts had an exact counterpart
	// (Foreign is then true, and Rewrite writes Reference in its place). Nothing
	// needs to be stored for it; Secret is false.
	Reference *keyturn.Ref
	Foreign   bool
}

// Options are what Read needs to know beside the file. The zero Options work.
type Options struct {
	// Mounts says which mount stands for which place of another tool's
	// references; see imports.Reference for its keys. Nil: none does.
	Mounts map[string]string
	// Taken are names of variables that a compose file's new variables must not
	// have, because something else gives them already (the .env file beside it).
	Taken []string
}

// File is a file as it was read. It is not safe for concurrent use.
type File struct {
	name    string
	kind    Kind
	data    []byte
	items   []item
	first   []item // as judged: where every choice begins
	notices []document.Notice
	body    body
	// unsettled is why the choice of Read cannot be carried out.
	unsettled error
}

// item is an entry and what its kind of file knows of it.
type item struct {
	Entry
	span         // what Rewrite replaces
	stuck string // why it cannot move, whatever is chosen; "" if it can
	kept  bool   // somebody asked for it to stay
	leaf  int    // its place among the leaves of a JSON or YAML file
	owner string // the service, the extension or the Secret that it belongs to
	begin string // compose: what stands before its value in a list, "NAME="
	coded bool   // manifest: it stands in base64
	known string // the name that it is judged by, where that is not Name
}

// span is a run of bytes.
type span struct{ start, end int }

// body is what a kind of file can do.
type body interface {
	// choose completes a choice: what else has to move, and what cannot.
	choose(f *File) error
	// rewrite makes the new text, and checks it.
	rewrite(f *File, secret keyturn.Ref) (Rewritten, error)
}

// Rewritten is what becomes of a file.
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

// Choice is what a person wants to move. The zero Choice takes what Read judged.
type Choice struct {
	All  bool     // everything that can move, empty values excepted
	Keep []string // names or fields that stay
	Only []string // if any: names or fields that move, and nothing else
}

// Kind returns what the file is.
func (f *File) Kind() Kind { return f.kind }

// Name returns the name that Read was given.
func (f *File) Name() string { return f.name }

// Entries returns the values of the file in its order, as last chosen. The slice
// belongs to the caller.
func (f *File) Entries() []Entry {
	out := make([]Entry, len(f.items))
	for i, it := range f.items {
		out[i] = it.Entry
	}
	return out
}

// Notices returns what the file's owner should be told: files that it names and
// that hold values too, sections that were left alone, defaults that stay.
func (f *File) Notices() []document.Notice { return append([]document.Notice(nil), f.notices...) }

// Rewrite returns the file with a reference to a field of secret in place of
// every entry that moves. It is Invalid where Read's own judgement needs a choice
// first (see Choose), and where no reference can stand in the file's place for
// an entry, or the new text would not read as it should (the place is told);
// nothing is returned then.
func (f *File) Rewrite(secret keyturn.Ref) (Rewritten, error) {
	if secret.IsZero() {
		return Rewritten{}, keyturn.E(keyturn.Invalid, "no secret to move the values to", "say --to MOUNT/NAME")
	}
	if f.unsettled != nil {
		return Rewritten{}, f.unsettled
	}
	return f.body.rewrite(f, secret.Secret())
}
