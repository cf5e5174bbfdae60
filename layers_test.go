package keyturn_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// The house of docs/architecture.md, as a test: imports point down, siblings
// never meet, and only broker touches a platform. Tests may import what they like.

// A floor is a group of packages and what they may import of ours, beside the
// vocabulary and what lies below them in their own folder.
type floor struct {
	name     string
	packages []string // each with all below it; the longest that fits a package counts
	may      []string // each with all below it; "=x" is x alone
	because  string
}

const (
	everything = "*"
	pureFloor  = "pure packages"
)

// Groups of packages that several floors may import.
var (
	tools = []string{"launch", "document", "config", "whois", "durable", "filelock", "backup"}
	pure  = []string{"rules", "leak", "audit/verify", "variable"}
	rooms = []string{"session", "answer", "describe", "runner", "migrate", "health", "parse"}
	// The parts of migrate that only read bytes.
	readers = []string{"migrate/files", "migrate/imports", "migrate/judge", "migrate/places"}
)

var floors = []floor{
	{
		name: "words", packages: []string{"keyturn"},
		because: "the vocabulary is what all others speak: if it knew any of them, nothing could be read by itself",
	}, {
		name: pureFloor, packages: append([]string{"platform/vault/policy"}, pure...), may: []string{"variable"},
		because: "they decide, redact and verify by their arguments alone, so that doors may use them and anybody can check them",
	}, {
		name: "tools", packages: tools, may: []string{"durable", "filelock", "variable"},
		because: "a tool holds no platform and no Service; doors may use it because it can do no secret any harm by itself",
	}, {
		name: "what nobody overwrites", packages: []string{"guarded"}, may: []string{"durable", "config"},
		because: "it knows files by what they hold, so that rooms and the one door guard the same",
	}, {
		name: "the store", packages: []string{"state"}, may: []string{"durable", "filelock"},
		because: "the store keeps bytes for organs that each declare what they need; it must not know what the bytes mean",
	}, {
		name: "organs", packages: []string{"platform", "journal", "audit", "tokens"}, may: []string{"durable", "filelock", "rules", "=platform"},
		because: "an organ does one thing and declares the small interface it needs; siblings that know each other become one lump",
	}, {
		name: "platforms", packages: []string{"platform/local", "platform/vault"}, may: []string{"=platform", "platform/wire"},
		because: "a platform knows its vendor and what a platform must do; rules, approvals and the log are decided before it is asked",
	}, {
		name: "the one door", packages: []string{"broker"}, may: append([]string{"=platform", "journal", "=audit", "backup", "durable", "guarded"}, pure...),
		because: "broker takes organs by their interfaces: it knows no store, no vendor, no command line",
	}, {
		name: "rooms that doors share", packages: rooms, may: slices.Concat([]string{"guarded"}, rooms, tools, pure),
		because: "what a second door would need stands below the doors; a room that reached a platform, the store or the log itself would go around the rules",
	}, {
		name: "files to migrate", packages: readers, may: append([]string{"document"}, readers...),
		because: "they read and rewrite other people's files by their arguments alone: no file is opened, and nobody is asked",
	}, {
		name: "doors", packages: []string{"cli"}, may: slices.Concat(rooms, tools, pure),
		because: "a door turns words into an Op and a Result back; doors never meet, and one that reached a platform, the store or the log itself would go around the rules",
	}, {
		name: "keyturn's own folder", packages: []string{"home"}, may: slices.Concat([]string{"state", "audit", "journal", "session"}, tools, pure),
		because: "keys, backups and the log meet in it before there is a Service: it asks the rules itself, and touches no platform",
	}, {
		name: "wiring", packages: []string{"app", "cmd/keyturn"}, may: []string{everything},
		because: "the only place where everything meets",
	}, {
		name: "release", packages: []string{"release"},
		because: "a program of its own that packs what was built; no part of keyturn, and nothing imports it",
	},
}

// A trade is a library and the packages that may import it in what ships.
type trade struct {
	library string // a package and all below it
	only    []string
	because string
}

