package broker_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/broker"
)

// everything is all that a world kept: the log with what its store holds beside it, and
// the rows of the journal.
func (w *world) everything() string {
	w.t.Helper()
	_ = w.records() // flushes
	var b strings.Builder
	for _, e := range w.rows {
		b.Write(e.Data)
		b.WriteByte('\n')
	}
	b.Write(w.tree)
	for _, body := range w.items.Seen {
		b.WriteString(body + "\n")
	}
	for kind, rows := range w.items.Rows {
		for id, it := range rows {
			fmt.Fprintln(&b, kind, id, string(it.Body))
		}
	}
	return b.String()
}

// needles are the forms in which a secret, or the hash of an operation that holds it,
// could be kept.
func needles(t *testing.T, op keyturn.Op, secrets ...string) map[string]string {
	t.Helper()
	form, err := keyturn.EncodeOp(op)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	out["the operation"] = string(form)
	sums := map[string][32]byte{"of the operation": keyturn.HashForm(form), "of its bytes": sha256.Sum256(form)}
	for i, s := range secrets {
		out[fmt.Sprint("secret ", i)] = s
		out[fmt.Sprint("secret in hexadecimal ", i)] = hex.EncodeToString([]byte(s))
		out[fmt.Sprint("secret in base64 ", i)] = base64.RawStdEncoding.EncodeToString([]byte(s))
		sums[fmt.Sprint("of secret ", i)] = sha256.Sum256([]byte(s))
	}
	for what, sum := range sums {
		out["the hash "+what] = hex.EncodeToString(sum[:])
		out["the raw hash "+what] = string(sum[:])
		out["the hash in base64 "+what] = base64.StdEncoding.EncodeToString(sum[:])
	}
	hash := keyturn.HashForm(form)
	out["the fingerprint"] = hash.Fingerprint()
	return out
}

// refusedBare does op past the command line, as each kind of caller, and looks for what
// is left of it.
func refusedBare(t *testing.T, op keyturn.Op, secrets ...string) {
	t.Helper()
	for _, actor := range []keyturn.Actor{anna, coder, ci, {}} {
		w := newWorld(t, withRules(t, may("agents", "administer", "**"))).as(actor)
		want := keyturn.Invalid
		if actor.Name == "" {
			want = keyturn.Denied // nobody
		}
		before := w.mark()
		e := w.no(want, op)
		if calls := w.since(before); len(calls) > 0 {
			t.Errorf("a platform was asked: %v", calls)
		}
		said := fmt.Sprintf("%+v %v %s %s", e, e.Err, e.Message, e.Hint)
		for err := error(e); err != nil; err = errors.Unwrap(err) {
			said += fmt.Sprintf(" %v %#v", err, err)
		}
		records := w.records()
		if len(records) != 1 || records[0].Phase != keyturn.Refusal || records[0].Code != want || records[0].OpHash != "" {
			t.Fatalf("records of %s: %+v", op.Kind(), records)
		}
		kept, err := keyturn.DecodeOp(records[0].Op)
		if err != nil || kept.Kind() != op.Kind() {
			t.Fatalf("the record holds %s, %v", records[0].Op, err)
		}
		switch kept := kept.(type) {
		case keyturn.PlatformAction:
			if len(kept.Args)+len(kept.Uses) > 0 || kept.Out != "" {
				t.Errorf("the record holds arguments: %s", records[0].Op)
			}
		case keyturn.BackupStore:
			if len(kept.Recipients) > 0 {
				t.Errorf("the record holds recipients: %s", records[0].Op)
			}
		}
		all := w.everything()
		for what, needle := range needles(t, op, secrets...) {
			if strings.Contains(all, needle) {
				t.Errorf("%s is kept: %s", what, all)
			}
			if strings.Contains(said, needle) {
				t.Errorf("%s is in the error: %s", what, said)
			}
		}
	}
}

const dbSecret = "kT-fAkE-9x7Q"

