package keyturn_test

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const minDocuments = 95 // per cent of exported names

// TestDocumented: every package says what it is, and nearly every exported name.
// A method counts as documented where an interface of ours or of the standard
// library documents it.
func TestDocumented(t *testing.T) {
	documented := map[string]bool{ // methods of well-known interfaces
		"Error": true, "String": true, "Is": true, "As": true, "Unwrap": true, "Close": true, "Read": true, "Write": true,
		"MarshalText": true, "UnmarshalText": true, "MarshalJSON": true, "UnmarshalJSON": true, "MarshalYAML": true, "UnmarshalYAML": true,
	}
	packages := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		packages[f.pkg] = packages[f.pkg] || f.file.Doc != nil
		ast.Inspect(f.file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				for _, m := range i.Methods.List {
					for _, name := range m.Names {
						documented[name.Name] = documented[name.Name] || m.Doc != nil || m.Comment != nil
					}
				}
			}
			return true
		})
	}
	for p, ok := range packages {
		if !ok {
			t.Errorf("package %s has no comment that says what it is", p)
		}
	}
	total, missing := 0, []string{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for name, ok := range exported(f) {
			method := name[strings.LastIndex(name, ".")+1:]
			total++
			if !ok && !(strings.Contains(name, ".") && documented[method]) {
				missing = append(missing, f.path+": "+name)
			}
		}
	}
	if share := 100 * (total - len(missing)) / total; share < minDocuments {
		slices.Sort(missing)
		t.Errorf("%d %% of %d exported names are documented, less than %d %%; without a comment are:\n\t%s",
			share, total, minDocuments, strings.Join(missing, "\n\t"))
	}
}

// exported lists the exported names of a file, methods as TYPE.METHOD, and
// whether each has a comment. In a group of constants or variables the group's
// comment will do.
func exported(f source) map[string]bool {
	names := map[string]bool{}
	for _, d := range f.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				typ := receiver(d.Recv.List[0].Type)
				if !ast.IsExported(typ) {
					continue
				}
				name = typ + "." + name
			}
			if d.Name.IsExported() {
				names[name] = d.Doc != nil
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						names[s.Name.Name] = d.Doc != nil || s.Doc != nil
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.IsExported() {
							names[n.Name] = d.Doc != nil || s.Doc != nil || s.Comment != nil
						}
					}
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestFuzzSeeds: a fuzz target without seeds tests nothing in an ordinary run.
// Seeds are f.Add, in the target or in a function of the same package that it
// hands f to, or files in testdata/fuzz; a folder of seeds has a target.
func TestFuzzSeeds(t *testing.T) {
	targets, adders := map[string]*ast.FuncDecl{}, map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			continue
		}
		dir := path.Dir(f.path)
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || fn.Body == nil {
				continue
			}
			if adds(fn) {
				adders[dir+"/"+fn.Name.Name] = true
			}
			if strings.HasPrefix(fn.Name.Name, "Fuzz") {
				targets[dir+"/"+fn.Name.Name] = fn
			}
		}
	}
	if len(targets) == 0 {
		t.Fatal("no fuzz targets found")
	}
	for name, fn := range targets {
		seeded := adders[name]
		ast.Inspect(fn, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && adders[path.Dir(name)+"/"+id.Name] {
					seeded = true
				}
			}
			return true
		})
		files, err := filepath.Glob(filepath.Join(path.Dir(name), "testdata", "fuzz", fn.Name.Name, "*"))
		if err != nil {
			t.Fatal(err)
		}
		if !seeded && len(files) == 0 {
			t.Errorf("%s has no seeds", name)
		}
	}
	for _, f := range sources(t) {
		dirs, err := filepath.Glob(filepath.Join(path.Dir(f.path), "testdata", "fuzz", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			if targets[path.Join(path.Dir(f.path), filepath.Base(dir))] == nil {
				t.Errorf("%s holds seeds for no fuzz target", dir)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
				t.Errorf("%s is empty (%v)", dir, err)
			}
		}
	}
}

// adds reports whether fn calls Add on something called f.
func adds(fn *ast.FuncDecl) bool {
	found := false
	ast.Inspect(fn, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Add" && isIdent(sel.X, "f") {
			found = true
		}
		return true
	})
	return found
}
