package year

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/simulation"
)

// packed exports a space's year and reads the pack as an auditor does who was
// not there.
func packed(t *testing.T, y *simulation.Year, s simulation.Space) {
	path := filepath.Join(t.TempDir(), s.Name+".zip")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	began := time.Now()
	if err := y.Export(t.Context(), s.ID, out); err != nil {
		t.Fatal(err)
	}
	exported := time.Since(began)
	info, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := pack.Verify(t.Context(), out, info.Size(), pack.Options{Key: y.LogKey})
	if err != nil || r.Verdict != pack.Verified {
		t.Fatalf("%v: %+v", err, r)
	}
	t.Logf("%d entries, %d bytes: exported in %s, verified in %s", r.Size, info.Size(),
		exported.Round(time.Millisecond), (time.Since(began) - exported).Round(time.Millisecond))
	if !r.Manifest.Simulated {
		t.Error("the manifest does not say that it is simulated")
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	p := &reader{t, z, s, compliance.Sight{"": true, s.ID: true, s.Team: true}}
	p.banners()
	p.controls(y)
	p.denials(&y.Truth)
	p.changes(&y.Truth)
	p.findings(&y.Truth)
	p.destructions(&y.Truth)
}

// idle are the controls that have nothing to say of a space: what holds for
// shield spaces and for code that handles ePHI.
var idle = map[string][]string{
	"annex": {"network.trusted-sources", "releases.approved"},
	"attic": {"network.trusted-sources", "releases.approved"},
}

// own are the controls that rest on one check of what is in the space, and on
// nothing of its team or of the installation: when it is no more, there is
// nothing to judge any more.
var own = map[string]string{
	"build.provenance": "state.release-evidence", "evidence.phi-map": "state.ephi-marked",
	"releases.evidence": "state.release-evidence", "sessions.recorded": "state.sessions-recorded",
}

// silent are the controls that have nothing to say of all: the organisation has no
// channel for alerts, no certificate of its own, and asks no client for one.
var silent = []string{"findings.alerts", "encryption.certificates", "network.client-certificates"}

// reader reads a pack.
type reader struct {
	*testing.T
	pack  *zip.ReadCloser
	space simulation.Space
	scope compliance.Sight
}

func (p *reader) file(name string) []byte {
	p.Helper()
	f, err := p.pack.Open(name)
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		p.Fatal(err)
	}
	return b
}

// rows are those of a report, by the titles of its columns.
func (p *reader) rows(report string) (out []map[string]string) {
	p.Helper()
	list, err := csv.NewReader(strings.NewReader(string(p.file("reports/" + report + ".csv")))).ReadAll()
	if err != nil {
		p.Fatal(err)
	}
	for _, line := range list[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[list[0][i]] = cell
		}
		out = append(out, row)
	}
	return out
}

// equal compares two lists as sets.
func (p *reader) equal(what string, planted, got []string) {
	p.Helper()
	slices.Sort(planted)
	slices.Sort(got)
	if diff := cmp.Diff(planted, got); diff != "" {
		p.Errorf("%s (-planted +told):\n%s", what, diff)
	}
}

// banners: no page is without the word.
func (p *reader) banners() {
	pages := 0
	for _, f := range p.pack.File {
		if !strings.HasSuffix(f.Name, ".html") {
			continue
		}
		if pages++; !strings.Contains(string(p.file(f.Name)), "<strong>Simulated.</strong>") {
			p.Errorf("%s does not say that it is simulated", f.Name)
		}
	}
	if pages < 20 {
		p.Errorf("the pack has %d pages", pages)
	}
	book := p.file("reports/deployments.xlsx")
	z, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			p.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			p.Fatal(err)
		}
		if bytes.Contains(content, []byte("Nothing of this has happened.")) {
			return
		}
	}
	p.Error("the workbook does not say that it is simulated")
}

// told is a control in controls.json.
type control struct {
	ID            string   `json:"id"`
	Effectiveness *float64 `json:"effectiveness"`
	Gaps          []struct {
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
		Status   string    `json:"status"`
		Open     bool      `json:"open"`
		Check    string    `json:"check"`
		Name     string    `json:"name"`
		Facts    []string  `json:"facts"`
		Owner    string    `json:"owner"`
		MendedBy string    `json:"mended_by"`
	} `json:"gaps"`
}

