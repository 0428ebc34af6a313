package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/paper"
)

// summaryPath is the summary's place in the pack.
const summaryPath = "reports/summary.pdf"

// maxSummed bounds each list of the summary: it is to be read in one sitting.
const maxSummed = 20

// summary is what the pack says in a few pages, on paper.
type summary struct {
	*paper.Document
	about    About
	tables   map[string]table
	tally    tally
	controls *controls
	items    []*item
}

// writeSummary writes the summary, made of what the pages and tables show.
func (p *export) writeSummary(w *pack.Writer, a About, tables []table, g *gathered, c *controls) error {
	out, err := w.Add(summaryPath)
	if err != nil {
		return err
	}
	title, foot := "Evidence pack for the space "+a.Space, "Space "+a.Space+", "+span(a)+". Signed, not proven: check the pack, see page 1."
	if a.Simulated {
		title, foot = "Simulated: "+title, "SIMULATED. "+foot
	}
	s := &summary{
		Document: paper.New(title, foot, a.Created),
		about:    a, tables: map[string]table{}, tally: g.tally, controls: c, items: p.items.list,
	}
	for _, t := range tables {
		s.tables[t.Name] = t
	}
	s.what()
	s.figures()
	s.standing()
	s.gaps()
	s.findings()
	s.unknown()
	if err := s.Write(out); err != nil {
		return fmt.Errorf("%s: %w", summaryPath, err)
	}
	return nil
}

func (s *summary) what() {
	s.Text("This summary belongs to an evidence pack: a zip with every entry of the ledger about the space, its team and the installation in the period, " +
		"reports made from those entries, and the proofs that nothing in scope was left out. Open index.html in it to see all of it.")
	var facts [][2]string
	for _, f := range s.about.facts() {
		facts = append(facts, [2]string{f.Name, f.Says})
	}
	s.Facts(facts)
	s.Heading("Check it first")
	s.Text("This summary is signed, not proven: nothing that it says of itself proves anything. Take the log's key from where you agreed on it (your engagement letter), " +
		"not from the pack, and on a machine of your own, with no network, run")
	s.Code("strongroom evidence:verify pack.zip --key log.vkey")
	s.Text("It says VERIFIED only if every entry, proof, report row and file, this one among them, is as it was written and signed with the key of the fingerprint above. " +
		"REFUSED names the file and the entry at fault. CONSISTENT, ORIGIN NOT CHECKED means that no key was given. Without a witness, it adds that others may have been shown a different history.")
}

// figures counts what happened. The numbers are of entries, so each can be found.
func (s *summary) figures() {
	s.Heading("The period in figures")
	n := func(actions ...string) (all, denied int64) {
		for _, a := range actions {
			if c := s.tally.actions[a]; c != nil {
				all, denied = all+c.Total, denied+c.Denied
			}
		}
		return all, denied
	}
	var rows [][]paper.Cell
	add := func(what, in string, actions ...string) {
		all, denied := n(actions...)
		rows = append(rows, paper.Row(what, fmt.Sprint(all), fmt.Sprint(denied), in))
	}
	add("Deployments that went live", "deployments", "release.live")
	add("Approvals of releases, and rollbacks", "approvals", "release.approve", "release.rollback")
	add("Changes of config vars", "config-changes", "config.set")
	add("Roles given and taken", "access-changes", "role.grant", "role.revoke")
	add("Log-ins", "access-events", "account.login")
	add("Sessions opened (terminals and databases)", "sessions", "session.open")
	var all, denied int64
	for _, c := range s.tally.actions {
		all, denied = all+c.Total, denied+c.Denied
	}
	rows = append(rows, paper.Row("All that anybody did or tried", fmt.Sprint(all), fmt.Sprint(denied), "people"))
	s.Table([]paper.Column{{Title: "What", Share: 0.46}, {Title: "Times", Share: 0.14}, {Title: "Of these denied", Share: 0.16}, {Title: "Report", Share: 0.24}}, rows)
	if t, ok := s.tables["exceptions"]; ok {
		s.Text(fmt.Sprintf("Exceptions, where there should have been a second person and was none: %s, in the report exceptions.", none(t.Count)))
	}
}

