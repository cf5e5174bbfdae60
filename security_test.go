package keyturn_test

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPage: each promise of docs/security.md names the tests that hold it,
// and they are there. The name in front is the folder's; keyturn is the root.
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
	for i, line := range readLines(t, "docs/security.md") {
		switch {
		case strings.HasPrefix(line, "| Promise | Held by |"):
			table = true
		case !strings.HasPrefix(line, "|"):
			table = false
		case table && !strings.HasPrefix(line, "|---"):
			promises++
			tests := name.FindAllStringSubmatch(line, -1)
			if len(tests) == 0 {
				t.Errorf("docs/security.md:%d: a promise without a test", i+1)
			}
			for _, m := range tests {
				if named++; !there[m[1]] {
					t.Errorf("docs/security.md:%d: there is no test %s", i+1, m[1])
				}
			}
		}
	}
	if promises < 20 || named < promises {
		t.Errorf("%d promises with %d tests: the page is not read as it is written", promises, named)
	}
}
