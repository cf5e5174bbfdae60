package broker_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
)

// migrating is a migration of one file into ref, with its candidates sealed by
// whoever w plays.
func (w *world) migrating(ref keyturn.Ref, path string, fields map[string]string) keyturn.MigrateSecrets {
	w.t.Helper()
	op := keyturn.MigrateSecrets{Ref: ref, Files: []keyturn.MigratedFile{{Path: path, Mode: "0600"}, {Path: path + ".new", New: true}}}
	vals := map[string]keyturn.Value{}
	for f, v := range fields {
		vals[f] = keyturn.NewValue([]byte(v))
	}
	op.Fields = sortedKeys(fields)
	op.Candidate = w.sealed(ref, vals)
	op.Texts = w.sealed(ref, map[string]keyturn.Value{"before-0": keyturn.NewValue([]byte("A=" + secret(6))),
		"after-0": keyturn.NewValue([]byte("A=kt://local/m#A")), "after-1": keyturn.NewValue([]byte("new"))})
	return op
}

func (w *world) sealed(ref keyturn.Ref, values map[string]keyturn.Value) string {
	w.t.Helper()
	id, err := w.Seal(w.t.Context(), ref, values)
	if err != nil {
		w.t.Fatalf("seal: %s", say(err))
	}
	return id
}

func sortedKeys(m map[string]string) (out []string) {
	for _, f := range []string{"A", "B", "password", "user"} {
		if _, ok := m[f]; ok {
			out = append(out, f)
		}
	}
	return out
}

// present seals what the files hold at present.
func (w *world) present(ref keyturn.Ref, first, second string) string {
	values := map[string]keyturn.Value{}
	if first != "" {
		values["now-0"] = keyturn.NewValue([]byte(first))
	}
	if second != "" {
		values["now-1"] = keyturn.NewValue([]byte(second))
	}
	return w.sealed(ref, values)
}

var into = keyturn.MustRef("local/m")

func TestMigration(t *testing.T) {
	w := newWorld(t)
	res := w.must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6), "B": secret(7)})).(*keyturn.Migrated)
	if !res.Created || !res.Written || res.Migration.Phase != keyturn.MigrationStored || res.Secret.Version == "" {
		t.Errorf("migrated: %+v", res)
	}
	id := res.Migration.ID
	// A second one of the same file has to wait, or to go on.
	e := w.no(keyturn.Conflict, w.migrating(keyturn.MustRef("local/n"), "/p/.env", map[string]string{"A": secret(6)}))
	if !strings.Contains(e.Hint, id) {
		t.Errorf("hint %q", e.Hint)
	}
	w.no(keyturn.NotFound, keyturn.GetSecret{Ref: keyturn.MustRef("local/n")}) // claimed first, stored then
	// Resumed: which file is what.
	files := w.must(keyturn.ResumeMigration{Ref: into, ID: id, Texts: w.present(into, "A=kt://local/m#A", "")}).(*keyturn.MigrationFiles).Files
	if files[0].Holds != keyturn.HoldsAfter || files[1].Holds != keyturn.HoldsBefore || files[0].Before.Len() != 0 {
		t.Errorf("resumed: %+v", files)
	}
	files = w.must(keyturn.ResumeMigration{Ref: into, ID: id, Texts: w.present(into, "A=else", "else")}).(*keyturn.MigrationFiles).Files
	if files[0].Holds != keyturn.HoldsOther || files[1].Holds != keyturn.HoldsOther {
		t.Errorf("resumed over other files: %+v", files)
	}
	w.no(keyturn.NotFound, keyturn.ResumeMigration{Ref: db, ID: id})
	w.no(keyturn.Conflict, keyturn.ForgetMigration{Ref: into, ID: id}) // not before it has ended
	if end := w.must(keyturn.FinishMigration{Ref: into, ID: id}).(*keyturn.Migrated); end.Migration.Open() {
		t.Errorf("ended: %+v", end.Migration)
	}
	w.no(keyturn.Conflict, keyturn.ResumeMigration{Ref: into, ID: id})
	// Taken back: only over what it wrote; elsewhere always.
	w.no(keyturn.Conflict, keyturn.RevertMigration{Ref: into, ID: id, Texts: w.present(into, "A=else", "new")})
	out := w.must(keyturn.RevertMigration{Ref: into, ID: id, Out: "/elsewhere"}).(*keyturn.MigrationFiles)
	if out.Migration.Phase != keyturn.MigrationEnded || !out.Files[0].Before.Equal(keyturn.NewValue([]byte("A="+secret(6)))) {
		t.Errorf("elsewhere: %+v", out)
	}
	out = w.must(keyturn.RevertMigration{Ref: into, ID: id, Texts: w.present(into, "A=kt://local/m#A", "new")}).(*keyturn.MigrationFiles)
	if out.Migration.Phase != keyturn.MigrationReverting || !out.Files[0].Before.Equal(keyturn.NewValue([]byte("A="+secret(6)))) {
		t.Errorf("taken back: %+v", out)
	}
	w.no(keyturn.Conflict, w.migrating(into, "/p/.env", map[string]string{"A": secret(6)}))
	if end := w.must(keyturn.FinishMigration{Ref: into, ID: id}).(*keyturn.Migrated); end.Migration.Phase != keyturn.MigrationReverted {
		t.Errorf("ended: %+v", end.Migration)
	}
	if again := w.must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6)})).(*keyturn.Migrated); again.Written || again.Created {
		t.Errorf("the same values made a version: %+v", again)
	}
	w.must(keyturn.ForgetMigration{Ref: into, ID: id})
	w.no(keyturn.NotFound, keyturn.RevertMigration{Ref: into, ID: id, Out: "/elsewhere"})
}

