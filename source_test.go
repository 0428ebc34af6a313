package strongroom

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPackageComments wants a comment that says what each package is for, who
// calls it, and what holds: at least a sentence that begins as go doc expects.
func TestPackageComments(t *testing.T) {
	names, docs := map[string]string{}, map[string][]string{}
	for _, s := range sources(t).program() {
		names[s.dir()] = s.Name.Name
		if s.Doc != nil {
			docs[s.dir()] = append(docs[s.dir()], s.Doc.Text())
		}
	}
	for dir, name := range names {
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + dir[strings.LastIndex(dir, "/")+1:] + " "
		}
		switch {
		case len(docs[dir]) == 0:
			t.Errorf("%s has no package comment", dir)
		case len(docs[dir]) > 1:
			t.Errorf("%s has %d package comments: keep one, in doc.go or in the file of its main noun", dir, len(docs[dir]))
		case !strings.HasPrefix(docs[dir][0], want):
			t.Errorf("the comment of %s begins %.40q, not %q", dir, docs[dir][0], want)
		}
	}
}

// TestNoInit: what runs before main runs in every process, root's too, and in
// an order that no source shows.
func TestNoInit(t *testing.T) {
	tree := sources(t)
	for _, s := range tree.files {
		for _, d := range s.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function. Construct values where they are used.", tree.at(f))
			}
		}
	}
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// TestNothingUnfinished: what is left to do is an issue, not a comment.
func TestNothingUnfinished(t *testing.T) {
	tree := sources(t)
	for _, s := range tree.files {
		for _, group := range s.Comments {
			for _, c := range group.List {
				if m := unfinished.FindString(c.Text); m != "" {
					t.Errorf("%s: a comment says %s", tree.at(c), m)
				}
			}
		}
	}
}

// TestImportForms: a dot hides where a name comes from, and a blank import is
// an init function somewhere else.
func TestImportForms(t *testing.T) {
	blank := map[string][]string{
		"embed":              nil,
		"modernc.org/sqlite": {"internal/store/sqlite"}, // database/sql has no other door
	}
	tree := sources(t)
	for _, s := range tree.files {
		for _, i := range s.Imports {
			if i.Name == nil {
				continue
			}
			p := strings.Trim(i.Path.Value, `"`)
			where, ok := blank[p]
			switch {
			case i.Name.Name == ".":
				t.Errorf("%s: a dot import of %s", tree.at(i), p)
			case i.Name.Name == "_" && (!ok || where != nil && !slices.Contains(where, s.dir())):
				t.Errorf("%s: a blank import of %s", tree.at(i), p)
			}
		}
	}
}

// pure are packages whose answers depend on their arguments alone.
var pure = []string{
	"internal/command/...", "internal/plan", "internal/driver/formation", "internal/document", "internal/authz", "internal/query", "internal/view",
}

// forbiddenCalls are functions that a program's file may not name.
var forbiddenCalls = []struct {
	pkg   string
	names []string
	in    []string // nil = everywhere
	but   []string
	why   string
}{
	{
		pkg: "time", names: []string{"Now", "Since", "Until"}, in: pure,
		why: "time is given to what decides, plans and shows, so that it can be replayed and tested",
	},
	{
		pkg: "log/slog", names: []string{"Default", "SetDefault", "Debug", "Info", "Warn", "Error", "Log"},
		why: "the logger is injected",
	},
	{
		pkg: "log", names: []string{"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
		why: "the logger is injected, and nobody but main ends the program",
	},
	{
		pkg: "os", names: []string{"Exit"}, but: []string{"cmd/...", "internal/driver/drivertest/testapp"},
		why: "nobody but main ends the program",
	},
	{
		pkg: module + "internal/store", names: []string{"Batch"}, but: []string{"internal/control", "internal/store/..."},
		why: "only control writes to the store, and nobody can call Write without naming its argument",
	},
}

// TestForbiddenCalls looks at names as they are written; types are not needed
// to see where a package's name is used.
func TestForbiddenCalls(t *testing.T) {
	tree := sources(t)
	for _, s := range tree.program() {
		for _, f := range forbiddenCalls {
			name := s.called(f.pkg)
			if name == "" || matchAny(aside, s.dir()) || f.in != nil && !matchAny(f.in, s.dir()) || matchAny(f.but, s.dir()) {
				continue
			}
			ast.Inspect(s.File, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || !slices.Contains(f.names, sel.Sel.Name) {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
					t.Errorf("%s: %s.%s.\n\tNot here: %s.", tree.at(sel), name, sel.Sel.Name, f.why)
				}
				return true
			})
		}
	}
}

// TestWriteIsControls looks for the call itself: whatever is handed to a method
// Write as a function is a transaction.
func TestWriteIsControls(t *testing.T) {
	tree := sources(t)
	found := 0
	for _, s := range tree.program() {
		ast.Inspect(s.File, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) != 1 {
				return true
			}
			sel, ok := c.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Write" {
				return true
			}
			f, ok := c.Args[0].(*ast.FuncLit)
			if !ok || !mentions(f.Type, "Batch") {
				return true
			}
			found++
			if s.dir() != "internal/control" && !matchAny(aside, s.dir()) {
				t.Errorf("%s writes to the store. Only internal/control may: it authorises and records.", tree.at(c))
			}
			return true
		})
	}
	if found == 0 {
		t.Error("no call of store.Store.Write was found at all: this test looks for the wrong thing")
	}
}

func mentions(n ast.Node, name string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if i, ok := n.(*ast.Ident); ok && i.Name == name {
			found = true
		}
		return !found
	})
	return found
}
