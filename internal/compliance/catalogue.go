// Package compliance knows at any moment which safeguard is met, by what, since
// when and with what gaps: it reads the catalogue of controls, runs their checks
// and attempts, keeps what they say through control, and computes status over
// any period from the ledger.
//
// Invariants: a check that did not run on time is unknown, never pass; a control
// that nothing shows is not met; what happened in a past period is computed from
// its entries alone and comes out the same each time.
// internal/server runs it; query and evidence ask it.
package compliance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Extents of a mapping.
const (
	Full     = "full"
	Partial  = "partial"
	Supports = "supports"
)

// Control is one thing that is true of an installation.
type Control struct {
	ID          string            `json:"id"`
	Title       string            `json:"title"`
	Statement   string            `json:"statement"`
	Why         string            `json:"why"`
	Severity    string            `json:"severity"`
	Responsible map[string]string `json:"responsible"`
	Settings    []string          `json:"settings"`
	Proof       Proof             `json:"proof"`
	Every       string            `json:"every"`
	Failure     string            `json:"failure"`
	Remediation string            `json:"remediation"`
	Depends     []string          `json:"depends"`
	Maps        []Mapping         `json:"maps"`
}

// Proof is what shows that a control holds.
type Proof struct {
	Checks  []string `json:"checks"`
	Planned []string `json:"planned"` // checks and reports that it needs and that do not exist yet
	Reports []string `json:"reports"`
	Records []string `json:"records"`
	Missing string   `json:"missing"` // what the platform cannot show yet
}

// Mapping says how far a control meets a requirement.
type Mapping struct {
	Framework string `json:"framework"`
	To        string `json:"to"`
	Extent    string `json:"extent"`
}

// Framework is a list of requirements.
type Framework struct {
	ID           string        `json:"id"`
	Title        string        `json:"title"`
	Source       string        `json:"source"`
	Requirements []Requirement `json:"requirements"`
}

// Answer is a mapping as a framework says it itself.
type Answer struct {
	Control string `json:"control"`
	Extent  string `json:"extent"`
}

// Requirement is one of a framework.
type Requirement struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Kind     string `json:"kind"`
	Asks     string `json:"asks"`
	Share    string `json:"share"`
	Artifact string `json:"artifact"`
	// Answers are mappings of controls that do not name the requirement
	// themselves. Load adds them to the controls.
	Answers []Answer `json:"answers"`
	Item    *Item    `json:"item"` // nil: the framework's packs have no folder for it
}

// Item is what a pack's folder for a requirement tells: the answer, the reports
// whose rows show it, and what the platform does not know.
type Item struct {
	Answer   string      `json:"answer"`
	Reports  []Selection `json:"reports"`
	Missing  string      `json:"missing"`  // completes "the platform does not know"; "" = nothing
	Provider string      `json:"provider"` // of what is missing: one of those who can be responsible
}

// Selection is those rows of a report whose cells are among the values of each
// column that Where names; of a report that is no table, all of it.
type Selection struct {
	Report string              `json:"report"`
	Where  map[string][]string `json:"where"`
}

var notInSlug = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// Slug is the requirement's id as the name of a folder.
func (r *Requirement) Slug() string {
	return strings.Trim(notInSlug.ReplaceAllString(r.ID, "-"), "-.")
}

// Catalogue is all controls and frameworks, by id.
type Catalogue struct {
	Controls   []*Control
	Frameworks []*Framework
	Digest     string // sha256:<hex> over all files, by name
}