// What is there is never overwritten silently, and other fields stay.
func TestMigrationIntoASecret(t *testing.T) {
	w := newWorld(t)
	e := w.no(keyturn.Conflict, w.migrating(db, "/p/.env", map[string]string{"A": secret(6), "password": secret(7)}))
	if !strings.Contains(e.Message, "[password]") {
		t.Errorf("message %q", e.Message)
	}
	if l := w.must(keyturn.ListMigrations{}).(*keyturn.Migrations); len(l.Migrations) != 0 {
		t.Errorf("a refused one is in the journal: %+v", l.Migrations)
	}
	op := w.migrating(db, "/p/.env", map[string]string{"A": secret(6), "password": secret(7)})
	op.Replace = true
	w.must(op)
	s := w.must(keyturn.RevealSecret{Ref: db}).(*keyturn.Revealed).Secret
	for f, v := range map[string]string{"A": secret(6), "password": secret(7), "user": secret(2)} {
		if !s.Values[f].Equal(keyturn.NewValue([]byte(v))) {
			t.Errorf("the field %s is another", f)
		}
	}
}

// Nothing is told to be written before the values are there and the same: not
// where a platform refuses, loses or changes them.
func TestMigrationReadsBack(t *testing.T) {
	for what, fail := range map[string]func(w *world) func(string, keyturn.Ref) error{
		"refuses": func(*world) func(string, keyturn.Ref) error {
			return func(doing string, _ keyturn.Ref) error {
				if doing == "Put" {
					return keyturn.E(keyturn.Unavailable, "down", "")
				}
				return nil
			}
		},
		"cannot be read": func(*world) func(string, keyturn.Ref) error {
			puts := 0
			return func(doing string, _ keyturn.Ref) error {
				if doing == "Put" {
					puts++
				}
				if doing == "Get" && puts > 0 {
					return keyturn.E(keyturn.Unavailable, "down", "")
				}
				return nil
			}
		},
		"changes it": func(w *world) func(string, keyturn.Ref) error {
			put := false
			return func(doing string, ref keyturn.Ref) error {
				if doing == "Put" {
					put = true
				}
				if doing == "Get" && put {
					w.store(ref.Secret(), map[string]string{"A": "something else"})
				}
				return nil
			}
		},
		"panics": func(*world) func(string, keyturn.Ref) error {
			return func(doing string, _ keyturn.Ref) error {
				if doing == "Put" {
					panic(secret(6))
				}
				return nil
			}
		},
	} {
		w := newWorld(t)
		op := w.migrating(into, "/p/.env", map[string]string{"A": secret(6)})
		w.fail = fail(w)
		_, _, err := w.do(op)
		w.fail = nil
		if err == nil {
			t.Errorf("a platform that %s: no error", what)
		}
		if strings.Contains(full(err), secret(6)) {
			t.Errorf("a platform that %s: a value is in the error", what)
		}
		l := w.must(keyturn.ListMigrations{}).(*keyturn.Migrations)
		for _, m := range l.Migrations {
			if m.Phase != keyturn.MigrationBegun {
				t.Errorf("a platform that %s: %+v", what, m)
			}
		}
		w.must(w.migrating(keyturn.MustRef("local/elsewhere"), "/p/.env", map[string]string{"A": secret(6)})) // nothing is in the way
	}
}