var trades = []trade{
	{"github.com/spf13/cobra", []string{"cli"}, "only the command line has commands and flags"},
	{"github.com/spf13/pflag", []string{"cli"}, "cobra's flags by their types, so that errors about flags are in our own words"},
	{"github.com/ncruces/go-sqlite3", []string{"state/sqlite"}, "one package knows the driver, so that another driver or engine is one package's work (docs/adr/0001)"},
	{"github.com/creack/pty", []string{"launch"}, "only the launcher starts programs"},
	{"github.com/zalando/go-keyring", []string{"state/rootkey"}, "only the root key is kept in a keychain"},
	{"go.yaml.in/yaml/v3", []string{"config", "migrate/files", "migrate/places", "migrate/imports"}, "YAML is read where its files are known, each package with its limits against hostile files"},
	{"filippo.io/age", []string{"backup", "migrate/imports"}, "backups are encrypted to their readers in one package; a file of sops is opened in another"},
	{"golang.org/x/crypto/ssh", []string{"backup"}, "an SSH key may open a backup; nothing here connects to anything"},
	{"golang.org/x/crypto/argon2", []string{"journal", "state/rootkey"}, "passphrases are stretched where they are checked, nowhere else"},
	{"golang.org/x/crypto/chacha20poly1305", []string{"state/rootkey"}, "what is encrypted, state encrypts"},
	{"golang.org/x/mod/sumdb", []string{"audit/verify"}, "trees, proofs and signed notes are verified by one pure package, and made by the same arithmetic"},
	{"golang.org/x/term", []string{"cli/term", "launch"}, "only a prompt, a choice on the screen and a child's terminal switch echo and modes"},
	{"golang.org/x/sys", []string{"launch", "launch/program", "whois", "durable", "state/rootkey", "filelock"}, "system calls stay in the packages that have a file for each system"},
	{"os/exec", []string{"launch", "launch/clipboard", "launch/browser"}, "one package starts programs for people, one the tools of a clipboard, and one a browser: without a shell, with the environment it was given"},
	{"net/http", []string{"platform/wire", "platform/vault", "platform/vault/api", "platform/vault/login", "platform/vault/admin", "platform/vault/lease"}, "a platform asks its server; nothing else in this program speaks to a network"},
	{"unsafe", []string{"whois", "launch"}, "two system calls take pointers: ancestors on Windows, and the default action of Ctrl-Z on Linux; nothing that holds a value goes around the type system"},
}

// testOnly may be imported by tests and by packages that exist for tests.
var testOnly = []string{
	"testing", module + "/internal/platform/platformtest", module + "/internal/journal/journaltest", module + "/internal/world", module + "/internal/state/crashlab",
	"pgregory.net/rapid", "github.com/rogpeppe/go-internal", "github.com/google/go-cmp",
}

// testSupport are packages that exist for tests, beside _test.go files.
var testSupport = []string{"platform/platformtest", "journal/journaltest", "world", "state/crashlab", "world/servers"}

// floorOf returns the floor of a package; nil for none.
func floorOf(pkg string) *floor {
	var found *floor
	longest := -1
	for i := range floors {
		for _, p := range floors[i].packages {
			if within(pkg, p) && len(p) > longest {
				found, longest = &floors[i], len(p)
			}
		}
	}
	return found
}

// allows reports whether a package of the floor may import another.
func (f *floor) allows(pkg, imp string) bool {
	for _, p := range f.packages {
		// A folder is free inside, but for parts of it that live on another floor. Pure
		// packages are for everybody in the folder.
		if to := floorOf(imp); within(pkg, p) && within(imp, p) && to != nil && (to == f || to.name == pureFloor) {
			return true
		}
	}
	for _, m := range f.may {
		alone, one := strings.CutPrefix(m, "=")
		if m == everything || one && imp == alone || !one && within(imp, m) {
			return true
		}
	}
	return imp == "keyturn"
}

