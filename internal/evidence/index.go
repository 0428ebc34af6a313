package evidence

import (
	"maps"
	"slices"
	"strconv"

	"github.com/strongroom/strongroom/internal/evidence/reader"
	"github.com/strongroom/strongroom/internal/pack"
)

// question is what a reader of a pack may want to know, with the reports that
// answer it.
type question struct {
	Ask     string
	reports []string
	Answers []answered
}

// answered is a report as the index lists it.
type answered struct {
	Title, Says, Page string
	Count             string // of rows; "" where rows are not what it is made of
	Files             []file
}

// file is another form of a report.
type file struct{ Label, Path string }

// questions are the contents of a pack. Reports that none names come last.
func questions() []question {
	return []question{
		{Ask: "Did the safeguards work?", reports: []string{"controls", "check-results", "findings", "attempts"}},
		{Ask: "Who had access, and who decided that?", reports: []string{"users", "grants", "collaborators", "access-changes", "requests"}},
		{Ask: "Who looked at what?", reports: []string{"access-events", "sessions", "people"}},
		{Ask: "Which code ran, and who let it?", reports: []string{"deployments", "approvals", "exceptions"}},
		{Ask: "What was changed?", reports: []string{"config-changes", "space-changes"}},
		{Ask: "Where is health data, and how is it kept apart?", reports: []string{"phi-paths", "isolation", "apps", "addons"}},
	}
}

// writeIndex writes what an auditor opens.
func (p *export) writeIndex(w *pack.Writer, a About, tables []table) error {
	r, err := reader.New()
	if err != nil {
		return err
	}
	return render(w, "index.html", "index.html", struct {
		About
		*reader.Reader
		Questions []question
	}{a, r, contents(p.listed(tables))})
}

// listed are the reports of the pack, by name.
func (p *export) listed(tables []table) map[string]answered {
	out := map[string]answered{}
	for _, t := range tables {
		count := "none"
		if t.Count > 0 {
			count = strconv.Itoa(t.Count)
		}
		out[t.Name] = answered{t.Title, t.Says, "reports/" + t.Name + ".html", count, []file{{"CSV", "reports/" + t.Name + ".csv"}, {"XLSX", "reports/" + t.Name + ".xlsx"}}}
	}
	for _, r := range assembled {
		if p.items.need(r.name) {
			out[r.name] = answered{r.title, r.says, "reports/" + r.name + ".html", "", r.files}
		}
	}
	return out
}

// contents sorts the reports by the questions that they answer.
func contents(reports map[string]answered) []question {
	var out []question
	for _, q := range questions() {
		for _, name := range q.reports {
			if r, ok := reports[name]; ok {
				q.Answers = append(q.Answers, r)
				delete(reports, name)
			}
		}
		if len(q.Answers) > 0 {
			out = append(out, q)
		}
	}
	if len(reports) == 0 {
		return out
	}
	further := question{Ask: "Further tables"}
	for _, name := range slices.Sorted(maps.Keys(reports)) {
		further.Answers = append(further.Answers, reports[name])
	}
	return append(out, further)
}
