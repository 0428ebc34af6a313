package evidence_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// asked is an item of the audit protocol.
type asked struct{ citation, title, share string }

// protocol reads the protocol's items, where they are at hand.
func protocol(t *testing.T) (out []asked) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "compliance", "ocr-items.tsv"))
	if err != nil {
		t.Skipf("the items of the audit protocol are not at hand: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		out = append(out, asked{f[1], f[2], f[5]})
	}
	return out
}

// busy lets what a team does over the months happen in some hours, while the
// checks run, and gives the pack of that time.
func (l *lab) busy() []byte {
	l.T.Helper()
	const password = "correct horse battery staple"
	e := l.engine()
	for d := time.Duration(0); d < 2*time.Hour; d += 10 * time.Minute {
		l.Set(at(d))
		if err := e.Due(l.T.Context()); err != nil {
			l.T.Fatal(err)
		}
	}
	ward, login := l.IDs["space:ward"], control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor}, Via: ledger.ViaAPI}
	l.Account("leaver", password)
	l.Do(&people.Login{Email: "leaver@example.org", Password: *commandtest.Value(password)}, login)
	l.Do(&teams.GrantRole{Team: "care", Email: "leaver@example.org", Role: "viewer"}, l.As("owner"))
	l.Do(&people.SuspendAccount{Email: "leaver@example.org"}, l.As("root"))
	l.Refused(fault.Unauthenticated, "", &people.Login{Email: "leaver@example.org", Password: *commandtest.Value(password)}, login)
	l.Refused(fault.Forbidden, l.IDs["team:care"], &teams.GrantRole{Team: "care", Email: "viewer@example.org", Role: "owner"}, l.As("viewer"))
	l.Do(&spaces.SetTrusted{Identity: "ward", Rules: []document.TrustedIP{{Source: "192.0.2.0/24", Action: "allow"}}}, l.As("owner"))
	l.Do(&spaces.RecordAttempt{Scope: ward, Name: "connect", From: "another space", Target: "records", Refused: true, Result: "no connection", Count: 3}, commandtest.Platform)
	old := &addons.Create{App: "clinic", Plan: "heroku-postgresql:private-0", Name: "old"}
	l.Do(old, l.As("owner"))
	l.Do(&addons.Provisioned{ID: old.Addon.ID, Image: "sha256:" + strings.Repeat("0", 64)}, commandtest.Platform)
	l.Do(&addons.Destroy{Identity: "old"}, l.As("owner"))
	gone := addons.Disposal{Volume: old.Addon.Volume, KeyRemoved: true, ReadTried: "permission denied"}
	l.Do(&addons.Disposed{ID: old.Addon.ID, Data: gone, Server: gone}, commandtest.Platform)
	l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
	l.Pass(time.Hour)
	return l.export(evidence.Request{From: at(-time.Hour), To: l.Now()})
}

// unborn are the items whose parts the platform does not have yet: backups and
// drills.
var unborn = []string{"164.308(a)(7)(ii)(A)", "164.308(a)(7)(ii)(B)", "164.308(a)(7)(ii)(D)", "164.310(d)(2)(iv)"}

// TestItemsOfTheProtocol: a pack has a folder for each item that an auditor of
// the Office for Civil Rights asks for. Those that the platform can show by
// itself hold rows, the others say what is missing and who provides it.
func TestItemsOfTheProtocol(t *testing.T) {
	list := protocol(t)
	if len(list) != 72 {
		t.Fatalf("the protocol has %d items", len(list))
	}
	l := newLab(t)
	b := l.busy()
	l.verify(b, pack.Options{})
	files := members(t, b)
	f := l.programme.Framework("hipaa-security")
	var table strings.Builder
	count := map[string]int{}
	for _, a := range list {
		i := slices.IndexFunc(f.Requirements, func(r compliance.Requirement) bool { return r.ID == a.citation })
		if i < 0 || f.Requirements[i].Item == nil {
			t.Errorf("the catalogue has no item %s", a.citation)
			continue
		}
		r := f.Requirements[i]
		page := files["items/"+r.Slug()+"/index.html"]
		held := holds(t, files, "items/"+r.Slug()+"/")
		says := strings.Contains(page, "The platform does not know this: ") && strings.Contains(page, " provides it.")
		if !strings.Contains(page, "<h1>"+a.citation+" ") || r.Share != a.share || !strings.Contains(files["items/index.html"], `href="`+r.Slug()+`/index.html"`) {
			t.Errorf("%s: no page, or another share (%s, want %s)", a.citation, r.Share, a.share)
		}
		switch expected := a.share == "AUTO" && !slices.Contains(unborn, a.citation); {
		case expected && held.rows == 0:
			t.Errorf("%s: the platform can show it, and there is no row", a.citation)
		case !expected && !says:
			t.Errorf("%s: it does not say what is missing and who provides it", a.citation)
		}
		kind := map[string]string{"AUTO": "automatic", "SHARED": "shared", "ORG": "organisation", "INHERIT": "provider", "NA": "not applicable"}[a.share]
		count[kind]++
		if held.rows > 0 {
			count[kind+" with rows"]++
		}
		fmt.Fprintf(&table, "%-24s %-14s %-70.70s %s\n", a.citation, kind, a.title, held)
	}
	t.Logf("%d items: %v\n%s", len(list), count, table.String())
	if n := strings.Count(files["items/index.html"], "/index.html\">164."); n != len(list) {
		t.Errorf("the table of items has %d", n)
	}
}

