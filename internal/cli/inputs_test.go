package cli_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/app"
	"github.com/keyturn/keyturn/internal/cli"
)

// TestEveryInput holds the table "Every input" of docs/security.md against the program:
// each flag and argument of each command, each member of each operation, each variable of
// the environment that is read and each place that opens a file has a row, and each row
// names something that is there.
//
// In the table's first column stand, in backquotes: "put --merge" and "put REF" for flags
// and arguments, "--reason" for a flag of all commands, "ACTION --to" for a flag of the
// commands that platforms list, "InputText" for a kind of their inputs,
// "PutSecret.Mode" for a member, "KEYTURN_HOME" for a variable, and
// "config/read.go" for a place, below internal/. To add an input, add its name to the row
// of its like, or a row.
func TestEveryInput(t *testing.T) {
	rows := inputRows(t)
	there := map[string]string{} // by name: what it is
	for _, walk := range []func(*testing.T, func(name, what string)){commandInputs, operationInputs, variableInputs, placeInputs} {
		walk(t, func(name, what string) { there[name] = what })
	}
	for name, what := range there {
		if rows[name] == 0 {
			t.Errorf("%s %s has no row in the table 'Every input' of docs/security.md: say there who chooses it, whether form and record have it, and what an agent gets", what, name)
		}
	}
	for name, line := range rows {
		if there[name] == "" {
			t.Errorf("docs/security.md:%d: there is no input %s", line, name)
		}
	}
	if len(there) < 300 {
		t.Errorf("only %d inputs were found: is this test looking?", len(there))
	}
}

const module = "../.."

// inputRows returns the names in the table, each with its line.
func inputRows(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(module, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, quoted, in := map[string]int{}, regexp.MustCompile("`([^`]+)`"), false
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		switch {
		case strings.HasPrefix(line, "| Input | Who chooses | In the form | In the record |"):
			in = true
		case !strings.HasPrefix(line, "|"):
			in = false
		case !in || strings.HasPrefix(line, "|---"):
		case len(cells) != 5:
			t.Errorf("docs/security.md:%d: %d cells, want 5", i+1, len(cells))
		default:
			for _, c := range cells {
				if strings.TrimSpace(c) == "" {
					t.Errorf("docs/security.md:%d: an empty cell", i+1)
				}
			}
			for _, c := range cells[2:4] { // what is left out has a reason
				if c = strings.TrimSpace(c); c == "no" || !strings.HasPrefix(c, "yes") && !strings.HasPrefix(c, "no") {
					t.Errorf("docs/security.md:%d: %q is neither yes nor a no with its reason", i+1, c)
				}
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
				if rows[m[1]] != 0 {
					t.Errorf("docs/security.md:%d: %s has a row already, in line %d", i+1, m[1], rows[m[1]])
				}
				rows[m[1]] = i + 1
			}
		}
	}
	return rows
}

// commandInputs walks the tree of commands.
func commandInputs(t *testing.T, found func(name, what string)) {
	p := &cli.Program{}
	p.Actions = app.Actions()
	inputs := map[string]bool{}
	for _, list := range p.Actions {
		for _, a := range list.Actions {
			for _, in := range a.Inputs {
				inputs[in.Name] = true
				found("Input"+strings.ToUpper(string(in.Kind)[:1])+string(in.Kind)[1:], "a kind of inputs")
			}
		}
	}
	operand := regexp.MustCompile(`[A-Z]{2,}|\b[AB]\b`)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		name := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyturn"), " ")
		action := cmd.Annotations[cli.OperationOf] != ""
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			switch {
			case f.Name == "help" || f.Name == "version" && name == "":
			case name == "":
				found("--"+f.Name, "the flag")
			case action && inputs[f.Name]: // its kind has a row
			case action:
				found("ACTION --"+f.Name, "the flag")
			default:
				found(name+" --"+f.Name, "the flag")
			}
		})
		if _, args, _ := strings.Cut(cmd.Use, " "); !action && !cmd.HasSubCommands() && args != "" {
			args, _, _ = strings.Cut(args, " --to ") // of migrate: the flag
			for _, word := range operand.FindAllString(args, -1) {
				found(name+" "+word, "the argument")
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(cli.Tree(p))
}

// operationInputs walks the members of all operations.
func operationInputs(t *testing.T, found func(name, what string)) {
	done := []reflect.Type{reflect.TypeFor[keyturn.Ref](), reflect.TypeFor[keyturn.Prefix](), reflect.TypeFor[time.Time]()} // and these are one text each
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || slices.Contains(done, typ) {
			return
		}
		done = append(done, typ)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.Anonymous {
				found(typ.Name()+"."+f.Name, "the member")
			}
			walk(f.Type)
		}
	}
	for _, op := range keyturn.Kinds() {
		walk(reflect.TypeOf(op))
	}
}

