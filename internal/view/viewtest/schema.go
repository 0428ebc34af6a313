// Package viewtest checks JSON against Heroku's published schema, for the tests
// of view and api.
//
// The schema is in the dialect of prmd: draft 4 with strictProperties, which
// means that exactly the listed properties are there. Where its own rules name
// Heroku's hosts, or use what Go's regular expressions cannot, they are left
// out; what we add to a resource on purpose is listed in ours.
package viewtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// path of the schema, from the directory of any package at the third level.
var path = filepath.Join("..", "..", "..", "shared", "heroku", "schema.json")

// ours are members that Heroku's resources do not have.
var ours = map[string][]string{
	"app":               {"strongroom"},
	"team-app":          {"strongroom"},
	"release":           {"strongroom"},
	"add-on":            {"strongroom"},
	"inbound-ruleset":   {"applied"},
	"add-on-attachment": {"config_vars"},
}

// expanded are members that a client can ask for in full, by where they are;
// the schema knows only their short form.
var expanded = []struct{ resource, within, member, schema string }{
	{"add-on", "", "plan", "plan"},
	{"add-on", "", "addon_service", "add-on-service"},
	{"add-on-attachment", "addon", "plan", "plan"},
	{"space", "", "region", "region"},
}

// Schemas validates resources by their name in Heroku's schema.
type Schemas struct {
	compiler *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

// Load reads the schema, and skips the test where it is not there.
func Load(t *testing.T) *Schemas {
	t.Helper()
	s, err := Open()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("Heroku's schema is not at hand: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Open reads the schema. Where it is not at hand the error is fs.ErrNotExist.
func Open() (*Schemas, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("the schema is not an object")
	}
	delete(root, "$schema")
	delete(root, "id")
	delete(root, "links")
	delete(root, "properties")
	delete(root, "type")
	for _, d := range root["definitions"].(map[string]any) {
		delete(d.(map[string]any), "links")
		adapt(d)
	}
	// The CLI waits while an add-on is "deprovisioning"; the schema lacks it.
	state := root["definitions"].(map[string]any)["add-on"].(map[string]any)["definitions"].(map[string]any)["state"].(map[string]any)
	state["enum"] = append(state["enum"].([]any), "deprovisioning")
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.AssertFormat()
	if err := c.AddResource("heroku.json", root); err != nil {
		return nil, err
	}
	return &Schemas{compiler: c, compiled: map[string]*jsonschema.Schema{}}, nil
}

// Has tells whether the schema knows the resource; "[]name" is a list of them.
func (s *Schemas) Has(name string) bool {
	_, err := s.schema(strings.TrimPrefix(name, "[]"))
	return err == nil
}

func (s *Schemas) schema(name string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.compiled[name]; have != nil {
		return have, nil
	}
	sch, err := s.compiler.Compile("heroku.json#/definitions/" + name)
	if err == nil {
		s.compiled[name] = sch
	}
	return sch, err
}

// Check fails the test if the JSON is not the resource, or list of resources.
func (s *Schemas) Check(t *testing.T, name string, raw []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Errorf("%s: not JSON: %v", name, err)
		return
	}
	one, list := strings.CutPrefix(name, "[]")
	items := []any{doc}
	if list {
		var ok bool
		if items, ok = doc.([]any); !ok {
			t.Errorf("%s: not a list", name)
			return
		}
	}
	sch, err := s.schema(one)
	if err != nil {
		t.Errorf("%s: %v", one, err)
		return
	}
	for _, x := range items {
		if o, ok := x.(map[string]any); ok {
			for _, extra := range ours[one] {
				delete(o, extra)
			}
			s.collapse(t, one, o)
		}
		if err := sch.Validate(x); err != nil {
			text, _ := json.MarshalIndent(x, "", "  ")
			t.Errorf("%s: %v\n%s", one, err, text)
		}
	}
}

// collapse checks what is there in full and leaves the short form.
func (s *Schemas) collapse(t *testing.T, resource string, o map[string]any) {
	t.Helper()
	for _, e := range expanded {
		in := o
		if e.within != "" {
			in, _ = o[e.within].(map[string]any)
		}
		member, ok := in[e.member].(map[string]any)
		if e.resource != resource || !ok || len(member) <= 2 {
			continue
		}
		raw, _ := json.Marshal(member)
		s.Check(t, e.schema, raw)
		in[e.member] = map[string]any{"id": member["id"], "name": member["name"]}
		if e.within != "" {
			delete(in, e.member) // an inclusion, which has no short form
		}
	}
}

// Value checks a view.
func (s *Schemas) Value(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	s.Check(t, name, raw)
}

// adapt turns the dialect into draft 4, in place.
func adapt(node any) {
	switch n := node.(type) {
	case []any:
		for _, x := range n {
			adapt(x)
		}
	case map[string]any:
		// As a keyword, id is a string; as the name of a property, an object.
		for _, key := range []string{"id", "$schema"} {
			if _, ok := n[key].(string); ok {
				delete(n, key)
			}
		}
		if p, ok := n["pattern"].(string); ok && (strings.Contains(p, "heroku") || strings.Contains(p, "(?!")) {
			delete(n, "pattern")
		}
		// Host names are given the format of URLs.
		if e, ok := n["example"].(string); ok && n["format"] == "uri" && !strings.Contains(e, "://") {
			delete(n, "format")
		}
		if n["strictProperties"] == true {
			strict(n)
		}
		for _, x := range n {
			adapt(x)
		}
	}
}

func strict(n map[string]any) {
	properties, ok := n["properties"].(map[string]any)
	if !ok {
		return
	}
	required := []any{}
	for name := range properties {
		required = append(required, name)
	}
	n["additionalProperties"] = false
	if len(required) > 0 {
		n["required"] = required
	}
}