// held is what a folder holds.
type held struct {
	rows    int
	reports []string
}

// String tells it in a line.
func (h held) String() string {
	if h.rows == 0 {
		return "a sentence"
	}
	return fmt.Sprintf("%d rows: %s", h.rows, strings.Join(h.reports, ", "))
}

func holds(t *testing.T, files map[string]string, folder string) (h held) {
	t.Helper()
	for name, content := range files {
		if !strings.HasPrefix(name, folder) || !strings.HasSuffix(name, ".csv") {
			continue
		}
		list, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil || len(list) < 2 {
			t.Errorf("%s: %d rows: %v", name, len(list), err)
			continue
		}
		// Nothing is in a folder that is not in the report that it says it is of.
		whole := files["reports/"+filepath.Base(name)]
		for _, line := range strings.SplitAfter(strings.TrimSuffix(content, "\n"), "\n") {
			if !strings.Contains(whole, strings.TrimSuffix(line, "\n")) {
				t.Errorf("%s has a line that its report does not have: %s", name, line)
			}
		}
		h.rows += len(list) - 1
		h.reports = append(h.reports, fmt.Sprintf("%s %d", strings.TrimSuffix(filepath.Base(name), ".csv"), len(list)-1))
	}
	slices.Sort(h.reports)
	return h
}

// TestItemRows: a folder holds the rows that were asked for and no others.
func TestItemRows(t *testing.T) {
	files := members(t, newLab(t).busy())
	rows := func(name string) [][]string {
		list, err := csv.NewReader(strings.NewReader(files[name])).ReadAll()
		if err != nil || len(list) < 2 {
			t.Fatalf("%s: %d rows: %v", name, len(list), err)
		}
		return list
	}
	logins := rows("items/164.308-a-5-ii-C/access-events.csv")
	denied := 0
	for n := range logins[1:] {
		if action := cell(t, logins, n+1, "action"); action != "account.login" && action != "token.create" {
			t.Errorf("log-in monitoring shows %s", action)
		}
		if cell(t, logins, n+1, "outcome") == "denied" {
			denied++
		}
	}
	if denied != 1 {
		t.Errorf("%d refused log-ins, want 1", denied)
	}
	checks := rows("items/164.308-a-5-ii-D/check-results.csv")
	for n := range checks[1:] {
		if check := cell(t, checks, n+1, "check"); check != "state.token-age" {
			t.Errorf("password management shows the check %s", check)
		}
	}
	if page := files["items/164.308-a-5-ii-C/index.html"]; !strings.Contains(page, "of these the rows whose action is account.login or token.create") {
		t.Error("the page does not say in words which rows it has")
	}
	if page := files["items/164.308-a-7-ii-A/index.html"]; !strings.Contains(page, "There is no evidence of this item on the platform.") ||
		!strings.Contains(page, "The operator of the installation provides it.") {
		t.Errorf("no evidence is not told as none:\n%s", page)
	}
}