// noVariables are files whose texts in capitals are names of variables that are written,
// refused or spoken of, and not read.
var noVariables = map[string]string{
	"config/project.go":          "names that a project's file may not give",
	"migrate/files/compose.go":   "names that a compose file reads from elsewhere",
	"migrate/imports/exports.go": "names that tell another tool's file", "migrate/imports/imports.go": "names that tell another tool's file",
	"migrate/judge/judge.go":  "what names of public values begin with",
	"whois/carried.go":        "the general mark, which a command gets that keyturn starts",
	"launch/dynamic_linux.go": "a setting of the build",
	"cli/quickstart.go":       "what is taken out of the demonstration's environment",
}

// listed are files with long lists of names: each has one row for all of them.
var listed = map[string]string{
	"whois/marks.go":       "the marks in",
	"variable/variable.go": "the names in", // it only compares names: what reads one of them has a row for it
}

// variableInputs walks the names of variables in the source: texts that are given to what
// reads a variable, and all others that look like one.
func variableInputs(t *testing.T, found func(name, what string)) {
	looks := regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
	readers := []string{"env", "Env", "lookup", "Lookup", "Getenv", "LookupEnv", "or", "set"}
	each(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				if len(n.Args) > 0 && slices.Contains(readers, name) {
					if s, ok := textOf(n.Args[0]); ok && oneWord(s) && (s == strings.ToUpper(s) || strings.HasSuffix(s, "AppData")) {
						found(s, "the variable")
					}
				}
			case *ast.KeyValueExpr: // of a table
				if id, ok := n.Key.(*ast.Ident); ok && id.Name == "needs" {
					if s, ok := textOf(n.Value); ok {
						found(s, "the variable")
					}
				}
			case *ast.BasicLit:
				switch s, ok := textOf(n); {
				case !ok || !looks.MatchString(s):
				case listed[path] != "":
					found(path, listed[path])
				case noVariables[path] == "":
					found(s, "the variable")
				}
			}
			return true
		})
	})
	for _, path := range slices.Concat(slices.Collect(maps.Keys(noVariables)), slices.Collect(maps.Keys(listed))) {
		if _, err := os.Stat(filepath.Join(module, "internal", path)); err != nil {
			t.Errorf("there is no %s", path)
		}
	}
}

// placeInputs walks the calls that open files: those of package durable, which is the one
// place for it, of what stands on that, and the exceptions of layers_test.go.
func placeInputs(t *testing.T, found func(name, what string)) {
	openers := map[string][]string{
		"os":      {"Open", "OpenFile", "ReadFile", "ReadDir", "NewFile"},
		"syscall": {"Open"}, "unix": {"Open"},
		"durable": {"OpenRegular", "ReadRegular", "OpenInput", "ReadInput", "Until"},
		"session": {"ReadFile", "ReadInput"}, "rewrite": {"Open", "ReadRegular"},
	}
	each(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(openers[id.Name], sel.Sel.Name) || sel.Sel.Name == "Input" && ok && id.Name == "c" && strings.HasPrefix(path, "cli/") {
				found(path, "what is opened in")
			}
			return true
		})
	})
}

// oneWord reports whether a text can be the name of a variable, and is no list of names.
func oneWord(s string) bool { return s != "" && !strings.ContainsAny(s, " \n") }

func textOf(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// each calls f with every source file of what ships, by its path below internal/.
func each(t *testing.T, f func(path string, file *ast.File)) {
	t.Helper()
	root := filepath.Join(module, "internal")
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		if d.IsDir() {
			if slices.Contains([]string{"testdata", "world", "release", "platformtest", "journaltest", "crashlab"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err == nil {
			f(path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