// none is a number in which zero is a word that nobody overlooks.
func none(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// standing is how the controls stood, by framework.
func (s *summary) standing() {
	s.Heading("Controls")
	c := s.controls
	if len(c.Rows) == 0 {
		s.Text("The ledger did not exist in this period: there is nothing to tell.")
		return
	}
	s.Text(fmt.Sprintf("Population: every control of the catalogue %s. It has %d members. The entries of this pack tell how they stood up to %s. A time in which a check did not run is unknown, never a pass.",
		c.Catalogue, len(c.Rows), day(c.Reaches)))
	columns := []paper.Column{{Title: "Framework", Share: 0.34}}
	for _, w := range words {
		columns = append(columns, paper.Column{Title: shortWords[w.status], Share: 0.11})
	}
	var rows [][]paper.Cell
	for _, f := range c.Frameworks {
		rows = append(rows, tallied(f.Title, behind(f)))
	}
	s.Table(columns, append(rows, tallied("All controls", c.Rows)))
	s.Text("The numbers are of controls that answer to a requirement of the framework, as they stood at the end. “Reports” are for a person to judge; “unproven” needs something that the platform cannot show yet, and does not pass.")
	s.partly(c.Rows)
}

var shortWords = map[string]string{
	document.StatusFail: "fail", document.StatusUnknown: "unknown", compliance.StatusUnproven: "unproven",
	compliance.StatusReported: "reports", document.StatusPass: "pass", document.StatusNotApplicable: "no case",
}

// behind are the controls that answer to a framework, each once.
func behind(f framework) (out []*controlRow) {
	seen := map[string]bool{}
	for _, q := range f.Rows {
		for _, a := range q.Answers {
			if !seen[a.Row.ID] {
				seen[a.Row.ID] = true
				out = append(out, a.Row)
			}
		}
	}
	return out
}

func tallied(title string, list []*controlRow) []paper.Cell {
	count := map[string]int{}
	for _, r := range list {
		count[r.Status]++
	}
	out := paper.Row(title)
	for _, w := range words {
		cell := paper.Cell{Text: none(count[w.status])}
		switch {
		case count[w.status] == 0:
		case w.status == document.StatusFail:
			cell.Tone = paper.Bad
		case w.status == document.StatusPass:
			cell.Tone = paper.Good
		}
		out = append(out, cell)
	}
	return out
}

// partly lists the controls that did not pass all the time, the worst first.
func (s *summary) partly(list []*controlRow) {
	var some []*controlRow
	judged := 0
	for _, r := range list {
		if r.History.Judged {
			judged++
			if r.History.Effectiveness < 1 {
				some = append(some, r)
			}
		}
	}
	slices.SortStableFunc(some, func(a, b *controlRow) int {
		return int(1e6*a.History.Effectiveness) - int(1e6*b.History.Effectiveness)
	})
	s.Text(fmt.Sprintf("Of %d controls that checks judged, %s did not pass all of the time.", judged, none(len(some))))
	if len(some) == 0 {
		return
	}
	var rows [][]paper.Cell
	for _, r := range some[:min(len(some), maxSummed)] {
		rows = append(rows, []paper.Cell{{Text: r.ID + "\n" + r.Title}, {Text: r.Share()}, {Text: none(len(r.History.Gaps))}, {Text: r.Word(), Tone: tone(r.Status)}})
	}
	s.Table([]paper.Column{{Title: "Control", Share: 0.55}, {Title: "Passed for", Share: 0.15}, {Title: "Gaps", Share: 0.1}, {Title: "At the end", Share: 0.2}}, rows)
	s.more(len(some), "controls.html")
}

func tone(status string) paper.Tone {
	switch status {
	case document.StatusFail:
		return paper.Bad
	case document.StatusPass:
		return paper.Good
	}
	return paper.Plain
}

func (s *summary) more(count int, in string) {
	if count > maxSummed {
		s.Text(fmt.Sprintf("These are the first %d of %d; %s has all.", maxSummed, count, in))
	}
}

// gaps are the times in which something did not pass: first what failed.
func (s *summary) gaps() {
	s.Heading("What did not pass, and who mended it")
	list := summed(s.controls.Gaps)
	if len(list) == 0 {
		s.Text("There is none: no check on record failed, and none failed to run, in the period.")
		return
	}
	var rows [][]paper.Cell
	for _, g := range list[:min(len(list), maxSummed)] {
		end := brief(g.To)
		if g.Open {
			end = "went on"
		}
		rows = append(rows, []paper.Cell{
			{Text: brief(g.From)},
			{Text: end + "\n" + g.Lasted().String()},
			{Text: g.cause(), Tone: tone(g.Status)},
			{Text: g.entries()},
			{Text: strings.TrimSpace(g.Owner + "\n" + g.mended())},
		})
	}
	s.Table([]paper.Column{{Title: "From (UTC)", Share: 0.13}, {Title: "To, after", Share: 0.13}, {Title: "What, and its cause", Share: 0.43}, {Title: "Entries", Share: 0.1}, {Title: "Owner, mended by", Share: 0.21}}, rows)
	s.more(len(list), "controls.html")
}

// summed puts failures first, and makes one line of all the checks that did not
// run in the same time: an outage is one thing, whatever it stopped.
func summed(list []gapRow) (out []gapRow) {
	idle := map[[2]int64]int{}
	for _, g := range list {
		if g.Seq >= 0 {
			out = append(out, g)
			continue
		}
		g.Controls = nil
		key := [2]int64{g.From.UnixNano(), g.To.UnixNano()}
		if at, ok := idle[key]; !ok {
			idle[key] = len(out)
			out = append(out, g)
		} else if !slices.Contains(strings.Split(out[at].Check, ", "), g.Check) {
			out[at].Check += ", " + g.Check
		}
	}
	slices.SortStableFunc(out, func(a, b gapRow) int {
		rank := map[string]int{document.StatusFail: -1}
		return rank[a.Status] - rank[b.Status]
	})
	return out
}

// cause says what a gap is about and how it came.
func (g gapRow) cause() string {
	if g.Seq < 0 {
		return "Did not run: " + g.Check + "."
	}
	return strings.Join(append([]string{g.about() + ": " + g.Word() + "."}, g.Facts...), " ")
}

// brief is a time for narrow columns.
func brief(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func (g gapRow) about() string {
	if g.Name == "" {
		return g.Check
	}
	return g.Check + " of " + g.Name
}

func (g gapRow) mended() string {
	if g.MendedBy == "" {
		return ""
	}
	return "mended by " + g.MendedBy
}

// entries are the seqs behind a gap.
func (g gapRow) entries() string {
	var out []string
	if g.Seq >= 0 {
		out = append(out, fmt.Sprint(g.Seq))
	}
	if g.EndSeq >= 0 {
		out = append(out, fmt.Sprint("to ", g.EndSeq))
	}
	for _, n := range g.Seqs {
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, ", ")
}

// findings are those that are open, with how many there are of each state.
func (s *summary) findings() {
	s.Heading("Findings")
	t, ok := s.tables["findings"]
	if !ok {
		s.Text("The report on findings was not asked for: it is not part of this pack.")
		return
	}
	state := slices.Index(t.Head, "state")
	count := map[string]int{}
	var open [][]paper.Cell
	for _, row := range t.Rows {
		if count[row[state]]++; row[state] == document.FindingClosed {
			continue
		}
		open = append(open, paper.Row(t.cell(row, "seq"), t.cell(row, "check")+" of "+t.cell(row, "of"), t.cell(row, "severity"), row[state], t.cell(row, "owner"), t.cell(row, "due at")))
	}
	s.Text(fmt.Sprintf("Population: %s It has %d members: %s open, %s accepted by somebody for a time, %s closed.",
		sentence(t.Covers), t.Count, none(count[document.FindingOpen]), none(count[document.FindingAccepted]), none(count[document.FindingClosed])))
	if t.Count > len(t.Rows) {
		s.Text(fmt.Sprintf("The states are of the first %d; findings.csv has all.", len(t.Rows)))
	}
	if len(open) == 0 {
		return
	}
	s.Table([]paper.Column{{Title: "Seq", Share: 0.08}, {Title: "What", Share: 0.32}, {Title: "Severity", Share: 0.1}, {Title: "State", Share: 0.1}, {Title: "Owner", Share: 0.19}, {Title: "Due", Share: 0.21}}, open[:min(len(open), maxSummed)])
	s.more(len(open), "findings.csv")
}

func (t table) cell(row []string, title string) string {
	if i := slices.Index(t.Head, title); i >= 0 {
		return row[i]
	}
	return ""
}

// unknown is what the items ask for and the platform cannot tell.
func (s *summary) unknown() {
	s.Heading("What the platform does not know")
	var rows [][]paper.Cell
	for _, x := range s.items {
		if x.Item.Missing != "" {
			rows = append(rows, paper.Row(x.ID, x.Item.Missing, strings.TrimSuffix(providers[x.Item.Provider], ",")))
		}
	}
	s.Text("What never went through the platform, such as what root did on the host, is not in the ledger and so not in this pack, but for what the checks of the host found and put on record.")
	if len(rows) == 0 {
		return
	}
	s.Text(fmt.Sprintf("Population: every item of the frameworks that the pack has a folder for: %d. Of these, %d ask for something that somebody else provides:", len(s.items), len(rows)))
	s.Table([]paper.Column{{Title: "Item", Share: 0.15}, {Title: "Not known to the platform", Share: 0.65}, {Title: "Who provides it", Share: 0.2}}, rows)
}
