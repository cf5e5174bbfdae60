// Package migrate moves the secrets of a project's files into a store and leaves
// references in their place; it also takes a migration back. It is the part of
// 'keyturn migrate' that every door shares: a door fills in [Options], shows the
// [Plan], and prints the [Outcome].
//
// A migration runs in this order, so that a crash at any point loses nothing:
//
//  1. [Migrator.Plan] locks the folders of the files, reads the files and judges
//     their values. Nothing is stored or written yet.
//  2. [Plan.Apply] asks the Service for one MigrateSecrets: the values are stored,
//     read back and compared, and what the files hold is kept, encrypted.
//  3. The files are rewritten one by one, each whole at any time (package rewrite).
//  4. FinishMigration ends the migration.
//
// A migration that is cut off after step 2 goes on with the same Plan and Apply, or
// with [Migrator.Resume]. [Migrator.TakeBack] writes back what the files held.
//
// The package knows no command line, platform or store. It reaches secrets through
// the session's Service alone, and a person through the session's Desk alone. Hints
// name the commands of 'keyturn migrate', which work whatever door they are shown at.
package migrate

import (
	"context"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/describe"
	"github.com/keyturn/keyturn/internal/migrate/imports"
	"github.com/keyturn/keyturn/internal/migrate/rewrite"
	"github.com/keyturn/keyturn/internal/rules"
	"github.com/keyturn/keyturn/internal/session"
)

// Migrator plans migrations, carries them out and takes them back, for the caller of
// a session. It is not safe for concurrent use.
type Migrator struct {
	Session *session.Session
	Dir     string                   // the folder that the names of files are seen from
	Env     func(name string) string // the caller's environment: it names the age keys of sops
	Yes     bool                     // the caller has agreed beforehand: ask nothing
}

// Options say what to migrate, and how.
type Options struct {
	Files   []string    // as the caller names them
	To      keyturn.Ref // the secret that takes the values
	All     bool        // move every value that can move, not only those that look like secrets
	Keep    []string    // values that stay, by name
	Only    []string    // if any: values that move, by name, and no others
	Replace bool        // where the secret has another value under the same name, make a new version
	// As says what becomes of a Kubernetes manifest. "template" makes a template
	// beside it; with "" a manifest is refused.
	As string
	// From is the tool that the files are from: "sops", "doppler" or "infisical"; ""
	// to find out from each file.
	From string
	// Mounts names the mount for each place in references of other tools; its keys
	// are those of imports.Reference.
	Mounts map[string]string
	// DryRun is for a plan that will not be applied: no folder is locked, and
	// nothing that a crash left behind is removed.
	DryRun bool
}

// Check refuses options that make no sense, before any file is opened. Plan checks
// them too.
func (o Options) Check() error {
	switch {
	case len(o.Files) == 0:
		return keyturn.E(keyturn.Invalid, "no file was named", "for instance: keyturn migrate .env --to local/myapp")
	case o.To.IsZero():
		return keyturn.E(keyturn.Invalid, "it is not said where the values go", "for instance: --to local/myapp")
	case len(o.Keep) > 0 && len(o.Only) > 0:
		return keyturn.E(keyturn.Invalid, "--keep and --only exclude each other", "")
	case o.All && len(o.Only) > 0:
		return keyturn.E(keyturn.Invalid, "--all and --only exclude each other", "")
	}
	switch o.As {
	case "", "template":
	case "sealed", "external":
		return keyturn.E(keyturn.Unsupported, "--as "+o.As+" comes with Kubernetes, which this keyturn does not speak to yet", "--as template works now")
	default:
		return keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.As)+"' is nothing that a manifest can become", "say --as template")
	}
	switch imports.Format(o.From) {
	case "", imports.SOPS, imports.Doppler, imports.Infisical:
	default:
		e := keyturn.E(keyturn.Invalid, "'"+keyturn.Clean(o.From)+"' is not a tool whose files are known", "there are sops, doppler and infisical; other files are read as what they are, without --from")
		switch o.From {
		case "op", "1password", "vals":
			e.Hint = "references of op and vals are found by themselves: leave --from out, and say with --map which mounts stand for their places"
		case "env", "dotenv", "compose", "kubernetes", "json", "yaml":
			e.Hint = "leave --from out: what kind of file it is shows by itself"
		}
		return e
	}
	if o.To.Field() != "" || o.To.Version() != "" {
		return keyturn.E(keyturn.Invalid, "--to takes a whole secret: the names in the file become its fields", "say --to "+keyturn.Quote(o.To.Secret().Short())).About(o.To)
	}
	return nil
}

// Outcome is what was done.
type Outcome struct {
	keyturn.Migrated
	// Found is the migration as it was before: of Resume, TakeBack, Extract and Forget.
	Found keyturn.Migration
	// Wrote are the files that Extract made.
	Wrote []string
	// Notices tell the owner of the files what else to know.
	Notices []string
	// Todo is what remains to be done by a person: files that still hold values, and
	// the history of git.
	Todo []string
	// MayTakeBack is set where the rules let the caller take the migration back
	// without asking anybody.
	MayTakeBack bool
}