func TestLayers(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		fl := floorOf(f.pkg)
		if fl == nil {
			t.Errorf("%s: package %s is on no floor of layers_test.go: say on which, and why", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports {
			if name, ours := shortPackage(imp); ours && !fl.allows(f.pkg, name) {
				t.Errorf("%s imports %s, which %s may not: %s", f.path, name, fl.name, fl.because)
			}
		}
	}
}

func TestThirdParties(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		for _, imp := range f.imports {
			if f.pkg == "keyturn" && strings.Contains(imp, ".") {
				t.Errorf("%s imports %s: the vocabulary is the standard library only, so that whoever reads it needs nothing else", f.path, imp)
				continue
			}
			i := slices.IndexFunc(trades, func(x trade) bool { return within(imp, x.library) })
			if i < 0 {
				if _, ours := shortPackage(imp); !ours && strings.Contains(strings.Split(imp, "/")[0], ".") {
					t.Errorf("%s imports %s: a new library needs a row here and a reason in docs/dependencies.md", f.path, imp)
				}
				continue
			}
			x := trades[i]
			if !slices.Contains(x.only, f.pkg) {
				t.Errorf("%s imports %s, which only %v may: %s", f.path, imp, x.only, x.because)
			}
		}
	}
}

func TestNoTestPackagesInProduction(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		for _, imp := range f.imports {
			for _, ban := range testOnly {
				if within(imp, ban) {
					t.Errorf("%s imports %s: what helps tests must not ship", f.path, imp)
				}
			}
		}
	}
}

// forbidden are packages of the standard library that nothing here may import.
var forbidden = map[string]string{
	"net/rpc":   "there is one way in: Service",
	"plugin":    "code that was not built with the program cannot be checked with it",
	"C":         "the program builds without cgo for every system",
	"log":       "a global logger has no door-keeper: messages go through cli, records through audit",
	"math/rand": "what looks random in this program must be: crypto/rand",
	"expvar":    "it publishes what it finds",
}

func TestForbiddenPackages(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports {
			if why, ok := forbidden[imp]; ok && !f.test {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
		}
	}
}

// reveals lists the only files in which a Value may be opened.
var reveals = []struct{ path, because string }{
	{"value.go", "the type itself: length and comparison"},
	{"internal/document/reveal.go", "a rendered file holds the values it was asked for"},
	{"internal/migrate/files/reveal.go", "values of a file that is moved are judged by their shape, and compared"},
	{"internal/broker/fit.go", "fields are packed into the one value of a platform without fields"},
	{"internal/journal/trustfiles.go", "plain variables of a file that a person trusts are kept as salted digests"},
	{"internal/journal/candidates.go", "a sealed candidate's values are encrypted into state"},
	{"internal/journal/texts.go", "what migrated files held is encrypted into state"},
	{"internal/cli/clipboard.go", "get --copy puts one field on the clipboard: its purpose"},
	{"internal/cli/get.go", "get --reveal prints one field: its purpose"},
	{"internal/migrate/takeback.go", "the text of a migrated file goes back into the file"},
	{"internal/cli/lease.go", "lease create --reveal prints what was leased: its purpose"},
	{"internal/cli/actionrun.go", "a secret that an action made goes into a file that was asked for, or is opened once by a token that is printed: its purpose"},
	{"internal/platform/vault/admin/database.go", "the password of a database's administrator is sent to the server"},
	{"internal/platform/vault/admin/seal.go", "a key share is sent to the server"},
	{"internal/runner/environ.go", "plain variables of a file are judged by their text: what passes to an agent's command"},
	{"internal/session/asks.go", "variables of a file that change how programs run are trusted with their texts"},
	{"internal/runner/template.go", "a filled template goes to its file or to standard output: its purpose"},
	{"internal/runner/redact.go", "the values of a command are what its output is redacted of"},
	{"internal/runner/held.go", "what the caller gives to a command is searched for the values"},
	{"internal/broker/output.go", "what the caller wrote is searched for the values"},
	{"internal/cli/print.go", "get --reveal -o json prints the fields: its purpose"},
	{"internal/launch/env.go", "a child's environment"},
	{"internal/launch/files.go", "a child's files"},
	{"internal/journal/passphrases.go", "a passphrase is stretched to be compared"},
	{"internal/state/rows/secret.go", "values are encrypted before they are written"},
	{"internal/state/rootkey/passphrase.go", "a passphrase is stretched to open the root key"},
	{"internal/backup/keys.go", "a passphrase opens a backup, or the key to one"},
	{"internal/backup/ssh.go", "a passphrase opens an SSH key"},
	{"internal/platform/vault/write.go", "a new version's values are sent to their server"},
	{"internal/platform/vault/api/client.go", "the token is sent with each request"},
	{"internal/platform/vault/login/login.go", "what a login takes is sent to the server"},
	{"internal/platform/vault/login/second.go", "a passcode is sent to the server"},
	{"internal/platform/vault/login/wrapped.go", "the token that a secret id is wrapped in is sent to the server, and the secret id after it"},
	{"internal/platform/wire/github.go", "what GitHub Actions gave this job to ask it with is sent to it"},
	{"internal/tokens/tokens.go", "a token is encrypted into state"},
}

