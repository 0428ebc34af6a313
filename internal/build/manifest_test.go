package build

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestParseAppJSON(t *testing.T) {
	got, err := ParseAppJSON([]byte(`{"name": "x", "website": "y", "buildpacks": [{"url": "heroku/nodejs"}],
		"formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": {}},
		"env": {"A": "1", "B": {"description": "d", "generator": "secret"}, "C": {"value": "v", "required": false}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := AppJSON{
		Formation:  map[string]Scale{"web": {2, "standard-1x"}, "worker": {1, ""}},
		Env:        map[string]EnvDefault{"A": {"1", true, ""}, "B": {"", true, "secret"}, "C": {"v", false, ""}},
		Buildpacks: []string{"heroku/nodejs"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAppJSONRefusals(t *testing.T) {
	for text, says := range map[string]string{
		`[]`:                          "the whole is a JSON array",
		`null`:                        "does not hold a JSON object",
		"{\n\n  \"a\": ]\n}":          "line 3, column 8",
		`{"formation": {"Web!": {}}}`: "is not a process type",
		`{"formation": {"web": {"quantity": -1}}}`:    "wants -1 dynos",
		`{"formation": {"web": {"quantity": "two"}}}`: "formation.quantity is a JSON string",
		`{"env": {"A B": "x"}}`:                       "is not a name for a config var",
		`{"env": {"A": 3}}`:                           "neither a string nor an object",
		`{"env": {"A": {"generator": "x"}}}`:          "only \"secret\" exists",
	} {
		if _, err := ParseAppJSON([]byte(text)); err == nil || !strings.Contains(fault.Message(err), says) {
			t.Errorf("%s: got %v, want a refusal that says %q", text, err, says)
		}
	}
}

func TestCheckPackageJSON(t *testing.T) {
	for text, says := range map[string]string{
		`{"name": "x", "engines": {"node": "24.x"}, "scripts": {"start": "node ."}}`: "",
		`{}`:                         "",
		`{"engines": {"node": 24}}`:  "engines.node is not a string",
		`{"scripts": {"start": []}}`: "scripts is a JSON array",
		"{\n  'name': 'x'\n}":        "line 2, column 3",
		`{"a": 1} trailing`:          "line 1",
		``:                           "package.json is not valid JSON",
		`"x"`:                        "the whole is a JSON string",
	} {
		err := CheckPackageJSON([]byte(text))
		if (err == nil) != (says == "") || (err != nil && !strings.Contains(fault.Message(err), says)) {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
}

func FuzzManifests(f *testing.F) {
	for _, s := range []string{`{"env":{"A":"1"}}`, `{"formation":{"web":{"quantity":1}}}`, `{"engines":{"node":"1"}}`, "{\n]", "\ufeff{}", `{"env":{"A":{"value":null}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, err := ParseAppJSON(raw); err != nil {
			if fault.Of(err) == "" {
				t.Errorf("an internal error: %v", err)
			}
		} else {
			for name, s := range a.Formation {
				if !processPattern.MatchString(name) || s.Quantity < 0 || s.Quantity > 100 {
					t.Errorf("accepted %q: %+v", name, s)
				}
			}
			for name := range a.Env {
				if !namePattern.MatchString(name) {
					t.Errorf("accepted env %q", name)
				}
			}
		}
		if err := CheckPackageJSON(raw); err != nil && fault.Of(err) == "" {
			t.Errorf("an internal error: %v", err)
		}
	})
}
