package api

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/view/viewtest"
)

// readOnlyPosts read, and are POST only because Heroku made them so; one DELETE
// finds nothing, ever, and one PATCH may only ask for what is so.
var readOnlyPosts = map[string]bool{
	"POST /actions/addons/resolve":            true,
	"POST /actions/addon-attachments/resolve": true,
	"DELETE /oauth/sessions/{session}":        true,
	"PATCH /apps/{app}/features/{feature}":    true,
}

// sensitive are the reads that must be on record.
var sensitive = regexp.MustCompile(`config-vars|credentials/\{|/bastion|/recording`)

var action = regexp.MustCompile(`^[a-z]+\.[a-z]+$`)

func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Routes() {
		name := r.Method + " " + r.Path
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if r.Need == "" {
			t.Errorf("%s declares no permission", name)
		}
		if r.Need == authz.Public {
			t.Errorf("%s is open to everybody", name)
		}
		if r.handle == nil {
			t.Errorf("%s has no handler", name)
		}
		if r.Action == "" && r.Method != http.MethodGet && !readOnlyPosts[name] {
			t.Errorf("%s changes something and declares no action", name)
		}
		if r.Action == "" && sensitive.MatchString(r.Path) {
			t.Errorf("%s reads something sensitive and declares no action", name)
		}
		for _, a := range r.actions() {
			if !action.MatchString(a) {
				t.Errorf("%s: %q is no action", name, a)
			}
		}
		if r.Schema == "" && !strings.HasPrefix(r.Path, "/strongroom") && !ours(r) {
			t.Errorf("%s is Heroku's and declares no schema", name)
		}
		if len(included[r.scope()]) == 0 {
			t.Errorf("%s needs the scope %q, which nobody has", name, r.scope())
		}
	}
}

// TestRouteSchemas wants each declared schema to be one of Heroku's.
func TestRouteSchemas(t *testing.T) {
	s := viewtest.Load(t)
	for _, r := range Routes() {
		if r.Schema != "" && !s.Has(r.Schema) {
			t.Errorf("%s %s: Heroku has no resource %s", r.Method, r.Path, r.Schema)
		}
	}
}

// ours tells whether Heroku's schema has nothing about a route: it is ours, or
// Heroku keeps it to itself, or it answers with nothing.
func ours(r Route) bool {
	for _, part := range []string{
		"/client/", "/postgres/", "/policy", "/requests", "/exceptions", "/roles", "/sessions", "/attempts", "/packs", "/tls", "/spaces/{space}/dynos",
		"/outbound-ruleset", "/outbound-refusals", "/spaces/{space}/links", // the first is gone from Heroku's schema
	} {
		if strings.Contains(r.Path, part) {
			return true
		}
	}
	return strings.Contains(r.Action, "dyno.")
}

// TestEveryRouteHasAGolden keeps testdata complete.
func TestEveryRouteHasAGolden(t *testing.T) {
	used := map[string]bool{}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range a.Files {
			parts := strings.Fields(x.Name)
			if len(parts) != 3 || i+1 >= len(a.Files) {
				continue
			}
			path, _, _ := strings.Cut(regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(parts[2], "x"), "?")
			if r := routeOf(parts[1], path); r != nil {
				used[r.Method+" "+r.Path] = true
			}
		}
	}
	for _, r := range Routes() {
		if !used[r.Method+" "+r.Path] {
			t.Errorf("%s %s: no request in testdata", r.Method, r.Path)
		}
	}
}