func TestReveal(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Reveal" || isIdent(sel.X, "keyturn") { // keyturn.Reveal is the verb
				return true
			}
			used[f.path] = true
			if !slices.ContainsFunc(reveals, func(r struct{ path, because string }) bool { return r.path == f.path }) {
				t.Errorf("%s opens a Value: the files that may are few and listed with their reason, because each is a place where a value can leak", f.at(sel))
			}
			return true
		})
	}
	for _, r := range reveals {
		if !used[r.path] {
			t.Errorf("%s is allowed to open values and does not: take it off the list", r.path)
		}
	}
}

// calls are calls that only some packages may make.
var calls = []struct {
	pkg, name string
	only      []string
	because   string
}{
	{"os", "Exit", []string{"cmd/keyturn", "release"}, "it skips what closes the store and writes the last records; return a status instead"},
	{"syscall", "Exit", nil, "it skips what closes the store and writes the last records; return a status instead"},
	{"os", "Getenv", []string{"app", "state/rootkey"}, "the environment arrives as a field, so that tests and rules see the same one"},
	{"os", "LookupEnv", []string{"app"}, "the environment arrives as a field, so that tests and rules see the same one"},
	{"os", "Environ", []string{"app", "whois"}, "the environment arrives as a field; whois falls back to it when it is given none"},
	{"fmt", "Print", nil, "streams arrive as fields; standard output belongs to what was asked for"},
	{"fmt", "Println", nil, "streams arrive as fields; standard output belongs to what was asked for"},
	{"fmt", "Printf", nil, "streams arrive as fields; standard output belongs to what was asked for"},
}

func TestForbiddenCalls(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			for _, c := range calls {
				if sel.Sel.Name == c.name && isIdent(sel.X, c.pkg) && !slices.Contains(c.only, f.pkg) {
					t.Errorf("%s uses %s.%s, which only %v may: %s", f.at(sel), c.pkg, c.name, c.only, c.because)
				}
			}
			return true
		})
	}
}

// opens are the files, beside package durable, that open files themselves. All others use
// durable.OpenRegular for what lies somewhere, durable.OpenInput for what a caller names,
// and durable's ways to write: a pipe or a device in the place of a file makes nobody wait.
var opens = []struct{ path, because string }{
	{"internal/config/system_unix.go", "a folder is opened, to be locked"},
	{"internal/state/sqlite/sqlite.go", "a new file, which must not be there: the one that SQLite would make with the mode of the umask"},
	{"internal/state/rootkey/lock_unix.go", "a folder is opened, to be locked"},
	{"internal/migrate/rewrite/system_unix.go", "a folder is opened, to be locked, or a new file made to see whether one can be"},
	{"internal/migrate/rewrite/system_other.go", "a new file is made to see whether one can be"},
	{"internal/audit/forward/file.go", "a file that is open already is cut"},
	{"internal/migrate/rewrite/file.go", "a new file, under a name that says which migration it is of"},
	{"internal/state/rootkey/file.go", "a new file, which must not be there"},
	{"internal/state/alive/alive.go", "a new file, which must not be there; names in keyturn's own folder"},
	{"internal/home/restore.go", "new files in a folder that was just made"},
	{"internal/home/replaced.go", "a new file in a folder that was just made"},
	{"internal/home/files.go", "a new folder"},
	{"internal/home/folder.go", "names in keyturn's own folder"},
	{"internal/launch/files.go", "a new file, which must not be there, for a command"},
	{"internal/launch/session_unix.go", "names in /proc"},
	{"internal/launch/signals_unix.go", "the terminal of this process, without waiting"},
	{"internal/launch/tty_linux.go", "the terminal that was just made"},
	{"internal/runner/runner.go", "the null device"},
	{"internal/cli/quickstart.go", "the demonstration's own folder, and the null device"},
	{"internal/cli/init.go", "a new file, which must not be there"},
	{"internal/platform/wire/transport.go", "names in the operator's folder of certificates"},
	{"internal/whois/ancestors_linux.go", "what the system says of processes"},
	{"internal/whois/user_passwd.go", "what the system says of users"},
}

