package keyturn_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// The house of docs/architecture.md, as a test: imports point down, siblings
// never meet, and only broker touches a platform. Files of tests are free.

// layer is a floor of the house.
type layer struct {
	name     string
	packages []string // below internal/, except "keyturn" and "cmd/…"
	may      []string // what they may import of ours beside the words
	because  string   // why nothing else
}

const everything = "*"

const door = "a door turns words into an Op and a Result back; one that reached a platform, the store or the log itself would go around the rules"

var layers = []layer{
	{
		name: "words", packages: []string{"keyturn"},
		because: "the vocabulary is what all others speak: if it knew any of them, nothing could be read by itself",
	}, {
		name: "policies of Vault", packages: []string{"platform/vault/admin/policy"},
		because: "a text is read and judged by itself; what is mounted it is told",
	}, {
		name: "words of Vault's administration", packages: []string{"platform/vault/admin/words"}, may: []string{"platform/vault/api"},
		because: "names are checked and quoted by themselves, before any server is asked",
	}, {
		name: "pure packages", packages: []string{"rules", "leak", "audit/verify"},
		because: "they decide, redact and verify by their arguments alone, so that doors may use them and anybody can check them",
	}, {
		name: "files that survive", packages: []string{"durable"},
		because: "the steps by which a file is replaced are the same for whoever writes one, and know nothing of what is in it",
	}, {
		name: "locks", packages: []string{"filelock"},
		because: "how a system locks a file is the same for whoever keeps others out",
	}, {
		name: "program", packages: []string{"launch/program"},
		because: "finding a program needs no child process, and launch is large enough",
	}, {
		name: "tools", packages: []string{"launch", "document", "config", "whois"}, may: []string{"launch/program", "durable"},
		because: "a tool holds no platform and no Service; doors may use it because it can do no secret any harm by itself",
	}, {
		name: "files of other tools", packages: []string{"document/imports", "document/judge", "document/scalar"},
		because: "they read what others left behind, by their arguments alone, and know no file of ours",
	}, {
		name: "files to migrate", packages: []string{"document/migrate"}, may: []string{"document", "document/imports", "document/judge", "document/scalar"},
		because: "a tool as document is; it reads .env files as 'run --env-file' does, and others' references as imports does",
	}, {
		name: "clipboard", packages: []string{"launch/clipboard"}, may: []string{"launch/program"},
		because: "a clipboard's tools are programs that get a value on standard input; it knows no command and no store",
	}, {
		name: "browser", packages: []string{"launch/browser"}, may: []string{"launch/program"},
		because: "a browser is a program that gets an address; it knows no command and no login",
	}, {
		name: "parts of platform", packages: []string{"platform/input", "platform/retry"},
		because: "what an action is given is checked by itself, and trying again knows no platform; package platform is large enough",
	}, {
		name: "organs", packages: []string{"platform"}, may: []string{"platform/input", "platform/retry", "platform/spec"},
		because: "an organ does one thing and declares the small interface it needs; siblings that know each other become one lump",
	}, {
		name: "journal", packages: []string{"journal"}, may: []string{"rules"},
		because: "rows and books only: what acts on a mount, and what decides, is broker's",
	}, {
		name: "forwarding", packages: []string{"audit/forward"}, may: []string{"audit/verify", "filelock"},
		because: "a place that records are sent on to gets them as the lines that a verifier reads, and needs no log for it",
	}, {
		name: "backup's form", packages: []string{"backup"},
		because: "how a store is laid out in a file and encrypted to its readers; it knows no store, so that a backup can be read without one",
	}, {
		name: "audit", packages: []string{"audit"}, may: []string{"audit/verify"},
		because: "the log is written by the same arithmetic that verifies it, and needs of its store only a small interface",
	}, {
		name: "plain form", packages: []string{"state/codec"},
		because: "how plain bytes are laid out before state encrypts them; it knows no store",
	}, {
		name: "durable files", packages: []string{"state/disk"}, may: []string{"durable"},
		because: "the steps by which a file gets its name; it knows no store",
	}, {
		name: "keys", packages: []string{"state/seal"}, may: []string{"state/codec"},
		because: "what is encrypted under which key, and nothing of where it is kept",
	}, {
		name: "SQLite", packages: []string{"state/sqlite"}, may: []string{"state/disk"},
		because: "how the database is opened and its transactions run, and nothing of what is in it",
	}, {
		name: "rows", packages: []string{"state/rows"}, may: []string{"state/codec", "state/seal"},
		because: "what rows hold and how they are bound together, whatever database they are in",
	}, {
		name: "tables", packages: []string{"state/table"}, may: []string{"state/codec", "state/rows", "state/seal", "state/sqlite"},
		because: "what goes over whole tables, in transactions of whoever calls: it opens no store",
	}, {
		name: "root key", packages: []string{"state/rootkey"}, may: []string{"durable"},
		because: "where the root key is kept is nobody's business but state's",
	}, {
		name: "who lives", packages: []string{"state/alive"}, may: []string{"filelock"},
		because: "a locked file tells whether a process lives; it knows no store, and not what the process is for",
	}, {
		name: "state", packages: []string{"state"}, may: []string{"state/codec", "state/disk", "state/rows", "state/seal", "state/sqlite", "state/table"},
		because: "the store keeps bytes for organs that each declare what they need; it must not know what the bytes mean",
	}, {
		name: "what is tried again", packages: []string{"platform/retry"},
		because: "how often and with which pauses, and nothing of what is asked",
	}, {
		name: "what platforms state", packages: []string{"platform/spec"},
		because: "limits are held by themselves, before any platform is asked",
	}, {
		name: "what must not leave", packages: []string{"platform/platformtest/marks"},
		because: "how a value and an error can be written; it knows no platform",
	}, {
		name: "requests to Vault", packages: []string{"platform/vault/api"},
		because: "address, token and errors of one API, for the platform and for its login and administration",
	}, {
		name: "tokens", packages: []string{"tokens"}, may: []string{"platform"},
		because: "what a login gave is kept for the platform that it came from; where, it asks of a small interface",
	}, {
		name: "Vault's leases", packages: []string{"platform/vault/lease"}, may: []string{"platform", "platform/vault/api"},
		because: "what is not reading and writing secrets stays out of a platform's core",
	}, {
		name: "the seal of Vault", packages: []string{"platform/vault/admin/seal"}, may: []string{"platform", "platform/vault/api"},
		because: "a server is asked about itself, whatever else there is to administer",
	}, {
		name: "what Vault's administration shares", packages: []string{"platform/vault/admin/server"}, may: []string{"platform", "platform/vault/api", "platform/vault/admin/policy", "platform/vault/admin/words"},
		because: "how a server is asked, what is mounted and what a token may do are the same for each action, and need none of them",
	}, {
		name: "parts of Vault's administration", packages: []string{"platform/vault/admin/policies", "platform/vault/admin/approle", "platform/vault/admin/database"}, may: []string{"platform", "platform/vault/api", "platform/vault/admin/policy", "platform/vault/admin/words", "platform/vault/admin/server"},
		because: "policies, AppRole and databases are administered each by itself",
	}, {
		name: "Vault's administration", packages: []string{"platform/vault/admin"}, may: []string{"platform", "platform/vault/api", "platform/vault/admin/policy", "platform/vault/admin/seal", "platform/vault/admin/words", "platform/vault/admin/server", "platform/vault/admin/policies", "platform/vault/admin/approle", "platform/vault/admin/database", "platform/vault/lease"},
		because: "what is not reading and writing secrets stays out of a platform's core",
	}, {
		name: "beside Vault", packages: []string{"platform/vault/login"}, may: []string{"platform", "platform/vault/api"},
		because: "what is not reading and writing secrets stays out of a platform's core",
	}, {
		name: "states of versions", packages: []string{"platform/lifecycle"},
		because: "what a version's state lets be done is the same on each platform that keeps deleted versions; it asks none",
	}, {
		name: "platforms", packages: []string{"platform/local", "platform/vault"}, may: []string{"platform", "platform/lifecycle", "platform/vault/api", "platform/vault/admin", "platform/vault/login", "platform/vault/lease", "platform/retry"},
		because: "a platform knows its vendor and what a platform must do; rules, approvals and the log are decided before it is asked",
	}, {
		name: "conformance suite", packages: []string{"platform/platformtest"}, may: []string{"platform", "platform/platformtest/marks"},
		because: "it proves what package platform asks for, and nothing that only one platform has",
	}, {
		name: "door-keeper", packages: []string{"broker"},
		may:     []string{"platform", "journal", "audit", "audit/verify", "backup", "durable", "rules"},
		because: "the one door takes organs by their interfaces: it knows no store, no vendor, no command line",
	}, {
		name: "what commands are made of", packages: []string{"cli/command"}, may: []string{"config", "rules", "durable"},
		because: "it knows no command and no use of a value: what every command needs and nothing that only one does",
	}, {
		name: "choosing on the screen", packages: []string{"cli/pick"}, may: []string{"cli/command"},
		because: "it shows names and takes keys; whose names they are is the command's business",
	}, {
		name: "commands about secrets", packages: []string{"cli/secret"}, may: []string{"cli/command", "cli/pick", "document", "launch/clipboard"},
		because: door,
	}, {
		name: "commands that hand values on", packages: []string{"cli/use"}, may: []string{"cli/command", "launch", "document", "config", "leak", "durable"},
		because: door,
	}, {
		name: "commands about the store", packages: []string{"cli/store"}, may: []string{"cli/command"},
		because: door,
	}, {
		name: "commands of one platform", packages: []string{"cli/admin"}, may: []string{"cli/command", "durable"},
		because: door,
	}, {
		name: "commands that move values", packages: []string{"cli/move"},
		may:     []string{"cli/command", "cli/move/rewrite", "config", "rules", "document", "document/migrate", "document/imports"},
		because: door,
	}, {
		name: "files in the places of others", packages: []string{"cli/move/rewrite"}, may: []string{"document", "durable"},
		because: "what a migration does to the disk is tested without a store",
	}, {
		name: "commands that watch over", packages: []string{"cli/oversee"}, may: []string{"cli/command", "config", "rules", "audit/verify", "durable"},
		because: door,
	}, {
		name: "commands about access", packages: []string{"cli/access"}, may: []string{"cli/command"},
		because: door,
	}, {
		name: "commands about health", packages: []string{"cli/health"}, may: []string{"cli/command", "config"},
		because: door,
	}, {
		name: "doors", packages: []string{"cli"}, may: []string{"cli/access", "cli/command", "cli/secret", "cli/use", "cli/oversee", "cli/move", "cli/health", "cli/store", "cli/admin", "config", "rules"},
		because: door,
	}, {
		name: "release", packages: []string{"release"},
		because: "a program of its own that packs what was built; no part of keyturn, and nothing imports it",
	}, {
		name: "the store as a whole", packages: []string{"app/store"},
		may:     []string{"app/outfile", "audit", "audit/forward", "backup", "cli/command", "state", "state/rootkey"},
		because: "keys, backups and the log meet in it; no platform, no rule and no door",
	}, {
		name: "restoring", packages: []string{"app/restore"},
		may:     []string{"app/outfile", "app/store", "audit", "audit/verify", "backup", "cli/command", "durable", "journal", "rules", "state", "state/rootkey"},
		because: "there is no door before there is a store: it asks the rules itself, and touches no platform",
	}, {
		name: "wiring", packages: []string{"app", "app/access", "app/outfile", "app/mounted", "cmd/keyturn"}, may: []string{everything},
		because: "the only place where everything meets",
	},
}

