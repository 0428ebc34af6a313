package evidence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
)

// golden holds a page against the one in testdata.
func golden(t *testing.T, name, page string, data any) {
	t.Helper()
	var got bytes.Buffer
	if err := templates.ExecuteTemplate(&got, page, data); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name+".html")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// somePack has no style: the pages of isolation show that one.
func somePack() About {
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return About{Space: "clinic", Installation: "5f0c2c1e", Program: "strongroom 1", From: day, To: day.AddDate(0, 1, 0), Created: day.AddDate(0, 1, 1)}
}

// law is a framework with an item of each kind: one that the platform can show
// by itself, one that it can show a part of, and one that it knows nothing of.
// What people wrote is markup here and there.
func law() *compliance.Programme {
	f := &compliance.Framework{ID: "law", Title: "The law", Requirements: []compliance.Requirement{
		{ID: "1(a)", Title: "Log-ins", Kind: "required", Asks: "That log-ins are watched.", Share: "AUTO", Item: &compliance.Item{
			Answer:  "Each log-in is an entry.",
			Reports: []compliance.Selection{{Report: "access-events", Where: map[string][]string{"action": {"account.login"}, "outcome": {"ok", "denied"}}}, {Report: "people"}},
		}},
		{ID: "1(b)", Title: "Reviews <b>", Kind: "addressable", Asks: "That somebody reviews.", Share: "SHARED", Item: &compliance.Item{
			Answer: "The rows are here.", Reports: []compliance.Selection{{Report: "exceptions"}}, Missing: "the reviews", Provider: "organisation",
		}},
		{ID: "2", Title: "Doors", Asks: "That doors are shut.", Share: "INHERIT", Item: &compliance.Item{Answer: "It knows no doors.", Missing: "which doors there are", Provider: "cloud-provider"}},
		{ID: "3", Title: "Without a folder"},
	}}
	return &compliance.Programme{Catalogue: &compliance.Catalogue{
		Frameworks: []*compliance.Framework{f},
		Controls: []*compliance.Control{{
			ID: "identity.log-ins", Title: "Log-ins are entries", Proof: compliance.Proof{Checks: []string{"state.log-ins"}, Planned: []string{"attempt.log-in"}},
			Maps: []compliance.Mapping{{Framework: "law", To: "1(a)", Extent: compliance.Full}},
		}},
	}}
}