// Control gives a control by id, nil if there is none.
func (c *Catalogue) Control(id string) *Control {
	i := slices.IndexFunc(c.Controls, func(x *Control) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return c.Controls[i]
}

// Framework gives a framework by id, nil if there is none.
func (c *Catalogue) Framework(id string) *Framework {
	i := slices.IndexFunc(c.Frameworks, func(x *Framework) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return c.Frameworks[i]
}

// FrameworkIDs lists the frameworks that there are.
func (c *Catalogue) FrameworkIDs() (out []string) {
	for _, f := range c.Frameworks {
		out = append(out, f.ID)
	}
	return out
}

// Bounds of a catalogue: users bring files of their own.
const (
	maxFile  = 1 << 20
	maxFiles = 5000
)

// Load reads the catalogue of each file system, later ones adding to earlier
// ones, and checks the whole. schemas holds control.schema.json and
// framework.schema.json. The error lists everything that is wrong, by file.
func Load(schemas fs.FS, sources ...fs.FS) (*Catalogue, error) {
	l := &loader{out: &Catalogue{}, digest: sha256.New()}
	if err := l.compile(schemas); err != nil {
		return nil, err
	}
	for _, s := range sources {
		l.read(s)
	}
	slices.SortFunc(l.out.Controls, func(a, b *Control) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(l.out.Frameworks, func(a, b *Framework) int { return strings.Compare(a.ID, b.ID) })
	l.answers()
	l.check()
	if err := errors.Join(l.wrong...); err != nil {
		return nil, fmt.Errorf("the catalogue of controls:\n%w", err)
	}
	l.out.Digest = "sha256:" + hex.EncodeToString(l.digest.Sum(nil))
	return l.out, nil
}

type loader struct {
	out                *Catalogue
	control, framework *jsonschema.Schema
	digest             interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	files int
	wrong []error
}

func (l *loader) fail(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Errorf(format, args...))
}

func (l *loader) compile(schemas fs.FS) (err error) {
	one := func(name string) *jsonschema.Schema {
		raw, rerr := fs.ReadFile(schemas, name)
		doc, jerr := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		c := jsonschema.NewCompiler()
		aerr := c.AddResource(name, doc)
		s, cerr := c.Compile(name)
		err = errors.Join(err, rerr, jerr, aerr, cerr)
		return s
	}
	l.control, l.framework = one("control.schema.json"), one("framework.schema.json")
	return err
}

func (l *loader) read(source fs.FS) {
	for _, dir := range []string{"controls", "frameworks"} {
		entries, err := fs.ReadDir(source, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.fail("%s: %w", dir, err)
		}
		for _, e := range entries {
			if path.Ext(e.Name()) == ".json" {
				l.file(source, path.Join(dir, e.Name()))
			}
		}
	}
}

func (l *loader) file(source fs.FS, name string) {
	if l.files++; l.files > maxFiles {
		return
	}
	info, err := fs.Stat(source, name)
	if err != nil || info.Size() > maxFile {
		l.fail("%s: cannot be read, or has more than %d bytes", name, maxFile)
		return
	}
	raw, err := fs.ReadFile(source, name)
	if err != nil {
		l.fail("%s: %w", name, err)
		return
	}
	fmt.Fprintf(l.digest, "%s %d\n", name, len(raw))
	_, _ = l.digest.Write(raw)
	id := strings.TrimSuffix(path.Base(name), ".json")
	if path.Dir(name) == "controls" {
		if c, ok := decode[Control](l, l.control, name, raw); ok {
			l.same(name, id, c.ID)
			l.out.Controls = append(l.out.Controls, c)
		}
		return
	}
	if f, ok := decode[Framework](l, l.framework, name, raw); ok {
		l.same(name, id, f.ID)
		l.out.Frameworks = append(l.out.Frameworks, f)
	}
}

func (l *loader) same(name, want, got string) {
	if want != got {
		l.fail("%s: its id is %q; name the file after it", name, got)
	}
}

func decode[T any](l *loader, schema *jsonschema.Schema, name string, raw []byte) (*T, bool) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = schema.Validate(doc)
	}
	out := new(T)
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		l.fail("%s: %w", name, err)
	}
	return out, err == nil
}

// answers adds to the controls what frameworks say of them.
func (l *loader) answers() {
	for _, f := range l.out.Frameworks {
		for _, r := range f.Requirements {
			for _, a := range r.Answers {
				c := l.out.Control(a.Control)
				if c == nil {
					l.fail("framework %s: %s is answered by the control %s, which does not exist", f.ID, r.ID, a.Control)
					continue
				}
				c.Maps = append(c.Maps, Mapping{f.ID, r.ID, a.Extent})
			}
		}
	}
}

// check looks for ids that nothing has, that two have, and for circles.
func (l *loader) check() {
	if l.files > maxFiles {
		l.fail("there are more than %d files", maxFiles)
	}
	requirements, folders := map[string]bool{}, map[string]bool{}
	for i, f := range l.out.Frameworks {
		if i > 0 && l.out.Frameworks[i-1].ID == f.ID {
			l.fail("there are two frameworks %s", f.ID)
		}
		for _, r := range f.Requirements {
			key := f.ID + " " + r.ID
			if requirements[key] {
				l.fail("framework %s has the requirement %s twice", f.ID, r.ID)
			}
			requirements[key] = true
			l.folder(f, r, folders)
		}
	}
	for i, c := range l.out.Controls {
		if i > 0 && l.out.Controls[i-1].ID == c.ID {
			l.fail("there are two controls %s", c.ID)
		}
		for i, m := range c.Maps {
			if !requirements[m.Framework+" "+m.To] {
				l.fail("control %s is mapped to %s %s, which does not exist", c.ID, m.Framework, m.To)
			}
			if slices.ContainsFunc(c.Maps[:i], func(o Mapping) bool { return o.Framework == m.Framework && o.To == m.To }) {
				l.fail("control %s is mapped to %s %s twice", c.ID, m.Framework, m.To)
			}
		}
		for _, d := range c.Depends {
			if l.out.Control(d) == nil {
				l.fail("control %s depends on %s, which does not exist", c.ID, d)
			}
		}
	}
	l.circles()
}

// folder sees that the items of all frameworks have folders of their own, also
// where names that differ in case only are the same.
func (l *loader) folder(f *Framework, r Requirement, folders map[string]bool) {
	if r.Item == nil {
		return
	}
	name := strings.ToLower(r.Slug())
	if name == "" || folders[name] {
		l.fail("framework %s: the item %s has no folder of its own: %q", f.ID, r.ID, name)
	}
	folders[name] = true
	for i, s := range r.Item.Reports {
		if slices.ContainsFunc(r.Item.Reports[:i], func(o Selection) bool { return o.Report == s.Report }) {
			l.fail("framework %s: the item %s has the report %s twice", f.ID, r.ID, s.Report)
		}
	}
}

// circles finds controls that depend on themselves.
func (l *loader) circles() {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(id string, trail []string)
	visit = func(id string, trail []string) {
		trail = append(trail, id)
		if state[id] == visiting {
			l.fail("these controls depend on each other: %s", strings.Join(trail[slices.Index(trail, id):], ", "))
			return
		}
		c := l.out.Control(id)
		if state[id] == done || c == nil {
			return
		}
		state[id] = visiting
		for _, d := range c.Depends {
			visit(d, trail)
		}
		state[id] = done
	}
	for _, c := range l.out.Controls {
		visit(c.ID, nil)
	}
}