// An agent migrates by a rule for write, goes on with what is its own, and sees
// nothing of what the files held without one for reveal.
func TestMigrationByAnAgent(t *testing.T) {
	w := newWorld(t)
	e := w.as(coder).no(keyturn.Denied, w.migrating(into, "/p/.env", map[string]string{"A": secret(6)}))
	if e.Approval == nil {
		t.Fatalf("no way to ask: %+v", e)
	}
	w.yes(anna, e.Approval.ID)
	w.as(coder)
	mine := w.must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6)})).(*keyturn.Migrated).Migration
	if mine.By != "agent:coder" {
		t.Errorf("it is %s's", mine.By)
	}
	// The yes was for all of it: ending it takes no other.
	w.must(keyturn.ResumeMigration{Ref: into, ID: mine.ID, Texts: w.present(into, "A=x", "")})
	w.must(keyturn.FinishMigration{Ref: into, ID: mine.ID})

	w = newWorld(t, withRules(t, may("agent:coder", "write", "local/m"), may("agent:editor", "write list", "local/m")))
	mine = w.as(coder).must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6)})).(*keyturn.Migrated).Migration
	if l := w.must(keyturn.ListMigrations{}).(*keyturn.Migrations); len(l.Migrations) != 1 {
		t.Errorf("its own is not listed: %+v", l.Migrations)
	}
	w.no(keyturn.Denied, keyturn.RevertMigration{Ref: into, ID: mine.ID, Out: "/elsewhere"})
	w.no(keyturn.Denied, keyturn.ForgetMigration{Ref: into, ID: mine.ID})
	w.as(other).no(keyturn.NotFound, keyturn.ResumeMigration{Ref: into, ID: mine.ID, Texts: w.present(into, "A=x", "")})
	w.no(keyturn.NotFound, keyturn.FinishMigration{Ref: into, ID: mine.ID})
	w.as(ci)
	if l := w.must(keyturn.ListMigrations{}).(*keyturn.Migrations); len(l.Migrations) != 0 {
		t.Errorf("a service sees %+v", l.Migrations)
	}
	w.as(coder).must(keyturn.FinishMigration{Ref: into, ID: mine.ID})
	w.as(anna).must(keyturn.RevertMigration{Ref: into, ID: mine.ID, Out: "/elsewhere"})
}

func TestMigrationsThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	good := func() keyturn.MigrateSecrets { return w.migrating(into, "/p/.env", map[string]string{"A": secret(6)}) }
	for what, change := range map[string]func(*keyturn.MigrateSecrets){
		"other fields":      func(op *keyturn.MigrateSecrets) { op.Fields = []string{"B"} },
		"unsorted fields":   func(op *keyturn.MigrateSecrets) { op.Fields = []string{"B", "A"} },
		"a field twice":     func(op *keyturn.MigrateSecrets) { op.Fields = []string{"A", "A"} },
		"no candidate":      func(op *keyturn.MigrateSecrets) { op.Candidate = "" },
		"no texts":          func(op *keyturn.MigrateSecrets) { op.Texts = "" },
		"a relative path":   func(op *keyturn.MigrateSecrets) { op.Files[0].Path = ".env" },
		"an unclean path":   func(op *keyturn.MigrateSecrets) { op.Files[0].Path = "/p/../.env" },
		"a path twice":      func(op *keyturn.MigrateSecrets) { op.Files[1].Path = op.Files[0].Path },
		"no mode":           func(op *keyturn.MigrateSecrets) { op.Files[0].Mode = "rw" },
		"new with a before": func(op *keyturn.MigrateSecrets) { op.Files[0].New = true },
		"a text too few": func(op *keyturn.MigrateSecrets) {
			op.Files = append(op.Files, keyturn.MigratedFile{Path: "/p/z", New: true})
		},
		"a field's ref": func(op *keyturn.MigrateSecrets) { op.Ref = keyturn.MustRef("local/m#A") },
		"nothing":       func(op *keyturn.MigrateSecrets) { *op = keyturn.MigrateSecrets{Ref: into} },
	} {
		op := good()
		change(&op)
		n := w.mark()
		if _, _, err := w.do(op); !errors.Is(err, keyturn.Invalid) {
			t.Errorf("%s: %s", what, say(err))
		}
		if calls := w.since(n); len(calls) > 0 {
			t.Errorf("%s reached the platform", what)
		}
	}
	// A candidate is for one migration of its own caller.
	op := good()
	w.must(op)
	w.no(keyturn.NotFound, op)
}

