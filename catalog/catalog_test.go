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
	"github.com/strongroom/strongroom/internal/evidence"
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
// is whole and fails where it should is for the test of the check's package; that
// no other check exists, for that of internal/compliance/builtin.
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

// TestReports: the reports that controls and items name are made, with the
// columns that they ask about, and those that controls plan are not.
func TestReports(t *testing.T) {
	if err := evidence.Fit(load(t)); err != nil {
		t.Error(err)
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