func TestOneRoomOpensFiles(t *testing.T) {
	ways := map[string][]string{
		"os":      {"Open", "OpenFile", "OpenRoot", "OpenInRoot", "DirFS", "ReadFile", "ReadDir", "Create", "CreateTemp", "MkdirTemp", "WriteFile", "NewFile", "Truncate", "CopyFS"},
		"syscall": {"Open"}, "unix": {"Open"}, "tls": {"LoadX509KeyPair"},
	}
	used := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) || f.pkg == "durable" || f.pkg == "release" || strings.HasPrefix(f.path, "bench/") {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok || !slices.Contains(ways[id.Name], sel.Sel.Name) {
				return true
			}
			used[f.path] = true
			if !slices.ContainsFunc(opens, func(o struct{ path, because string }) bool { return o.path == f.path }) {
				t.Errorf("%s uses %s.%s: package durable opens files, so that nobody waits for a pipe; or give the reason in layers_test.go", f.at(sel), id.Name, sel.Sel.Name)
			}
			return true
		})
	}
	for _, o := range opens {
		if !used[o.path] {
			t.Errorf("%s may open files and does not: take it off the list", o.path)
		}
	}
}

// TestGoMod: a module with replace lines cannot be installed by 'go install'.
func TestGoMod(t *testing.T) {
	for i, line := range readLines(t, "go.mod") {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" {
			t.Errorf("go.mod:%d: a replace line: 'go install %s/cmd/keyturn@latest' would refuse it", i+1, module)
		}
	}
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// within reports whether an import path is pkg or below it.
func within(imp, pkg string) bool { return imp == pkg || strings.HasPrefix(imp, pkg+"/") }

// TestOneTransport: everything that speaks HTTP does so by the one transport of
// wire/transport.go, with its version of the protocol, its trust and its limits.
func TestOneTransport(t *testing.T) {
	const at = "internal/platform/wire/transport.go"
	made := false
	for _, f := range sources(t) {
		if f.test || slices.Contains(testSupport, f.pkg) {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if isIdent(n.X, "http") && slices.Contains([]string{"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"}, n.Sel.Name) {
					t.Errorf("%s uses http.%s, whose transport is not ours", f.at(n), n.Sel.Name)
				}
				if isIdent(n.X, "http") && n.Sel.Name == "Transport" {
					if made = true; f.path != at {
						t.Errorf("%s makes a transport of its own: wire.Transport is the one", f.at(n))
					}
				}
			case *ast.CompositeLit:
				sel, ok := n.Type.(*ast.SelectorExpr)
				if ok && isIdent(sel.X, "http") && sel.Sel.Name == "Client" && !slices.ContainsFunc(n.Elts, func(e ast.Expr) bool {
					kv, ok := e.(*ast.KeyValueExpr)
					return ok && isIdent(kv.Key, "Transport")
				}) {
					t.Errorf("%s makes an http.Client without a transport: it would be Go's own", f.at(n))
				}
			}
			return true
		})
	}
	if !made {
		t.Errorf("no transport is made in %s: is this test looking?", at)
	}
}