// An agent is told by a migration whether all fields are the same, and not which; and
// each field that is there is one of its budget.
func TestMigrationComparesLittle(t *testing.T) {
	w := newWorld(t, withRules(t, may("agents", "write", "local/**")))
	w.as(coder)
	guess := func(user string) keyturn.MigrateSecrets {
		return w.migrating(db, "/p/.env", map[string]string{"A": secret(6), "password": secret(1), "user": user})
	}
	e := w.no(keyturn.Conflict, guess("else"))
	if all := full(e); strings.Contains(all, "password") || strings.Contains(all, "user") || !strings.Contains(e.Hint, "--replace") {
		t.Errorf("it tells which: %s", all)
	}
	if res := w.must(guess(secret(2))).(*keyturn.Migrated); !res.Written || len(res.Secret.Fields) > 0 || len(res.Secret.Labels) > 0 {
		t.Errorf("%+v", res.Secret)
	}
	m := w.must(keyturn.ListMigrations{}).(*keyturn.Migrations).Migrations[0]
	w.as(anna).must(keyturn.FinishMigration{Ref: db, ID: m.ID})
	// Twice two fields, twice three: that is ten. To replace tells as much.
	w.as(coder).no(keyturn.Conflict, guess("else"))
	w.no(keyturn.Conflict, guess("another"))
	op := guess("else")
	op.Replace = true
	e = w.no(keyturn.Denied, op)
	if e.Approval == nil || !strings.Contains(e.Message, "often enough") {
		t.Fatalf("%s", say(e))
	}
	// The values wait for the yes, which is for them.
	w.yes(anna, e.Approval.ID)
	if again := w.as(coder); again.must(op).(*keyturn.Migrated).Before == "" || w.value(db, "user") != "else" {
		t.Error("another migration, or none")
	}
	// A secret without any of them costs nothing.
	w.must(w.migrating(into, "/q/.env", map[string]string{"A": secret(6)}))
	// People have no budget, and are told which.
	if e := w.as(anna).no(keyturn.Conflict, w.migrating(db, "/r/.env", map[string]string{"user": "third"})); !strings.Contains(e.Message, "[user]") {
		t.Errorf("%s", say(e))
	}
}

// Fields and files of a migration are told to whoever began it, or may describe the
// secret.
func TestMigrationsTellLittle(t *testing.T) {
	w := newWorld(t, withRules(t, may("agent:coder", "write", "local/m"), may("agent:editor", "list", "local/m"), may("service:ci", "list describe", "local/m")))
	w.as(coder).must(w.migrating(into, "/p/.env", map[string]string{"A": secret(6)}))
	for _, c := range []struct {
		actor keyturn.Actor
		told  bool
	}{{coder, true}, {other, false}, {ci, true}, {anna, true}} {
		all := w.as(c.actor).must(keyturn.ListMigrations{}).(*keyturn.Migrations).Migrations
		if len(all) != 1 || (len(all[0].Fields) > 0) != c.told || (len(all[0].Files) > 0) != c.told || all[0].ID == "" {
			t.Errorf("%s is told %+v", c.actor.Principal(), all)
		}
	}
}