// controls holds the report on controls against the truth, with the causes.
func (p *reader) controls(y *simulation.Year) {
	var list []control
	if err := json.Unmarshal(p.file("reports/controls.json"), &list); err != nil {
		p.Fatal(err)
	}
	for _, c := range list {
		checks := y.Programme.Control(c.ID).Proof.Checks
		want := expected(&y.Truth, checks, p.scope)
		var got []gap
		for _, g := range c.Gaps {
			got = append(got, gap{check: g.Check, name: g.Name, status: g.Status, from: g.From, to: g.To, open: g.Open, owner: g.Owner, mended: g.MendedBy})
			cause := slices.ContainsFunc(want, func(w gap) bool {
				return w.check == g.Check && w.name == g.Name && w.from.Equal(g.From) && strings.Contains(strings.Join(g.Facts, " "), w.tells)
			})
			if !cause {
				p.Errorf("%s: the cause is told as %q", c.ID, g.Facts)
			}
		}
		p.equal(c.ID, lines(want), lines(got))
		if len(checks) == 0 || len(y.Programme.Control(c.ID).Proof.Planned) > 0 {
			continue
		}
		if none := slices.Contains(silent, c.ID) || slices.Contains(idle[p.space.Name], c.ID); none || c.Effectiveness == nil {
			if !none || c.Effectiveness != nil {
				p.Errorf("%s was judged: %v; nothing was to be judged: %v", c.ID, c.Effectiveness != nil, none)
			}
			continue
		}
		of := whole(&y.Truth)
		if check := own[c.ID]; check != "" {
			of = life(&y.Truth, p.space.ID, check)
		}
		if want := share(of, want); *c.Effectiveness != want {
			p.Errorf("%s was effective for %v of the time, want %v", c.ID, *c.Effectiveness, want)
		}
	}
}

// denials are in whichever reports tell of their actions, and nowhere are more.
func (p *reader) denials(truth *simulation.Truth) {
	var planted, got []string
	for _, d := range truth.Denials {
		if p.scope[d.Scope] {
			planted = append(planted, d.Action+" by "+d.Who)
		}
	}
	for _, report := range []string{"approvals", "config-changes", "access-events", "access-changes", "space-changes"} {
		for _, row := range p.rows(report) {
			if row["outcome"] != "denied" {
				continue
			}
			times, err := strconv.Atoi(row["count"])
			if err != nil {
				times = 1
			}
			got = append(got, slices.Repeat([]string{row["action"] + " by " + row["who"]}, times)...)
		}
	}
	p.equal("refusals", planted, got)
}

// changes are releases that went live with nobody's approval.
func (p *reader) changes(truth *simulation.Truth) {
	var planted, got []string
	for _, c := range truth.Changes {
		if p.scope[c.Scope] {
			planted = append(planted, c.Release+" by "+c.Who)
		}
	}
	for _, row := range p.rows("deployments") {
		if row["approved by"] == "" {
			got = append(got, row["release"]+" by "+row["pushed by"])
		}
	}
	p.equal("unapproved", planted, got)
}

func (p *reader) findings(truth *simulation.Truth) {
	var planted, got []string
	for _, f := range truth.Faults {
		if p.scope[f.Scope] {
			planted = append(planted, strings.Join([]string{f.Check, f.Name, f.Owner, f.Mended}, " "))
		}
	}
	for _, row := range p.rows("findings") {
		got = append(got, strings.Join([]string{row["check"], row["of"], row["owner"], row["mended by"]}, " "))
	}
	p.equal("findings", planted, got)
}

func (p *reader) destructions(truth *simulation.Truth) {
	var planted, got []string
	for _, d := range truth.Destroyed {
		if p.scope[d.Scope] {
			planted = append(planted, d.Who)
		}
	}
	for _, row := range p.rows("space-changes") {
		if row["action"] == "space.destroy" && row["outcome"] == "ok" {
			got = append(got, row["who"])
		}
	}
	p.equal("destroyed spaces", planted, got)
}
