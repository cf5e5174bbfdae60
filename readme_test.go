package keyturn_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn"
	"github.com/keyturn/keyturn/internal/world"
)

func TestMain(m *testing.M) { world.Main(m) }

// block is a piece of code in a page.
type block struct {
	page, lang, text string
	line             int
}

func blocks(t *testing.T, page string) []block {
	t.Helper()
	var out []block
	var open *block
	for i, line := range readLines(t, page) {
		lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{page: page, lang: lang, line: i + 1}
		case fence:
			out, open = append(out, *open), nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: a block has no end", page, open.line)
	}
	return out
}

func TestReadmeLength(t *testing.T) {
	if n := len(readLines(t, "README.md")); n > 200 {
		t.Errorf("README.md has %d lines; it has at most 200: what is longer belongs in docs", n)
	}
}

// notHere are commands of the README that a test cannot run as printed.
var notHere = map[string]string{
	"CGO_ENABLED=0 go install github.com/keyturn/keyturn/cmd/keyturn@latest": "would fetch what was published last, not what is tested",
}

// instead replaces the beginning of a command by what is the same in a sandbox.
var instead = strings.NewReplacer("go run ./cmd/keyturn", "keyturn")

// TestReadme runs the README's commands as printed, top to bottom, on one machine.
// Blocks called sh are commands; blocks called console are recordings: what stands
// there is what comes out, but for times, ids and places. A line of … stands for
// any number of lines.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a second or two: -short leaves it out")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the README is for a shell that Windows does not have")
	}
	m := world.New(t)
	m.Env = slices.DeleteFunc(m.Env, func(v string) bool {
		return strings.HasPrefix(v, "KEYTURN_") || strings.HasPrefix(v, "XDG_")
	})
	m.Work = filepath.Join(m.Home, "myapp")
	if err := os.Mkdir(m.Work, 0o700); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, b := range blocks(t, "README.md") {
		switch b.lang {
		case "sh":
			for line := range strings.Lines(b.text) {
				line, _, _ = strings.Cut(line, "  #")
				if line = strings.TrimSpace(line); line == "" || notHere[line] != "" {
					continue
				}
				ran++
				if out := m.Shell(instead.Replace(line)); out.Status != 0 {
					t.Errorf("README.md:%d: %s\nexit status %d\n%s%s", b.line, line, out.Status, out.Stdout, out.Stderr)
				}
			}
		case "console":
			ran += replay(t, m, b)
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands of README.md were run", ran)
	}
}

// replay runs the commands of a recording and compares what comes out. A command
// whose output holds further lines that begin with $ is the last of its block.
func replay(t *testing.T, m *world.Machine, b block) (ran int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(b.text, "\n"), "\n")
	for i := 0; i < len(lines); {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			t.Fatalf("%s:%d: a recording begins with a command: %s", b.page, b.line+i+1, lines[i])
		}
		i++
		end := i
		for end < len(lines) && (command == "keyturn quickstart" || !strings.HasPrefix(lines[end], "$ ")) {
			end++
		}
		out := m.Shell("exec 2>&1; " + command)
		want, got := shaped(m, strings.Join(lines[i:end], "\n")), shaped(m, out.Stdout)
		if !matches(strings.Split(want, "\n"), strings.Split(got, "\n")) {
			t.Errorf("%s:%d: %s\nprints:\n%s\nand not:\n%s", b.page, b.line+i, command, got, want)
		}
		ran++
		i = end
	}
	return ran
}

// matches compares lines; "…" in want matches any number of them.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if strings.TrimSpace(want[0]) == "…" {
		for i := range len(got) + 1 {
			if matches(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && want[0] == got[0] && matches(want[1:], got[1:])
}

var shapes = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{24,64}\b`), "HEX"},
	{regexp.MustCompile(`((?:approve|request) )[2-9a-z]{8}\b`), "${1}ID"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`(?m)^ | $`), ""},
}

// shaped replaces what differs from one machine and day to the next.
func shaped(m *world.Machine, s string) string {
	s = strings.ReplaceAll(strings.TrimSuffix(s, "\n"), m.Home, "/home/anna")
	for _, x := range shapes {
		s = x.pattern.ReplaceAllString(s, x.word)
	}
	return s
}

// TestExitCodePage compares docs/exit-codes.md with the code.
func TestExitCodePage(t *testing.T) {
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\| ([0-9]+) \\|")
	var page []keyturn.Code
	for i, line := range readLines(t, "docs/exit-codes.md") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		code := keyturn.Code(m[1])
		page = append(page, code)
		if exit, _ := strconv.Atoi(m[2]); exit != code.Exit() {
			t.Errorf("docs/exit-codes.md:%d says that %s exits with %d; it exits with %d", i+1, code, exit, code.Exit())
		}
	}
	if !slices.Equal(page, keyturn.Codes()) {
		t.Errorf("docs/exit-codes.md lists %v; the codes are %v", page, keyturn.Codes())
	}
}

// TestDependencyPage compares docs/dependencies.md with go.mod: the same direct
// dependencies, each with its reason.
func TestDependencyPage(t *testing.T) {
	required, reasons := map[string]bool{}, map[string]bool{}
	for _, line := range readLines(t, "go.mod") {
		f := strings.Fields(line)
		if len(f) >= 2 && strings.Contains(f[0], ".") && !strings.Contains(line, "// indirect") {
			required[f[0]] = true
		}
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| .+ \\|")
	for _, line := range readLines(t, "docs/dependencies.md") {
		if m := row.FindStringSubmatch(line); m != nil {
			reasons[m[1]] = true
		}
	}
	for mod := range required {
		if !reasons[mod] {
			t.Errorf("go.mod requires %s, and docs/dependencies.md does not say why", mod)
		}
	}
	for mod := range reasons {
		if !required[mod] {
			t.Errorf("docs/dependencies.md speaks of %s, which go.mod does not require directly", mod)
		}
	}
}

// TestLinks: every link of a page to a file of the repository leads somewhere.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, more...), "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
	code := regexp.MustCompile("`[^`]*`")
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	count := 0
	for _, page := range pages {
		for i, line := range readLines(t, page) {
			for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
				count++
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
					t.Errorf("%s:%d: the link to %s leads nowhere", page, i+1, m[1])
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d links found", count)
	}
}