// TestFit: a catalogue that names what no pack has is refused.
func TestFit(t *testing.T) {
	one := func(s compliance.Selection) *compliance.Catalogue {
		return &compliance.Catalogue{Frameworks: []*compliance.Framework{{
			ID: "f", Requirements: []compliance.Requirement{{ID: "1"}, {ID: "2", Item: &compliance.Item{Answer: "Yes.", Reports: []compliance.Selection{s}}}},
		}}}
	}
	ctl := func(p compliance.Proof) *compliance.Catalogue {
		return &compliance.Catalogue{Controls: []*compliance.Control{{ID: "c", Proof: p}}}
	}
	where := func(column string) map[string][]string { return map[string][]string{column: {"x"}} }
	for words, c := range map[string]*compliance.Catalogue{
		"the report nothing, which does not exist":           one(compliance.Selection{Report: "nothing"}),
		"the column colour of the report users":              one(compliance.Selection{Report: "users", Where: where("colour")}),
		"the column kind of the report isolation":            one(compliance.Selection{Report: "isolation", Where: where("kind")}),
		"control c names the report nothing":                 ctl(compliance.Proof{Reports: []string{"nothing"}}),
		"control c plans the report phi-paths, which exists": ctl(compliance.Proof{Planned: []string{"phi-paths"}}),
	} {
		if err := evidence.Fit(c); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
	for _, c := range []*compliance.Catalogue{
		one(compliance.Selection{Report: "users", Where: where("email")}), one(compliance.Selection{Report: "phi-paths", Where: where("kind")}),
		one(compliance.Selection{Report: "controls"}), ctl(compliance.Proof{Reports: []string{"isolation"}, Planned: []string{"attempt.later"}}),
		newLab(t).programme.Catalogue,
	} {
		if err := evidence.Fit(c); err != nil {
			t.Error(err)
		}
	}
}

// TestSomeItems: of what was not asked for there is neither a folder nor a
// report, and the entries are all there.
func TestSomeItems(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	before := l.Size()
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour), Items: []string{"164.312(a)(2)(iii)", "164.312(a)(2)(iv)"}})
	l.verify(b, pack.Options{})
	if n := l.Since(before)[0].Detail("items"); n != "164.312(a)(2)(iii) 164.312(a)(2)(iv)" {
		t.Errorf("recorded as an export of %q", n)
	}
	files := members(t, b)
	var got []string
	for name, content := range files {
		if strings.HasSuffix(name, ".html") {
			got = append(got, name)
			if !strings.Contains(content, "only those that were asked for, and the reports that they rest on: 164.312(a)(2)(iii), 164.312(a)(2)(iv)") {
				t.Errorf("%s does not say that this is a part", name)
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"index.html", "items/164.312-a-2-iii/index.html", "items/164.312-a-2-iv/index.html", "items/index.html", "reports/addons.html", "reports/apps.html",
		"reports/check-results.html", "reports/controls.html", "reports/phi-paths.html", "reports/sessions.html", "reports/space-changes.html",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	whole(t, l, files)

	size := l.Size()
	err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour), Items: []string{"164.312(b)", "nothing"}}, nil)
	if fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), `"nothing"`) || l.Size() != size {
		t.Errorf("of an item that there is not: %v", err)
	}
}

// TestNotice: reports show the state at the time of an auditor's notice, also
// what came to be at that very time, and still all that happened.
func TestNotice(t *testing.T) {
	l := newLab(t)
	notice := at(2 * time.Hour)
	app := func(name string, d time.Duration) {
		l.Set(at(d))
		l.Do(&apps.Create{Name: name, Space: "ward", Domain: "apps.localhost", EPHI: "no"}, l.As("dev"))
	}
	app("before", time.Hour)
	l.Set(notice)
	l.Do(&sessions.Close{ID: l.IDs["session:open"]}, commandtest.Platform)
	app("exactly", 2*time.Hour)
	app("after", 3*time.Hour)
	again := &sessions.Open{App: "after", Dyno: "run.9", Type: "run"}
	l.Do(again, l.As("dev"))
	l.Set(at(5 * time.Hour))
	for _, c := range []struct {
		notice time.Time
		names  []string
		open   int
		words  string
	}{
		{notice, []string{"before", "clinic", "exactly"}, 0, "every app of the space at the date of the notice."},
		{time.Time{}, []string{"after", "before", "clinic", "exactly"}, 1, "every app of the space at the end of the period."},
	} {
		b := l.export(evidence.Request{From: at(-time.Hour), To: at(4 * time.Hour), Notice: c.notice})
		l.verify(b, pack.Options{})
		files := members(t, b)
		list := rows(t, files, "apps")
		var names []string
		for n := range list[1:] {
			names = append(names, cell(t, list, n+1, "name"))
		}
		if slices.Sort(names); !slices.Equal(names, c.names) {
			t.Errorf("apps %v, want %v", names, c.names)
		}
		paths := files["reports/phi-paths.csv"]
		if n := strings.Count(paths, "open session"); n != c.open || strings.Contains(paths, "after") != slices.Contains(c.names, "after") {
			t.Errorf("%d open sessions, want %d:\n%s", n, c.open, paths)
		}
		if strings.Contains(files["reports/isolation.html"], "after") != slices.Contains(c.names, "after") {
			t.Error("the report on isolation is of another time")
		}
		if n := len(rows(t, files, "sessions")); n != 6 {
			t.Errorf("%d rows of sessions: events are those of the whole period", n)
		}
		for _, page := range []string{"reports/apps.html", "items/164.308-a-7-i/index.html"} {
			if !strings.Contains(files[page], "Population: "+strings.TrimSuffix(c.words, ".")) || strings.Contains(files[page], "<dt>Versions</dt>") == c.notice.IsZero() {
				t.Errorf("%s does not say as of when it is", page)
			}
		}
	}
}
