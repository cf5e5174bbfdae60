package keyturn_test

import (
	"go/ast"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPage: each promise of docs/security.md, and each break of docs/breaks.md, names
// the tests that hold it, and they are there. The name in front is the folder's; keyturn is the root.
func TestSecurityPage(t *testing.T) {
	there := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			continue
		}
		folder := filepath.Base(filepath.Dir(f.path))
		if folder == "." {
			folder = "keyturn"
		}
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				there[folder+"."+fn.Name.Name] = true
			}
		}
	}
	name := regexp.MustCompile("`([a-z]+\\.(?:Test|Fuzz)[A-Za-z0-9]+)`")
	promises, named := 0, 0
	table := false
	for _, page := range []string{"docs/security.md", "docs/breaks.md"} {
		for i, line := range readLines(t, page) {
			switch {
			case strings.Contains(line, "| Held by |"):
				table = true
			case !strings.HasPrefix(line, "|"):
				table = false
			case table && !strings.HasPrefix(line, "|---"):
				promises++
				tests := name.FindAllStringSubmatch(line, -1)
				if len(tests) == 0 {
					t.Errorf("%s:%d: a promise without a test", page, i+1)
				}
				for _, m := range tests {
					if named++; !there[m[1]] {
						t.Errorf("%s:%d: there is no test %s", page, i+1, m[1])
					}
				}
			}
		}
	}
	if promises < 50 || named < promises {
		t.Errorf("%d promises with %d tests: the page is not read as it is written", promises, named)
	}
}

// TestDocsNameFiles: a Go file or a folder of internal/ that a page names in backquotes is
// there. Paths are from the root or below internal/; a file may be named without its folder.
func TestDocsNameFiles(t *testing.T) {
	there := map[string]bool{}
	for _, f := range sources(t) {
		below := strings.TrimPrefix(f.path, "internal/")
		there[f.path], there[below], there[path.Base(f.path)] = true, true, true
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			there[dir] = true
		}
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(internal/[a-z_/]+|(?:[a-z_]+/)*[a-z_]+\\.go)`")
	found := 0
	for _, page := range append(pages, "CONTRIBUTING.md") {
		for i, line := range readLines(t, page) {
			for _, m := range named.FindAllStringSubmatch(line, -1) {
				if found++; !there[strings.TrimSuffix(m[1], "/")] {
					t.Errorf("%s:%d: there is no %s", page, i+1, m[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d files are named: are the pages read as they are written?", found)
	}
}
