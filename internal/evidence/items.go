package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pack"
)

// Bounds of what a folder holds of a report's rows: the whole report is in the
// pack, and linked.
const (
	maxItemRows   = 200 // in the CSV
	maxItemShown  = 25  // on the page
	checkResults  = "check-results"
	reportsFolder = "../../reports/"
)

// items are the folders of a pack, one for each requirement that the catalogue
// has an item for, filled while the rows of the reports go by.
type items struct {
	list  []*item
	parts map[string][]*part // by report
	all   bool               // nobody asked for some of them only
}

// item is what a folder tells of one requirement.
type item struct {
	compliance.Requirement
	Framework *compliance.Framework
	Parts     []*part
	Answers   []answer // the controls that answer to it
}

// part is what one report says for an item.
type part struct {
	Report, Title, Covers string
	Page                  bool // it is no table: there is nothing but the link
	Head                  []string
	Rows                  [][]string // the first maxItemRows
	Count                 int        // all rows that were asked for
	where                 map[string][]string
	columns               []column
}

// column is one whose cells decide whether a row is shown.
type column struct {
	index  int
	values []string
}

// newItems prepares the folders of all items, or of those that were asked for.
func newItems(p *compliance.Programme, q Request) (*items, error) {
	out := &items{parts: map[string][]*part{}, all: len(q.Items) == 0}
	missing := slices.Clone(q.Items)
	for _, f := range p.Frameworks {
		for _, r := range f.Requirements {
			if r.Item == nil || !out.all && !slices.Contains(q.Items, r.ID) {
				continue
			}
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == r.ID })
			x := &item{Requirement: r, Framework: f}
			for _, s := range append(slices.Clone(r.Item.Reports), checked(p, f, r)...) {
				t := newPart(s, !q.Notice.IsZero())
				x.Parts = append(x.Parts, t)
				out.parts[s.Report] = append(out.parts[s.Report], t)
			}
			out.list = append(out.list, x)
		}
	}
	if len(missing) > 0 {
		return nil, fault.New(fault.Invalid, "No framework has an item %.80q.", missing[0])
	}
	return out, nil
}

// need tells whether a report is part of the pack: all are, or those that the
// items rest on. Their pages lead to the controls, and the paths of ePHI to the
// marks.
func (i *items) need(report string) bool {
	switch {
	case i.all, report == "controls", len(i.parts[report]) > 0:
		return true
	case report == "apps", report == "addons":
		return len(i.parts["phi-paths"]) > 0
	}
	return false
}

// checked selects what the checks said that the controls behind a requirement
// rest on, unless the item asks for that itself.
func checked(p *compliance.Programme, f *compliance.Framework, r compliance.Requirement) []compliance.Selection {
	if slices.ContainsFunc(r.Item.Reports, func(s compliance.Selection) bool { return s.Report == checkResults }) {
		return nil
	}
	var checks []string
	for _, c := range p.Controls {
		if slices.ContainsFunc(c.Maps, func(m compliance.Mapping) bool { return m.Framework == f.ID && m.To == r.ID }) {
			checks = append(checks, c.Proof.Checks...)
		}
	}
	if len(checks) == 0 {
		return nil
	}
	slices.Sort(checks)
	return []compliance.Selection{{Report: checkResults, Where: map[string][]string{"check": slices.Compact(checks)}}}
}

func newPart(s compliance.Selection, noticed bool) *part {
	t := &part{Report: s.Report, where: s.Where}
	if i := slices.IndexFunc(Definitions, func(d Definition) bool { return d.Name == s.Report }); i >= 0 {
		d := Definitions[i]
		if noticed {
			d = d.noticed()
		}
		t.Title, t.Covers = d.Title, d.Covers
		return t
	}
	for _, a := range assembled {
		if a.name == s.Report {
			t.Title, t.Covers, t.Page = a.title, a.covers, a.head == nil
		}
	}
	return t
}

// begin takes the first line of a report.
func (i *items) begin(report string, head []string) {
	for _, t := range i.parts[report] {
		t.Head, t.columns = head, nil
		for _, title := range slices.Sorted(maps.Keys(t.where)) {
			t.columns = append(t.columns, column{slices.Index(head, title), t.where[title]})
		}
	}
}

// take shows the next row of a report to the folders that ask for it.
func (i *items) take(report string, row []string) {
	for _, t := range i.parts[report] {
		if slices.ContainsFunc(t.columns, func(c column) bool { return !slices.Contains(c.values, row[c.index]) }) {
			continue
		}
		if t.Count++; t.Count <= maxItemRows {
			t.Rows = append(t.Rows, row)
		}
	}
}

// Shown are the rows that fit the page.
func (t *part) Shown() [][]string { return t.Rows[:min(len(t.Rows), maxItemShown)] }

// Whole is where the report is.
func (t *part) Whole() string { return reportsFolder + t.Report }

// Only says in words which rows of the report these are.
func (t *part) Only() string {
	var out []string
	for _, title := range slices.Sorted(maps.Keys(t.where)) {
		out = append(out, title+" is "+strings.Join(t.where[title], " or "))
	}
	return strings.Join(out, ", and ")
}

// Rows counts those of all parts.
func (x *item) Rows() (n int) {
	for _, t := range x.Parts {
		n += t.Count
	}
	return n
}