// A trade is a library and the packages that may import it in what ships.
type trade struct {
	library string // a package and all below it
	only    []string
	because string
}

var trades = []trade{
	{"github.com/spf13/cobra", []string{"cli", "cli/access", "cli/command", "cli/secret", "cli/use", "cli/oversee", "cli/move", "cli/health", "cli/store", "cli/admin"}, "only the command line has commands and flags"},
	{"github.com/spf13/pflag", []string{"cli", "cli/command"}, "cobra's flags by their types, so that errors about flags are in our own words"},
	{"github.com/ncruces/go-sqlite3", []string{"state/sqlite"}, "one package knows the driver, so that another driver or engine is one package's work (docs/adr/0001)"},
	{"github.com/creack/pty", []string{"launch"}, "only the launcher starts programs"},
	{"github.com/zalando/go-keyring", []string{"state/rootkey"}, "only the root key is kept in a keychain"},
	{"go.yaml.in/yaml/v3", []string{"config", "document/scalar", "document/migrate", "document/imports"}, "YAML is read where its files are known, each package with its limits against hostile files"},
	{"filippo.io/age", []string{"backup", "document/imports"}, "backups are encrypted to their readers in one package; a file of sops is opened in another"},
	{"golang.org/x/crypto/ssh", []string{"backup"}, "an SSH key may open a backup; nothing here connects to anything"},
	{"golang.org/x/crypto/argon2", []string{"journal", "state/rootkey"}, "passphrases are stretched where they are checked, nowhere else"},
	{"golang.org/x/crypto/chacha20poly1305", []string{"state/rootkey"}, "what is encrypted, state encrypts"},
	{"golang.org/x/mod/sumdb", []string{"audit/verify"}, "trees, proofs and signed notes are verified by one pure package, and made by the same arithmetic"},
	{"golang.org/x/term", []string{"cli/command", "cli/pick", "cli/secret", "launch"}, "only a prompt, a choice on the screen and a child's terminal switch echo and modes"},
	{"golang.org/x/sys", []string{"launch", "launch/program", "whois", "app/outfile", "state/disk", "state/rootkey", "filelock"}, "system calls stay in the packages that have a file for each system"},
	{"os/exec", []string{"launch", "launch/clipboard", "launch/browser"}, "one package starts programs for people, one the tools of a clipboard, and one a browser: without a shell, with the environment it was given"},
	{"net/http", []string{"platform/vault", "platform/vault/api", "platform/vault/login", "platform/vault/admin", "platform/vault/admin/server", "platform/vault/admin/policies", "platform/vault/admin/approle", "platform/vault/admin/database", "platform/vault/admin/seal", "platform/vault/lease"}, "a platform asks its server; nothing else in this program speaks to a network"},
	{"unsafe", []string{"whois", "launch"}, "two system calls take pointers: ancestors on Windows, and the default action of Ctrl-Z on Linux; nothing that holds a value goes around the type system"},
}

