package catalog_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/catalog"
	"github.com/strongroom/strongroom/internal/compliance"
)

func load(t *testing.T) *compliance.Catalogue {
	t.Helper()
	c, err := compliance.Load(catalog.Files, catalog.Files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMutations: each check that a control rests on has a test that breaks what
// it watches, by the name of the check in a table of mutations. That the table
// is whole and fails where it should is for the test of the check's package;
// that no other check exists, for that
// of internal/compliance/builtin.
func TestMutations(t *testing.T) {
	files, err := filepath.Glob("../internal/compliance/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "func TestMutations(") {
			tables.Write(b)
		}
	}
	for _, c := range load(t).Controls {
		for _, check := range c.Proof.Checks {
			if !strings.Contains(tables.String(), `check: "`+check+`"`) {
				t.Errorf("control %s rests on %s, and no test breaks what that watches", c.ID, check)
			}
		}
	}
}

// TestReports: the reports that controls name are made, those that they plan are
// not.
func TestReports(t *testing.T) {
	files, err := filepath.Glob("../internal/evidence/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var sources strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") {
			sources.Write(b)
		}
	}
	made := func(name string) bool {
		// These are no provable tables.
		return name == "isolation" || name == "controls" || strings.Contains(sources.String(), `Name: "`+name+`"`)
	}
	for _, c := range load(t).Controls {
		for _, r := range c.Proof.Reports {
			if !made(r) {
				t.Errorf("control %s names the report %s, which does not exist", c.ID, r)
			}
		}
		for _, r := range c.Proof.Planned {
			if made(r) {
				t.Errorf("control %s plans the report %s, which exists", c.ID, r)
			}
		}
	}
}

// TestFrameworks: how many requirements each framework has, and how many of them no
// control answers to.
func TestFrameworks(t *testing.T) {
	type size struct{ requirements, unanswered int }
	want := map[string]size{
		"hipaa-security": {72, 6},
		"hitrust-csf":    {53, 0},
		"nist-800-53r5":  {86, 0},
		"ny-shield":      {14, 0},
		"soc2":           {38, 0},
	}
	got := map[string]size{}
	c := load(t)
	for _, f := range c.Frameworks {
		s := size{requirements: len(f.Requirements)}
		for _, r := range f.Requirements {
			if !slices.ContainsFunc(c.Controls, func(x *compliance.Control) bool {
				return slices.ContainsFunc(x.Maps, func(m compliance.Mapping) bool { return m.Framework == f.ID && m.To == r.ID })
			}) {
				s.unanswered++
			}
		}
		got[f.ID] = s
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(size{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