// No password in any text of an action, whatever its kind, on a mount that exists and on
// one that does not.
func TestPasswordInAnAction(t *testing.T) {
	address := "postgresql://admin:" + dbSecret + "@db.example.com/shop"
	for _, mount := range []string{"prod", "nosuch"} {
		for what, op := range map[string]keyturn.PlatformAction{
			"an address":            {Action: "database connect", Args: map[string][]string{"name": {"shop"}, "url": {address}}},
			"a DSN":                 {Action: "database connect", Args: map[string][]string{"url": {"host=db user=admin password=" + dbSecret}}},
			"statements":            {Action: "database role write", Args: map[string][]string{"creation": {"CREATE ROLE \"{{name}}\" PASSWORD '" + dbSecret + "'"}}},
			"an input of no action": {Action: "look", Args: map[string][]string{"nosuch": {address}}},
			"an action of none":     {Action: "no such action", Args: map[string][]string{"about": {"see " + address}}},
			"a list":                {Action: "look", Args: map[string][]string{"allow": {"a", "b", address}}},
			"a document":            {Action: "policy write", Args: map[string][]string{"file": {"# " + address + "\npath \"x\" {\n}\n"}}},
			"the name of an input":  {Action: "look", Args: map[string][]string{address: {"x"}}},
			"the action":            {Action: "connect " + address},
			"the file":              {Action: "make id", Out: "/tmp/" + address},
			"the name of a secret":  {Action: "make id", Uses: []keyturn.Binding{{Name: address, Ref: dbPass}}},
			"escapes":               {Action: "look", Args: map[string][]string{"url": {"postgresql://admin%3A" + dbSecret + "@db/x"}}},
			"one that is malformed": {Action: "look", Args: map[string][]string{"url": {address}}, To: copied, Wrap: 60},
			"a new secret's":        {Action: "make id", Args: map[string][]string{"name": {address}}, To: copied},
			"a grant's":             {Action: keyturn.ActionGrant, On: api, Args: map[string][]string{"principal": {address}, "can": {"read"}}},
		} {
			t.Run(mount+"/"+what, func(t *testing.T) {
				op.Mount = mount
				refusedBare(t, op, dbSecret)
			})
		}
	}
	t.Run("the mount", func(t *testing.T) { refusedBare(t, keyturn.PlatformAction{Mount: address, Action: "look"}, dbSecret) })
	// What holds none is recorded whole, with its hash.
	w := newWorld(t)
	op := keyturn.PlatformAction{Mount: "nosuch", Action: "database connect", Args: map[string][]string{"url": {"postgresql://{{username}}:{{password}}@db/x"}}}
	w.no(keyturn.NotFound, op)
	for what, needle := range needles(t, op) {
		if found := strings.Contains(w.everything(), needle); found != (what == "the operation" || what == "the hash of the operation") {
			t.Errorf("%s is kept: %v", what, found)
		}
	}
}

// What the lists of actions say about an input decides how its text is looked at: an
// address and statements closely, a name or a document only for an address in it, and
// where a secret is taken no plain text passes.
func TestTextsOfKnownActions(t *testing.T) {
	list := []keyturn.Administration{{Actions: []keyturn.Action{{Name: "known", Inputs: []keyturn.Input{
		{Name: "url", Kind: keyturn.InputAddress}, {Name: "sql", Kind: keyturn.InputStatements}, {Name: "password", Kind: keyturn.InputSecret},
		{Name: "about", Kind: keyturn.InputText}, {Name: "file", Kind: keyturn.InputFile}, {Name: "id", Kind: keyturn.InputText},
	}}}}}
	known := func(name string, texts ...string) keyturn.PlatformAction {
		return keyturn.PlatformAction{Mount: "nosuch", Action: "known", Args: map[string][]string{name: texts}}
	}
	for _, op := range []keyturn.PlatformAction{
		known("url", "host=db user=a\npassword="+dbSecret), known("url", "admin/"+dbSecret+"@orcl"), known("url", "//admin:"+dbSecret+"@db/x"),
		known("sql", "ALTER ROLE x PASSWORD '"+dbSecret+"'"), known("sql", "ALTER ROLE x PASSWORD", "'"+dbSecret+"'"),
		known("about", "see https://a:"+dbSecret+"@h/"), known("password", dbSecret),
		{Mount: "nosuch", Action: "unknown", Args: map[string][]string{"share": {dbSecret}}},
	} {
		w := newWorld(t, func(c *broker.Config) { c.Actions = func() []keyturn.Administration { return list } })
		w.no(keyturn.Invalid, op)
		all := w.everything()
		for what, needle := range needles(t, op, dbSecret) {
			if strings.Contains(all, needle) {
				t.Errorf("%v: %s is kept", op.Args, what)
			}
		}
	}
	for _, op := range []keyturn.PlatformAction{
		known("id", "auth/userpass/login/anna@example.com/h5d2"), known("about", "team:anna@example.com, token=default"),
		known("sql", "UPDATE u SET token = NULL"), known("file", "path \"secret/data/people/anna@example.com/*\" {}\n# https://medium.com/@x"),
	} {
		newWorld(t, func(c *broker.Config) { c.Actions = func() []keyturn.Administration { return list } }).no(keyturn.NotFound, op) // for the mount alone
	}
}

