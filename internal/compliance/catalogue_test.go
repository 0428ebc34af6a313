package compliance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/strongroom/strongroom/catalog"
)

// files are a catalogue in memory.
type files map[string]string

func (f files) fs() fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range f {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// written is a whole control with some members changed.
func written(id string, change map[string]any) string {
	c := map[string]any{
		"id": id, "title": "t", "statement": "s", "why": "w", "severity": "low", "responsible": map[string]string{"software": "s"},
		"settings": []string{}, "proof": map[string]any{}, "every": "e", "failure": "f", "remediation": "r", "maps": []any{},
	}
	for name, value := range change {
		c[name] = value
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func mapped(framework, to string) map[string]any {
	return map[string]any{"maps": []any{map[string]string{"framework": framework, "to": to, "extent": "full"}}}
}

func depends(on ...string) map[string]any { return map[string]any{"depends": on} }

const house = `{"id": "house", "title": "House rules", "source": "us", "requirements": [{"id": "1", "title": "Shut the door"}]}`

// answered is the house rules with a control that answers to them.
func answered(by string) string {
	return strings.Replace(house, `"Shut the door"`, `"Shut the door", "answers": [{"control": "`+by+`", "extent": "partial"}]`, 1)
}

// items are requirements of the house rules with a folder.
func items(list ...string) files {
	var out []string
	for i, x := range list {
		out = append(out, fmt.Sprintf(`{"id": %q, "title": "t", "item": {%s}}`, []string{"1(a)", "1(A)", "()", "2"}[i], x))
	}
	return files{"frameworks/house.json": `{"id": "house", "title": "House rules", "source": "us", "requirements": [` + strings.Join(out, ", ") + `]}`}
}

// TestLoad: what users write is checked as a whole, and all that is wrong is
// told, by file.
func TestLoad(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		wrong []string
	}{
		"whole":                  {files{"controls/a.json": written("a", mapped("house", "1")), "controls/b.json": written("b", depends("a")), "frameworks/house.json": house}, nil},
		"other files":            {files{"controls/README": "x", "other/a.json": "x"}, nil},
		"no such requirement":    {files{"controls/a.json": written("a", mapped("house", "2")), "frameworks/house.json": house}, []string{"control a is mapped to house 2"}},
		"no such framework":      {files{"controls/a.json": written("a", mapped("garden", "1"))}, []string{"control a is mapped to garden 1"}},
		"no such control":        {files{"controls/a.json": written("a", depends("b"))}, []string{"control a depends on b"}},
		"depends on itself":      {files{"controls/a.json": written("a", depends("a"))}, []string{"depend on each other: a, a"}},
		"a circle":               {files{"controls/a.json": written("a", depends("b")), "controls/b.json": written("b", depends("c")), "controls/c.json": written("c", depends("b"))}, []string{"depend on each other: b, c, b"}},
		"another name":           {files{"controls/a.json": written("b", nil)}, []string{`controls/a.json: its id is "b"`}},
		"a requirement twice":    {files{"frameworks/house.json": strings.Replace(house, `[{`, `[{"id": "1", "title": "again"}, {`, 1)}, []string{"the requirement 1 twice"}},
		"answers":                {files{"controls/a.json": written("a", nil), "frameworks/house.json": answered("a")}, nil},
		"answered by nothing":    {files{"frameworks/house.json": answered("a")}, []string{"framework house: 1 is answered by the control a, which does not exist"}},
		"answered twice":         {files{"controls/a.json": written("a", mapped("house", "1")), "frameworks/house.json": answered("a")}, []string{"control a is mapped to house 1 twice"}},
		"an unknown extent":      {files{"controls/a.json": written("a", nil), "frameworks/house.json": strings.Replace(answered("a"), "partial", "wholly", 1)}, []string{"frameworks/house.json"}},
		"an unknown member":      {files{"controls/a.json": written("a", map[string]any{"colour": "red"})}, []string{"controls/a.json", "colour"}},
		"an unknown severity":    {files{"controls/a.json": written("a", map[string]any{"severity": "dire"})}, []string{"controls/a.json"}},
		"no JSON":                {files{"controls/a.json": "{"}, []string{"controls/a.json"}},
		"a long text":            {files{"controls/a.json": written("a", map[string]any{"why": strings.Repeat("x", 1001)})}, []string{"controls/a.json"}},
		"a huge file":            {files{"controls/a.json": strings.Repeat(" ", maxFile+1)}, []string{"controls/a.json: cannot be read, or has more than"}},
		"an item with rows":      {items(`"answer": "Yes.", "reports": [{"report": "users", "where": {"email": ["a"]}}]`), nil},
		"an item without":        {items(`"answer": "No.", "missing": "it", "provider": "organisation"`), nil},
		"nothing in an item":     {items(`"answer": "Yes."`), []string{"frameworks/house.json"}},
		"nobody provides":        {items(`"answer": "No.", "missing": "it"`), []string{"provider"}},
		"somebody provides":      {items(`"answer": "No.", "missing": "it", "provider": "somebody"`), []string{"frameworks/house.json"}},
		"one folder of two":      {items(`"answer": "No.", "missing": "it", "provider": "operator"`, `"answer": "No.", "missing": "it", "provider": "operator"`), []string{`the item 1(A) has no folder of its own: "1-a"`}},
		"a report twice":         {items(`"answer": "Yes.", "reports": [{"report": "users"}, {"report": "users"}]`), []string{"the item 1(a) has the report users twice"}},
		"several things at once": {files{"controls/a.json": "{", "controls/b.json": written("b", depends("z"))}, []string{"controls/a.json", "control b depends on z"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(catalog.Files, test.files.fs())
			if (err == nil) != (test.wrong == nil) {
				t.Fatalf("%v", err)
			}
			for _, w := range test.wrong {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v\nwithout %q", err, w)
				}
			}
		})
	}
	many := files{}
	for i := range maxFiles + 1 {
		many[fmt.Sprintf("controls/x%d.json", i)] = "{"
	}
	if _, err := Load(catalog.Files, many.fs()); err == nil || !strings.Contains(err.Error(), "more than 5000 files") {
		t.Error("more files than there may be")
	}
}

// TestOwnFiles: an installation's own controls come beside those of the program,
// and must not take their names.
func TestOwnFiles(t *testing.T) {
	own, err := Load(catalog.Files, catalog.Files)
	if err != nil {
		t.Fatal(err)
	}
	first := own.Controls[0].ID
	both, err := Load(catalog.Files, catalog.Files, files{
		"controls/house.door.json": written("house.door", mapped("house", "1")), "frameworks/house.json": house,
	}.fs())
	if err != nil || len(both.Controls) != len(own.Controls)+1 || both.Framework("house") == nil || both.Digest == own.Digest {
		t.Errorf("%v, %+v", err, both)
	}
	// A framework of one's own may say which of the program's controls answer to it.
	both, err = Load(catalog.Files, catalog.Files, files{"frameworks/house.json": answered(first)}.fs())
	if err != nil || !slices.Contains(both.Control(first).Maps, Mapping{"house", "1", Partial}) {
		t.Errorf("%v, %+v", err, both)
	}
	if _, err := Load(catalog.Files, catalog.Files, files{"controls/" + first + ".json": written(first, nil)}.fs()); err == nil || !strings.Contains(err.Error(), "two controls "+first) {
		t.Errorf("a control that is there already: %v", err)
	}
}