func folders(t *testing.T, p *compliance.Programme, only ...string) *items {
	t.Helper()
	set, err := newItems(p, Request{Items: only})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestItemPages: a page of each kind, and the table of all.
func TestItemPages(t *testing.T) {
	a, p := somePack(), law()
	set := folders(t, p)
	head := []string{"seq", "time", "action", "outcome", "who"}
	set.begin("access-events", head)
	for n := range 207 {
		set.take("access-events", []string{fmt.Sprint(n), "2026-03-02", "account.login", []string{"ok", "denied", "failed"}[n%3], "<i>a@example.org"})
		set.take("access-events", []string{fmt.Sprint(n), "2026-03-02", "token.create", "ok", "b@example.org"})
	}
	set.begin("exceptions", head)
	set.begin(checkResults, []string{"seq", "check", "status"})
	set.take(checkResults, []string{"4", "state.log-ins", "pass"})
	set.take(checkResults, []string{"5", "state.other", "pass"})
	row := controlRow{Control: p.Controls[0], Status: document.StatusPass, Bars: []bar{{0, 1000, document.StatusPass, "passes"}}, History: compliance.History{Effectiveness: 1, Judged: true}}
	c := &controls{}
	c.answer(p, map[string]*controlRow{row.ID: &row})
	set.answered(c)
	if len(set.list) != 3 {
		t.Fatalf("%d folders", len(set.list))
	}
	for n, kind := range []string{"automatic", "shared", "organisation"} {
		golden(t, "item-"+kind, "item.html", struct {
			About
			*item
		}{a, set.list[n]})
	}
	golden(t, "items", "items.html", struct {
		About
		Items []*item
	}{a, set.list})

	logins := set.list[0].Parts[0]
	if logins.Count != 138 || len(logins.Rows) != 138 {
		t.Errorf("%d rows of %d, want those of 207 that say ok or denied", len(logins.Rows), logins.Count)
	}
	if text := string(logins.csv()); strings.Count(text, "\n") != len(logins.Rows)+1 || strings.Contains(text, "token.create") {
		t.Errorf("the CSV:\n%s", text)
	}
	if some := folders(t, p, "2"); len(some.list) != 1 || some.list[0].ID != "2" {
		t.Errorf("%d folders of the one that was asked for", len(some.list))
	}
}

// TestControlsPage: what people wrote is text, in the pictures too; a failure of a
// minute in a month is seen, and lies above the rest.
func TestControlsPage(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	a, p := somePack(), law()
	p.Controls[0].Title, p.Frameworks[0].Title, p.Frameworks[0].Requirements[0].Title = evil, evil, evil
	begin := a.From.AddDate(0, 0, 10)
	row := &controlRow{Control: p.Controls[0], History: compliance.History{Intervals: []compliance.Interval{
		{From: a.From, To: begin, Status: document.StatusPass},
		{From: begin, To: begin.Add(time.Minute), Status: document.StatusFail},
		{From: begin.Add(time.Minute), To: a.To, Status: document.StatusPass},
	}}}
	row.draw(a.From, a.To)
	last := row.Bars[len(row.Bars)-1]
	if last.Status != document.StatusFail || last.W != leastBar || last.H() <= row.Bars[0].H() || row.Status != document.StatusPass {
		t.Errorf("drawn: %+v, %s", row.Bars, row.Status)
	}
	gap := compliance.Gap{Check: evil, Name: evil, Status: document.StatusFail, From: begin, To: a.To, Facts: []string{evil}, Seq: 7, EndSeq: 9, Seqs: []int64{5}, Finding: evil, Owner: evil, MendedBy: evil}
	c := &controls{About: a, Rows: []*controlRow{row}, Findings: true}
	c.gaps(row.ID, []compliance.Gap{gap}, map[string]int{})
	c.number(map[string]*controlRow{row.ID: row})
	c.count()
	c.answer(p, map[string]*controlRow{row.ID: row})
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, "controls.html", c); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, "<script") {
		t.Errorf("what somebody wrote is markup:\n%s", text)
	}
	for _, words := range []string{
		`href="../index.html#seq-7"`, `to <a href="../index.html#seq-9"`, `<tr id="gap-1">`, `href="#gap-1"`, `<tbody id="law-1(a)">`, `class="none">no control answers to it`,
		"FAILS from 2026-03-12T12:00:00Z to 2026-03-12T12:01:00Z", "passes: 1 control<",
	} {
		if !strings.Contains(text, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
}

// TestItemBound: a folder holds a bounded part of a long report, and says so.
func TestItemBound(t *testing.T) {
	set := folders(t, law(), "1(b)")
	set.begin("exceptions", []string{"seq", "what"})
	for n := range 3 * maxItemRows {
		set.take("exceptions", []string{fmt.Sprint(n), "release"})
	}
	x := set.list[0]
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, "item.html", struct {
		About
		*item
	}{somePack(), x}); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		fmt.Sprintf("It has <strong>%d</strong> members", 3*maxItemRows), fmt.Sprintf("holds the first %d, this page the first %d.", maxItemRows, maxItemShown),
		`<a href="../../reports/exceptions.csv">CSV</a>`,
	} {
		if !strings.Contains(page.String(), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if n := strings.Count(string(x.Parts[0].csv()), "\n"); n != maxItemRows+1 {
		t.Errorf("the CSV has %d lines", n)
	}
}

// phiPages are reports: of a space with an app of each mark, of one with nothing
// in it, and of one with long names and more databases than apps.
func phiPages() map[string]*isolation {
	app := func(name, ephi string, addons ...string) isolatedApp {
		x := isolatedApp{App: &document.App{Name: name, EPHI: ephi}, Formations: []*document.Formation{{Quantity: 2}}}
		for _, a := range addons {
			x.Attachments = append(x.Attachments, &document.Attachment{Addon: a})
		}
		return x
	}
	addon := func(name, ephi string) *document.Addon {
		return &document.Addon{Base: document.Base{ID: name}, Name: name, EPHI: ephi}
	}
	path := phiPath{
		Seq: 7, Kind: phiStore, What: "heroku-postgresql", EPHI: "yes", From: "intake", To: "records", Path: "two volumes", Reach: "dev@example.org (member)",
		Recorded: "session.open", Encrypted: "fscrypt",
	}
	unknown := path
	unknown.EPHI, unknown.To = "unknown", "<script>"
	about := About{Space: "clinic"}
	mixed := &isolation{
		About: about, PHI: []phiPath{path, unknown},
		Doc:    &document.Space{Trusted: []document.TrustedIP{{Source: "198.51.100.0/24"}}, Outbound: []document.OutboundRef{{Target: "203.0.113.0/24", Protocol: "tcp", FromPort: 443, ToPort: 443}}},
		Apps:   []isolatedApp{app("intake", "yes", "records"), app("reports", "unknown", "cache"), app("site", "no", "cache")},
		Addons: []*document.Addon{addon("records", "yes"), addon("cache", "no")},
	}
	long := &isolation{About: about, Doc: &document.Space{}, PHI: []phiPath{path}}
	long.Apps = []isolatedApp{app(strings.Repeat("m", 30), "")}
	for n := range 4 {
		long.Addons = append(long.Addons, addon(fmt.Sprint(strings.Repeat("database-", 7), n), "unknown"))
	}
	return map[string]*isolation{"mixed": mixed, "bare": {About: about, Doc: &document.Space{}}, "long": long}
}

func TestPHIPage(t *testing.T) {
	for name, state := range phiPages() {
		t.Run(name, func(t *testing.T) {
			a := somePack()
			golden(t, "phi-"+name, "phi-paths.html", &phiPaths{About: a, At: a.To, Paths: state.PHI, Drawing: state.drawPHI()})
		})
	}
}

// TestMarks: what nobody has marked is unknown, never no.
func TestMarks(t *testing.T) {
	for _, c := range []struct {
		marks         []string
		carries, hold string
	}{
		{nil, "no", "no"},
		{[]string{"no", "no"}, "no", "no"},
		{[]string{"no", "unknown"}, "unknown", "unknown"},
		{[]string{"no", ""}, "unknown", "unknown"},
		{[]string{"unknown", "yes"}, "yes", "unknown"},
	} {
		if got := carries(c.marks...); got != c.carries || mayHold(got) != c.hold {
			t.Errorf("%v: %s, may hold %s", c.marks, got, mayHold(got))
		}
	}
}
