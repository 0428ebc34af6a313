package evidence_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/pack"
)

// TestControls: whoever reads the pack finds a planted failure, its end, its
// cause and who mended it, and an hour in which nothing was checked.
func TestControls(t *testing.T) {
	l := newLab(t)
	e := l.engine()
	run := func(from, to time.Duration) {
		t.Helper()
		for d := from; d < to; d += 10 * time.Minute {
			l.Set(at(d))
			if err := e.Due(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	trust := func(source, by string) {
		l.Do(&spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: source, Action: "allow"}}}, l.As(by))
	}
	run(0, 2*time.Hour)
	trust("0.0.0.0/0", "owner")
	run(2*time.Hour, 3*time.Hour)
	trust("192.0.2.0/24", "admin")
	run(3*time.Hour, 5*time.Hour)
	run(6*time.Hour, 8*time.Hour)
	period := evidence.Request{From: at(0), To: at(8 * time.Hour)}
	l.Set(at(8 * time.Hour))
	b := l.export(period)
	l.verify(b, pack.Options{})
	files := members(t, b)

	page := files["reports/controls.html"]
	for _, words := range []string{
		"state.trusted-ips of ward: FAILS", "The shield space ward takes connections from 0.0.0.0/0: from everybody.", "<td>1h0m0s</td>", "<td>admin@example.org</td>",
		"The check did not run.", `id="hipaa-security"`, "not yet proven by the platform", "went on when the record ends",
		"when the check ceased to run", `<a href="#build.provenance">build.provenance</a><br><a href="#releases.evidence">`,
	} {
		if !strings.Contains(page, words) {
			t.Errorf("the page does not tell %q", words)
		}
	}
	var rows []struct {
		ID, Status    string
		Effectiveness *float64
		Gaps          []struct {
			Check  string
			EndSeq int64 `json:"end_seq"`
		}
	}
	if err := json.Unmarshal([]byte(files["reports/controls.json"]), &rows); err != nil || len(rows) != len(l.programme.Controls) {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		switch row.ID {
		case "network.trusted-sources":
			// On record up to 7 h: of these 1 h failed, and 70 min nobody looked.
			if row.Status != "pass" || *row.Effectiveness != 290.0/420 || len(row.Gaps) != 2 || row.Gaps[0].EndSeq < 0 {
				t.Errorf("%+v", row)
			}
		case "people.training":
			if row.Status != "unproven" || row.Effectiveness != nil {
				t.Errorf("%+v", row)
			}
		}
	}
	controlsTables(t, files)
	if n := strings.Count(files["reports/check-results.csv"], "state.trusted-ips ward"); n != 3 {
		t.Errorf("%d results:\n%s", n, files["reports/check-results.csv"])
	}
	if f := files["reports/findings.csv"]; !strings.Contains(f, "state.trusted-ips") || !strings.Contains(f, ",admin@example.org\n") {
		t.Errorf("findings:\n%s", f)
	}

	// Before anything was checked there is nothing to judge.
	l.Set(at(9 * time.Hour))
	before := members(t, l.export(evidence.Request{From: at(-2 * time.Hour), To: at(-time.Hour)}))
	if !strings.Contains(before["reports/controls.html"], "The ledger did not exist in this period") {
		t.Error("a pack of a time before the ledger began tells of controls")
	}
}