// Interrupted is the error of a migration that was interrupted between two files.
// Every file is whole, and Resume goes on. It counts as context.Canceled.
type Interrupted struct{ ID string }

func (e *Interrupted) Error() string { return "the migration " + e.ID + " is half done" }

// Is reports whether target is context.Canceled.
func (e *Interrupted) Is(target error) bool { return target == context.Canceled }

// List returns the migrations that are kept, oldest first.
func (m *Migrator) List(ctx context.Context) (*keyturn.Migrations, error) {
	return session.Ask[*keyturn.Migrations](ctx, m.Session, keyturn.ListMigrations{})
}

// Unfinished lists the migrations that were cut off or are under way, for people who
// look after the store.
func Unfinished(ctx context.Context, s *session.Session) ([]session.Unfinished, error) {
	res, err := keyturn.Do[*keyturn.Migrations](ctx, s.Service, keyturn.ListMigrations{})
	if err != nil {
		return nil, err
	}
	var out []session.Unfinished
	for _, x := range res.Migrations {
		if !x.Open() {
			continue
		}
		next := "keyturn migrate --resume " + x.ID + "   (or take it back: keyturn migrate --rollback " + x.ID + ")"
		switch x.Phase {
		case keyturn.MigrationReverting:
			next = "keyturn migrate --rollback " + x.ID
		case keyturn.MigrationBegun: // no file was changed, and nothing is stored for sure
			next = "give the command again, or: keyturn migrate --forget " + x.ID
		}
		out = append(out, session.Unfinished{What: "a migration into " + x.Ref.Short() + ", begun " + describe.When(x.Began) + ", is not finished (" + x.Phase + ")", Next: next})
	}
	return out, nil
}

// apply rewrites the files of a migration whose values are stored, in their order,
// and ends the migration.
func (m *Migrator) apply(ctx context.Context, ref keyturn.Ref, id string, changes []rewrite.Change) (*keyturn.Migrated, error) {
	for _, ch := range changes {
		if ctx.Err() != nil {
			return nil, &Interrupted{id}
		}
		if err := ch.Apply(); err != nil {
			return nil, m.unfinished(ref, id, err)
		}
	}
	end, err := session.Ask[*keyturn.Migrated](ctx, m.Session, keyturn.FinishMigration{Ref: ref, ID: id})
	if err != nil {
		return nil, m.unfinished(ref, id, err)
	}
	return end, nil
}

// unfinished adds to an error how to go on with a migration whose values are stored.
func (m *Migrator) unfinished(ref keyturn.Ref, id string, err error) error {
	return hinted(err, "the values are stored, and every file is whole; go on with: keyturn migrate --resume "+id+m.orBack(ref, id))
}

// hinted returns err with more lines in its hint.
func hinted(err error, more string) *keyturn.Error {
	e := *keyturn.AsError(err)
	e.Hint = strings.TrimPrefix(e.Hint+"\n", "\n") + more
	return &e
}

// mayReveal reports whether the rules let the caller see ref's values, and so take a
// migration into it back, without asking anybody.
func (m *Migrator) mayReveal(ref keyturn.Ref) bool {
	s := m.Session
	return s.Rules.Decide(rules.Request{Actor: s.Actor, Verb: keyturn.Reveal, Path: ref.Path()}).Effect == rules.Allow
}

// orBack is a line of a hint: how to take a cut off migration back instead of going
// on; "" where the caller may not.
func (m *Migrator) orBack(ref keyturn.Ref, id string) string {
	if !m.mayReveal(ref) {
		return ""
	}
	return "\nor take it back: keyturn migrate --rollback " + id
}

// wayOut is a hint: how to end a migration whose files hold something else by now.
func wayOut(id string) string {
	return "what the files held goes elsewhere with: keyturn migrate --rollback " + id + " --out FOLDER\nthen be rid of the migration: keyturn migrate --forget " + id + " --yes"
}

// tidy removes what a crash of x left beside its files, whose folders must be locked.
func tidy(x keyturn.Migration) {
	for i, f := range x.Files {
		rewrite.Settle(f.Path, rewrite.TempName(f.Path, x.ID, i), modeOf(f))
	}
}

// newMode is the mode of files that a migration makes, less the umask: all but
// templates hold nothing but references.
const newMode = 0o644

// modeOf is the mode of a file in the journal.
func modeOf(f keyturn.MigratedFile) fs.FileMode {
	if n, err := strconv.ParseUint(f.Mode, 8, 32); err == nil {
		return fs.FileMode(n).Perm()
	}
	return newMode &^ rewrite.Umask()
}

// has reports whether path is one of the files of a migration.
func has(x keyturn.Migration, path string) bool {
	return slices.ContainsFunc(x.Files, func(f keyturn.MigratedFile) bool { return f.Path == path })
}

// Paths are the files of a migration, for people.
func Paths(x keyturn.Migration) string {
	var out []string
	for _, f := range x.Files {
		out = append(out, keyturn.Clean(f.Path))
	}
	return strings.Join(out, ", ")
}

// Counted is a number of things in words: "1 file", "2 files".
func Counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
