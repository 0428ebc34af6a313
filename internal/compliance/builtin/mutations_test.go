package builtin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// breaks is what the tests of one package say of the checks that they break.
type breaks struct {
	checks []string // of its table mutations
	runs   bool     // TestMutations goes through the table
}

// TestMutated: of the whole programme, whatever package a check is of, there is
// none that no test breaks and mends again; and no test breaks a check that the
// programme does not run.
func TestMutated(t *testing.T) {
	p, err := Programme(Reach{})
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for dir, b := range tables(t) {
		if len(b.checks) > 0 && !b.runs {
			t.Errorf("%s has mutations, and no TestMutations that makes them", dir)
		}
		for _, id := range b.checks {
			broken[id] = b.runs
			if p.Check(id) == nil {
				t.Errorf("%s breaks %s, which is no check of the programme", dir, id)
			}
		}
	}
	for _, c := range p.Checks {
		if !broken[c.ID] {
			t.Errorf("no test breaks what %s watches and sees it fail, then mends it and sees it pass", c.ID)
		}
	}
}

// tables reads the tests beside this package: tables of one test cannot be
// imported into another, and the tests themselves run in their packages.
func tables(t *testing.T) map[string]*breaks {
	t.Helper()
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no tests beside this one", err)
	}
	out := map[string]*breaks{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Base(filepath.Dir(name))
		if out[dir] == nil {
			out[dir] = &breaks{}
		}
		for _, d := range file.Decls {
			out[dir].read(d)
		}
	}
	return out
}

func (b *breaks) read(d ast.Decl) {
	switch d := d.(type) {
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok && v.Names[0].Name == "mutations" && len(v.Values) == 1 {
				b.table(v.Values[0])
			}
		}
	case *ast.FuncDecl:
		if d.Name.Name == "TestMutations" {
			ast.Inspect(d.Body, func(n ast.Node) bool {
				loop, ok := n.(*ast.RangeStmt)
				b.runs = b.runs || ok && named(loop.X, "mutations")
				return true
			})
		}
	}
}

// table takes the checks of elements that say what breaks them and what their
// failure tells.
func (b *breaks) table(x ast.Expr) {
	list, ok := x.(*ast.CompositeLit)
	if !ok {
		return
	}
	for _, e := range list.Elts {
		element, ok := e.(*ast.CompositeLit)
		if !ok {
			continue
		}
		check, fields := "", []string{}
		for _, f := range element.Elts {
			f, ok := f.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			field := f.Key.(*ast.Ident).Name
			fields = append(fields, field)
			if lit, ok := f.Value.(*ast.BasicLit); ok && field == "check" {
				check, _ = strconv.Unquote(lit.Value)
			}
		}
		if check != "" && slices.Contains(fields, "breaks") && slices.Contains(fields, "tells") {
			b.checks = append(b.checks, check)
		}
	}
}

func named(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}