// Share says in words who can show what the item asks for.
func (x *item) Share() string {
	s := shares[x.Requirement.Share]
	if len(x.Parts) == 0 && (x.Requirement.Share == "AUTO" || x.Requirement.Share == "SHARED") {
		s += "; this version does not yet"
	}
	return s
}

var shares = map[string]string{
	"AUTO":    "the platform, most of it",
	"SHARED":  "the platform, a part of it",
	"ORG":     "the organisation",
	"INHERIT": "whoever runs the building and the machines",
	"NA":      "nobody: it does not apply to those that the platform is made for",
}

// Unknown is the sentence about what the platform does not know, "" if there is
// nothing.
func (x *item) Unknown() string {
	if x.Item.Missing == "" {
		return ""
	}
	return "The platform does not know this: " + x.Item.Missing + ". " + providers[x.Item.Provider] + " provides it."
}

var providers = map[string]string{
	"operator":       "The operator of the installation",
	"app-team":       "The team of the app",
	"organisation":   "The organisation",
	"cloud-provider": "The cloud provider, or the organisation for machines of its own,",
}

// answered fills in the controls of each requirement.
func (i *items) answered(c *controls) {
	by := map[string][]answer{}
	for _, f := range c.Frameworks {
		for _, q := range f.Rows {
			by[f.ID+" "+q.Requirement.ID] = q.Answers
		}
	}
	for _, x := range i.list {
		x.Answers = by[x.Framework.ID+" "+x.ID]
	}
}

// write writes the folders, and the table of all.
func (i *items) write(w *pack.Writer, a About) error {
	for _, x := range i.list {
		folder := "items/" + x.Slug() + "/"
		if err := render(w, folder+"index.html", "item.html", struct {
			About
			*item
		}{a, x}); err != nil {
			return err
		}
		for _, t := range x.Parts {
			if len(t.Rows) == 0 {
				continue
			}
			if err := w.AddBytes(folder+t.Report+".csv", t.csv()); err != nil {
				return err
			}
		}
	}
	return render(w, "items/index.html", "items.html", struct {
		About
		Items []*item
	}{a, i.list})
}

func (t *part) csv() []byte {
	out := pack.AppendRow(nil, t.Head...)
	for _, row := range t.Rows {
		out = pack.AppendRow(out, row...)
	}
	return out
}

// assembled are the reports that no verifier computes: they are put together
// from the entries and signed.
var assembled = []struct {
	name, title, covers string
	says                string
	head                []string // nil: it is no table
	files               []file   // besides the page
}{
	{
		name: "controls", title: "Controls", covers: "every control of the catalogue",
		says: "What is to be true, whether it was, and each gap with its cause, its end and who mended it; by framework.",
		files: []file{
			{"CSV", "reports/controls.csv"},
			{"XLSX", "reports/controls.xlsx"},
			{"gaps, CSV", "reports/gaps.csv"},
			{"gaps, XLSX", "reports/gaps.xlsx"},
			{"JSON", "reports/controls.json"},
		},
	},
	{
		name: "isolation", title: "Isolation", covers: "the space",
		says: "How the space is kept apart, drawn from its state, and what was tried against it.",
	},
	{
		name: "people", title: "People and roles", covers: "everybody who did something in the period",
		says: "The event reports counted by person and by role.",
	},
	{
		name: "phi-paths", title: "Paths of ePHI", covers: "every store and link of the space that holds or carries ePHI, or can", head: phiHead,
		says:  "Where ePHI is and by which paths it moves, drawn from the state: who can reach it, how that is recorded, how it is encrypted.",
		files: []file{{"CSV", "reports/phi-paths.csv"}, {"XLSX", "reports/phi-paths.xlsx"}},
	},
}

// Fit holds a catalogue against the reports that there are: each that a control
// or an item names must be made, with the columns that are asked about, and
// none that a control still plans.
func Fit(c *compliance.Catalogue) error {
	heads := map[string][]string{}
	for _, a := range assembled {
		heads[a.name] = a.head
	}
	for _, d := range Definitions {
		heads[d.Name] = nil
		for _, column := range d.Columns {
			heads[d.Name] = append(heads[d.Name], column[0])
		}
	}
	for _, x := range c.Controls {
		for _, r := range x.Proof.Reports {
			if _, ok := heads[r]; !ok {
				return fmt.Errorf("control %s names the report %s, which does not exist", x.ID, r)
			}
		}
		for _, r := range x.Proof.Planned {
			if _, ok := heads[r]; ok {
				return fmt.Errorf("control %s plans the report %s, which exists", x.ID, r)
			}
		}
	}
	for _, f := range c.Frameworks {
		for _, r := range f.Requirements {
			if err := fits(r, heads); err != nil {
				return fmt.Errorf("framework %s: %w", f.ID, err)
			}
		}
	}
	return nil
}

func fits(r compliance.Requirement, heads map[string][]string) error {
	if r.Item == nil {
		return nil
	}
	for _, s := range r.Item.Reports {
		head, ok := heads[s.Report]
		if !ok {
			return fmt.Errorf("the item %s names the report %s, which does not exist", r.ID, s.Report)
		}
		for title := range s.Where {
			if !slices.Contains(head, title) {
				return fmt.Errorf("the item %s asks for the column %s of the report %s, which it does not have", r.ID, title, s.Report)
			}
		}
	}
	return nil
}
