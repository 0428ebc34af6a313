// Package strongroom holds tests only: they state which package may import
// which and why (deps_test.go), what no source file may contain
// (source_test.go), and that the documentation names what there is
// (docs_test.go). They read the sources and run nothing of them.
package strongroom

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path before all of our packages.
const module = "github.com/strongroom/strongroom/"

// tree is the parsed sources of the repository.
type tree struct {
	fset  *token.FileSet
	files []*source
}

// source is one Go file, whatever its build tags.
type source struct {
	path string // from the repository's root
	test bool
	*ast.File
}

// dir is the file's package, as "internal/api".
func (s *source) dir() string { return path.Dir(s.path) }

// imports lists what the file imports.
func (s *source) imports() []string {
	var out []string
	for _, i := range s.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // it was parsed
		}
		out = append(out, p)
	}
	return out
}

// called is the name by which the file refers to an imported package, "" if it
// does not import it.
func (s *source) called(imported string) string {
	for _, i := range s.Imports {
		if p, _ := strconv.Unquote(i.Path.Value); p != imported {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

// parsed reads the repository once for all tests.
var parsed = sync.OnceValues(func() (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	err := walk(func(p string) error {
		if path.Ext(p) != ".go" || path.Dir(p) == "." {
			return nil
		}
		f, err := parser.ParseFile(t.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		t.files = append(t.files, &source{p, strings.HasSuffix(p, "_test.go"), f})
		return nil
	})
	return t, err
})

// walk calls fn for every file of this module. What is generated, installed or
// hidden is none.
func walk(fn func(path string) error) error {
	return filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of somebody else's
		}
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		if !d.IsDir() {
			return fn(p)
		}
		if p == "." {
			return nil
		}
		if p == "build" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
			return fs.SkipDir
		}
		return nil
	})
}

func sources(t *testing.T) *tree {
	t.Helper()
	tree, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// program lists the files that end up in a program: no tests, and nothing of
// the packages that hold what tests share.
func (t *tree) program() []*source {
	shared := t.shared()
	return slices.DeleteFunc(slices.Clone(t.files), func(s *source) bool { return s.test || shared[s.dir()] })
}

// shared are the packages that import testing, as suites and fixtures do.
func (t *tree) shared() map[string]bool {
	out := map[string]bool{}
	for _, s := range t.files {
		if !s.test && slices.Contains(s.imports(), "testing") {
			out[s.dir()] = true
		}
	}
	return out
}

// at is a position for people.
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// match tells whether a package fits a pattern: itself, or what is below it
// for "a/..." (which includes a).
func match(pattern, pkg string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pkg == pattern
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}
