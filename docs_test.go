package strongroom

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page is one Markdown file of ours.
type page struct {
	path string
	text string
}

// fixed is a page of decisions: what it names is as it was then.
func (p page) fixed() bool { return strings.HasPrefix(p.path, "docs/adr/0") }

// reference is a page about a format: it names what the format provides for,
// also where this version does not use it.
func (p page) reference() bool { return strings.HasPrefix(p.path, "docs/reference/") }

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	span    = regexp.MustCompile("`([^`]+)`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// pages are those that are read as documentation: at the root, and in docs.
func pages(t *testing.T) []page {
	t.Helper()
	var out []page
	err := walk(func(p string) error {
		if path.Ext(p) != ".md" || path.Dir(p) != "." && !strings.HasPrefix(p, "docs/") {
			return nil
		}
		b, err := os.ReadFile(p)
		out = append(out, page{p, string(b)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// spans are the page's pieces of code within sentences.
func (p page) spans() []string {
	var out []string
	for _, m := range span.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
		out = append(out, strings.Join(strings.Fields(m[1]), " "))
	}
	return out
}

// anchors are what a link into the page may name.
func (p page) anchors() []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
		s := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		out = append(out, s)
	}
	return out
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// TestLinks follows every link that leads into the repository.
func TestLinks(t *testing.T) {
	all := map[string]page{}
	for _, p := range pages(t) {
		all[p.path] = p
	}
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := p.path
			if file != "" {
				to = path.Join(path.Dir(p.path), file)
			}
			if !exists(to) {
				t.Errorf("%s links to %s, which is not there", p.path, m[1])
			} else if anchor != "" && !slices.Contains(all[to].anchors(), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", p.path, m[1], to)
			}
		}
	}
}

// ourPath is a path of the repository in a sentence.
var ourPath = regexp.MustCompile(`^(internal|cmd|client|images|examples|docs|scripts|tests|tools|bench)/[A-Za-z0-9_./-]*$`)

// TestPathsInDocs looks up every path that a page names as code.
func TestPathsInDocs(t *testing.T) {
	for _, p := range pages(t) {
		if p.fixed() {
			continue
		}
		for _, s := range p.spans() {
			s = strings.TrimSuffix(strings.TrimSuffix(s, "/…"), "/...")
			if ourPath.MatchString(s) && !exists(s) {
				t.Errorf("%s names %s, which is not there", p.path, s)
			}
		}
	}
}

// TestFilesInDocs looks up names of Go files without a path: there must be at
// least one.
func TestFilesInDocs(t *testing.T) {
	there := map[string]bool{}
	if err := walk(func(p string) error { there[path.Base(p)] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, s := range p.spans() {
			if !p.fixed() && path.Ext(s) == ".go" && !strings.Contains(s, "/") && !there[s] {
				t.Errorf("%s names %s, and no file is called so", p.path, s)
			}
		}
	}
}

var qualified = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)(?:\.([A-Za-z]\w*))?(?:\(.*\))?$`)

// TestNamesInDocs looks up every name of the form package.Name.
func TestNamesInDocs(t *testing.T) {
	names := declared(sources(t))
	for _, p := range pages(t) {
		for _, s := range p.spans() {
			m := qualified.FindStringSubmatch(s)
			if m == nil || p.fixed() || names[m[1]] == nil {
				continue // no package of ours
			}
			for _, name := range m[2:] {
				if name != "" && !names[m[1]][name] {
					t.Errorf("%s names %s, and package %s has no %s", p.path, s, m[1], name)
				}
			}
		}
	}
}

// declared are the names that packages declare, with methods and fields, by
// the package's name.
func declared(tree *tree) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, s := range tree.files {
		if s.test {
			continue
		}
		if out[s.Name.Name] == nil {
			out[s.Name.Name] = map[string]bool{}
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			var ids []*ast.Ident
			switch n := n.(type) {
			case *ast.FuncDecl:
				ids = append(ids, n.Name)
			case *ast.TypeSpec:
				ids = append(ids, n.Name)
			case *ast.ValueSpec:
				ids = n.Names
			case *ast.Field:
				ids = n.Names
			}
			for _, id := range ids {
				out[s.Name.Name][id.Name] = true
			}
			return true
		})
	}
	return out
}

var actionForm = regexp.MustCompile(`^[a-z]+\.[a-z]+$`)

// fileEnds are what follows the dot in names that are no actions.
var fileEnds = []string{"go", "md", "json", "zip", "sock", "key", "mod", "db", "pem", "sh", "csv", "html", "log", "txtar"}

// TestActionsInDocs looks up every noun.verb: a page that tells an auditor of
// an action that nothing records would be worse than none.
func TestActionsInDocs(t *testing.T) {
	literals := map[string]bool{}
	for _, s := range sources(t).program() {
		ast.Inspect(s.File, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok {
				if v, err := strconv.Unquote(l.Value); err == nil {
					for _, f := range strings.Fields(v) {
						literals[f] = true
					}
				}
			}
			return true
		})
	}
	for _, p := range pages(t) {
		for _, s := range p.spans() {
			if p.fixed() || p.reference() || !actionForm.MatchString(s) || slices.Contains(fileEnds, s[strings.Index(s, ".")+1:]) {
				continue
			}
			if !literals[s] && s != "noun.verb" {
				t.Errorf("%s names the action %s, and nothing is called so", p.path, s)
			}
		}
	}
}

var (
	makeTarget = regexp.MustCompile(`\bmake ([a-z][a-z-]*)\b`)
	command    = regexp.MustCompile(`\bstrongroom ([a-z]+(?:[:-][a-z]+)*)\b`)
	rule       = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

// code is everything on the page that is typed: spans and indented lines.
func (p page) code() []string {
	out := p.spans()
	for _, l := range strings.Split(p.text, "\n") {
		if strings.HasPrefix(l, "    ") {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

// TestCommandsInDocs looks up what a page tells people to type.
func TestCommandsInDocs(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range rule.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	commands := cliCommands(sources(t))
	for _, p := range pages(t) {
		if p.fixed() {
			continue
		}
		for _, c := range p.code() {
			for _, m := range makeTarget.FindAllStringSubmatch(c, -1) {
				if !slices.Contains(targets, m[1]) {
					t.Errorf("%s: %q, and the Makefile has no %s", p.path, c, m[1])
				}
			}
			for _, m := range command.FindAllStringSubmatch(c, -1) {
				if !slices.Contains(commands, m[1]) {
					t.Errorf("%s: %q, and strongroom has no command %s", p.path, c, m[1])
				}
			}
		}
	}
}

// cliCommands are the first words of what the command line's sources give as
// Use, and of the calls that make the engine's children.
func cliCommands(tree *tree) []string {
	var out []string
	take := func(e ast.Expr) {
		if b, ok := e.(*ast.BinaryExpr); ok { // "requests:" + verb
			e = b.X
			if b, ok := e.(*ast.BinaryExpr); ok {
				e = b.X
			}
		}
		l, ok := e.(*ast.BasicLit)
		if !ok {
			return
		}
		v, err := strconv.Unquote(l.Value)
		if err != nil {
			return
		}
		name, _, _ := strings.Cut(v, " ")
		if strings.HasSuffix(name, ":") {
			out = append(out, name+"grant", name+"refuse")
		}
		out = append(out, name)
	}
	for _, s := range tree.program() {
		if s.dir() != "internal/cli" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Use" {
					take(n.Value)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "newChild" && len(n.Args) > 1 {
					take(n.Args[1])
				}
			}
			return true
		})
	}
	return out
}

// TestArchitectureNamesEveryPackage keeps the table of packages whole.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	b, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	architecture := page{"ARCHITECTURE.md", string(b)}
	tops := map[string]bool{}
	for _, s := range sources(t).program() {
		if parts := strings.Split(s.dir(), "/"); parts[0] == "internal" {
			tops["internal/"+parts[1]] = true
		}
	}
	named := strings.Join(architecture.spans(), "\n") + "\n"
	for _, dir := range slices.Sorted(maps.Keys(tops)) {
		if !strings.Contains(named, dir+"\n") && !strings.Contains(named, dir+"/") {
			t.Errorf("ARCHITECTURE.md has no line for %s", dir)
		}
	}
}

// TestReadmeNamesEveryFolder keeps the README's table whole.
func TestReadmeNamesEveryFolder(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tops := map[string]bool{}
	if err := walk(func(p string) error {
		if top, _, ok := strings.Cut(p, "/"); ok {
			tops[top] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, top := range slices.Sorted(maps.Keys(tops)) {
		if !strings.Contains(string(b), "]("+top) {
			t.Errorf("README.md has no line for the folder %s", top)
		}
	}
}

// TestDecisions wants one form for all pages of decisions, without a gap in
// their numbers, and all of them in the index.
func TestDecisions(t *testing.T) {
	index, err := os.ReadFile("docs/adr/README.md")
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	for _, p := range pages(t) {
		if !p.fixed() {
			continue
		}
		number := fmt.Sprintf("%04d", next)
		next++
		if !strings.HasPrefix(path.Base(p.path), number+"-") || !strings.HasPrefix(p.text, "# "+number+". ") {
			t.Errorf("%s: its name and its title must begin with %s", p.path, number)
		}
		var got []string
		for _, m := range heading.FindAllStringSubmatch(p.text, -1) {
			got = append(got, m[1])
		}
		if want := []string{"Status", "Context", "Decision", "Consequences"}; !slices.Equal(got[min(1, len(got)):], want) {
			t.Errorf("%s has the headings %q, want %q after the title", p.path, got[min(1, len(got)):], want)
		}
		if !strings.Contains(string(index), "("+path.Base(p.path)+")") {
			t.Errorf("docs/adr/README.md does not list %s", p.path)
		}
	}
}