// testOnly may be imported by tests and by packages that exist for tests.
var testOnly = []string{
	"testing", module + "/internal/platform/platformtest", module + "/internal/journal/journaltest", module + "/internal/world", module + "/internal/state/crashlab",
	"pgregory.net/rapid", "github.com/rogpeppe/go-internal", "github.com/google/go-cmp",
}

// testSupport are packages that exist for tests, beside _test.go files.
var testSupport = []string{"platform/platformtest", "journal/journaltest", "world", "state/crashlab", "world/servers"}

func TestLayers(t *testing.T) {
	rows := map[string]layer{}
	for _, l := range layers {
		if l.because == "" {
			t.Errorf("layer %q does not say why", l.name)
		}
		for _, p := range l.packages {
			rows[p] = l
		}
	}
	seen := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		seen[f.pkg] = true
		row, ok := rows[f.pkg]
		if !ok {
			if !slices.Contains(testSupport, f.pkg) {
				t.Errorf("%s: package %s has no row in layers_test.go: say on which floor it lives, and why", f.path, f.pkg)
			}
			continue
		}
		for _, imp := range f.imports {
			name, ours := shortPackage(imp)
			switch {
			case !ours, name == "keyturn", slices.Contains(row.may, everything), slices.Contains(row.may, name):
			default:
				t.Errorf("%s imports %s, which %s (%s) may not: %s", f.path, name, f.pkg, row.name, row.because)
			}
		}
	}
	for p := range rows {
		if !seen[p] {
			t.Errorf("layers_test.go has a row for %s, which does not exist", p)
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
var reveals = map[string]string{
	"value.go":                                           "the type itself: length and comparison",
	"internal/document/reveal.go":                        "a rendered file holds the values it was asked for",
	"internal/document/migrate/reveal.go":                "values of a file that is moved are judged by their shape, and compared",
	"internal/broker/fit.go":                             "fields are packed into the one value of a platform without fields",
	"internal/journal/candidates.go":                     "a sealed candidate's values are encrypted into state",
	"internal/journal/texts.go":                          "what migrated files held is encrypted into state",
	"internal/cli/secret/copy.go":                        "get --copy puts one field on the clipboard: its purpose",
	"internal/cli/secret/get.go":                         "get --reveal prints one field: its purpose",
	"internal/cli/move/migrateback.go":                   "the text of a migrated file goes back into the file",
	"internal/cli/access/lease.go":                       "lease create --reveal prints what was leased: its purpose",
	"internal/cli/admin/secret.go":                       "a secret that an action made goes into a file that was asked for, or is opened once by a token that is printed: its purpose",
	"internal/platform/vault/admin/database/database.go": "the password of a database's administrator is sent to the server",
	"internal/platform/vault/admin/seal/seal.go":         "a key share is sent to the server",
	"internal/cli/use/render.go":                         "a filled template goes to its file or to standard output: its purpose",
	"internal/cli/use/run.go":                            "the values of a command are what its output is redacted of",
	"internal/cli/command/answer.go":                     "get --reveal -o json prints the fields: its purpose",
	"internal/launch/env.go":                             "a child's environment",
	"internal/launch/files.go":                           "a child's files",
	"internal/journal/passphrases.go":                    "a passphrase is stretched to be compared",
	"internal/state/rows/secret.go":                      "values are encrypted before they are written",
	"internal/state/rootkey/passphrase.go":               "a passphrase is stretched to open the root key",
	"internal/backup/keys.go":                            "a passphrase opens a backup, or the key to one",
	"internal/backup/ssh.go":                             "a passphrase opens an SSH key",
	"internal/platform/vault/write.go":                   "a new version's values are sent to their server",
	"internal/platform/vault/api/client.go":              "the token is sent with each request",
	"internal/platform/vault/login/login.go":             "what a login takes is sent to the server",
	"internal/platform/vault/login/second.go":            "a passcode is sent to the server",
	"internal/platform/vault/login/wrapped.go":           "the token that a secret id is wrapped in is sent to the server, and the secret id after it",
	"internal/platform/vault/login/github.go":            "what GitHub Actions gave this job to ask it with is sent to it",
	"internal/tokens/tokens.go":                          "a token is encrypted into state",
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
			if _, ok := reveals[f.path]; !ok {
				t.Errorf("%s opens a Value: the files that may are few and listed with their reason, because each is a place where a value can leak", f.at(sel))
			}
			return true
		})
	}
	for path := range reveals {
		if !used[path] {
			t.Errorf("%s is allowed to open values and does not: take it off the list", path)
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
// api/tls.go, with its version of the protocol, its trust and its limits.
func TestOneTransport(t *testing.T) {
	const at = "internal/platform/vault/api/tls.go"
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
						t.Errorf("%s makes a transport of its own: api.Transport is the one", f.at(n))
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