// The command line says so early; who goes around it is told the same.
func TestPasswordInAnActionIsTold(t *testing.T) {
	w := newWorld(t)
	e := w.no(keyturn.Invalid, keyturn.PlatformAction{Mount: "prod", Action: "x", Args: map[string][]string{"url": {"postgresql://a:" + dbSecret + "@h/x"}}})
	if e.Message != "--url holds a password" || e.Hint != "write {{username}}:{{password}} in its place; the password is asked for" {
		t.Errorf("%s (%s)", e.Message, e.Hint)
	}
	e = w.no(keyturn.Invalid, keyturn.PlatformAction{Mount: "prod", Action: "x", Args: map[string][]string{"creation": {"CREATE USER x IDENTIFIED BY '" + dbSecret + "'"}}})
	if e.Message != "--creation holds a password" || e.Hint != "write '{{password}}' in its place: each user gets one of its own" {
		t.Errorf("%s (%s)", e.Message, e.Hint)
	}
}

// The recipients of a backup are public keys.
func TestPrivateKeyAsRecipient(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	private, public := id.String(), id.Recipient().String()
	const ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"
	const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUfake\n-----END OPENSSH PRIVATE KEY-----\n"
	for what, c := range map[string]struct {
		recipients []string
		secret     string
	}{
		"of age":                     {[]string{private}, private},
		"of age, behind a public":    {[]string{public, private}, private},
		"of age, in small letters":   {[]string{strings.ToLower(private)}, strings.ToLower(private)},
		"of age, on one line":        {[]string{public + " " + private}, private},
		"of age, on the next line":   {[]string{public + "\n" + private}, private},
		"of age, as a comment":       {[]string{ssh + " " + private}, private},
		"of a plugin":                {[]string{"AGE-PLUGIN-YUBIKEY-1FAKE9X7Q"}, "1FAKE9X7Q"},
		"of SSH":                     {[]string{pem}, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUfake"},
		"of SSH, on the next line":   {[]string{ssh + "\n" + pem}, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUfake"},
		"of SSH, said to be public":  {[]string{"ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAABG5vbmUfake"}, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUfake"},
		"a passphrase":               {[]string{"correct horse Battery"}, "correct horse Battery"},
		"what looks like a public":   {[]string{"age1correcthorseBattery"}, "correcthorseBattery"},
		"beside a passphrase, still": {[]string{private}, private},
	} {
		t.Run(what, func(t *testing.T) {
			refusedBare(t, keyturn.BackupStore{To: "/b", Recipients: c.recipients, Passphrase: strings.HasPrefix(what, "beside")}, c.secret)
		})
	}
	w := newWorld(t)
	op := keyturn.BackupStore{To: "/b", Recipients: []string{public, ssh + " anna@laptop"}}
	w.no(keyturn.Unsupported, op) // there is no store here
	if !strings.Contains(w.everything(), public) {
		t.Error("public keys are not recorded: is this test looking?")
	}
}

// Nothing is written into keyturn's own folder, whatever leads there.
func TestOwnFolder(t *testing.T) {
	dir := t.TempDir()
	home, other := filepath.Join(dir, "home"), filepath.Join(dir, "other")
	for _, d := range []string{filepath.Join(home, "sub"), other} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{filepath.Join(home, "x"), filepath.Join(home, "sub", "x"), filepath.Join(home, "new", "x"), filepath.Join(other, "..", "home", "x")}
	if os.Symlink(home, filepath.Join(other, "link")) == nil && os.Symlink(filepath.Join(home, "x"), filepath.Join(other, "file")) == nil {
		paths = append(paths, filepath.Join(other, "link", "x"), filepath.Join(other, "file"))
	}
	if os.Symlink(filepath.Join(home, "sub"), filepath.Join(other, "sub")) == nil {
		w := newWorld(t, func(c *broker.Config) { c.Home = home })
		w.no(keyturn.Invalid, keyturn.BackupStore{To: other + "/sub/../x", Passphrase: true}) // home/x to the system
		w.no(keyturn.Invalid, keyturn.BackupStore{To: "x", Passphrase: true})
	}
	writing := func(w *world, path string) map[string]keyturn.Op {
		id, err := w.Seal(context.Background(), web, map[string]keyturn.Value{"value": keyturn.NewValue([]byte("v"))})
		if err != nil {
			t.Fatal(err)
		}
		run := runs(dbPass)
		run.Files = []keyturn.Binding{{Name: filepath.Join(other, "ok"), Ref: dbPass}, {Name: path, Ref: dbPass}}
		made := making(keyturn.Ref{})
		made.Out = path
		return map[string]keyturn.Op{
			"render":   keyturn.RenderTemplate{Template: "/t", Digest: digest, Out: path, Secrets: []keyturn.Ref{dbPass}},
			"action":   made,
			"rollback": keyturn.RevertMigration{Ref: db, ID: "m", Out: filepath.Dir(path)},
			"backup":   keyturn.BackupStore{To: path, Passphrase: true},
			"run":      run,
			"migrate": keyturn.MigrateSecrets{Ref: web, Fields: []string{"value"}, Candidate: id, Texts: id,
				Files: []keyturn.MigratedFile{{Path: filepath.Clean(path), Mode: "0600"}}},
		}
	}
	inHome := func(c *broker.Config) { c.Home = home }
	for _, path := range paths {
		w := newWorld(t, inHome)
		before := w.mark()
		for what, op := range writing(w, path) {
			if what == "rollback" && filepath.Dir(path) == other { // the folder is another one
				continue
			}
			e := w.no(keyturn.Invalid, op)
			if !strings.Contains(e.Message, "keyturn's own folder") {
				t.Errorf("%s into %s: %s", what, path, say(e))
			}
		}
		if calls := w.since(before); len(calls) > 0 {
			t.Errorf("a platform was asked: %v", calls)
		}
	}
	// Elsewhere it is something else that may be wrong; and over a network the files of
	// all but a backup are on another machine.
	w, far := newWorld(t, inHome), newWorld(t, inHome, remote, withRules(t, may("user:anna", "use reveal write administer", "**")))
	for what, op := range writing(w, filepath.Join(other, "x")) {
		if _, _, err := w.do(op); err != nil && strings.Contains(err.Error(), "own folder") {
			t.Errorf("%s elsewhere: %v", what, err)
		}
	}
	for what, op := range writing(far, filepath.Join(home, "x")) {
		if _, _, err := far.do(op); (err != nil && strings.Contains(err.Error(), "own folder")) != (what == "backup") {
			t.Errorf("%s over a network: %v", what, err)
		}
	}
}

// TestOperatorsFiles: nothing is written onto the operator's files, whoever asks and
// whatever leads there.
func TestOperatorsFiles(t *testing.T) {
	dir := t.TempDir()
	conf, other := filepath.Join(dir, "conf"), filepath.Join(dir, "other")
	file, none := filepath.Join(conf, "keyturn.yaml"), filepath.Join(conf, "none.yaml")
	for _, err := range []error{os.Mkdir(conf, 0o700), os.Mkdir(other, 0o700), os.WriteFile(file, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{file, none}
	for name, make := range map[string]func(path string) error{
		"link": func(p string) error { return os.Symlink(file, p) }, "hard": func(p string) error { return os.Link(file, p) },
		"dangling": func(p string) error { return os.Symlink(none, p) },
	} {
		if make(filepath.Join(other, name)) == nil {
			paths = append(paths, filepath.Join(other, name))
		}
	}
	if os.Symlink(conf, filepath.Join(other, "folder")) == nil {
		paths = append(paths, filepath.Join(other, "folder", "keyturn.yaml"))
	}
	for _, who := range []keyturn.Actor{anna, coder} {
		w := newWorld(t, func(c *broker.Config) { c.Operators = []string{file, none} }, withRules(t, may("agents", "use reveal write administer", "**")))
		before := w.mark()
		for _, path := range append(paths, filepath.Join(other, "free")) {
			run, made := runs(dbPass), making(keyturn.Ref{})
			run.Files, made.Out = []keyturn.Binding{{Name: path, Ref: dbPass}}, path
			for what, op := range map[string]keyturn.Op{
				"render":  keyturn.RenderTemplate{Template: "/t", Digest: digest, Out: path, Secrets: []keyturn.Ref{dbPass}},
				"action":  made,
				"backup":  keyturn.BackupStore{To: path, Passphrase: true},
				"run":     run,
				"migrate": keyturn.MigrateSecrets{Ref: web, Files: []keyturn.MigratedFile{{Path: path, Mode: "0600"}}, Texts: "x"},
			} {
				_, _, err := w.as(who).do(op)
				told := err != nil && strings.Contains(err.Error(), "file of the operator's")
				if free := filepath.Base(path) == "free"; told == free {
					t.Errorf("%s by %s onto %s: %v", what, who.Kind, path, err)
				}
				if filepath.Base(path) != "free" && len(w.since(before)) > 0 {
					t.Fatalf("%s onto %s: a platform was asked", what, path)
				}
			}
			before = w.mark()
		}
	}
}

// TestWholePaths: an operation names each file by its whole path, or is refused: else who
// approves it does not know which file it is.
func TestWholePaths(t *testing.T) {
	tried := map[string]bool{}
	for _, path := range []string{"a", "./a", "../a", "/a/../b", "/a/./b", "/a/", "a/b"} {
		w := newWorld(t)
		run := func(change func(*keyturn.RunCommand)) keyturn.Op {
			op := runs(dbPass)
			change(&op)
			return op
		}
		made := making(keyturn.Ref{})
		made.Out = path
		for member, op := range map[string]keyturn.Op{
			"RunCommand.Program":      run(func(o *keyturn.RunCommand) { o.Program = path }),
			"RunCommand.Dir":          run(func(o *keyturn.RunCommand) { o.Dir = path }),
			"RunCommand.Project":      run(func(o *keyturn.RunCommand) { o.Project, o.Pinned = path, o.Env }),
			"RunCommand.Files":        run(func(o *keyturn.RunCommand) { o.Files = []keyturn.Binding{{Name: path, Ref: dbPass}} }),
			"RenderTemplate.Template": keyturn.RenderTemplate{Template: path, Digest: digest, Secrets: []keyturn.Ref{dbPass}},
			"RenderTemplate.Out":      keyturn.RenderTemplate{Template: "/t", Digest: digest, Out: path, Secrets: []keyturn.Ref{dbPass}},
			"ShowTrust.Path":          keyturn.ShowTrust{Path: path},
			"TrustProject.Path":       keyturn.TrustProject{Path: path},
			"UseConfig.Path":          keyturn.UseConfig{Path: path},
			"AdoptStore.Path":         keyturn.AdoptStore{Path: path},
			"PlatformAction.Out":      made,
			"MigrateSecrets.Files":    keyturn.MigrateSecrets{Ref: web, Files: []keyturn.MigratedFile{{Path: path, Mode: "0600"}}, Texts: "x"},
			"RevertMigration.Out":     keyturn.RevertMigration{Ref: web, ID: "m", Out: path},
			"BackupStore.To":          keyturn.BackupStore{To: path, Passphrase: true},
		} {
			tried[member] = true
			if e := w.no(keyturn.Invalid, op); !strings.Contains(e.Message, "whole path") && !strings.Contains(e.Message, "absolute path") {
				t.Errorf("%s %q: %s", member, path, say(e))
			}
		}
	}
	// A member that its comment, or its name, calls a path is among them.
	for _, op := range keyturn.Kinds() {
		typ := reflect.TypeOf(op)
		for i := range typ.NumField() {
			name := typ.Name() + "." + typ.Field(i).Name
			switch typ.Field(i).Name {
			case "Path", "Out", "Dir", "Program", "Project", "Files", "Template":
				if !tried[name] && name != "Login.Path" { // where the method is enabled, at its server
					t.Errorf("%s is not tried", name)
				}
			}
		}
	}
	// What is filled is its text.
	w := newWorld(t)
	for _, d := range []string{"", "ab", strings.ToUpper(digest), digest + "ab", strings.Repeat("xy", 32)} {
		w.no(keyturn.Invalid, keyturn.RenderTemplate{Template: "/t", Digest: d, Secrets: []keyturn.Ref{dbPass}})
	}
	w.must(keyturn.RenderTemplate{Template: keyturn.StandardInput, Digest: digest, Secrets: []keyturn.Ref{dbPass}})
}
